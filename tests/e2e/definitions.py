"""The code location as it is, but for the market: simulated, and disturbed as a file in the working directory says.

The services start in a directory of their own. Their clock is in its ``.env``, so a test moves it while they run.
"""

import os
from datetime import timedelta
from pathlib import Path

import dagster as dg

from sigmasight_assets.definitions import build_definitions
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.operations import lost_runs
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.sensors import late_sessions
from sigmasight_assets.storage import signs_of_life
from tests.e2e.market import market_as_of

SCRIPT = Path("market.json")

# The schedule, which goes first after a start, is stopped here.
late_sessions.GRACE_SECONDS = 0.0
# Signs of life come more often, so a worker is missed sooner.
signs_of_life.INTERVAL_SECONDS = 2.0
lost_runs.SILENT = timedelta(seconds=15)

# Dagster's command line copies .env into its environment, where it would stay as it was when the services started.
os.environ.pop("SIGMASIGHT_NOW", None)


class DisturbedPipeline(Pipeline):
    """The pipeline with the disturbed market."""

    def market(self, turns: TurnsOf = no_turns) -> MarketSource:  # noqa: ARG002
        """The market as of the last complete session."""
        return market_as_of(self.calendar.last_complete(self.settings.clock()), SCRIPT.resolve())


defs = build_definitions(
    resource_overrides={"pipeline": DisturbedPipeline(database_url=dg.EnvVar("SIGMASIGHT_DATABASE_URL"))}
)
