"""The worker's side of Celery: ``sigmasight worker`` starts it, one run at a time in a process.

Broker and settings are those of the launcher in this machine's ``DAGSTER_HOME``, so launcher and worker cannot differ.
"""

import logging
import mmap
import time
from typing import Any

import dagster as dg
from celery import Celery, Task, signals
from dagster._grpc.types import ExecuteRunArgs, ResumeRunArgs
from dagster._serdes import unpack_value
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import SQLAlchemyError

from sigmasight_assets.errors import ConfigurationError, StorageError
from sigmasight_assets.orchestration.celery_launcher import WorkerRunLauncher
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.run_claims import claimed_run

WORKER_TAG = "sigmasight/worker"
# From the begin of one attempt to reach the database to the next: sooner than the second look of the sensor lost_runs,
# so that no run is taken for lost when the database is back.
ATTEMPT_SECONDS = 5.0
POLL_SECONDS = 0.2

logger = logging.getLogger(__name__)
# Whether the worker is about to end, a byte that its process shares with those of its runs.
_stopping = mmap.mmap(-1, 1)


def _note_stop(**_: object) -> None:
    """What the worker does first when it is told to end: it then waits for the run that it has in hand."""
    _stopping[0] = 1


signals.worker_shutting_down.connect(_note_stop)


class DatabaseWait:
    """The pauses of a task whose database is away.

    Its message is gone from the broker: a task that failed here would cost its run an attempt, and the idle worker
    would take the next one, until it has had all that wait. So it keeps the one it has.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._attempt_at = time.monotonic()
        self._is_told = False

    def __call__(self, error: StorageError) -> None:
        """Return when it is time for another attempt; raises the error when the worker is to end."""
        if not self._is_told:
            logger.warning("run %s is not begun before the database can be reached: %s", self._run_id, error)
            self._is_told = True
        while not _stopping[0]:
            left = self._attempt_at + ATTEMPT_SECONDS - time.monotonic()
            if left <= 0:
                self._attempt_at = time.monotonic()
                return
            time.sleep(min(left, POLL_SECONDS))
        raise error


class RunTask(Task):  # type: ignore[misc]  # celery has no types
    """A run as a task: done by one worker only, however often its message is delivered."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the run once the database can be reached, unless another worker is at it or it is over by then."""
        run_id = _run_id(next(iter(kwargs.values())))
        wait = DatabaseWait(run_id)
        with claimed_run(load_settings().database_url, run_id, when_away=wait) as is_ours:
            if is_ours and self._is_begun(run_id, wait):
                return super().__call__(*args, **kwargs)
            return 0

    def _is_begun(self, run_id: str, wait: DatabaseWait) -> bool:
        """Tell who does the run, once Dagster's tables can be reached, too; False when it is over."""
        while True:
            try:
                with dg.DagsterInstance.get() as instance:
                    run = instance.get_run_by_id(run_id)
                    if run is not None and run.is_finished:
                        return False
                    # For operators, and as news of a run that may have waited for long (sensor lost_runs).
                    instance.add_run_tags(run_id, {WORKER_TAG: f"{self.request.hostname}"})
                    return True
            except (DagsterPostgresException, SQLAlchemyError) as error:
                # As when the server has no connections left: it has given us the one of the claim.
                wait(StorageError(f"Dagster's tables cannot be reached: {type(error).__name__}"))


def _run_id(packed: Any) -> str:
    """The run that a task is to do, from its one argument."""
    args = unpack_value(packed)
    if not isinstance(args, ExecuteRunArgs | ResumeRunArgs):
        raise TypeError(f"no task of Dagster's launcher: {type(args).__name__}")
    return args.run_id


def build_app() -> Celery:
    """The launcher's own application with its tasks; ``ConfigurationError`` when there is another launcher."""
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, WorkerRunLauncher):
            raise ConfigurationError(
                f"The instance of this machine launches runs by {type(launcher).__name__}: set "
                "SIGMASIGHT_DAGSTER_CONFIG to an instance file with WorkerRunLauncher"
            )
        app = launcher.celery
    # Its annotation is one of a single argument.
    create_execute_job_task(app, base=RunTask)  # type: ignore[arg-type]
    create_resume_job_task(app, base=RunTask)  # type: ignore[arg-type]
    return app


app = build_app()
