"""The two jobs: which assets each runs, under which name others start it."""

from sigmasight_api.operators import SYMBOL_JOB
from sigmasight_assets.definitions import defs
from sigmasight_assets.orchestration.jobs import JOBS, PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.orchestration.portfolio_publication import PRODUCTS
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS


def assets_of(job: str) -> set[str]:
    selected = defs.resolve_job_def(job).asset_layer.selected_asset_keys
    return {key.to_user_string() for key in selected}


def test_symbol_layer_is_universe_prices_and_every_product() -> None:
    assert assets_of(SYMBOL_LAYER) == {"symbol_universe", "company_profiles", "symbol_prices", *SYMBOL_PRODUCTS}


def test_portfolio_layer_is_both_products() -> None:
    assert assets_of(PORTFOLIO_LAYER) == set(PRODUCTS)


def test_names_are_those_that_others_launch() -> None:
    assert [job.name for job in JOBS] == ["symbol_layer", "portfolio_layer"]
    assert SYMBOL_JOB == SYMBOL_LAYER
