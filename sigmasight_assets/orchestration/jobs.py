"""Jobs: the symbol layer and the portfolio layer, each one run for a session or a range."""

import dagster as dg

SYMBOL_LAYER = "symbol_layer"
PORTFOLIO_LAYER = "portfolio_layer"

JOBS = [
    dg.define_asset_job(
        SYMBOL_LAYER,
        selection=dg.AssetSelection.groups("symbol_layer"),
        description="Universe, prices and every symbol product of the chosen sessions.",
    ),
    dg.define_asset_job(
        PORTFOLIO_LAYER,
        selection=dg.AssetSelection.groups("portfolio_layer"),
        description="Snapshots and exposures of the chosen sessions; normally started by portfolio_gate.",
    ),
]
