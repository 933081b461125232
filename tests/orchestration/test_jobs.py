"""The jobs: which assets each runs, under which name others start it."""

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster._utils.tags import TagConcurrencyLimitsCounter

from sigmasight_api.operators import SYMBOL_JOB
from sigmasight_assets.definitions import defs
from sigmasight_assets.orchestration.jobs import JOBS, ONBOARDING, PORTFOLIO_LAYER, PORTFOLIO_SLICES, SYMBOL_LAYER
from sigmasight_assets.orchestration.lanes import LANE_TAG
from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.orchestration.run_requests import NIGHTLY_SYMBOLS
from sigmasight_assets.services.stack import CHECKOUT
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS


def assets_of(job: str) -> set[str]:
    selected = defs.resolve_job_def(job).asset_layer.selected_asset_keys
    return {key.to_user_string() for key in selected}


def test_symbol_layer_is_universe_prices_and_every_product() -> None:
    assert assets_of(SYMBOL_LAYER) == {"symbol_universe", "company_profiles", "symbol_prices", *SYMBOL_PRODUCTS}


def test_portfolio_layer_is_both_products() -> None:
    assert assets_of(PORTFOLIO_LAYER) == set(PRODUCTS)


def test_names_are_those_that_others_launch() -> None:
    assert [job.name for job in JOBS] == ["symbol_layer", "portfolio_layer", "onboarding"]
    assert SYMBOL_JOB == SYMBOL_LAYER


@pytest.mark.parametrize(
    ("job", "lane", "priority"),
    [(SYMBOL_LAYER, "symbol", None), (PORTFOLIO_LAYER, "portfolio", "10"), (ONBOARDING, "onboarding", "20")],
)
def test_every_job_has_a_lane_of_its_own(job: str, lane: str, priority: str | None) -> None:
    tags = defs.resolve_job_def(job).run_tags
    assert (tags[LANE_TAG], tags.get("dagster/priority")) == (lane, priority)


def test_lanes_leave_a_place_to_each_other() -> None:
    """Whatever waits in one lane, all others find theirs: the total is that of the four lanes, and of helpers."""
    settings = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text(encoding="utf-8"))["concurrency"]
    limit, of_helpers = settings["runs"]["tag_concurrency_limits"]
    assert (limit["key"], limit["value"]) == (LANE_TAG, {"applyLimitPerUniqueValue": True})
    lanes = {defs.resolve_job_def(job.name).run_tags[LANE_TAG] for job in JOBS} | {NIGHTLY_SYMBOLS[LANE_TAG]}
    assert settings["runs"]["max_concurrent_runs"] == limit["limit"] * len(lanes) + of_helpers["limit"]


def test_helpers_take_no_place_of_a_lane() -> None:
    """However many workers the gate starts them for."""
    helper, waiting = (
        dg.DagsterRun(name, tags=dict(defs.resolve_job_def(name).run_tags))
        for name in (PORTFOLIO_SLICES, PORTFOLIO_LAYER)
    )
    assert LANE_TAG not in helper.tags
    runs = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text(encoding="utf-8"))["concurrency"]["runs"]
    counter = TagConcurrencyLimitsCounter(runs["tag_concurrency_limits"], [])
    taken = 0
    while not counter.is_blocked(helper):
        counter.update_counters_with_launched_item(helper)
        taken += 1
        assert taken < runs["max_concurrent_runs"]
    assert not counter.is_blocked(waiting)
