"""Every check and every step of the symbol layer has its asset."""

from sigmasight_assets.definitions import defs
from sigmasight_assets.operations.check_assets import CHECK_ASSETS, STEP_ASSETS
from sigmasight_assets.orchestration.symbol_checks import CHECKS


def test_checks_are_those_of_the_symbol_layer() -> None:
    assert CHECK_ASSETS.keys() == CHECKS.keys()


def test_steps_write_every_asset_of_the_symbol_layer() -> None:
    layer = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs() if spec.group_name == "symbol_layer"}
    assert layer >= set(CHECK_ASSETS.values())
    assert {asset for assets in STEP_ASSETS.values() for asset in assets} == layer - {"onboarded_symbols"}
