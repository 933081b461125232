"""Runs as tasks of Celery: Dagster's own launcher, with the ends that it leaves open closed.

The worker is in ``celery_worker``. What each part is for, and how Dagster's launcher fares without it, is in
docs/decisions/0014-distributed-engines.md. Needs the extra ``celery``.
"""

from collections.abc import Sequence

import dagster as dg
from celery.exceptions import CeleryError
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

BROKER_ERRORS = (CeleryError, KombuError, OperationalError, RedisError, OSError)
CANNOT_ASK = "the broker cannot be asked; signs of life in the database decide"


class WorkerRunLauncher(CeleryRunLauncher):
    """Hands each run to whichever worker is free, by a queue in Redis."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Put the run's task into the broker's queue; while the broker is away the run stays in Dagster's own."""
        try:
            super().launch_run(context)
        except BROKER_ERRORS as error:
            # The one kind of error after which Dagster's queue takes a run back.
            raise DagsterUserCodeUnreachableError(f"The broker cannot be reached: {error}") from error

    def terminate(self, run_id: str) -> bool:
        """Interrupt the worker of a run under way; whether it could be told.

        A run that still waits has none, and Dagster does not ask: marked as canceled, it is never begun.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        # Before the interrupt: the worker would take an end that nobody asked for as a crash, to be tried again.
        self._instance.report_run_canceling(run)
        try:
            return bool(super().terminate(run_id))
        except (*BROKER_ERRORS, KeyError) as error:
            self._instance.report_engine_event(f"The worker cannot be told: {error!r}", run, cls=type(self))
            return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Failed only where the broker knows that the worker's process died; a broker that forgot knows nothing.

        Dagster ends a run of any other answer, and would have it done again beside the worker that goes on with it.
        """
        try:
            found = super().check_run_worker_health(run)
        except (*BROKER_ERRORS, KeyError):
            return CheckRunHealthResult(WorkerStatus.RUNNING, CANNOT_ASK)
        if found.status == WorkerStatus.UNKNOWN:
            return CheckRunHealthResult(WorkerStatus.RUNNING, found.msg)
        return found

    def waiting_runs(self, runs: Sequence[dg.DagsterRun]) -> set[str]:
        """The ids of those runs whose task is in the broker's queue; of all when the broker cannot be asked.

        It is asked once: one that accepts and never answers takes 20 s to be given up, and a sensor's tick may take 60.
        """
        queues = {run.tags.get(DAGSTER_CELERY_QUEUE_TAG, self.default_queue) for run in runs}
        if not queues:
            return set()
        try:
            with self.celery.connection_for_read() as connection:
                channel = connection.default_channel
                lists = [channel._q_for_pri(queue, priority) for queue in queues for priority in channel.priority_steps]
                tasks = [task for name in lists for task in channel.client.lrange(name, 0, -1)]
        except BROKER_ERRORS:
            return {run.run_id for run in runs}
        task_ids = {run.run_id: run.tags.get(DAGSTER_CELERY_TASK_ID_TAG, "").encode() for run in runs}
        return {run_id for run_id, task_id in task_ids.items() if task_id and any(task_id in task for task in tasks)}
