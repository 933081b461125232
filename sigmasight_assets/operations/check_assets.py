"""Where people find what went wrong in the symbol layer: the asset each check is shown on and each step writes."""

from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS

COVERAGE = "coverage"
FACTOR_FUNDS = "factor_etfs_priced"
BARS_VALID = "bars_valid"
BETAS_FINITE = "betas_finite"
BETA_STABLE = "market_beta_stable"

# Coverage and bars are judged before anything is computed from them; they are shown on the product everybody reads.
CHECK_ASSETS = {
    COVERAGE: "symbol_daily_metrics",
    FACTOR_FUNDS: "symbol_daily_metrics",
    BARS_VALID: "symbol_daily_metrics",
    BETAS_FINITE: "market_beta",
    BETA_STABLE: "market_beta",
}
# By the kind under which a step is recorded.
STEP_ASSETS = {
    "symbol_universe": ("symbol_universe",),
    "company_profiles": ("company_profiles",),
    "symbol_prices": ("symbol_prices",),
    "symbol_products": SYMBOL_PRODUCTS,
}
