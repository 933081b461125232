"""The pipeline with a disturbed market, in services that start in a directory of their own.

Their clock is in its ``.env``, so a test moves it while they run; the market does as a file beside it says.
"""

import os
from pathlib import Path

import dagster as dg

from sigmasight_assets.definitions import build_definitions
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.sensors import late_sessions
from tests.e2e.market import market_as_of

SCRIPT = Path("market.json")

# The schedule, which goes first after a start, is stopped here.
late_sessions.GRACE_SECONDS = 0.0

# Dagster's command line copies .env into its environment, where it would stay as it was when the services started.
os.environ.pop("SIGMASIGHT_NOW", None)


class DisturbedPipeline(Pipeline):
    """The pipeline with the disturbed market."""

    def market(self, turns: TurnsOf = no_turns) -> MarketSource:  # noqa: ARG002
        """The market as of the last complete session."""
        return market_as_of(self.calendar.last_complete(self.settings.clock()), SCRIPT.resolve())


def disturbed_definitions() -> dg.Definitions:
    """The code location as it is, but for the market."""
    pipeline = DisturbedPipeline(database_url=dg.EnvVar("SIGMASIGHT_DATABASE_URL"))
    return build_definitions(resource_overrides={"pipeline": pipeline})
