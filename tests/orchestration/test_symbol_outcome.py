"""The sums that people and the orchestrator are told."""

from collections import Counter
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.storage.operations import Verdict

MON, TUE = date(2025, 6, 2), date(2025, 6, 3)


def test_failures_are_the_blocking_ones_each_once() -> None:
    failed = Verdict("coverage", MON, passed=False, detail="97 %")
    warned = Verdict("market_beta_stable", MON, passed=False, detail="0.12", is_blocking=False)
    other = Verdict("coverage", TUE, passed=False, detail="96 %")
    fine = Verdict("bars_valid", TUE, passed=True, detail="100 bars")
    # The session was judged in a republication and again because it was asked for.
    outcome = SymbolPublication(verdicts=[other, failed, warned, fine, failed])
    assert outcome.failures == [other, failed]


def test_republications_add_up() -> None:
    outcome = SymbolPublication(generation=3)
    outcome.add_republished(4, [MON], symbols={"AAA"}, rows={"ir_beta": np.array([1, 0]), "market_beta": np.array([0])})
    outcome.add_republished(5, [MON, TUE], symbols={"BBB"}, rows={"ir_beta": np.array([2, 3])})
    assert outcome.generation == 5
    assert outcome.republished_sessions == {MON, TUE}
    assert outcome.republished_symbols == {"AAA", "BBB"}
    assert +outcome.rows_republished == {"ir_beta": 6}
    assert (outcome.published, outcome.rows_computed) == ([], {})


def test_symbols_that_did_not_trade_have_not_failed() -> None:
    reasons = Counter(delisted=40, not_listed_yet=20, no_price=3, short_history=2)
    assert SymbolPublication(exclusions={"ir_beta": reasons}).failed_rows("ir_beta") == 5
