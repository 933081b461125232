"""The worker's side of Celery: ``sigmasight worker`` starts it, one run at a time in a process.

Broker and settings are those of the launcher in this machine's ``DAGSTER_HOME``, so launcher and worker cannot differ.
"""

from typing import Any

import dagster as dg
from celery import Celery, Task
from dagster._grpc.types import ExecuteRunArgs, ResumeRunArgs
from dagster._serdes import unpack_value
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.orchestration.celery_launcher import WorkerRunLauncher
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.run_claims import claimed_run

WORKER_TAG = "sigmasight/worker"


class RunTask(Task):  # type: ignore[misc]  # celery has no types
    """A run as a task: done by one worker only, however often its message is delivered."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the run, unless another worker is at it."""
        run_id = _run_id(next(iter(kwargs.values())))
        with claimed_run(load_settings().database_url, run_id) as is_ours:
            if not is_ours:
                return 0
            with dg.DagsterInstance.get() as instance:
                # For operators, and as news of a run that may have waited for long (sensor lost_runs).
                instance.add_run_tags(run_id, {WORKER_TAG: f"{self.request.hostname}"})
            return super().__call__(*args, **kwargs)


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
