"""Runs as their recorded steps tell of them: the rows of ``batch_runs`` taken together by run.

How steps are recorded is in ``operations``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.storage.ledger_tables import batch_runs

# Every step but those of the portfolio layer writes prices or symbol products, or what they are made of.
PORTFOLIO_STEPS = ("portfolio_products", "portfolio_slices")
SYMBOL_STEPS = ("symbol_universe", "company_profiles", "symbol_prices", "symbol_products")


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """A step of a run; ``counts`` are those it reported."""

    kind: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    counts: Mapping[str, Any]
    error: str | None


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run by its steps, in the order they began."""

    run_id: str
    first_session: date
    last_session: date
    started_by: str
    steps: tuple[RecordedStep, ...]

    @property
    def status(self) -> str:
        """``running`` while a step is, then ``failed`` if one did, else ``succeeded``."""
        found = {step.status for step in self.steps}
        return next((status for status in ("running", "failed") if status in found), "succeeded")

    @property
    def started_at(self) -> datetime:
        """When its first step began."""
        return min(step.started_at for step in self.steps)

    @property
    def ended_at(self) -> datetime | None:
        """When its last step ended; None while one is running."""
        ends = [step.finished_at for step in self.steps]
        return None if self.status == "running" or None in ends else max(end for end in ends if end is not None)

    @property
    def error(self) -> str | None:
        """Why its first failed step failed."""
        return next((step.error for step in self.steps if step.status == "failed"), None)

    @property
    def layer(self) -> str:
        """``portfolio``, ``symbol``, or the kind of its first step if that is neither's."""
        kind = self.steps[0].kind
        if kind in PORTFOLIO_STEPS:
            return "portfolio"
        return "symbol" if kind in SYMBOL_STEPS else kind


def read_recorded_runs(
    connection: sa.Connection,
    *,
    since: date | None = None,
    alive_at: datetime | None = None,
    without: Sequence[str] = (),
    limit: int | None = None,
) -> list[RecordedRun]:
    """Recorded runs, newest first.

    Only those that reach the session ``since`` or a later one, only those with a running step that was seen at
    ``alive_at`` or later, none with a step of a kind in ``without``; at most ``limit``.
    """
    steps = batch_runs.c
    conditions: list[sa.ColumnElement[bool]] = []
    begun = sa.func.min(steps.started_at).label("begun")
    chosen = sa.select(steps.run_id, begun)
    if since is not None:
        chosen = chosen.where(steps.last_session >= since)
    if alive_at is not None:
        conditions.append(sa.func.bool_or(sa.and_(steps.status == "running", steps.seen_at >= alive_at)))
    if without:
        conditions.append(sa.not_(sa.func.bool_or(steps.kind.in_(without))))
    grouped = chosen.group_by(steps.run_id).having(sa.and_(sa.true(), *conditions))
    wanted = grouped.order_by(begun.desc(), steps.run_id).limit(limit).subquery()
    query = sa.select(batch_runs).join(wanted, wanted.c.run_id == steps.run_id)
    query = query.order_by(wanted.c.begun.desc(), steps.run_id, steps.started_at, steps.kind)
    rows = connection.execute(query).all()
    return [_recorded(list(group)) for _, group in groupby(rows, key=lambda row: row.run_id)]


def read_newest_ended(connection: sa.Connection, *, without: Sequence[str] = ()) -> RecordedRun | None:
    """The newest run of which no step is running."""
    # Runs overlap rarely: among the newest few there is one that has ended.
    newest = read_recorded_runs(connection, without=without, limit=20)
    return next((run for run in newest if run.ended_at is not None), None)


def read_last_end(connection: sa.Connection, *, without: Sequence[str] = ()) -> datetime | None:
    """When a recorded step last ended, of a kind that is not in ``without``; None before the first did."""
    query = sa.select(sa.func.max(batch_runs.c.finished_at)).where(batch_runs.c.kind.not_in(without))
    ended: datetime | None = connection.execute(query).scalar_one()
    return ended


def _recorded(rows: Sequence[sa.Row[Any]]) -> RecordedRun:
    return RecordedRun(
        run_id=rows[0].run_id,
        first_session=min(row.first_session for row in rows),
        last_session=max(row.last_session for row in rows),
        started_by=rows[0].started_by,
        steps=tuple(
            RecordedStep(row.kind, row.status, row.started_at, row.finished_at, row.counts or {}, row.error)
            for row in rows
        ),
    )
