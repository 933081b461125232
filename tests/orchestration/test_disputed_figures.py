"""Figures that rest on closes which two markets state otherwise: in doubt with them, until that is settled."""

from datetime import date
from typing import Any

import pytest

from sigmasight_assets.market_data.second_source import WithSecond
from sigmasight_assets.operations.bars import accept_bar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tables import SPREAD_COLUMNS
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import assert_same_figures, changed_keys, contents, rows_of
from tests.orchestration.deployments import Deploy
from tests.orchestration.failing_markets import FailingMarket, failing
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.symbol_runs import BETA_TABLES, CONTENT_TABLES, altered, figures, marks, publish, refresh

NIGHT = TARGETS[-1]
SUSPECT = """
SELECT session, symbol FROM symbol_market_beta WHERE quality = 'suspect'
INTERSECT SELECT session, symbol FROM symbol_ir_beta WHERE quality = 'suspect'
INTERSECT SELECT session, symbol FROM symbol_ridge_factors WHERE quality = 'suspect'
INTERSECT SELECT session, symbol FROM symbol_spread_factors WHERE quality_spread_quality = 'suspect' ORDER BY 1, 2
"""
QUALITIES = ("generation", "fingerprint", "quality", *(f"{name}_quality" for name in SPREAD_COLUMNS))


@pytest.fixture
def first(awkward: ScriptedMarket) -> ScriptedMarket:
    return altered(awkward)


@pytest.fixture
def second(first: ScriptedMarket) -> FailingMarket:
    return failing(first, "second")


@pytest.fixture
def both(first: ScriptedMarket, second: FailingMarket) -> WithSecond:
    return WithSecond(first, second)


@pytest.fixture
def symbol(awkward: ScriptedMarket) -> str:
    """An ordinary stock."""
    return next(item.symbol for item in awkward.descriptions if item.asset_type == "equity")


def suspect(database: Database) -> list[tuple[date, str]]:
    return [(row["session"], row["symbol"]) for row in rows_of(database, SUSPECT)]


def values(database: Database) -> Any:
    """The numbers of all betas, whatever their quality."""
    tables = {name: CONTENT_TABLES[name] for name in BETA_TABLES}
    return contents(database, tables, ignoring=QUALITIES)


@pytest.mark.fault(11)
def test_a_dispute_and_its_end(published: Database, both: WithSecond, second: FailingMarket, symbol: str) -> None:
    before, numbers = figures(published), values(published)
    second.restate(symbol, NIGHT, 1.02)
    refresh(published, both)
    assert marks(published) == [symbol]
    assert publish(published, [NIGHT]).failures == []
    assert suspect(published) == [(NIGHT, symbol)]
    after = figures(published)
    for table in BETA_TABLES:
        assert changed_keys(before, after, table) == {(NIGHT, symbol)}
    assert after["symbol_daily_metrics"] == before["symbol_daily_metrics"]
    assert_same_figures(values(published), numbers)
    second.restate(symbol, NIGHT, 1 / 1.02)
    refresh(published, both)
    assert publish(published, [NIGHT]).failures == []
    assert suspect(published) == []
    assert_same_figures(figures(published), before)


def test_an_accepted_bar_is_in_no_doubt(
    published: Database, both: WithSecond, second: FailingMarket, symbol: str
) -> None:
    before = figures(published)
    second.restate(symbol, NIGHT, 1.02)
    refresh(published, both)
    publish(published, [NIGHT])
    accept_bar(published, symbol, NIGHT, actor="ann", reason="the exchange says so")
    publish(published, [NIGHT])
    assert suspect(published) == []
    assert_same_figures(figures(published), before)


def test_later_sessions_are_in_doubt_as_long_as_their_windows_hold_the_bar(
    database: Database, both: WithSecond, second: FailingMarket, symbol: str
) -> None:
    day = TARGETS[-3]
    second.restate(symbol, day, 1.02)
    refresh(database, both, until=day)
    publish(database, TARGETS[-4:-2])
    assert suspect(database) == [(day, symbol)]
    refresh(database, both)
    publish(database, TARGETS[-2:])
    assert suspect(database) == [(each, symbol) for each in TARGETS[-3:]]
    second.restate(symbol, day, 1 / 1.02)
    refresh(database, both)
    publish(database, [NIGHT])
    assert suspect(database) == []


def test_a_disputed_fund_puts_every_symbol_in_doubt(
    published: Database, both: WithSecond, second: FailingMarket
) -> None:
    before = figures(published)
    second.restate("SPY", NIGHT, 1.02)
    refresh(published, both)
    publish(published, [NIGHT])
    sql = "SELECT DISTINCT quality FROM symbol_market_beta WHERE session = :day"
    assert rows_of(published, sql, day=NIGHT) == [{"quality": "suspect"}]
    assert "suspect" not in {row["quality"] for row in rows_of(published, sql, day=TARGETS[-2])}
    second.restate("SPY", NIGHT, 1 / 1.02)
    refresh(published, both)
    publish(published, [NIGHT])
    assert_same_figures(figures(published), before)


@pytest.mark.fault(11)
def test_a_move_that_the_second_confirms(
    published: Database, both: WithSecond, first: ScriptedMarket, second: FailingMarket, symbol: str
) -> None:
    first.restate(symbol, NIGHT, 0.25)
    refresh(published, first)
    publish(published, [NIGHT])
    assert suspect(published) == [(NIGHT, symbol)]
    numbers = values(published)
    second.restate(symbol, NIGHT, 0.25)
    refresh(published, both)
    publish(published, [NIGHT])
    assert suspect(published) == []
    assert_same_figures(values(published), numbers)


def test_a_run_tells_of_both_markets(
    deploy: Deploy, published: Database, both: WithSecond, second: FailingMarket, symbol: str
) -> None:
    second.restate(symbol, NIGHT, 1.02)
    second.bars.pop(("SPY", NIGHT))
    run = deploy(published, market=both).run("symbol_layer", NIGHT)
    assert run.success, run.failure
    told = run.metadata("symbol_prices")
    assert (told["bars_disputed"], told["symbols_not_cross_checked"], told["symbols_served_by_second"]) == (1, 1, 0)
    assert f"| {symbol} | {NIGHT} |" in told["disputed"]
    assert "| SPY | empty |" in told["not_cross_checked"]
    assert suspect(published) == [(NIGHT, symbol)]
