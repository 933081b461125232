"""What our own records tell of one failed run: its sessions, the errors of its steps, the checks that did not pass."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from sigmasight_assets.storage.ledger_tables import batch_runs, data_quality_results
from sigmasight_assets.storage.operations import Verdict
from sigmasight_assets.storage.tables import symbol_universe

# What may be a symbol in the words of a verdict: shares, funds and option contracts.
WORD = re.compile(r"[A-Z][A-Z0-9.-]*")


@dataclass(frozen=True, slots=True)
class Offence:
    """A blocking check that a session did not pass, with the tracked symbols that its detail names."""

    verdict: Verdict
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedRunRecord:
    """A run as recorded: without sessions and errors when it died before its first step.

    ``errors`` are those of the failed steps, in the order they began.
    """

    first_session: date | None
    last_session: date | None
    errors: Mapping[str, str]
    offences: Sequence[Offence]


def read_failed_run(connection: sa.Connection, run_id: str) -> FailedRunRecord:
    """The record of a run."""
    steps = batch_runs.c
    query = sa.select(steps.kind, steps.status, steps.error, steps.first_session, steps.last_session)
    rows = connection.execute(query.where(steps.run_id == run_id).order_by(steps.started_at)).all()
    return FailedRunRecord(
        first_session=min((row.first_session for row in rows), default=None),
        last_session=max((row.last_session for row in rows), default=None),
        errors={row.kind: row.error or "no error given" for row in rows if row.status == "failed"},
        offences=_read_offences(connection, run_id),
    )


def _read_offences(connection: sa.Connection, run_id: str) -> list[Offence]:
    results = data_quality_results.c
    query = sa.select(results.check_name, results.session, results.passed, results.detail).where(
        results.run_id == run_id, results.is_blocking, ~results.passed
    )
    verdicts = [Verdict(*row) for row in connection.execute(query.order_by(results.session, results.result_id))]
    words = {word for item in verdicts for word in WORD.findall(item.detail)}
    tracked = sa.select(symbol_universe.c.symbol).where(symbol_universe.c.symbol.in_(words))
    known = set(connection.execute(tracked).scalars())
    # A check may have judged a session at each attempt.
    return [Offence(item, _named(item, known)) for item in dict.fromkeys(verdicts)]


def _named(verdict: Verdict, known: set[str]) -> tuple[str, ...]:
    return tuple(word for word in dict.fromkeys(WORD.findall(verdict.detail)) if word in known)
