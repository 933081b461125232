"""The past changes: a close is restated, a stock splits, and exactly what rests on it is computed again, once."""

import pytest

from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances, Split
from tests.e2e.stack import Stack, succeeded
from tests.e2e.world import BOOKS, DAYS, PUBLISHED, TONIGHT
from tests.night_contents import RESULT_TABLES
from tests.orchestration.contents import Contents, changed_keys, contents, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]

RESTATED, RESTATED_ON = "LAHA", DAYS[30]
SPLITTING = "BUCO"
PORTFOLIO_TABLES = ("portfolio_snapshots", "portfolio_lot_values", "portfolio_exposures", "option_expiries")
SYMBOL_TABLES = ("symbol_market_beta", "symbol_ir_beta", "symbol_ridge_factors", "symbol_spread_factors")


def holders(stack: Stack, symbol: str) -> set[int]:
    """Keys of the portfolios that hold a symbol."""
    keys = {row["name"]: row["portfolio_id"] for row in rows_of(stack.database, "SELECT * FROM portfolios")}
    return {keys[name] for name, book in BOOKS.items() if symbol in book}


def changed(stack: Stack, before: Contents, *tables: str) -> set[tuple[object, ...]]:
    """Keys of the rows that are not, to the last bit, what they were."""
    after = contents(stack.database, RESULT_TABLES)
    return {key for table in tables for key in changed_keys(before, after, table)}


def test_a_close_restated_after_thirty_sessions_costs_its_symbol_and_its_holders_once(
    stack: Stack, compare: Compare
) -> None:
    before, generation = contents(stack.database, RESULT_TABLES), stack.generation()
    stack.disturb(Disturbances(restated={RESTATED: {str(RESTATED_ON): 1.01}}))
    stack.succeed(stack.launch(RESTATED_ON))
    compare(PUBLISHED)
    assert stack.portfolio_runs() == [succeeded(RESTATED_ON, PUBLISHED[-1])]
    assert stack.generation() == generation + 2
    after = PUBLISHED[30:]
    assert changed(stack, before, *SYMBOL_TABLES) == {(day, RESTATED) for day in after}
    assert {day for day, *_ in changed(stack, before, "factor_covariances")} == set()
    by_portfolio = {key[:2] for key in changed(stack, before, *PORTFOLIO_TABLES)}
    assert by_portfolio == {(book, day) for book in holders(stack, RESTATED) for day in after}
    log = rows_of(stack.database, "SELECT symbol, price_date FROM restatements")
    assert log == [{"symbol": RESTATED, "price_date": RESTATED_ON}]


def test_a_split_restates_the_history_of_its_symbol_and_no_value(stack: Stack, compare: Compare) -> None:
    values = "SELECT session, portfolio_id, equity FROM portfolio_snapshots WHERE session <= :last ORDER BY 1, 2"
    before = rows_of(stack.database, values, last=PUBLISHED[-1])
    stack.set_clock(TONIGHT)
    stack.disturb(Disturbances(splits=[Split(SPLITTING, str(TONIGHT), 4)]))
    stack.succeed(stack.nightly(TONIGHT))
    compare(DAYS[:61])
    assert rows_of(stack.database, values, last=PUBLISHED[-1]) == before
    assert [(last, status) for _, last, status in stack.portfolio_runs()] == [(str(TONIGHT), "SUCCESS")]
    held = (
        "SELECT DISTINCT split_numerator, split_denominator FROM position_values JOIN positions USING (position_id) "
        "WHERE symbol = :symbol AND session = :day"
    )
    assert rows_of(stack.database, held, symbol=SPLITTING, day=TONIGHT) == [
        {"split_numerator": 4, "split_denominator": 1}
    ]
