"""Real Dagster runs inside the test's process, and what their events say."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import dagster as dg

from sigmasight_assets.definitions import build_definitions
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.storage.database import Database

PARTITION = "dagster/partition"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class Run:
    """A finished run."""

    result: dg.ExecuteInProcessResult

    @property
    def success(self) -> bool:
        return self.result.success

    def events(self, kind: dg.DagsterEventType) -> Iterator[dg.DagsterEvent]:
        return (event for event in self.result.all_events if event.event_type == kind)

    @property
    def retries(self) -> int:
        """How many times a step was tried again."""
        return len(list(self.events(dg.DagsterEventType.STEP_RESTARTED)))

    @property
    def materialized(self) -> dict[str, list[str]]:
        """Partitions by asset, in the order of the events."""
        found: dict[str, list[str]] = defaultdict(list)
        for event in self.events(dg.DagsterEventType.ASSET_MATERIALIZATION):
            assert event.asset_key is not None
            assert event.partition is not None
            found[event.asset_key.to_user_string()].append(event.partition)
        return dict(found)

    def metadata(self, asset: str) -> dict[str, Any]:
        """Metadata of the newest materialisation of an asset, as plain values."""
        events = self.events(dg.DagsterEventType.ASSET_MATERIALIZATION)
        of_asset = [event.materialization for event in events if event.asset_key == dg.AssetKey(asset)]
        return {name: value.value for name, value in of_asset[-1].metadata.items()}

    @property
    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        """Evaluations by name of the check."""
        events = self.events(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        return {event.asset_check_evaluation_data.check_name: event.asset_check_evaluation_data for event in events}

    @property
    def failure(self) -> str:
        """What people read of the step that failed."""
        (event,) = self.events(dg.DagsterEventType.STEP_FAILURE)
        described = event.step_failure_data.user_failure_data
        return "" if described is None else str(described.description)


@dataclass(frozen=True)
class Deployment:
    """The code location on a database, with an orchestrator of its own."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def run(
        self,
        job: str,
        first: date | str | None = None,
        last: date | str | None = None,
        *,
        assets: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        run_config: Mapping[str, Any] | None = None,
    ) -> Run:
        """Run a job for one partition, for a range, or for none, on all or some of its assets."""
        partition = {}
        if first is not None:
            ends = {RANGE_START: str(first), RANGE_END: str(last)}
            partition = {PARTITION: str(first)} if last is None else ends
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags={**partition, **(tags or {})},
            run_config=run_config,
            asset_selection=None if assets is None else [dg.AssetKey(asset) for asset in assets],
            raise_on_error=False,
        )
        return Run(result)


def rows_of_table(value: dg.MetadataValue[Any]) -> list[list[Any]]:
    """The cells of a table in metadata, row by row."""
    assert isinstance(value, dg.TableMetadataValue)
    return [list(record.data.values()) for record in value.records]


class Deploy(Protocol):
    """Loads the definitions on a database; ``market`` stands in for the one of the settings."""

    def __call__(self, database: Database, *, market: MarketSource | None = None) -> Deployment: ...


def load_definitions(database: Database, *, market: MarketSource | None = None) -> dg.Definitions:
    """The definitions with the real pipeline on the database."""
    pipeline = Pipeline(database_url=database.url) if market is None else _with_market(database.url, market)
    return build_definitions(resource_overrides={"pipeline": pipeline})


def _with_market(url: str, market: MarketSource) -> Pipeline:
    class WithMarket(Pipeline):
        def market(self, turns: TurnsOf = no_turns) -> MarketSource:  # noqa: ARG002
            return market

    return WithMarket(database_url=url)
