"""Real Dagster runs, launched over GraphQL as the UI does it, and where their time went by Dagster's own events."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import sqlalchemy as sa

from sigmasight_assets.runs import FINISHED, LAUNCH, LOCATION, REPOSITORY, DagsterClient, range_tags
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.processes import ProcessRecord, find_processes
from sigmasight_assets.services.stack import DagsterServices
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database

EVENTS = """
query Events($runId: ID!, $cursor: String) {
  runOrError(runId: $runId) { __typename ... on Run { status creationTime startTime endTime } }
  logsForRun(runId: $runId, afterCursor: $cursor, limit: 5000) {
    __typename
    ... on EventConnection {
      cursor hasMore
      events { __typename ... on MessageEvent { timestamp eventType } }
    }
  }
}
"""
# Every look costs the run some of the machine; when it ended is known from its events.
POLL_SECONDS = 1.0
# Chooses how steps are executed; the code location reads it when it is loaded.
EXECUTOR_VARIABLE = "BENCHMARK_EXECUTOR"
NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class RunTimes:
    """Seconds of a run from launch to success, and of its stages one after the other.

    ``worker`` is from the launch until the worker process reports its first event: queue, process, imports. ``before``
    is from then to the begin of the first step, ``steps`` to the end of the last one, ``after`` until Dagster says that
    the run has succeeded. ``peak_mib`` is the largest resident memory of the worker, ``counts`` what the step recorded.
    """

    total: float
    worker: float
    before: float
    steps: float
    after: float
    peak_mib: float
    counts: Mapping[str, Any] = field(repr=False)


@dataclass
class Dagster:
    """Running services over one database."""

    services: DagsterServices
    client: DagsterClient
    database: Database
    home: Home
    evening: date

    def run(self, job: str, assets: Sequence[str], *, checks: Mapping[str, str], first: date, last: date) -> RunTimes:
        """Launch a job for some of its assets and their ``checks`` over a range and wait for its success."""
        began = time.time()
        run_id = self.launch(job, assets, checks=checks, first=first, last=last)
        peak = 0.0
        while (status := self.client.run(run_id).status) not in FINISHED:
            peak = max(peak, self._worker_mib())
            time.sleep(POLL_SECONDS)
        if status != "SUCCESS":
            raise RuntimeError(f"{job} of {first} to {last}: {status}: {self.client.failure_reason(run_id)}")
        return self._times(run_id, began, peak)

    def launch(self, job: str, assets: Sequence[str], *, checks: Mapping[str, str], first: date, last: date) -> str:
        """Launch a job for some of its assets and their ``checks`` over a range; its id."""
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": REPOSITORY,
            "jobName": job,
            "assetSelection": [{"path": [asset]} for asset in assets],
            "assetCheckSelection": [{"assetKey": {"path": [asset]}, "name": check} for check, asset in checks.items()],
        }
        partition = {"dagster/partition": str(first)} if first == last else range_tags(first, last)
        params = {
            "selector": selector,
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in partition.items()]},
        }
        answer = self.client.query(LAUNCH, {"params": params}, "launchRun", timeout=600.0)
        if answer["__typename"] != "LaunchRunSuccess":
            raise RuntimeError(f"Dagster did not start {job}: {answer}")
        return str(answer["run"]["runId"])

    def last_end(self, run_ids: Sequence[str]) -> float:
        """Wait for runs, which have to succeed; when the last of them ended, in seconds since 1970."""
        ends = []
        for run_id in run_ids:
            while (status := self.client.run(run_id).status) not in FINISHED:
                time.sleep(POLL_SECONDS)
            if status != "SUCCESS":
                raise RuntimeError(f"run {run_id}: {status}: {self.client.failure_reason(run_id)}")
            ends.append(float(self.client.query(EVENTS, {"runId": run_id}, "runOrError")["endTime"]))
        return max(ends)

    def _worker_mib(self) -> float:
        """The most resident memory until now of the largest process that the code server has started."""
        record = ProcessRecord.load(self.home.run / "dagster-code-server.json")
        if record is None:
            return 0.0
        workers = [process for process in find_processes(record.owns) if process.pid != record.pid]
        return max(map(_peak_mib, workers), default=0.0)

    def _times(self, run_id: str, began: float, peak: float) -> RunTimes:
        moments: dict[str, list[float]] = {}
        cursor = None
        while True:
            events = self.client.query(EVENTS, {"runId": run_id, "cursor": cursor}, "logsForRun")
            for event in events["events"]:
                moments.setdefault(event.get("eventType", ""), []).append(float(event["timestamp"]) / 1000)
            if not events["hasMore"]:
                break
            cursor = events["cursor"]
        first_step, last_step = min(moments["STEP_START"]), max(moments["STEP_SUCCESS"])
        worker, ended = min(moments["RUN_START"]), max(moments["RUN_SUCCESS"])
        counts = self._counts(run_id)
        return RunTimes(
            ended - began, worker - began, first_step - worker, last_step - first_step, ended - last_step, peak, counts
        )

    def _counts(self, run_id: str) -> dict[str, Any]:
        with self.database.begin() as connection:
            rows = connection.execute(sa.text("SELECT counts FROM batch_runs WHERE run_id = :run"), {"run": run_id})
            found: dict[str, Any] = {}
            for row in rows:
                found |= row.counts or {}
            return found


def _peak_mib(process: psutil.Process) -> float:
    """The most resident memory that a process has had; 0 when it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError):
        # Not Linux, or gone.
        try:
            return float(process.memory_info().rss) / 1024 / 1024
        except psutil.NoSuchProcess:
            return 0.0


@contextmanager
def dagster(
    database: Database, *, evening: date, history_start: date, settings: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Dagster]:
    """Code server, webserver and daemon over a database, on the evening of a session; nothing starts by itself.

    ``settings`` are added to those that a benchmark has.
    """
    with TemporaryDirectory(prefix="sigmasight-bench-") as directory:
        now = datetime.combine(evening, datetime.min.time()).replace(hour=22, tzinfo=NEW_YORK)
        own = Settings(
            home=Path(directory),
            history_start=history_start,
            now=now,
            database_url=database.url,
            min_coverage=0.5,
            **settings,
        )
        services = DagsterServices(
            own, database.url, ui_port=free_port(), module="benchmarks.definitions", report=lambda _: None
        )
        services.start()
        try:
            yield Dagster(services, DagsterClient(services.graphql_url), database, Home.at(own.home), evening)
        finally:
            services.stop()
