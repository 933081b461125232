"""One real code server, webserver and daemon for all scenarios, each of which begins with the same tables.

The clock is ``SIGMASIGHT_NOW`` in the ``.env`` of the directory that the services work in, the market's disturbances
are in a file next to it; both are read anew whenever they are needed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil

from sigmasight_assets.operations.failure_state import read_failures
from sigmasight_assets.operations.gate import plan as plan_gate
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.symbol_plan import plan as plan_symbols
from sigmasight_assets.operations.symbol_state import read_symbol_state
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.runs import LOCATION, REPOSITORY, DagsterClient
from sigmasight_assets.services.dagster_probe import DagsterProbe
from sigmasight_assets.services.home import Home, write_atomically
from sigmasight_assets.services.processes import ProcessRecord, find_processes
from sigmasight_assets.services.stack import DagsterServices
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.settings import Settings, load_settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import count_open_requests
from sigmasight_assets.storage.portfolios import read_book_marks
from sigmasight_assets.storage.publications import read_symbol_generations
from sigmasight_assets.storage.snapshots import read_consumed
from tests.e2e.market import Disturbances
from tests.orchestration.contents import published_generations, rows_of
from tests.orchestration.states import States

WAIT_SECONDS = 180.0
POLL_SECONDS = 0.2
SELECTOR = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}

RUNS = """
query Runs {
  runsOrError(limit: 500) {
    __typename
    ... on Runs { results { runId jobName status creationTime startTime tags { key value } } }
  }
}
"""
DELETE_RUN = "mutation Delete($runId: String!) { deletePipelineRun(runId: $runId) { __typename } }"
TICKS = """
query Ticks($selector: SensorSelector!, $after: Float) {
  sensorOrError(sensorSelector: $selector) {
    __typename
    ... on Sensor { sensorState { ticks(afterTimestamp: $after) { timestamp status skipReason runIds } } }
  }
}
"""
DRY_RUN = """
mutation Evaluate($selector: ScheduleSelector!, $timestamp: Float!) {
  scheduleDryRun(selectorData: $selector, timestamp: $timestamp) {
    __typename
    ... on DryRunInstigationTick {
      evaluationResult { skipReason error { message } runRequests { runKey tags { key value } } }
    }
  }
}
"""
SCHEDULE = """
query Schedule($selector: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $selector) { __typename ... on Schedule { id } }
}
"""
STOP_SCHEDULE = "mutation Stop($id: String!) { stopRunningSchedule(id: $id) { __typename } }"


@dataclass(frozen=True)
class Run:
    """A run as Dagster has it; the times are seconds since 1970."""

    run_id: str
    job: str
    status: str
    tags: Mapping[str, str] = field(repr=False)
    created: float = field(repr=False)
    started: float | None = field(repr=False)

    @property
    def span(self) -> tuple[str, str]:
        """First and last session."""
        return _span(self.tags)

    @property
    def is_finished(self) -> bool:
        """Whether it has ended for good: a crashed run that is started again has not."""
        is_repeated = self.tags.get("dagster/will_retry") == "true" and "dagster/auto_retry_run_id" not in self.tags
        return self.status in ("SUCCESS", "FAILURE", "CANCELED") and not is_repeated


@dataclass(frozen=True)
class Tick:
    """A tick of a sensor."""

    moment: float
    status: str
    reason: str
    run_ids: tuple[str, ...]


@dataclass
class Stack:
    """The running services, their directory and their database."""

    services: DagsterServices
    settings: Settings
    home: Home
    directory: Path
    database: Database
    states: States
    client: DagsterClient
    began: float = 0.0

    @property
    def script(self) -> Path:
        """The file with the market's disturbances."""
        return self.directory / "market.json"

    def begin(self, state: str, evening: date) -> None:
        """Bring the state back on an evening; no run is left and the market is as it should be."""
        self.set_clock(evening)
        self.disturb(Disturbances())
        self._end_runs()
        for run in self.runs():
            self.client.query(DELETE_RUN, {"runId": run.run_id}, "deletePipelineRun")
        self.states.bring_back_live(state)
        self.began = time.time()

    def _end_runs(self) -> None:
        """A scenario that failed may have left some."""
        if all(run.is_finished for run in self.runs()):
            return
        self.kill("dagster-code-server", with_workers=True)
        DagsterProbe(self.services.graphql_url).cancel_unfinished(time.time())
        self.until(self._can_start, "the code server", told=lambda: "it does not answer")

    def _can_start(self) -> bool:
        return self._evaluate_schedule(self.began)["error"] is None

    def _evaluate_schedule(self, instant: float) -> Mapping[str, Any]:
        values = {"selector": {**SELECTOR, "scheduleName": "nightly_symbols"}, "timestamp": instant}
        told: Mapping[str, Any] = self.client.query(DRY_RUN, values, "scheduleDryRun")["evaluationResult"]
        return told

    def set_clock(self, evening: date, at: str = "21:05") -> None:
        """Move the clock of all services."""
        instant = datetime.fromisoformat(f"{evening}T{at}").replace(tzinfo=NEW_YORK)
        write_atomically(self.directory / ".env", f"SIGMASIGHT_NOW={instant.isoformat()}\n")

    def disturb(self, disturbances: Disturbances) -> None:
        """Let the market answer like this from now on."""
        disturbances.save(self.script)

    def nightly(self, day: date) -> str:
        """What the schedule does at 21:00 of a day: evaluate it and launch the run that it requests."""
        instant = datetime.fromisoformat(f"{day}T21:00").replace(tzinfo=NEW_YORK)
        told = self._evaluate_schedule(instant.timestamp())
        assert told["error"] is None, told["error"]
        (request,) = told["runRequests"]
        tags = _tags(request)
        first, last = map(date.fromisoformat, _span(tags))
        return self.client.launch_range(SYMBOL_LAYER, first=first, last=last, tags=tags)

    def launch(self, first: date, last: date | None = None, *, tags: Mapping[str, str] | None = None) -> str:
        """Start the symbol layer by hand."""
        return self.client.launch_range(SYMBOL_LAYER, first=first, last=last or first, tags=tags)

    def runs(self, job: str | None = None) -> list[Run]:
        """The runs of this scenario, or those of one job, oldest first."""
        found = [_run(item) for item in self.client.query(RUNS, {}, "runsOrError")["results"]]
        return sorted((run for run in found if job in (None, run.job)), key=lambda run: run.created)

    def portfolio_runs(self) -> list[tuple[str, str, str]]:
        """First session, last session and status of the portfolio runs of this scenario, oldest first."""
        return [(*run.span, run.status) for run in self.runs(PORTFOLIO_LAYER)]

    def ticks(self, sensor: str, *, after: float) -> list[Tick]:
        """The ticks of a sensor that have ended, since an instant, oldest first."""
        selector = {**SELECTOR, "sensorName": sensor}
        answer = self.client.query(TICKS, {"selector": selector, "after": after}, "sensorOrError")
        assert answer["__typename"] == "Sensor", answer
        found = [
            Tick(item["timestamp"], item["status"], item["skipReason"] or "", tuple(item["runIds"]))
            for item in answer["sensorState"]["ticks"]
        ]
        return sorted((tick for tick in found if tick.status != "STARTED"), key=lambda tick: tick.moment)

    def wait_for_skip(self, text: str, *, sensor: str = "portfolio_gate") -> str:
        """Until a tick that begins after this moment skips with ``text`` in its reason; the whole reason."""
        after, found = time.time(), list[str]()

        def said() -> bool:
            found[:] = [tick.reason for tick in self.ticks(sensor, after=after) if text in tick.reason]
            return bool(found)

        self.until(said, f"{sensor} to skip with {text!r}", told=lambda: self.ticks(sensor, after=after)[-1:])
        return found[0]

    def wait_for_run(self, run_id: str) -> Run:
        """Until a run has ended."""

        def this() -> Run:
            return next(run for run in self.runs() if run.run_id == run_id)

        self.until(lambda: this().is_finished, f"run {run_id} to end", told=this)
        return this()

    def succeed(self, *run_ids: str) -> None:
        """Wait for runs, which have to end well."""
        for run_id in run_ids:
            run = self.wait_for_run(run_id)
            assert run.status == "SUCCESS", self.client.failure_reason(run_id)

    def wait_for_step(self, run_id: str, kind: str) -> None:
        """Until a step of a run is under way."""
        running = "SELECT 1 FROM batch_runs WHERE run_id = :run AND kind = :kind AND status = 'running'"
        self.until(
            lambda: bool(rows_of(self.database, running, run=run_id, kind=kind)), f"{kind} of {run_id}", told=self.runs
        )

    def wait_for_publication(self, day: date) -> None:
        """Until the symbol products of a session are published."""

        def published() -> bool:
            return day in published_generations(self.database, "symbol")

        self.until(published, f"{day} to be published", told=self.runs)

    def wait_for_snapshots(self, day: date) -> None:
        """Until the snapshots of a session are those of its newest figures and books, and nobody works on them."""
        self.until(lambda: self._is_current(day), f"snapshots of {day}", told=self.runs)

    def _is_current(self, day: date) -> bool:
        with self.database.begin() as connection:
            _, edited = read_book_marks(connection)
            is_consumed = read_consumed(connection).get(day) == read_symbol_generations(connection)[day]
        return is_consumed and not edited and all(run.is_finished for run in self.runs(PORTFOLIO_LAYER))

    def settle(self) -> None:
        """Until no run is under way, nothing is to be onboarded and no sensor has anything to start."""
        self.until(self._is_settled, "everything to come to rest", told=self.runs)

    def _is_settled(self) -> bool:
        if not all(run.is_finished for run in self.runs()):
            return False
        with self.database.begin() as connection:
            state = read_symbol_state(connection, clock=load_settings().clock(), pause=self.settings.retry_pause)
            open_requests = count_open_requests(connection)
        gate = plan_gate(read_gate_state(self.database, now=load_settings().clock()))
        is_idle = gate.range is None and not gate.is_pending and plan_symbols(state).chosen is None
        return is_idle and not open_requests

    def latencies(self) -> list[float]:
        """Seconds from a symbol publication of this scenario to the begin of the portfolio run that consumed it."""
        newest = (
            "SELECT extract(epoch FROM max(published_at))::float AS moment FROM publications WHERE layer = 'symbol' "
            "AND session BETWEEN :first AND :last AND published_at BETWEEN to_timestamp(:began) AND to_timestamp(:run)"
        )
        found = []
        for run in self.runs(PORTFOLIO_LAYER):
            first, last = run.span
            values = {"first": first, "last": last, "began": self.began, "run": run.started or 0.0}
            moment = rows_of(self.database, newest, **values)[0]["moment"]
            if moment is not None and run.started is not None:
                found.append(run.started - moment)
        return found

    def onboarding_seconds(self) -> list[float]:
        """Seconds from the request of each symbol that was onboarded in this scenario until it was published."""
        query = (
            "SELECT extract(epoch FROM finished_at - requested_at)::float AS seconds FROM symbol_onboarding_queue "
            "WHERE status = 'completed' AND requested_at > to_timestamp(:began) ORDER BY request_id"
        )
        return [row["seconds"] for row in rows_of(self.database, query, began=self.began)]

    def generation(self) -> int:
        """The newest of all publications."""
        return int(rows_of(self.database, "SELECT max(generation) AS newest FROM publications")[0]["newest"])

    def failures(self) -> list[tuple[str, str]]:
        """Kind and subject of everything that is failed right now."""
        settings = load_settings()
        found = read_failures(self.database, clock=settings.clock(), pause=settings.retry_pause)
        return [(item.kind, item.subject) for item in found]

    def until(
        self, condition: Callable[[], bool], what: str, *, told: Callable[[], object], seconds: float = WAIT_SECONDS
    ) -> None:
        """Wait for a condition and look after the services meanwhile; ``told`` explains a failure."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}: {told()}"
            self.services.check()
            time.sleep(POLL_SECONDS)

    def kill(self, service: str, *, with_workers: bool = False) -> None:
        """End a service as the kernel does when memory runs out; with the processes that it started, or without."""
        record = ProcessRecord.load(self.home.run / f"{service}.json")
        assert record is not None
        processes = find_processes(record.owns) if with_workers else [psutil.Process(record.pid)]
        for process in processes:
            process.kill()
        psutil.wait_procs(processes, timeout=10)

    def stop_schedule(self) -> None:
        """Keep the schedule from starting a run of the real date when it is nine in New York."""
        selector = {**SELECTOR, "scheduleName": "nightly_symbols"}
        found = self.client.query(SCHEDULE, {"selector": selector}, "scheduleOrError")
        stopped = self.client.query(STOP_SCHEDULE, {"id": found["id"]}, "stopRunningSchedule")
        assert stopped["__typename"] == "ScheduleStateResult", stopped


def succeeded(first: date, last: date | None = None) -> tuple[str, str, str]:
    """A portfolio run of these sessions that ended well."""
    return str(first), str(last or first), "SUCCESS"


def _run(item: Mapping[str, Any]) -> Run:
    return Run(item["runId"], item["jobName"], item["status"], _tags(item), item["creationTime"], item["startTime"])


def _tags(item: Mapping[str, Sequence[Mapping[str, str]]]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in item["tags"]}


def _span(tags: Mapping[str, str]) -> tuple[str, str]:
    single = tags.get("dagster/partition", "")
    first, last = (tags.get(f"dagster/asset_partition_range_{end}", single) for end in ("start", "end"))
    return first, last
