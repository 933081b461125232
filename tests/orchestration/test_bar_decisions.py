"""Nights with a bar that fell by 75 %, and what an operator's decision makes of them, through real runs."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.operations.bars import accept_bar, read_suspect_bars, reject_bar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.tables import SPREAD_COLUMNS
from tests.orchestration import portfolio_runs
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import (
    PORTFOLIO_TABLES,
    PRICE_TABLES,
    SYMBOL_TABLES,
    Contents,
    assert_same_figures,
    changed_keys,
    contents,
    execute,
    rows_of,
)
from tests.orchestration.deployments import Deploy, Run
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.states import States
from tests.orchestration.symbol_runs import BETA_TABLES, CONTENT_TABLES, altered, marks, publish, refresh

JOB = "symbol_layer"
# The bar falls on the first night; the second is the next one.
NIGHT, NEXT = TARGETS[-2:]
REGRESSIONS = {"market_beta", "ir_beta", "ridge_factors", "spread_factors"}
SUSPECT = """
SELECT session, symbol FROM symbol_market_beta WHERE quality = 'suspect'
UNION SELECT session, symbol FROM symbol_ir_beta WHERE quality = 'suspect'
UNION SELECT session, symbol FROM symbol_ridge_factors WHERE quality = 'suspect'
UNION SELECT session, symbol FROM symbol_spread_factors WHERE quality_spread_quality = 'suspect' ORDER BY 1, 2
"""
# All that nights leave behind but quarantine, the ledger, and the operator's own rows.
MARKET_TABLES = {
    name: key
    for name, key in {**SYMBOL_TABLES, **PRICE_TABLES, "corporate_actions": ("action_id",)}.items()
    if name not in ("publications", "price_quarantine")
}
BOOK_TABLES = {name: key for name, key in PORTFOLIO_TABLES.items() if name not in ("publications", "snapshot_inputs")}
# When and under which number rows were written, and what is drawn by lot.
WRITTEN = (
    *("generation", "symbol_generation", "fetched_at", "added_at", "created_at", "computed_at", "published_at"),
    *("portfolio_id", "position_id", "public_id", "user_id", "run_id", "book_version", "stale_from"),
)

VALUES = {name: key for name, key in SYMBOL_TABLES.items() if name in BETA_TABLES}
QUALITIES = ("generation", "fingerprint", "quality", *(f"{name}_quality" for name in SPREAD_COLUMNS))

Decide = Callable[..., Any]


@pytest.fixture
def symbol(awkward: ScriptedMarket) -> str:
    """An ordinary stock."""
    return next(item.symbol for item in awkward.descriptions if item.asset_type == "equity")


@pytest.fixture
def market(awkward: ScriptedMarket, symbol: str) -> ScriptedMarket:
    """The market that sends its wrong bar."""
    market = altered(awkward)
    market.restate(symbol, NIGHT, 0.25)
    return market


@pytest.fixture
def before(states: States, awkward: ScriptedMarket, symbol: str) -> Database:
    """The evening before: all is published, and a portfolio holds the stock."""
    return enter_before(states, awkward, symbol)


def enter_before(states: States, awkward: ScriptedMarket, symbol: str) -> Database:
    def fill(database: Database) -> None:
        refresh(database, altered(awkward), until=TARGETS[-3])
        assert publish(database, TARGETS[-5:-2]).failed == []
        lots = [
            NewLot(symbol, Decimal(10), Decimal(50), TARGETS[-5]),
            NewLot("SPY", Decimal(1), Decimal(500), TARGETS[-5]),
        ]
        with database.begin() as connection:
            create_portfolio(connection, user="ann", name="one", equity=Decimal(9999), as_of=TARGETS[-5], lots=lots)
        execute(database, "UPDATE symbol_onboarding_queue SET status = 'completed', finished_at = now()")
        value(database, TARGETS[-3])

    return states.enter("before_the_fall", fill)


def value(database: Database, until: date) -> None:
    """Bring the snapshots up to date."""
    portfolio_runs.run(database, [day for day in TARGETS[-5:] if day <= until], run_id="snapshots")


def night(deploy: Deploy, database: Database, market: ScriptedMarket, day: date) -> Run:
    """A whole night."""
    run = deploy(database, market=market).run(JOB, day)
    assert run.success, run.failure
    value(database, day)
    return run


def decide(decision: Decide, database: Database, symbol: str) -> None:
    decision(database, symbol, NIGHT, actor="ann", reason="as the exchange says")


def suspect(database: Database) -> list[tuple[str, date]]:
    return [(bar.symbol, bar.session) for bar in read_suspect_bars(database)]


def left_behind(database: Database) -> Contents:
    """Everything that can be compared with another database.

    Snapshots are fingerprinted by what betas are in their last digit, which the order of summation decides.
    """
    market = contents(database, MARKET_TABLES, ignoring=WRITTEN)
    return market | contents(database, BOOK_TABLES, ignoring=[*WRITTEN, "fingerprint"])


def newest_publication(database: Database) -> list[dict[str, Any]]:
    return rows_of(
        database,
        "SELECT session, symbols FROM publications WHERE layer = 'symbol' "
        "AND generation = (SELECT max(generation) FROM publications WHERE layer = 'symbol') ORDER BY session",
    )


@pytest.mark.fault(11)
def test_accepted(deploy: Deploy, before: Database, market: ScriptedMarket, symbol: str) -> None:
    night(deploy, before, market, NIGHT)
    assert rows_of(before, SUSPECT) == [{"session": NIGHT, "symbol": symbol}]
    assert suspect(before) == [(symbol, NIGHT)]
    fallen = contents(before, SYMBOL_TABLES)
    values = contents(before, VALUES, ignoring=QUALITIES)
    decide(accept_bar, before, symbol)
    assert suspect(before) == []
    assert marks(before) == [symbol]

    night(deploy, before, market, NIGHT)
    assert rows_of(before, SUSPECT) == []
    after = contents(before, SYMBOL_TABLES)
    for table in BETA_TABLES:
        assert changed_keys(fallen, after, table) == {(NIGHT, symbol)}
    for table in ("symbol_daily_metrics", "factor_covariances", "symbol_exclusions", "symbol_universe"):
        assert after[table] == fallen[table]
    assert newest_publication(before) == [{"session": NIGHT, "symbols": [symbol]}]
    rest = contents(before, VALUES, ignoring=QUALITIES)
    assert_same_figures(rest, values)
    (full,) = rows_of(
        before,
        "SELECT quality FROM symbol_market_beta WHERE (session, symbol) = (:day, :symbol)",
        day=NIGHT,
        symbol=symbol,
    )
    assert full == {"quality": "full"}
    # That was all: neither the same night again nor the next one touches it once more.
    night(deploy, before, market, NIGHT)
    assert contents(before, SYMBOL_TABLES) == after
    market.restate(symbol, NEXT, 0.25)
    night(deploy, before, market, NEXT)
    for table in BETA_TABLES:
        assert {day for day, *_ in changed_keys(after, contents(before, SYMBOL_TABLES), table)} == {NEXT}


@pytest.mark.fault(11)
def test_rejected_and_corrected(
    deploy: Deploy, states: States, awkward: ScriptedMarket, market: ScriptedMarket, symbol: str
) -> None:
    before = enter_before(states, awkward, symbol)
    night(deploy, before, market, NIGHT)
    fallen = contents(before, SYMBOL_TABLES)
    decide(reject_bar, before, symbol)
    assert marks(before) == [symbol]

    run = night(deploy, before, market, NIGHT)
    assert run.metadata("symbol_prices")["bars_rejected"] == 1
    assert marks(before) == []
    without = contents(before, SYMBOL_TABLES)
    for table in (*BETA_TABLES, "symbol_daily_metrics"):
        assert changed_keys(fallen, without, table) == {(NIGHT, symbol)}
        assert (NIGHT, symbol) not in without[table]
    assert changed_keys(fallen, without, "symbol_universe") == {(symbol,)}
    assert without["factor_covariances"] == fallen["factor_covariances"]
    assert changed_keys(fallen, without, "symbol_exclusions") == {
        (NIGHT, symbol, product) for product in (*REGRESSIONS, "symbol_daily_metrics")
    }
    reasons = "SELECT DISTINCT reason FROM symbol_exclusions WHERE (session, symbol) = (:day, :symbol)"
    assert rows_of(before, reasons, day=NIGHT, symbol=symbol) == [{"reason": "no_price"}]
    known = "SELECT last_price_date, last_factor_date FROM symbol_universe WHERE symbol = :symbol"
    assert rows_of(before, known, symbol=symbol) == [
        dict.fromkeys(("last_price_date", "last_factor_date"), TARGETS[-3])
    ]
    snapshot = "SELECT missing_symbols FROM portfolio_snapshots WHERE session = :day"
    assert rows_of(before, snapshot, day=NIGHT) == [{"missing_symbols": [symbol]}]

    run = night(deploy, before, market, NEXT)
    assert (run.metadata("symbol_prices")["bars_rejected"], run.metadata("symbol_prices")["symbols_refetched"]) == (
        1,
        0,
    )
    closes = "SELECT price_date FROM symbol_prices_daily WHERE symbol = :symbol AND price_date >= :day"
    assert rows_of(before, closes, symbol=symbol, day=NIGHT) == [{"price_date": NEXT}]
    assert (rows_of(before, SUSPECT), suspect(before)) == ([], [])

    market.bars[symbol, NIGHT] = awkward.bars[symbol, NIGHT]
    run = night(deploy, before, market, NEXT)
    assert (run.metadata("symbol_prices")["bars_inserted"], run.metadata("symbol_prices")["bars_rejected"]) == (1, 0)
    assert newest_publication(before) == [{"session": day, "symbols": [symbol]} for day in (NIGHT, NEXT)]
    assert len(rows_of(before, "SELECT * FROM price_quarantine")) == 1
    found = left_behind(before)
    never_fallen = enter_before(states, awkward, symbol)
    for day in (NIGHT, NEXT):
        night(deploy, never_fallen, altered(awkward), day)
    assert_same_figures(found, left_behind(never_fallen))


def test_accepted_bar_of_a_factor_fund_is_followed_by_the_whole_universe(
    before: Database, awkward: ScriptedMarket
) -> None:
    market = altered(awkward)
    market.restate("TLT", NIGHT, 1.6)
    refresh(before, market, until=NIGHT)
    publish(before, [NIGHT])
    rates = "SELECT DISTINCT quality FROM symbol_ir_beta WHERE session = :day"
    assert rows_of(before, rates, day=NIGHT) == [{"quality": "suspect"}]
    decide(accept_bar, before, "TLT")
    outcome = publish(before, [NIGHT])
    assert (outcome.failed, outcome.republished_sessions, marks(before)) == ([], {NIGHT}, [])
    assert {row["quality"] for row in rows_of(before, rates, day=NIGHT)} <= {"full", "limited"}


def test_rejected_bar_before_sessions_that_are_published_too(
    before: Database, symbol: str, states: States, awkward: ScriptedMarket
) -> None:
    """It was wrong by less than makes a bar suspect, and is rejected a night later: both are published again."""
    market = altered(awkward)
    market.restate(symbol, NIGHT, 1.2)
    refresh(before, market)
    assert publish(before, [NIGHT, NEXT]).failures == []
    assert suspect(before) == []
    decide(reject_bar, before, symbol)
    outcome = publish(before, [NEXT])
    assert (outcome.republished_sessions, outcome.republished_symbols) == ({NIGHT, NEXT}, {symbol})
    found = contents(before, CONTENT_TABLES, ignoring=WRITTEN)
    never_sent = altered(awkward)
    del never_sent.bars[symbol, NIGHT]
    enter_before(states, awkward, symbol)
    refresh(before, never_sent)
    assert publish(before, [NIGHT, NEXT]).failures == []
    assert_same_figures(found, contents(before, CONTENT_TABLES, ignoring=WRITTEN))
