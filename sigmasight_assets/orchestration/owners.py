"""Teams that are asked about an asset, a job or a sensor.

Dagster shows the owners of jobs, schedules and sensors and calls the parameter beta, as it does the backfill policy by
which a range is one run. Whoever loads the definitions is spared these two warnings, and no other.
"""

import warnings

import dagster as dg

MARKET_DATA = "team:market-data"
RISK_FIGURES = "team:risk-figures"
PORTFOLIOS = "team:portfolios"
OPERATIONS = "team:operations"

# Dagster resolves jobs and sensors when somebody first looks, so a filter around the definitions would not do.
warnings.filterwarnings("ignore", message="Parameter `(backfill_policy|owners)`", category=dg.BetaWarning)
