"""What every step of a run does around its work: record itself, explain its failure, report per session."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg

from sigmasight_assets.errors import SessionError, SigmaSightError, StorageError
from sigmasight_assets.orchestration.lanes import gives_way
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.step_retries import next_pause
from sigmasight_assets.orchestration.vendor_access import MeteredMarket, metered
from sigmasight_assets.runs import INPUT_HASH_TAG
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, as_counts, finish_batch, record_retry, start_batch
from sigmasight_assets.storage.signs_of_life import signs_of_life
from sigmasight_assets.storage.vendor_turns import VendorTurns

# Who started a run, by the tags that the orchestrator gives it; a run without any was started by hand.
STARTER_TAGS = ("dagster/schedule_name", "dagster/sensor_name")
SHOWN = 50
# Of an asset, or of an op outside of any.
StepContext = dg.AssetExecutionContext | dg.OpExecutionContext


@dataclass
class Step:
    """A running step: its sessions, the open database, and the counts it leaves in ``batch_runs``.

    ``attempt`` counts from 1.
    """

    database: Database
    sessions: list[date]
    run_id: str
    attempt: int = 1
    started: float = field(default_factory=time.monotonic)
    counts: dict[str, Any] = field(default_factory=dict)
    market: MeteredMarket | None = None

    def ask(self, pipeline: Pipeline, *, priority: int) -> MeteredMarket:
        """The market source as this step asks it: in its turn, each call counted in ``vendor_calls``."""

        def turns(vendor: str, rate: float) -> VendorTurns:
            return VendorTurns(self.database, vendor, rate, priority)

        self.market = metered(pipeline.market(turns), self.database, pipeline.settings, priority=priority)
        return self.market

    @property
    def all_counts(self) -> dict[str, Any]:
        """The counts with those that every step has."""
        attempts = {"attempts": self.attempt} if self.attempt > 1 else {}
        calls = {} if self.market is None else {"vendor_calls": self.market.calls}
        return {**self.counts, **calls, **attempts}

    @property
    def seconds(self) -> float:
        """Time since the step began."""
        return round(time.monotonic() - self.started, 3)


@contextmanager
def recorded_step(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    pipeline: Pipeline,
    kind: str,
    *,
    sessions: list[date] | None = None,
) -> Iterator[Step]:
    """Open the step's database, record that it lives and how it ended; our own errors say what to do.

    What passes by itself is tried again after a pause that depends on the cause. The pause is part of the step: it is
    alive, and an interruption ends it at once, which it would not when the orchestrator waited. A step without
    partitions is recorded with the given ``sessions``.
    """
    attempt, tags = context.retry_number + 1, context.run.tags
    try:
        sessions = sessions or _asked_sessions(context, pipeline)
    except SigmaSightError as error:
        if _pause(context, error, attempt):
            raise dg.RetryRequested(max_retries=attempt) from error
        raise dg.Failure(str(error), allow_retries=False) from error
    step = Step(pipeline.database(gives_way=gives_way(tags)), sessions, context.run.run_id, attempt)
    with closing(step.database), signs_of_life(step.database.url, run_id=step.run_id, kind=kind):
        try:
            try:
                _start(context, step, kind)
                yield step
                _finish(step, kind, error=None)
            except SigmaSightError as error:
                if not _pause(context, error, attempt, step=step, kind=kind):
                    raise
                raise dg.RetryRequested(max_retries=attempt) from error
        except dg.RetryRequested:
            raise
        except SigmaSightError as error:
            _finish(step, kind, error=str(error))
            raise dg.Failure(str(error), allow_retries=False) from error
        except Exception as error:
            # Not one of ours: a mistake in the code, which trying again does not mend.
            _finish(step, kind, error=f"{type(error).__name__}: {error}")
            raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error
        except BaseException as interruption:
            _finish(step, kind, error=f"interrupted: {type(interruption).__name__}")
            raise


def started_by(tags: Mapping[str, str]) -> str:
    """The schedule or sensor that started a run with these tags; ``manual`` when it was neither."""
    return next((tags[name] for name in STARTER_TAGS if name in tags), "manual")


def _start(context: StepContext, step: Step, kind: str) -> None:
    tags = context.run.tags
    with step.database.begin() as connection:
        start_batch(
            connection,
            run_id=step.run_id,
            kind=kind,
            sessions=step.sessions,
            input_hash=tags.get(INPUT_HASH_TAG),
            started_by=started_by(tags),
        )


def _pause(
    context: StepContext,
    error: SigmaSightError,
    attempt: int,
    *,
    step: Step | None = None,
    kind: str = "",
) -> bool:
    """Say why the step is tried again and when, and wait until then; False when trying again changes nothing."""
    pause = next_pause(error, attempt)
    if pause is None:
        return False
    context.log.warning(f"{error}\nAttempt {attempt} failed; the next one follows in {pause:.0f} s.")
    if step is not None:
        counts = as_counts(step.all_counts)
        with suppress(StorageError), step.database.begin() as connection:
            record_retry(connection, run_id=step.run_id, kind=kind, counts=counts, error=str(error))
    time.sleep(pause)
    return True


def _asked_sessions(context: StepContext, pipeline: Pipeline) -> list[date]:
    if not (context.has_partition_key or context.has_partition_key_range):
        raise SessionError("Choose a partition: a session or a range of sessions")
    asked = context.partition_key_range
    return pipeline.complete_sessions(asked.start, asked.end)


def _finish(step: Step, kind: str, *, error: str | None) -> None:
    """Record the end; when the database is away the failure itself is what has to be seen."""
    try:
        with step.database.begin() as connection:
            finish_batch(connection, run_id=step.run_id, kind=kind, counts=as_counts(step.all_counts), error=error)
    except StorageError:
        if error is None:
            raise


def failed_sessions_text(verdicts: Sequence[Verdict]) -> str:
    """One line per verdict that kept a session from being published."""
    return "\n".join(f"{item.session} {item.check}: {item.detail}" for item in verdicts)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A small table for people, at most 50 rows and a line that tells how many more there are."""
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |"]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(f"\n{len(rows) - SHOWN} more")
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    """Text that stays within its cell, whatever a vendor answered."""
    return " ".join(str(value).split()).replace("|", "\\|")
