"""The code location on the night's database, with an orchestrator in the test's process that keeps nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.storage.database import Database
from tests.faults.night_world import SCRIPT, TONIGHT, market
from tests.faults.nights import Night
from tests.orchestration.deployments import Deployment, load_definitions


@contextmanager
def deployed(night: Night, database: Database, *, source: MarketSource | None = None) -> Iterator[Deployment]:
    """The code location for the block, in the environment of the night's evening."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.chdir(night.home)
        for name, value in night.environment(database).items():
            if name.startswith("SIGMASIGHT_"):
                patch.setenv(name, value)
        source = source or market(TONIGHT, night.home / SCRIPT)
        yield Deployment(load_definitions(database, market=source), instance)
