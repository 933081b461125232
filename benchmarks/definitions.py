"""The code location without schedule and sensors: in a benchmark nothing starts by itself."""

import dagster as dg

from sigmasight_assets.definitions import build_definitions

_WHOLE = build_definitions()
defs = dg.Definitions(
    assets=_WHOLE.assets,
    asset_checks=_WHOLE.asset_checks,
    jobs=_WHOLE.jobs,
    resources=_WHOLE.resources,
    executor=_WHOLE.executor,
)
