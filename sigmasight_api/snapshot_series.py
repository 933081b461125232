"""The snapshots of a portfolio as a series of returns needs them, and those of several as if they were one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import sqlalchemy as sa

from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.storage.ledger_tables import portfolio_snapshots
from sigmasight_assets.storage.tables import symbol_prices_daily


def _snapshot_series() -> sa.Select[Any]:
    """Of a portfolio, from the newest snapshot before ``first`` to the last up to ``last``, with a symbol's bars."""
    snapshots, bars, earlier = portfolio_snapshots, symbol_prices_daily, portfolio_snapshots.alias("earlier")
    names = ("session", "equity", "daily_pnl", "capital_flow", "missing_symbols", "generation")
    base = sa.select(sa.func.max(earlier.c.session)).where(
        earlier.c.portfolio_id == sa.bindparam("portfolio"), earlier.c.session < sa.bindparam("first")
    )
    same = sa.and_(bars.c.symbol == sa.bindparam("benchmark"), bars.c.price_date == snapshots.c.session)
    return (
        sa.select(*(snapshots.c[name] for name in names), bars.c.adj_close_price.label("benchmark"))
        .join_from(snapshots, bars, same, isouter=True)
        .where(
            snapshots.c.portfolio_id == sa.bindparam("portfolio"),
            snapshots.c.session >= sa.func.coalesce(base.scalar_subquery(), sa.bindparam("first")),
            snapshots.c.session <= sa.bindparam("last"),
        )
        .order_by(snapshots.c.session)
    )


SNAPSHOT_SERIES = _snapshot_series()


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotSeries:
    """Snapshots (N,) in ascending order, the first of which is only what returns are measured from.

    ``equity``, ``daily_pnl``, ``capital_flow``
        USD, in the sense of ``portfolio_snapshots``
    ``benchmark``
        adjusted closes of SPY at the sessions, USD; NaN where it has none
    ``partial``
        symbols that each snapshot values at a carried price, or not at all
    ``generation``
        the newest publication among them, 0 without any
    """

    sessions: DateArray
    equity: FloatArray
    daily_pnl: FloatArray
    capital_flow: FloatArray
    benchmark: FloatArray
    partial: Sequence[Sequence[str]]
    generation: int

    @classmethod
    def of(cls, rows: Iterable[sa.Row[Any]]) -> Self:
        """The series of one portfolio, from rows of ``Repository.read_snapshot_series``."""
        found = list(rows)
        return cls(
            sessions=np.array([row.session for row in found], dtype="datetime64[D]"),
            equity=np.array([float(row.equity) for row in found]),
            daily_pnl=np.array([float(row.daily_pnl) for row in found]),
            capital_flow=np.array([float(row.capital_flow) for row in found]),
            benchmark=np.array([row.benchmark for row in found], dtype=np.float64),
            partial=[row.missing_symbols for row in found],
            generation=max((row.generation for row in found), default=0),
        )

    @classmethod
    def together(cls, series: Sequence[Self]) -> Self:
        """One or more as if they were one, at the sessions where each that has begun has a snapshot.

        What lies between two of those is part of the later one. A portfolio that begins after the others brings its
        equity in as a capital flow.
        """
        known = [one for one in series if one.sessions.size]
        if len(known) < 2:
            return (known or series)[0]
        sessions = _common_sessions(known)
        parts = [_Part.of(one, sessions) for one in known]
        benchmark = {
            session: close
            for one in known
            for session, close in zip(one.sessions.tolist(), one.benchmark.tolist(), strict=True)
        }
        zeros = np.zeros(sessions.size)
        return cls(
            sessions=sessions,
            equity=sum((part.equity for part in parts), zeros),
            daily_pnl=sum((part.daily_pnl for part in parts), zeros),
            capital_flow=sum((part.capital_flow for part in parts), zeros),
            benchmark=np.array([benchmark[session] for session in sessions.tolist()], dtype=np.float64),
            partial=[
                sorted({symbol for part in parts for symbol in part.partial[place]}) for place in range(sessions.size)
            ],
            generation=max((one.generation for one in known), default=0),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One portfolio at the common sessions (N,), zero before it begins."""

    equity: FloatArray
    daily_pnl: FloatArray
    capital_flow: FloatArray
    partial: Sequence[Sequence[str]]

    @classmethod
    def of(cls, series: SnapshotSeries, sessions: DateArray) -> Self:
        # Each snapshot counts at the first common session that is not before it; those before the first are its base.
        places: IntArray = np.searchsorted(sessions, series.sessions)
        counts = (places < sessions.size) & (np.arange(places.size) > 0)
        pnl, flow, equity = (np.zeros(sessions.size) for _ in range(3))
        np.add.at(pnl, places[counts], series.daily_pnl[counts])
        np.add.at(flow, places[counts], series.capital_flow[counts])
        own = np.isin(sessions, series.sessions)
        equity[own] = series.equity[np.isin(series.sessions, sessions)]
        # Of one that is there from the beginning this is before the first return and does not count.
        if places[0] < sessions.size:
            flow[places[0]] += series.equity[0]
        named = dict(zip(series.sessions.tolist(), series.partial, strict=True))
        return cls(equity, pnl, flow, [named.get(session, ()) for session in sessions.tolist()])


def _common_sessions(series: Sequence[SnapshotSeries]) -> DateArray:
    """All sessions of any of them, but those at which one that has begun has no snapshot."""
    sessions: DateArray = np.unique(np.concatenate([one.sessions for one in series]))
    complete: BoolArray = np.ones(sessions.size, dtype=np.bool_)
    for one in series:
        complete &= np.isin(sessions, one.sessions) | (sessions < one.sessions[0])
    return sessions[complete]
