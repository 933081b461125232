"""The code location of the scenarios, whose reconciler misses a run that nobody begins with sooner."""

from datetime import timedelta

from sigmasight_assets.operations import lost_runs
from tests.e2e import definitions

lost_runs.SILENT_BETWEEN_STEPS = timedelta(seconds=40)

defs = definitions.defs
