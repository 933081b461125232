"""Suspect bars as operators see them, and what each decision changes: everything that belongs to it, or nothing."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from sigmasight_assets.errors import DecisionError, NotFoundError, SigmaSightError, TransientStorageError
from sigmasight_assets.operations.bars import DecidedBar, accept_bar, read_suspect_bars, reject_bar
from sigmasight_assets.storage import stored_bars
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import lock_layer
from tests.contents import contents
from tests.orchestration.contents import execute, rows_of
from tests.stored_bars import DAYS, FALLEN, compare, fallen, hold, lot, publish_figures, state_split, store_bars

WHY = "the exchange says otherwise"
Decide = Callable[..., DecidedBar]


def decide(decision: Decide, database: Database, symbol: str, day: date = FALLEN, *, reason: str = WHY) -> DecidedBar:
    return decision(database, symbol, day, actor="ann", reason=reason)


def waiting(database: Database) -> list[str]:
    return [bar.symbol for bar in read_suspect_bars(database)]


def marks(database: Database) -> list[tuple[Any, ...]]:
    names = "symbol, first_session, last_session, has_new_returns, actions_from, run_id"
    return [tuple(row.values()) for row in rows_of(database, f"SELECT {names} FROM figure_invalidations ORDER BY 1")]


def actions(database: Database) -> list[tuple[Any, ...]]:
    names = "kind, actor, reason, session, symbol"
    return [
        tuple(row.values()) for row in rows_of(database, f"SELECT {names} FROM operator_actions ORDER BY action_id")
    ]


def changed_tables(database: Database, before: list[tuple[str, str]]) -> set[str]:
    return {name for name, _ in set(before) ^ set(contents(database))}


class TestList:
    def test_nothing_waits(self, database: Database) -> None:
        assert read_suspect_bars(database) == []
        store_bars(database, "AAA", dict.fromkeys(DAYS, "100"))
        assert read_suspect_bars(database) == []

    def test_what_operators_need_to_know(self, database: Database) -> None:
        fallen(database, "FELL")
        fallen(database, "ROSE", to="150.0001")
        publish_figures(database, FALLEN, "FELL")
        hold(database, "one", lot("FELL"))
        hold(database, "two", lot("FELL"), lot("FELL"))
        first, second = read_suspect_bars(database)
        assert (first.symbol, first.session, first.close_price) == ("FELL", FALLEN, Decimal("25.0000"))
        assert (first.previous_session, first.previous_close_price) == (DAYS[-2], Decimal("100.0000"))
        assert (first.move_percent, first.is_published, first.portfolios) == (-75.0, True, 2)
        (stored,) = rows_of(
            database,
            "SELECT fetched_at FROM symbol_prices_daily WHERE symbol = 'FELL' AND price_date = :day",
            day=FALLEN,
        )
        assert first.since == stored["fetched_at"]
        assert (second.symbol, second.move_percent, second.is_published, second.portfolios) == ("ROSE", 50.0, False, 0)

    def test_what_does_not_wait(self, database: Database) -> None:
        fallen(database, "HALF", to="50")
        fallen(database, "SPLIT")
        state_split(database, "SPLIT", FALLEN)
        fallen(database, "FELL250919C00100000", asset_type="option")
        store_bars(database, "FOLLOWED", dict.fromkeys(DAYS[:-2], "100") | {DAYS[-2]: "25", FALLEN: "26"})
        store_bars(database, "FIRST", {FALLEN: "25"})
        assert waiting(database) == []

    def test_bars_that_a_second_market_states_otherwise(self, database: Database) -> None:
        store_bars(database, "AAA", dict.fromkeys(DAYS, "100"))
        fallen(database, "BBB")
        compare(database, "AAA", DAYS[-3], "100", "102")
        compare(database, "AAA", DAYS[1], "100", "98.9999")
        # It has been confirmed, and no longer is that bar.
        compare(database, "BBB", FALLEN, "24", "24")
        found = [(bar.symbol, bar.session, bar.second_close_price) for bar in read_suspect_bars(database)]
        assert found == [("AAA", DAYS[1], Decimal("98.9999")), ("AAA", DAYS[-3], 102), ("BBB", FALLEN, None)]
        decide(accept_bar, database, "AAA", DAYS[1])
        decide(reject_bar, database, "AAA", DAYS[-3])
        assert waiting(database) == ["BBB"]

    def test_bars_that_a_second_market_confirms(self, database: Database) -> None:
        for symbol, other in (("AAA", "25.25"), ("BBB", "25.2501"), ("CCC", "24.7499"), ("DDD", "24.75")):
            fallen(database, symbol)
            compare(database, symbol, FALLEN, "25", other)
        # A move that was followed by another bar, and is not what was confirmed.
        store_bars(database, "EEE", dict.fromkeys(DAYS[:-2], "100") | {DAYS[-2]: "25", FALLEN: "26"})
        compare(database, "EEE", DAYS[-2], "24", "24")
        assert waiting(database) == ["BBB", "CCC"]

    def test_an_option_contract_is_in_no_doubt(self, database: Database) -> None:
        store_bars(database, "AAA250919C00100000", dict.fromkeys(DAYS, "5"), asset_type="option")
        compare(database, "AAA250919C00100000", FALLEN, "5", "6")
        assert waiting(database) == []

    def test_a_symbol_that_trades_no_more_waits(self, database: Database) -> None:
        store_bars(database, "OVER", {DAYS[0]: "100", DAYS[1]: "2"})
        execute(database, "UPDATE symbol_universe SET status = 'delisted'")
        assert waiting(database) == ["OVER"]

    @pytest.mark.fault(11)
    def test_a_wrong_bar_that_was_followed_by_a_right_one_shows_as_the_right_one(self, database: Database) -> None:
        """Rejecting the wrong one, which is still among the newest sessions, sets both right."""
        store_bars(database, "AAA", dict.fromkeys(DAYS, "100") | {DAYS[-2]: "25"})
        assert waiting(database) == ["AAA"]
        decide(reject_bar, database, "AAA", DAYS[-2])
        assert waiting(database) == []


class TestAccept:
    @pytest.mark.fault(11)
    def test_it_stays_and_waits_no_longer(self, database: Database) -> None:
        for symbol in ("AAA", "BBB"):
            fallen(database, symbol)
        publish_figures(database, FALLEN, "AAA", "BBB")
        before = contents(database)
        done = decide(accept_bar, database, "AAA")
        assert (done.verdict, done.effect, done.close_price) == ("accepted", "republished", Decimal(25))
        assert waiting(database) == ["BBB"]
        assert marks(database) == [("AAA", FALLEN, FALLEN, False, None, f"operator action {done.action_id}")]
        assert actions(database) == [("accept_bar", "ann", WHY, FALLEN, "AAA")]
        assert changed_tables(database, before) == {"bar_decisions", "operator_actions", "figure_invalidations"}
        (row,) = rows_of(database, "SELECT * FROM bar_decisions")
        assert row == {
            "symbol": "AAA",
            "price_date": FALLEN,
            "close_price": Decimal(25),
            "previous_close_price": Decimal(100),
            "verdict": "accepted",
            "action_id": done.action_id,
        }
        (audit,) = rows_of(database, "SELECT details FROM operator_actions")
        assert audit["details"] == {
            "close_price": "25.0000",
            "previous_session": str(DAYS[-2]),
            "previous_close_price": "100.0000",
            "move_percent": -75.0,
        }

    def test_a_session_later_than_all_published_ones_needs_no_mark(self, database: Database) -> None:
        fallen(database, "AAA")
        publish_figures(database, DAYS[-2], "AAA")
        assert decide(accept_bar, database, "AAA").effect == "none"
        assert marks(database) == []

    def test_another_close_is_another_bar(self, database: Database) -> None:
        fallen(database, "AAA")
        decide(accept_bar, database, "AAA")
        restate = (
            "UPDATE symbol_prices_daily SET close_price = :close, low_price = :close WHERE symbol = 'AAA' "
            "AND price_date = :day"
        )
        execute(database, restate, close="24", day=FALLEN)
        assert waiting(database) == ["AAA"]
        decide(accept_bar, database, "AAA", reason="this one too")
        assert waiting(database) == []
        assert [row["close_price"] for row in rows_of(database, "SELECT close_price FROM bar_decisions")] == [24]
        assert [reason for _, _, reason, *_ in actions(database)] == [WHY, "this one too"]

    def test_a_rejected_bar_is_asked_for_again(self, database: Database) -> None:
        fallen(database, "AAA")
        decide(reject_bar, database, "AAA")
        before = contents(database)
        done = decide(accept_bar, database, "AAA", reason="it was right after all")
        assert (done.verdict, done.effect, done.close_price) == ("accepted", "asked_again", Decimal(25))
        assert changed_tables(database, before) == {"bar_decisions", "operator_actions", "symbol_universe"}
        (row,) = rows_of(database, "SELECT verdict, close_price, previous_close_price FROM bar_decisions")
        assert row == {"verdict": "accepted", "close_price": Decimal(25), "previous_close_price": Decimal(100)}
        (symbol,) = rows_of(database, "SELECT history_from FROM symbol_universe")
        assert symbol["history_from"] == FALLEN
        assert [kind for kind, *_ in actions(database)] == ["reject_bar", "accept_bar"]


class TestReject:
    def test_it_goes_into_quarantine(self, database: Database) -> None:
        for symbol in ("AAA", "BBB"):
            fallen(database, symbol)
        publish_figures(database, FALLEN, "AAA", "BBB")
        before = contents(database)
        done = decide(reject_bar, database, "AAA")
        assert (done.verdict, done.effect, done.close_price) == ("rejected", "republished", Decimal(25))
        assert waiting(database) == ["BBB"]
        assert marks(database) == [("AAA", FALLEN, FALLEN, True, None, f"operator action {done.action_id}")]
        assert actions(database) == [("reject_bar", "ann", WHY, FALLEN, "AAA")]
        (row,) = rows_of(database, "SELECT symbol, price_date, close_price, reason FROM price_quarantine")
        words = f"rejected by an operator (action {done.action_id}): {WHY}"
        assert row == {"symbol": "AAA", "price_date": FALLEN, "close_price": 25.0, "reason": words}
        (known,) = rows_of(database, "SELECT last_price_date FROM symbol_universe WHERE symbol = 'AAA'")
        assert known["last_price_date"] == DAYS[-2]
        assert changed_tables(database, before) == {
            "bar_decisions",
            "operator_actions",
            "figure_invalidations",
            "price_quarantine",
            "symbol_prices_daily",
            "symbol_universe",
        }

    def test_an_accepted_bar_may_be_rejected_after_all(self, database: Database) -> None:
        fallen(database, "AAA")
        decide(accept_bar, database, "AAA")
        assert decide(reject_bar, database, "AAA").verdict == "rejected"
        assert [row["verdict"] for row in rows_of(database, "SELECT verdict FROM bar_decisions")] == ["rejected"]

    @pytest.mark.parametrize("day", DAYS[-5:-1])
    def test_any_bar_of_the_newest_sessions(self, database: Database, day: date) -> None:
        store_bars(database, "AAA", dict.fromkeys(DAYS, "100"))
        decide(reject_bar, database, "AAA", day)
        (row,) = rows_of(database, "SELECT count(*) AS bars FROM symbol_prices_daily")
        assert row["bars"] == len(DAYS) - 1

    def test_the_bar_of_a_factor_fund_at_a_session_that_is_not_published(self, database: Database) -> None:
        fallen(database, "SPY")
        publish_figures(database, DAYS[-2], "SPY")
        assert decide(reject_bar, database, "SPY").effect == "none"


def reject_first(database: Database) -> None:
    fallen(database, "AAA")
    decide(reject_bar, database, "AAA")


def accept_first(database: Database) -> None:
    fallen(database, "AAA")
    decide(accept_bar, database, "AAA")


def split(database: Database) -> None:
    fallen(database, "AAA")
    state_split(database, "AAA", FALLEN)


def fund(database: Database) -> None:
    fallen(database, "AAA")
    fallen(database, "SPY")
    publish_figures(database, FALLEN, "SPY")


def ordinary(database: Database) -> None:
    store_bars(database, "AAA", dict.fromkeys(DAYS, "100") | {FALLEN: "99"})


class Refusal(NamedTuple):
    """A decision on a bar, what is stored before it, and what it is told."""

    decision: Decide
    fill: Callable[[Database], None]
    bar: tuple[str, date]
    error: type[SigmaSightError]
    message: str


NO_BAR = "There is no bar of {} at {}; `sigmasight bars list` shows what waits"
REFUSALS = [
    Refusal(accept_bar, ordinary, ("ZZZ", FALLEN), NotFoundError, NO_BAR.format("ZZZ", FALLEN)),
    Refusal(reject_bar, ordinary, ("ZZZ", FALLEN), NotFoundError, NO_BAR.format("ZZZ", FALLEN)),
    Refusal(accept_bar, ordinary, ("AAA", date(2025, 7, 26)), NotFoundError, NO_BAR.format("AAA", "2025-07-26")),
    Refusal(reject_bar, accept_first, ("AAA", date.max), NotFoundError, NO_BAR.format("AAA", "9999-12-31")),
    Refusal(
        accept_bar, ordinary, ("AAA", FALLEN), DecisionError, f"is not suspect: it moved -1.00 % from {DAYS[-2]}, and"
    ),
    Refusal(
        accept_bar, ordinary, ("AAA", DAYS[0]), DecisionError, f"is not suspect: the bar of {FALLEN} that followed"
    ),
    Refusal(
        accept_bar, split, ("AAA", FALLEN), DecisionError, f"a split or dividend since the bar of {DAYS[-2]} explains"
    ),
    Refusal(
        accept_bar, accept_first, ("AAA", FALLEN), DecisionError, "with the close 25.0000 was accepted already, by ann"
    ),
    Refusal(
        reject_bar, reject_first, ("AAA", FALLEN), DecisionError, "with the close 25.0000 was rejected already, by ann"
    ),
    Refusal(
        reject_bar, ordinary, ("AAA", DAYS[-6]), DecisionError, "neither suspect nor among the 5 newest sessions of AAA"
    ),
    Refusal(
        reject_bar, fund, ("SPY", FALLEN), DecisionError, f"SPY is a factor ETF and {FALLEN} is published: without its"
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case.decision.__name__}-{case.fill.__name__}")
def test_a_decision_that_does_not_fit_changes_nothing(database: Database, case: Refusal) -> None:
    case.fill(database)
    before = contents(database)
    with pytest.raises(case.error) as caught:
        decide(case.decision, database, *case.bar)
    assert case.message in str(caught.value)
    assert contents(database) == before


@pytest.mark.parametrize("decision", [accept_bar, reject_bar])
@pytest.mark.parametrize("reason", ["", "   ", "two\nlines", "nul\0"])
def test_a_decision_without_a_reason_changes_nothing(database: Database, decision: Decide, reason: str) -> None:
    fallen(database, "AAA")
    before = contents(database)
    with pytest.raises(DecisionError, match="needs a reason"):
        decide(decision, database, "AAA", reason=reason)
    assert contents(database) == before


@pytest.mark.parametrize("decision", [accept_bar, reject_bar])
def test_a_decision_waits_for_whoever_writes_prices(
    database: Database, decision: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallen(database, "AAA")
    before = contents(database)
    monkeypatch.setattr(stored_bars, "LOCK_TIMEOUT", "50ms")
    with database.bulk() as transaction:
        lock_layer(transaction, "prices")
        with pytest.raises(TransientStorageError, match="is busy"):
            decide(decision, database, "AAA")
    assert contents(database) == before
    decide(decision, database, "AAA")


def test_first_bars_and_contracts_are_not_suspect(database: Database) -> None:
    store_bars(database, "FIRST", {FALLEN: "25"})
    fallen(database, "FELL250919C00100000", asset_type="option")
    for symbol, message in (
        ("FIRST", "it is the symbol's first bar"),
        ("FELL250919C00100000", "option contracts leap"),
    ):
        with pytest.raises(DecisionError, match=message):
            decide(accept_bar, database, symbol)
        assert decide(reject_bar, database, symbol).verdict == "rejected"


def test_a_suspect_bar_may_be_rejected_however_old_it_is(database: Database) -> None:
    """Its symbol has not traded since; one that was accepted is no longer suspect."""
    store_bars(database, "OVER", {DAYS[0]: "100", DAYS[1]: "2"})
    decide(accept_bar, database, "OVER", DAYS[1])
    assert decide(reject_bar, database, "OVER", DAYS[1]).verdict == "rejected"
