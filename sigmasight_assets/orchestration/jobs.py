"""Jobs: the symbol layer and the portfolio layer, each one run for a session or a range, and onboarding."""

import dagster as dg

from sigmasight_assets.orchestration import lanes
from sigmasight_assets.orchestration.lanes import LANE_TAG
from sigmasight_assets.orchestration.standing_checks import STANDING_CHECKS

SYMBOL_LAYER = "symbol_layer"
PORTFOLIO_LAYER = "portfolio_layer"
ONBOARDING = "onboarding"

# A sensor judges them all the time, and a run has its steps to wait for.
STANDING = dg.AssetSelection.checks(*STANDING_CHECKS)

JOBS = [
    dg.define_asset_job(
        SYMBOL_LAYER,
        selection=dg.AssetSelection.groups("symbol_layer") - STANDING,
        description="Universe, prices and every symbol product of the chosen sessions.",
        # The first load of a large universe from a slow vendor takes hours, and keeps what it has when it is ended.
        tags={LANE_TAG: lanes.SYMBOL, "dagster/max_runtime": "21600"},
    ),
    dg.define_asset_job(
        PORTFOLIO_LAYER,
        selection=dg.AssetSelection.groups("portfolio_layer") - STANDING,
        description="Snapshots and exposures of the chosen sessions; normally started by portfolio_gate.",
        tags={LANE_TAG: lanes.PORTFOLIO, "dagster/priority": "10"},
    ),
    dg.define_asset_job(
        ONBOARDING,
        selection=dg.AssetSelection.groups(ONBOARDING),
        description="Symbols that were asked for, at once; normally started by onboarding_requests.",
        # People wait for it. A lost run's requests are claimed anew, which counts their attempts; and a vendor that
        # never answers must not keep their leases for ever.
        tags={
            LANE_TAG: lanes.ONBOARDING,
            "dagster/priority": "20",
            "dagster/max_retries": "0",
            "dagster/max_runtime": "1800",
        },
    ),
]
