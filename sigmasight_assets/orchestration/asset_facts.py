"""What an operator should know of each asset, in words; how Dagster is told of it is in ``catalog``."""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from sigmasight_assets.orchestration.owners import MARKET_DATA, PORTFOLIOS, RISK_FIGURES
from sigmasight_assets.storage import ledger_tables, tables
from sigmasight_assets.storage.operations_tables import symbol_onboarding_queue

SYMBOL_LAYER, PORTFOLIO_LAYER, ONBOARDING = "symbol_layer", "portfolio_layer", "onboarding"
# By SigmaSight itself, but for what people start: `sigmasight retry`, `sigmasight backfill`, or a run in the UI.
RETRY = "`late_sessions` tries again every half hour until 06:00 New York; `sigmasight retry` does so at once"
REGRESSION_STALE = (
    "a return in its window, the factor ETF's or the method changed, or a bar of the window came into doubt or out of "
    "it"
)
DIMENSIONLESS_BETA = (
    "betas, R2, standard errors and p-values are dimensionless; alpha is a daily return; n_obs counts returns"
)


@dataclass(frozen=True)
class AssetFacts:
    """What it is, one row per what, from what, when it is stale, what to do; tables (its own first) and documents.

    ``docs`` are paths under ``docs/`` without ``.md``; ``units`` those of its numbers.
    """

    group: str
    owner: str
    what: str
    per: str
    made_from: str
    stale_when: str
    what_to_do: str
    units: str
    docs: tuple[str, ...]
    tables: tuple[sa.Table, ...]
    kinds: tuple[str, ...] = ("postgres",)
    runs: Literal["nightly", "on-request"] = "nightly"


def _regression(what: str, page: str, table: sa.Table) -> AssetFacts:
    return AssetFacts(
        SYMBOL_LAYER,
        RISK_FIGURES,
        what,
        per="symbol and session, for every symbol that has a bar and enough returns",
        made_from="`symbol_prices`: total returns of the symbol and of the factor ETFs",
        stale_when=REGRESSION_STALE,
        what_to_do="see the checks of `market_beta` and `symbol_daily_metrics`: they name the symbols. A "
        "failed session "
        f"is not published at all; {RETRY}. A symbol without a row has its reason in `symbol_exclusions`",
        units=DIMENSIONLESS_BETA,
        docs=(page, "formulas/quality-and-reasons"),
        tables=(table,),
        kinds=("numpy", "postgres"),
    )


