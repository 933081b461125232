"""Requests for runs over sessions: a partition, a range as one run, or some of the assets."""

from datetime import date

import dagster as dg

from sigmasight_assets.orchestration.run_requests import NIGHTLY_PRIORITY, range_request
from tests.orchestration.deployments import RANGE_END, RANGE_START

MON, FRI = date(2025, 7, 21), date(2025, 7, 25)


def test_one_session_is_a_partition() -> None:
    request = range_request(MON, MON, run_key="key", tags=NIGHTLY_PRIORITY)
    assert (request.run_key, request.partition_key, request.tags) == ("key", "2025-07-21", {"dagster/priority": "10"})
    assert request.asset_selection is None


def test_more_are_one_run() -> None:
    request = range_request(MON, FRI, run_key="key", tags={"own": "tag"}, assets=["market_beta"])
    assert request.partition_key is None
    assert request.tags == {"own": "tag", RANGE_START: "2025-07-21", RANGE_END: "2025-07-25"}
    assert request.asset_selection == [dg.AssetKey("market_beta")]
