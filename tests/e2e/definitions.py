"""The code location as it is, but for the market, which is disturbed, and with quicker signs of life."""

from datetime import timedelta

from sigmasight_assets.operations import lost_runs
from sigmasight_assets.storage import signs_of_life
from tests.e2e.disturbed import disturbed_definitions

# Signs of life come more often, so a worker is missed sooner.
signs_of_life.INTERVAL_SECONDS = 2.0
lost_runs.SILENT = timedelta(seconds=15)

defs = disturbed_definitions()
