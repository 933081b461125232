"""Jobs: the symbol layer and the portfolio layer, each one run for a session or a range, and onboarding."""

import dagster as dg

from sigmasight_assets.orchestration import lanes
from sigmasight_assets.orchestration.lanes import LANE_TAG
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.pod_resources import pod_resources
from sigmasight_assets.orchestration.standing_checks import STANDING_CHECKS

SYMBOL_LAYER = "symbol_layer"
PORTFOLIO_LAYER = "portfolio_layer"
PORTFOLIO_SLICES = "portfolio_slices"
ONBOARDING = "onboarding"

# A sensor judges them all the time, and a run has its steps to wait for.
STANDING = dg.AssetSelection.checks(*STANDING_CHECKS)

JOBS = [
    dg.define_asset_job(
        SYMBOL_LAYER,
        selection=dg.AssetSelection.groups("symbol_layer") - STANDING,
        description="Universe, profiles, prices and every symbol product of the chosen sessions. Choose partitions and "
        "launch them as a single run: a range reads its window once. Only what is missing or stale is "
        "computed; the option "
        "`force` of `symbol_products` computes everything. Snapshots follow by themselves. Normally started by the "
        "schedule `nightly_symbols` and the sensor `late_sessions`.",
        owners=[OPERATIONS],
        # The first load of a large universe from a slow vendor takes hours, and keeps what it has when it is ended.
        tags={
            LANE_TAG: lanes.SYMBOL,
            "dagster/max_runtime": "21600",
            **pod_resources(cpu="1", memory="1792Mi", most_memory="4Gi"),
        },
    ),
    dg.define_asset_job(
        PORTFOLIO_LAYER,
        selection=dg.AssetSelection.groups("portfolio_layer") - STANDING,
        description="Snapshots and exposures of the chosen sessions, whose symbol products must be published; sessions "
        "before them come first. Normally started by the sensor `portfolio_gate`. By hand it is needed only to compute "
        "everything, with the option `force` of `portfolio_products`.",
        owners=[OPERATIONS],
        tags={
            LANE_TAG: lanes.PORTFOLIO,
            "dagster/priority": "10",
            **pod_resources(cpu="1", memory="1Gi", most_memory="2Gi"),
        },
    ),
    dg.define_asset_job(
        ONBOARDING,
        selection=dg.AssetSelection.groups(ONBOARDING),
        description="Symbols that were asked for, at once, without waiting for the night. Normally "
        "started by the sensor "
        "`onboarding_requests`; by hand it works off the requests that are due, and before them the `symbols` that "
        "the launchpad names.",
        owners=[OPERATIONS],
        # People wait for it. A lost run's requests are claimed anew, which counts their attempts; and a vendor that
        # never answers must not keep their leases for ever.
        tags={
            LANE_TAG: lanes.ONBOARDING,
            "dagster/priority": "20",
            "dagster/max_retries": "0",
            "dagster/max_runtime": "1800",
            **pod_resources(cpu="500m", memory="512Mi", most_memory="1Gi"),
        },
    ),
]
