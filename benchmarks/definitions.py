"""The code location without schedule and sensors: in a benchmark nothing starts by itself.

The environment variable ``BENCHMARK_EXECUTOR`` chooses how steps are executed, to compare our choice with Dagster's.
"""

import os

import dagster as dg

from benchmarks.dagster_run import EXECUTOR_VARIABLE
from sigmasight_assets.definitions import build_definitions

EXECUTORS = {"in-process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}


def _without_automation(whole: dg.Definitions) -> dg.Definitions:
    return dg.Definitions(
        assets=whole.assets,
        asset_checks=whole.asset_checks,
        jobs=whole.jobs,
        resources=whole.resources,
        executor=EXECUTORS[os.environ.get(EXECUTOR_VARIABLE, "in-process")],
    )


defs = _without_automation(build_definitions())
