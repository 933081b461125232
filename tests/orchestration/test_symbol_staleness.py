"""Which figures a changed bar, fund or description makes stale: those, all of those, and no others."""

import pyarrow as pa
import pytest

from sigmasight_assets.market_data.protocol import PROFILE_SCHEMA
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.profiles import store_profiles
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    assert_same_figures,
    changed_keys,
    contents,
    execute,
    rows_of,
)
from tests.orchestration.markets import LEVERED
from tests.orchestration.symbol_runs import (
    FIGURE_TABLES,
    delete_bars,
    figures,
    generations,
    publish,
    stocks,
)


def test_restated_bar_changes_exactly_its_symbol(published: Database) -> None:
    symbol, day = stocks(published, 1)[0], TARGETS[3]
    before = contents(published, SYMBOL_TABLES)
    execute(
        published,
        "UPDATE symbol_prices_daily SET adj_close_price = adj_close_price * 1.01 "
        "WHERE symbol = :symbol AND price_date = :day",
        symbol=symbol,
        day=day,
    )
    outcome = publish(published)
    after = contents(published, SYMBOL_TABLES)
    expected = {(session, symbol) for session in TARGETS[3:]}
    for table in FIGURE_TABLES:
        assert changed_keys(before, after, table) == expected
        column = "metrics_date" if table == "symbol_daily_metrics" else "session"
        changed = rows_of(published, f"SELECT {column} AS day, symbol FROM {table} WHERE generation = 2")
        assert {(row["day"], row["symbol"]) for row in changed} == expected
    for table in ("factor_covariances", "symbol_exclusions", "symbol_universe"):
        assert after[table] == before[table]
    assert changed_keys(before, after, "publications") == {(2, "symbol", session) for session in TARGETS[3:]}
    assert outcome.rows_computed["market_beta"] == len(expected)
    assert outcome.rows_computed["factor_covariances"] == 0


def test_restated_fund_changes_every_symbol_that_is_regressed_on_it(published: Database) -> None:
    before = contents(published, SYMBOL_TABLES)
    execute(
        published,
        "UPDATE symbol_prices_daily SET adj_close_price = adj_close_price * 1.01 "
        "WHERE symbol = 'TLT' AND price_date = :day",
        day=TARGETS[-1],
    )
    publish(published)
    after = contents(published, SYMBOL_TABLES)
    last = {key for key in before["symbol_ir_beta"] if key[0] == TARGETS[-1]}
    assert changed_keys(before, after, "symbol_ir_beta") == last
    only_itself = {(TARGETS[-1], "TLT")}
    for table in ("symbol_market_beta", "symbol_ridge_factors", "symbol_spread_factors"):
        assert changed_keys(before, after, table) == only_itself
    assert changed_keys(before, after, "factor_covariances") == {(TARGETS[-1],)}
    # Metrics repeat the betas.
    assert changed_keys(before, after, "symbol_daily_metrics") >= last


def test_dividend_that_rescales_the_whole_history_changes_nothing(published: Database) -> None:
    before = contents(published, SYMBOL_TABLES)
    execute(published, "UPDATE symbol_prices_daily SET adj_close_price = adj_close_price * 0.5 WHERE symbol = 'VTV'")
    assert publish(published).generation is None
    assert contents(published, SYMBOL_TABLES) == before


def test_return_across_a_gap_is_recomputed_when_what_lies_before_the_gap_is_rescaled(published: Database) -> None:
    """No daily return shows the change: those that touch the gap are missing before and after."""
    symbol, gap = stocks(published, 1)[0], exchange_calendar().offset(TARGETS[0], -90)
    delete_bars(published, gap, symbol)
    publish(published)
    sql = "SELECT return_1y, return_ytd FROM symbol_daily_metrics WHERE symbol = :symbol AND metrics_date = :day"
    before = rows_of(published, sql, symbol=symbol, day=TARGETS[-1])[0]
    execute(
        published,
        "UPDATE symbol_prices_daily SET adj_close_price = adj_close_price * 0.5 "
        "WHERE symbol = :symbol AND price_date < :gap",
        symbol=symbol,
        gap=gap,
    )
    publish(published)
    after = rows_of(published, sql, symbol=symbol, day=TARGETS[-1])[0]
    assert after["return_1y"] == pytest.approx(2 * (1 + before["return_1y"]) - 1)
    assert after["return_ytd"] == pytest.approx(2 * (1 + before["return_ytd"]) - 1)