FACTS = {
    "symbol_universe": AssetFacts(
        SYMBOL_LAYER,
        MARKET_DATA,
        "The symbols that are tracked: what was imported, what portfolios hold or have options on, and "
        "the eight factor "
        "ETFs. It is one list for all sessions; a partition only tells that it was brought up to date that night.",
        per="symbol, with its status: pending (no price yet), active, delisted or error",
        made_from="the market's listings, `sigmasight universe import` and `add`, and open lots of portfolios",
        stale_when="somebody holds a symbol that is not on it: the next night, or onboarding at once, takes it up",
        what_to_do="a market that does not answer is asked again in the same run; symbols with the status error are "
        "listed in the metadata with their reason, and their spelling is corrected where they are held",
        units="no measured numbers; unknown_sessions counts sessions",
        docs=("vendors",),
        tables=(tables.symbol_universe,),
    ),
    "company_profiles": AssetFacts(
        SYMBOL_LAYER,
        MARKET_DATA,
        "What the market says of each company and fund: name, sector, industry, market value, price to "
        "earnings, dividend "
        "yield and its own beta.",
        per="symbol and day of capture, about one a week",
        made_from="the market source, in turn: a part of the symbols each night",
        stale_when="it is seven days old; figures go on using it, and the data quality score falls",
        what_to_do="nothing at once: the next nights ask again, and no session waits for a profile. "
        "Symbols without one "
        "are named in the metadata",
        units="market_cap in USD; price to earnings, dividend yield (a share of the price) and beta dimensionless",
        docs=("formulas/daily-metrics", "vendors"),
        tables=(tables.company_profiles,),
    ),
    "symbol_prices": AssetFacts(
        SYMBOL_LAYER,
        MARKET_DATA,
        "Daily bars, splits and dividends of every tracked symbol: what each lacks, and the newest sessions again to "
        "notice what the market has corrected. Bars that break a rule go to `price_quarantine`.",
        per="symbol and session",
        made_from="the market source, and the second market where one is set",
        stale_when="a symbol lacks a session of the window that figures need (262 sessions back), or the market states "
        "other prices than before: then figures behind it are marked and computed again",
        what_to_do=f"{RETRY}. What was stored stays. Symbols that failed are named in the metadata; bars in doubt are "
        "decided on with `sigmasight bars list`, `accept` and `reject`",
        units="prices in USD, split-adjusted; volume in shares; dividends in USD a share",
        docs=("formulas/splits-and-dividends", "formulas/returns", "vendors", "second-market"),
        tables=(tables.symbol_prices_daily, tables.corporate_actions, tables.price_quarantine),
    ),
    "market_beta": _regression(
        "Market Beta: how much a symbol moves with SPY, by ordinary least squares over 90 sessions, with alpha, R2, "
        "standard error and p-value.",
        "formulas/market-and-rate-beta",
        tables.symbol_market_beta,
    ),
    "ir_beta": _regression(
        "IR Beta: how much a symbol moves with long Treasury bonds (TLT), by ordinary least squares over 90 sessions.",
        "formulas/market-and-rate-beta",
        tables.symbol_ir_beta,
    ),
    "ridge_factors": _regression(
        "Six style betas (value, growth, momentum, quality, size, low volatility) by one joint ridge regression on the "
        "style ETFs, alpha 1, 90 sessions. Ridge has no standard errors.",
        "formulas/ridge-style-betas",
        tables.symbol_ridge_factors,
    ),
    "spread_factors": _regression(
        "Four betas on differences of ETF returns (growth less value, momentum, size, quality) by four separate least "
        "squares regressions over 180 sessions.",
        "formulas/spread-betas",
        tables.symbol_spread_factors,
    ),
    "factor_covariances": AssetFacts(
        SYMBOL_LAYER,
        RISK_FIGURES,
        "How the eight factor ETFs move together: their 8 x 8 covariance over 252 sessions, recent ones weighing more.",
        per="session",
        made_from="`symbol_prices`: total returns of the eight factor ETFs",
        stale_when="a return of a factor ETF in the window, or the method, changed",
        what_to_do=f"look at the check `factor_etfs_priced` of `symbol_daily_metrics`: a fund without a bar. {RETRY}",
        units="daily return covariances, dimensionless; n_obs counts joint returns",
        docs=("formulas/factor-covariance", "formulas/collinearity"),
        tables=(tables.factor_covariances,),
        kinds=("numpy", "postgres"),
    ),
    "symbol_daily_metrics": AssetFacts(
        SYMBOL_LAYER,
        RISK_FIGURES,
        "The row that everybody reads of a symbol: its published close, returns, volatility, 52-week range, dollar "
        "volume, all twelve betas, company figures and a data quality score. Checks of whole sessions are shown here.",
        per="symbol and session, for every symbol that has a bar",
        made_from="`symbol_prices`, `company_profiles`, and the betas of the same run digit by digit",
        stale_when="anything it repeats or is computed from changed",
        what_to_do="the check that failed names the symbols and what to do. A session that can never be complete: "
        f"`sigmasight session waive`; a date without trading: `sigmasight session close`. {RETRY}",
        units="prices and dollar volume in USD; returns, volatilities (a year) and betas dimensionless; score 0 to 100",
        docs=("formulas/daily-metrics", "formulas/data-quality-score", "formulas/sessions-and-windows"),
        tables=(tables.symbol_daily_metrics, tables.symbol_exclusions),
        kinds=("numpy", "postgres"),
    ),
    "onboarded_symbols": AssetFacts(
        ONBOARDING,
        MARKET_DATA,
        "Symbols that somebody asked for, brought in at once: history, profile, and every product of the sessions that "
        "are published, as if they had always been tracked.",
        per="request in the queue; figures go to the tables of the symbol layer",
        made_from="the onboarding queue: owners' new positions, `sigmasight universe add`, or this job's launchpad",
        stale_when="a request is open; the sensor `onboarding_requests` starts a run within seconds",
        what_to_do="what failed is tried three times with growing pauses; `sigmasight universe requests` "
        "tells why, and "
        "`sigmasight retry --symbol NEW` asks again",
        units="no measured numbers; attempts are counted",
        docs=("writing", "vendors"),
        tables=(symbol_onboarding_queue,),
        kinds=("numpy", "postgres"),
        runs="on-request",
    ),
    "portfolio_snapshots": AssetFacts(
        PORTFOLIO_LAYER,
        PORTFOLIOS,
        "Value, P&L and equity of every portfolio to the cent, the value of each of its lots, and "
        "options that expired.",
        per="portfolio and session, from the session its owner stated equity for",
        made_from="published closes of `symbol_daily_metrics`, lots, flows and private valuations, and "
        "the snapshots of the "
        "session before",
        stale_when="a close, a corporate action or a beta of a symbol it holds changed, its owner edited it, or an "
        "earlier snapshot changed",
        what_to_do="`portfolio_gate` starts it by itself and its ticks say what it waits for. A run that failed is not "
        "repeated for the same inputs: mend the cause, then `sigmasight retry`",
        units="money in USD, exact; daily_return and shares dimensionless; counts of lots",
        docs=(
            "formulas/positions-and-equity",
            "formulas/account-performance",
            "formulas/options",
            "formulas/private-assets",
        ),
        tables=(ledger_tables.portfolio_snapshots, ledger_tables.portfolio_lot_values, ledger_tables.option_expiries),
        kinds=("numpy", "postgres"),
    ),
    "portfolio_factor_exposures": AssetFacts(
        PORTFOLIO_LAYER,
        PORTFOLIOS,
        "Exposure of every portfolio to the twelve factors. The view `portfolio_factor_exposures` shows "
        "the table below "
        "with a row per factor.",
        per="portfolio and session; null where no symbol of the portfolio has the beta",
        made_from="the snapshots of the same run, and betas no older than five sessions",
        stale_when="its snapshot is: both are computed, compared and replaced together",
        what_to_do="as for `portfolio_snapshots`; a coverage below 1 means that symbols lack the beta, and "
        "`symbol_exclusions` tells why",
        units="exposure, per_invested and coverage dimensionless; dollars in USD",
        docs=("formulas/portfolio-exposures",),
        tables=(ledger_tables.portfolio_exposures,),
        kinds=("numpy", "postgres"),
    ),
}
