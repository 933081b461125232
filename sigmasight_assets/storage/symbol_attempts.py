"""What became of the attempts to publish a session's symbol products: refused by a check, failed, or under way."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from sigmasight_assets.storage.ledger_tables import batch_runs, data_quality_results

# Newest steps looked at: many times those of one night.
STEPS_READ = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """A blocking check whose newest verdict on a session was not passed; ``detail`` names the offenders."""

    check: str
    detail: str
    judged_at: datetime


@dataclass(frozen=True, slots=True)
class SymbolStep:
    """A recorded step of a run that covered a session."""

    run_id: str
    kind: str
    status: str
    error: str | None
    started_at: datetime
    seen_at: datetime


def read_refusals(connection: sa.Connection, sessions: Sequence[date]) -> dict[date, list[Refusal]]:
    """The checks of the symbol layer that each of the sessions failed when they judged it last."""
    if not sessions:
        return {}
    verdicts = data_quality_results.c
    newest = (
        sa.select(verdicts.session, verdicts.check_name, verdicts.detail, verdicts.checked_at, verdicts.passed)
        .ext(distinct_on(verdicts.session, verdicts.check_name))
        .where(verdicts.layer == "symbol", verdicts.is_blocking)
        .where(verdicts.session.between(min(sessions), max(sessions)))
        .order_by(verdicts.session, verdicts.check_name, verdicts.result_id.desc())
    )
    wanted = frozenset(sessions)
    refusals: dict[date, list[Refusal]] = {}
    for row in connection.execute(newest):
        if row.session in wanted and not row.passed:
            refusals.setdefault(row.session, []).append(Refusal(row.check_name, row.detail, row.checked_at))
    return refusals


def read_newest_attempts(
    connection: sa.Connection, sessions: Sequence[date], *, kinds: Collection[str]
) -> dict[date, list[SymbolStep]]:
    """The steps of these kinds of the newest run that covered each of the sessions, newest step first."""
    if not sessions:
        return {}
    steps = batch_runs.c
    query = (
        sa.select(*(steps[name] for name in SymbolStep.__dataclass_fields__), steps.first_session, steps.last_session)
        .where(steps.kind.in_(kinds), steps.last_session >= min(sessions), steps.first_session <= max(sessions))
        .order_by(steps.started_at.desc())
        .limit(STEPS_READ)
    )
    rows = [(row.first_session, row.last_session, SymbolStep(*row[:-2])) for row in connection.execute(query)]
    attempts: dict[date, list[SymbolStep]] = {}
    for day in sessions:
        covering = [step for first, last, step in rows if first <= day <= last]
        if covering:
            attempts[day] = [step for step in covering if step.run_id == covering[0].run_id]
    return attempts