@pytest.mark.parametrize("sessions_ago", [10, 120])
@pytest.mark.parametrize("fund", FACTOR_ETFS)
def test_restated_fund_leaves_nothing_stale(published: Database, fund: str, sessions_ago: int) -> None:
    restate(published, fund, sessions_ago, "adj_close_price = adj_close_price * 1.02")
    assert_nothing_stale(published)


def test_restated_stocks_leave_nothing_stale(published: Database) -> None:
    """Prices, closes and volumes of every age that some figure of the newest session can see, and just beyond."""
    changes = (
        "adj_close_price = adj_close_price * 1.02",
        "close_price = close_price * 1.5, high_price = high_price * 1.5",
        "volume = volume * 3",
    )
    cases = [(ago, change) for change in changes for ago in (0, 1, 20, 21, 62, 63, 89, 90, 179, 180, 251, 252)]
    for symbol, (ago, change) in zip(stocks(published, len(cases)), cases, strict=True):
        restate(published, symbol, ago, change)
    assert_nothing_stale(published)


def restate(database: Database, symbol: str, sessions_ago: int, change: str) -> None:
    day = exchange_calendar().offset(TARGETS[-1], -sessions_ago)
    sql = f"UPDATE symbol_prices_daily SET {change} WHERE symbol = :symbol AND price_date = :day"
    execute(database, sql, symbol=symbol, day=day)


def assert_nothing_stale(database: Database) -> None:
    """A stale row that its fingerprint does not give away would show against a forced publication."""
    newest = TARGETS[-2:]
    publish(database, newest)
    found = figures(database, since=newest[0])
    publish(database, newest, force=True)
    assert_same_figures(found, figures(database, since=newest[0]))


def test_new_profile_changes_the_metrics_of_its_day_and_later_alone(published: Database) -> None:
    before = contents(published, SYMBOL_TABLES)
    row = {"symbol": LEVERED, "sector": "Energy", "market_cap": 1e9}
    with published.bulk() as transaction:
        profiles = pa.Table.from_pylist([row], schema=PROFILE_SCHEMA)
        store_profiles(transaction, profiles, captured_on=TARGETS[4], source="scripted")
    outcome = publish(published)
    after = contents(published, SYMBOL_TABLES)
    assert changed_keys(before, after, "symbol_daily_metrics") == {(day, LEVERED) for day in TARGETS[4:]}
    for table in list(FIGURE_TABLES)[:4]:
        assert after[table] == before[table]
    assert +outcome.rows_computed == {"symbol_daily_metrics": 8}
    found = rows_of(published, "SELECT * FROM symbol_daily_metrics WHERE symbol = :symbol ORDER BY 1", symbol=LEVERED)
    assert [row["sector"] for row in found] == [None] * 4 + ["Energy"] * 8
    assert_nothing_stale(published)


def test_symbol_that_loses_its_bar_loses_its_rows_and_gains_a_reason(published: Database) -> None:
    symbol = stocks(published, 1)[0]
    delete_bars(published, TARGETS[-1], symbol)
    outcome = publish(published)
    assert outcome.generation == 2
    after = contents(published, SYMBOL_TABLES)
    for table in FIGURE_TABLES:
        assert (TARGETS[-1], symbol) not in after[table]
    reasons = rows_of(published, "SELECT product, reason FROM symbol_exclusions WHERE symbol = :symbol", symbol=symbol)
    assert {row["reason"] for row in reasons} == {"no_price"}
    assert {row["product"] for row in reasons} == set(SYMBOL_PRODUCTS) - {"factor_covariances"}
    assert generations(published)[TARGETS[-1]] == 2
    ledger = rows_of(published, "SELECT counts FROM publications WHERE generation = 2")
    assert ledger[0]["counts"] == {**dict.fromkeys(SYMBOL_PRODUCTS, 1), "factor_covariances": 0}
