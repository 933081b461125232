"""The code location as it is, but for the market, which obeys, and with quicker signs of life."""

from datetime import timedelta

import dagster as dg

from sigmasight_assets.definitions import build_definitions
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.operations import lost_runs
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage import signs_of_life
from tests.e2e.held_market import WORDS, HeldMarket

signs_of_life.INTERVAL_SECONDS = 0.5
lost_runs.SILENT = timedelta(seconds=5)
lost_runs.SILENT_AFTER_END = timedelta(seconds=5)


class HeldPipeline(Pipeline):
    """The pipeline with the held market."""

    def market(self, turns: TurnsOf = no_turns) -> MarketSource:  # noqa: ARG002
        """The market of the last complete session."""
        settings = self.settings
        return HeldMarket(settings.home / WORDS, as_of=exchange_calendar().last_complete(settings.clock()))


defs = build_definitions(
    resource_overrides={"pipeline": HeldPipeline(database_url=dg.EnvVar("SIGMASIGHT_DATABASE_URL"))}
)
