"""Snapshots and exposures once more: decimals, fractions and one lot at a time, from what the tables hold.

Written from formulas.md sections 5 and 6; shares nothing with the ledger under test. What a single lot comes to is in
``lot_oracle``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import rows_of
from tests.orchestration.lot_oracle import ZERO, Facts, Row, Terms, terms_of

PROVIDER = "provider"


@dataclass
class World:
    """Everything the oracle knows: facts of the market, betas by symbol, factor and session, and the owners' books."""

    facts: Facts
    betas: Mapping[tuple[str, str, date], float]
    portfolios: list[Row]
    lots: list[Row]
    flows: list[Row]


@dataclass
class Expected:
    """Expected rows by key, as the tables name their columns."""

    snapshots: dict[tuple[int, date], Row] = field(default_factory=dict)
    positions: dict[tuple[int, date, int], Row] = field(default_factory=dict)
    exposures: dict[tuple[int, date, str], Row] = field(default_factory=dict)
    expiries: dict[tuple[int, int], Row] = field(default_factory=dict)


def read_world(database: Database, sessions: Sequence[date]) -> World:
    """The tables as they are now."""
    metrics = rows_of(database, "SELECT symbol, metrics_date, close_price, provider_beta FROM symbol_daily_metrics")
    view = rows_of(database, "SELECT symbol, factor, calculation_date, beta_value FROM symbol_factor_exposures")
    betas = {(row["symbol"], row["factor"], row["calculation_date"]): row["beta_value"] for row in view}
    vendor = {
        (row["symbol"], PROVIDER, row["metrics_date"]): row["provider_beta"]
        for row in metrics
        if row["provider_beta"] is not None
    }
    return World(
        facts=Facts(
            sessions=sessions,
            closes={(row["symbol"], row["metrics_date"]): row["close_price"] for row in metrics},
            actions=rows_of(
                database,
                "SELECT * FROM corporate_actions WHERE generation IS NOT NULL AND withdrawn_generation IS NULL",
            ),
            valuations=rows_of(database, "SELECT * FROM private_valuations ORDER BY valued_on"),
        ),
        betas=betas | vendor,
        portfolios=rows_of(database, "SELECT * FROM portfolios"),
        lots=rows_of(database, "SELECT * FROM positions"),
        flows=rows_of(database, "SELECT * FROM capital_flows"),
    )


def expected_rows(world: World, days: Sequence[date], factors: Sequence[str]) -> Expected:
    """What the snapshots of all portfolios at these sessions, in order, must hold."""
    expected = Expected()
    for portfolio in world.portfolios:
        _roll(world, portfolio, days, expected)
        for day in days:
            snapshot = expected.snapshots.get((portfolio["portfolio_id"], day))
            if snapshot is not None:
                _expose(world, snapshot, expected, factors)
    return expected


def _roll(world: World, portfolio: Row, days: Sequence[date], expected: Expected) -> None:
    number = portfolio["portfolio_id"]
    lots = [terms_of(lot, world.facts, last=days[-1]) for lot in world.lots if lot["portfolio_id"] == number]
    flows = [flow for flow in world.flows if flow["portfolio_id"] == number]
    used: dict[int, Row] = {}
    before: Row | None = None
    since: date | None = None
    for day in days:
        if day < portfolio["as_of"]:
            continue
        rows = [row for lot in lots if (row := _value(world, lot, since, day, used))]
        flow = sum((item["amount"] for item in flows if since and since < item["flow_date"] <= day), ZERO)
        snapshot = _sum_up(rows)
        opening = before["equity"] if before else portfolio["stated_equity"]
        snapshot |= {
            "portfolio_id": number,
            "session": day,
            "capital_flow": flow,
            "equity": opening + snapshot["daily_pnl"] + flow,
            "cumulative_pnl": (before["cumulative_pnl"] if before else ZERO) + snapshot["daily_pnl"],
            "daily_return": float(snapshot["daily_pnl"] / (opening + flow)) if before and opening + flow > 0 else None,
        }
        snapshot["cash"] = snapshot["equity"] - snapshot["net"] - snapshot["unpriced_value"]
        expected.snapshots[number, day] = snapshot
        for row in rows:
            if row["status"] != "closed":
                names = ("price_used", "split_numerator", "split_denominator", "market_value", "daily_pnl", "status")
                expected.positions[number, day, row["position_id"]] = {name: row[name] for name in names}
        before, since = snapshot, day
    if since is not None:
        expected.expiries |= {(number, lot.position_id): lot.expiry for lot in lots if lot.expiry is not None}


