"""Portfolio publications as tests start them, by hand and by the gate, and their comparison with the oracle."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from sigmasight_assets.operations.gate import GateRange, plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.orchestration.portfolio_publication import (
    PortfolioPublication,
    publish_portfolio_products,
)
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.quant.lots import Lots, Portfolios
from sigmasight_assets.quant.snapshots import LedgerResult
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import record_action
from sigmasight_assets.storage.operations_tables import session_decisions
from tests.orchestration.book_oracle import World, expected_rows, read_world
from tests.orchestration.books import (
    DAYS,
    answer_requests,
    publish_symbols,
)
from tests.orchestration.contents import (
    PORTFOLIO_TABLES,
    contents,
    execute,
    rows_of,
)

FACTOR_NAMES = [factor.name for factor in FACTORS]
SNAPSHOT_TABLES = ("portfolio_snapshots", "portfolio_lot_values", "portfolio_exposures")
ROW_TABLES = (*SNAPSHOT_TABLES, "option_expiries")
NOT_CONTENT = ["generation", "run_id", "published_at", "computed_at", "stale_from", "symbol_generation", "created_at"]
ACTION_KINDS = {"waived": "waive_session", "closed": "close_session"}
NOW = datetime(2025, 6, 4, 22, 0, tzinfo=NEW_YORK)


def run(database: Database, sessions: Sequence[date] = DAYS, *, run_id: str = "second") -> PortfolioPublication:
    return publish_portfolio_products(database, exchange_calendar(), sessions=sessions, run_id=run_id)


def run_gate(database: Database) -> GateRange | None:
    """Run what the gate decides, as its sensor would; what it decided."""
    return run_gate_until(database, NOW)


def run_gate_until(database: Database, now: datetime) -> GateRange | None:
    """The same at another instant."""
    chosen = next_range(database, now=now)
    if chosen is not None:
        run(database, exchange_calendar().between(chosen.first, chosen.last), run_id="gate")
    return chosen


def next_range(database: Database, *, now: datetime = NOW) -> GateRange | None:
    answer_requests(database)
    return plan(read_gate_state(database, now=now)).range


def portfolio_id(database: Database, name: str) -> int:
    number: int = rows_of(database, "SELECT portfolio_id FROM portfolios WHERE name = :name", name=name)[0][
        "portfolio_id"
    ]
    return number


def world(database: Database, days: Sequence[date]) -> World:
    calendar = exchange_calendar()
    return read_world(database, calendar.between(calendar.offset(days[0], -10), calendar.offset(days[-1], 20)))


def assert_equal_to_oracle(
    database: Database, days: Sequence[date] = DAYS, *, market_days: Sequence[date] = DAYS
) -> None:
    """Every stored snapshot, position value, exposure and expiry is the expected one, and there is no other.

    ``market_days`` are the sessions of the market, ``days`` those with snapshots.
    """
    expected = expected_rows(world(database, market_days), days, FACTOR_NAMES)
    snapshots = {
        (row["portfolio_id"], row["session"]): row for row in rows_of(database, "SELECT * FROM portfolio_snapshots")
    }
    assert snapshots.keys() == expected.snapshots.keys()
    for key, wanted in expected.snapshots.items():
        found = {name: snapshots[key][name] for name in wanted}
        assert found == {name: near(value) for name, value in wanted.items()}, key
        assert snapshots[key].keys() - wanted.keys() == {"fingerprint", "generation"}
    values = {
        (row["portfolio_id"], row["session"], row["position_id"]): row
        for row in rows_of(database, "SELECT * FROM position_values")
    }
    assert values.keys() == expected.positions.keys()
    for position, wanted in expected.positions.items():
        assert {name: values[position][name] for name in wanted} == wanted, position
        assert values[position].keys() - wanted.keys() == {"portfolio_id", "session", "position_id"}
    exposures = {
        (row["portfolio_id"], row["session"], row["factor"]): row
        for row in rows_of(database, "SELECT * FROM portfolio_factor_exposures")
    }
    assert exposures.keys() == expected.exposures.keys()
    for exposure, wanted in expected.exposures.items():
        found = {name: exposures[exposure][name] for name in wanted}
        assert found == {name: near(value) for name, value in wanted.items()}, exposure
    expiries = {
        (row["portfolio_id"], row["position_id"]): row for row in rows_of(database, "SELECT * FROM option_expiries")
    }
    assert expiries.keys() == expected.expiries.keys()
    for expiry, wanted in expected.expiries.items():
        assert {name: expiries[expiry][name] for name in wanted} == wanted, expiry


def near(value: Any) -> Any:
    """Money is exact; ratios are floats."""
    return pytest.approx(value, rel=1e-11, abs=1e-12) if isinstance(value, float) else value


def content(database: Database) -> dict[str, dict[tuple[Any, ...], str]]:
    """Rows without generations, runs and instants."""
    tables = {name: PORTFOLIO_TABLES[name] for name in ROW_TABLES}
    return contents(database, tables, ignoring=NOT_CONTENT)


def forget_symbols(database: Database, day: date) -> None:
    """Make it as if the session had never been published."""
    for table, column in (
        ("symbol_market_beta", "session"),
        ("symbol_ir_beta", "session"),
        ("symbol_ridge_factors", "session"),
        ("symbol_spread_factors", "session"),
        ("symbol_daily_metrics", "metrics_date"),
        ("factor_covariances", "session"),
        ("publications", "session"),
    ):
        execute(database, f"DELETE FROM {table} WHERE {column} = :day", day=day)


def waive(database: Database, day: date, *, kind: str = "waived") -> None:
    """Decide, as an operator, that later sessions need not wait for this one."""
    with database.begin() as connection:
        action_id = record_action(connection, kind=ACTION_KINDS[kind], actor="test", reason="never came", session=day)
        row = {"session": day, "kind": kind, "action_id": action_id}
        connection.execute(sa.insert(session_decisions).values(row))


def correct_close(database: Database, symbol: str, day: date, *, last: date = DAYS[-1]) -> None:
    """Restate a bar and publish the symbol products from its session to the last one given."""
    execute(
        database,
        "UPDATE symbol_prices_daily SET close_price = round(close_price * 1.01, 4), "
        "high_price = round(high_price * 1.02, 4), adj_close_price = adj_close_price * 1.01 "
        "WHERE symbol = :symbol AND price_date = :day",
        symbol=symbol,
        day=day,
    )
    publish_symbols(database, [each for each in DAYS if day <= each <= last])


def run_alone(url: str, sessions: Sequence[date]) -> None:
    database = Database(url)
    run(database, sessions)
    database.close()


def violations(day: date, *places: int) -> Callable[..., list[Any]]:
    """The check, but for violations that are not there, of the portfolios at these places: the ledger breaks none."""
    seen = 0

    def wrong(lots: Lots, portfolios: Portfolios, *arguments: Any, **options: Any) -> list[Any]:
        nonlocal seen
        offenders = identity_violations(lots, portfolios, *arguments, **options)
        (result,) = (item for item in arguments if isinstance(item, LedgerResult))
        for row in np.flatnonzero(result.sessions == np.datetime64(day, "D")).tolist():
            own = [place - seen for place in places if 0 <= place - seen < len(portfolios)]
            offenders[row] = np.array(own, dtype=np.int64)
            seen += len(portfolios)
        return offenders

    return wrong
