"""Snapshots and exposures once more: decimals, plain sums and one lot at a time, from what the tables hold.

Written from formulas.md sections 5 and 6; shares nothing with the ledger under test.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import rows_of

CARRIED = 5
ZERO = Decimal(0)
Row = dict[str, Any]


@dataclass
class World:
    """Everything the oracle knows: the exchange's sessions, published closes and betas, and the owners' books."""

    sessions: Sequence[date]
    closes: Mapping[tuple[str, date], Decimal]
    betas: Mapping[tuple[str, str, date], float]
    portfolios: list[Row]
    lots: list[Row]
    flows: list[Row]

    def recent(self, day: date) -> list[date]:
        """The session and the five before it, newest first."""
        place = self.sessions.index(day)
        return list(reversed(self.sessions[max(0, place - CARRIED) : place + 1]))


@dataclass
class Expected:
    """Expected rows by key, as the tables name their columns."""

    snapshots: dict[tuple[int, date], Row] = field(default_factory=dict)
    positions: dict[tuple[int, date, int], Row] = field(default_factory=dict)
    exposures: dict[tuple[int, date, str], Row] = field(default_factory=dict)


def read_world(database: Database, sessions: Sequence[date]) -> World:
    """The tables as they are now."""
    metrics = rows_of(database, "SELECT symbol, metrics_date, close_price FROM symbol_daily_metrics")
    view = rows_of(database, "SELECT symbol, factor, calculation_date, beta_value FROM symbol_factor_exposures")
    return World(
        sessions=sessions,
        closes={(row["symbol"], row["metrics_date"]): row["close_price"] for row in metrics},
        betas={(row["symbol"], row["factor"], row["calculation_date"]): row["beta_value"] for row in view},
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
    lots = [lot for lot in world.lots if lot["portfolio_id"] == number]
    flows = [flow for flow in world.flows if flow["portfolio_id"] == number]
    used: dict[int, Decimal] = {}
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
            "dividends": ZERO,
        }
        snapshot["cash"] = snapshot["equity"] - snapshot["net"] - snapshot["unpriced_value"]
        expected.snapshots[number, day] = snapshot
        for row in rows:
            if row["status"] != "closed":
                names = ("price_used", "market_value", "daily_pnl", "status")
                expected.positions[number, day, row["position_id"]] = {name: row[name] for name in names}
        before, since = snapshot, day


def _value(world: World, lot: Row, since: date | None, day: date, used: dict[int, Decimal]) -> Row | None:
    """One lot over (since, day]; None when it is neither held nor closed in between."""
    number, quantity = lot["position_id"], lot["quantity"]
    closed = lot["exit_date"] is not None and lot["exit_date"] <= day
    if lot["entry_date"] > day or (closed and (since is None or lot["exit_date"] <= since)):
        return None
    start: Decimal = used[number] if number in used else lot["entry_price"]
    if closed:
        price: Decimal = lot["exit_price"]
        pnl, status = quantity * (price - start), "closed"
    else:
        priced = [each for each in world.recent(day) if (lot["symbol"], each) in world.closes]
        status = "unpriced" if not priced else "priced" if priced[0] == day else "stale"
        price = world.closes[lot["symbol"], priced[0]] if priced else start
        pnl = quantity * (price - start) if since else ZERO
        if priced:
            used[number] = price
    return {
        "position_id": number,
        "symbol": lot["symbol"],
        "quantity": quantity,
        "price_used": price,
        "market_value": quantity * price,
        "daily_pnl": pnl,
        "status": status,
        "gain": quantity * (price - lot["entry_price"]),
    }


def _sum_up(rows: Sequence[Row]) -> Row:
    held = [row for row in rows if row["status"] != "closed"]
    valued = [row for row in held if row["status"] != "unpriced"]
    troubled = [row for row in held if row["status"] != "priced"]
    long = _sum(row["market_value"] for row in valued if row["quantity"] > 0)
    short = _sum(row["market_value"] for row in valued if row["quantity"] < 0)
    size = _sum(abs(row["market_value"]) for row in held)
    own = _sum(abs(row["market_value"]) for row in held if row["status"] == "priced")
    return {
        "long_value": long,
        "short_value": short,
        "gross": long - short,
        "net": long + short,
        "unpriced_value": _sum(row["market_value"] for row in held if row["status"] == "unpriced"),
        "daily_pnl": _sum(row["daily_pnl"] for row in rows),
        "realized_pnl": _sum(row["gain"] for row in rows if row["status"] == "closed"),
        "unrealized_pnl": _sum(row["gain"] for row in held),
        "positions_count": len(held),
        "long_count": sum(row["quantity"] > 0 for row in held),
        "short_count": sum(row["quantity"] < 0 for row in held),
        "stale_count": sum(row["status"] == "stale" for row in held),
        "excluded_count": len(held) - len(valued),
        "is_partial": bool(troubled),
        "missing_symbols": sorted({row["symbol"] for row in troubled}),
        "priced_share": float(own / size) if size else None,
        # For the exposures only.
        "values": [(row["symbol"], row["market_value"]) for row in valued],
    }


def _sum(values: Any) -> Decimal:
    return sum(values, ZERO)


def _expose(world: World, snapshot: Row, expected: Expected, factors: Sequence[str]) -> None:
    values: dict[str, Decimal] = defaultdict(Decimal)
    for symbol, value in snapshot.pop("values"):
        values[symbol] += value
    day, equity = snapshot["session"], float(snapshot["equity"])
    size = sum(abs(float(value)) for value in values.values())
    for factor in factors:
        newest = {symbol: _newest_beta(world, symbol, factor, day) for symbol in values}
        known = {symbol: beta for symbol, beta in newest.items() if beta is not None}
        with_beta = sum(abs(float(values[symbol])) for symbol in known)
        if size and not with_beta:
            continue
        dollars = sum(float(values[symbol]) * beta for symbol, beta in known.items())
        expected.exposures[snapshot["portfolio_id"], day, factor] = {
            "exposure": dollars / equity if equity > 0 else None,
            "dollars": dollars,
            "per_invested": dollars / with_beta if with_beta else None,
            "coverage": with_beta / size if size else None,
        }


def _newest_beta(world: World, symbol: str, factor: str, day: date) -> float | None:
    for each in world.recent(day):
        if (symbol, factor, each) in world.betas:
            return world.betas[symbol, factor, each]
    return None