def _value(world: World, lot: Terms, since: date | None, day: date, used: dict[int, Row]) -> Row | None:
    """One lot over (since, day]; None when it is neither held nor closed in between."""
    exit_date = lot.exit_date or date.max
    closed = exit_date <= day
    if lot.entry_date > day or (closed and (since is None or exit_date <= since)):
        return None
    last: Row = used.get(lot.position_id, {"market_value": lot.cost, "price_used": None})
    start, dividends = last["market_value"], lot.dividends(world.facts, since, day)
    found: Row | None = {"market_value": lot.proceeds, "price_used": None}
    status = "closed"
    if not closed:
        found, status = lot.value_at(world.facts, day)
        used[lot.position_id] = found or last
    row = found or last
    change = row["market_value"] - start if since else ZERO
    return {
        **row,
        "position_id": lot.position_id,
        "symbol": lot.symbol,
        "is_public": lot.kind == "PUBLIC",
        "is_long": lot.quantity > 0,
        "split_numerator": lot.factor.numerator,
        "split_denominator": lot.factor.denominator,
        "daily_pnl": change + dividends,
        "dividends": dividends,
        "status": status,
        "gain": row["market_value"] - lot.cost,
    }


def _sum_up(rows: Sequence[Row]) -> Row:
    held = [row for row in rows if row["status"] != "closed"]
    valued = [row for row in held if row["status"] != "unpriced"]
    troubled = [row for row in held if row["status"] != "priced"]
    long = _sum(row["market_value"] for row in valued if row["is_long"])
    short = _sum(row["market_value"] for row in valued if not row["is_long"])
    size = _sum(abs(row["market_value"]) for row in held)
    own = _sum(abs(row["market_value"]) for row in held if row["status"] == "priced")
    return {
        "long_value": long,
        "short_value": short,
        "gross": long - short,
        "net": long + short,
        "unpriced_value": _sum(row["market_value"] for row in held if row["status"] == "unpriced"),
        "daily_pnl": _sum(row["daily_pnl"] for row in rows),
        "dividends": _sum(row["dividends"] for row in rows),
        "realized_pnl": _sum(row["gain"] for row in rows if row["status"] == "closed"),
        "unrealized_pnl": _sum(row["gain"] for row in held),
        "positions_count": len(held),
        "long_count": sum(row["is_long"] for row in held),
        "short_count": sum(not row["is_long"] for row in held),
        "stale_count": sum(row["status"] == "stale" for row in held),
        "excluded_count": len(held) - len(valued),
        "is_partial": bool(troubled),
        "missing_symbols": sorted({row["symbol"] for row in troubled}),
        "priced_share": float(own / size) if size else None,
        # For the exposures only.
        "values": [(row["symbol"], row["market_value"]) for row in valued if row["is_public"]],
    }


def _sum(values: Any) -> Decimal:
    return sum(values, ZERO)


def _expose(world: World, snapshot: Row, expected: Expected, factors: Sequence[str]) -> None:
    values: dict[str, Decimal] = defaultdict(Decimal)
    for symbol, value in snapshot.pop("values"):
        values[symbol] += value
    for factor in (*factors, PROVIDER):
        row = _exposure(world, snapshot, values, factor)
        if factor == PROVIDER:
            snapshot["provider_beta"] = row and row["exposure"]
            snapshot["provider_beta_coverage"] = row["coverage"] if row else 0.0
        elif row:
            expected.exposures[snapshot["portfolio_id"], snapshot["session"], factor] = row


def _exposure(world: World, snapshot: Row, values: Mapping[str, Decimal], factor: str) -> Row | None:
    """None when something is held, but nothing that has the beta."""
    equity = float(snapshot["equity"])
    size = sum(abs(float(value)) for value in values.values())
    newest = {symbol: _newest_beta(world, symbol, factor, snapshot["session"]) for symbol in values}
    known = {symbol: beta for symbol, beta in newest.items() if beta is not None}
    with_beta = sum(abs(float(values[symbol])) for symbol in known)
    if size and not with_beta:
        return None
    dollars = sum(float(values[symbol]) * beta for symbol, beta in known.items())
    return {
        "exposure": dollars / equity if equity > 0 else None,
        "dollars": dollars,
        "per_invested": dollars / with_beta if with_beta else None,
        "coverage": with_beta / size if size else None,
    }


def _newest_beta(world: World, symbol: str, factor: str, day: date) -> float | None:
    for each in world.facts.recent(day):
        if (symbol, factor, each) in world.betas:
            return world.betas[symbol, factor, each]
    return None
