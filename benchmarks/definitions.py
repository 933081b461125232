"""The code location without schedule and sensors: in a benchmark nothing starts by itself."""

import dagster as dg

from sigmasight_assets.definitions import build_definitions


def _without_automation(whole: dg.Definitions) -> dg.Definitions:
    return dg.Definitions(
        assets=whole.assets,
        asset_checks=whole.asset_checks,
        jobs=whole.jobs,
        resources=whole.resources,
        executor=whole.executor,
    )


defs = _without_automation(build_definitions())
