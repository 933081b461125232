"""Requests for runs over sessions, as the schedule and sensors make them."""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg

from sigmasight_assets.orchestration.lanes import LANE_TAG, NIGHTLY
from sigmasight_assets.runs import range_tags

# The night leaves the queue before backfills, which have no priority.
NIGHTLY_PRIORITY = {"dagster/priority": "10"}
# A night of the symbol layer has places that backfills cannot take; one that hangs leaves time for another attempt.
NIGHTLY_SYMBOLS = {**NIGHTLY_PRIORITY, LANE_TAG: NIGHTLY, "dagster/max_runtime": "7200"}


def range_request(
    first: date,
    last: date,
    *,
    run_key: str,
    tags: Mapping[str, str],
    assets: Sequence[str] | None = None,
    job: str | None = None,
) -> dg.RunRequest:
    """One run for the sessions ``first`` to ``last``, of all assets of the job or of some.

    The ``job`` is named where whoever asks may start several.
    """
    selection = None if assets is None else [dg.AssetKey(name) for name in assets]
    if first == last:
        return dg.RunRequest(
            run_key=run_key, partition_key=str(first), tags=tags, asset_selection=selection, job_name=job
        )
    return dg.RunRequest(
        run_key=run_key, tags={**tags, **range_tags(first, last)}, asset_selection=selection, job_name=job
    )
