"""The factor-exposures answer: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 6; of the standard errors, docs/formulas/portfolio-exposures.md.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from sigmasight_api.answers import carried_figures, stated
from sigmasight_api.books import OPTIONS, PRIVATE, Book, Holdings
from sigmasight_api.exposure_schemas import FactorExposure, FactorExposures, ProviderBeta, StdErrReason
from sigmasight_api.factors import collinearity, fund_returns
from sigmasight_api.formats import cents, optional_cents, optional_number
from sigmasight_api.per_view import PerView
from sigmasight_api.schemas import AnalyticsAnswer, Excluded, Incomplete
from sigmasight_api.valuation import ValuedPositions, held_options, private_share, valued_positions
from sigmasight_api.view import NO_PRICE, MarketView
from sigmasight_assets.quant.arrays import BoolArray, FloatArray
from sigmasight_assets.quant.exposure_errors import OLS_COLUMNS, SlopeErrors, book_std_errors
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, FactorDefinition
from sigmasight_assets.quant.portfolio_exposures import BetaTable, PortfolioExposures, book_exposures

FACTOR_NAMES = tuple(factor.name for factor in FACTORS)
OLS_PLACES = np.array(OLS_COLUMNS)
FACTOR_EXPOSURES = TypeAdapter(list[FactorExposure])
BETA_TABLES: PerView[BetaTable] = PerView(lambda view: BetaTable.of(view.betas))


def slope_errors(view: MarketView) -> SlopeErrors:
    """What the standard errors of all books' exposures are computed from; computed once a view."""
    return _ERRORS_OF_VIEWS.of(view)


def _slope_errors(view: MarketView) -> SlopeErrors:
    funds = fund_returns(view, FACTOR_ETFS)
    return SlopeErrors.of(view.returns.T, funds, betas=view.betas, std_errors=view.std_errors)


_ERRORS_OF_VIEWS = PerView(_slope_errors)


def factor_exposures(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[FactorExposures]:
    """The answer for a portfolio; the newest snapshot of ``book`` is not newer than the view."""
    valued = valued_positions(holdings.shares, view)
    options = held_options(holdings, view, snapshot_session=book.equity_session)
    equity = np.nan if book.equity is None else float(book.equity)
    result = book_exposures(valued.rows, valued.market_value, BETA_TABLES.of(view), equity=equity)
    std_errors = book_std_errors(valued.rows, valued.market_value, slope_errors(view), equity=equity)
    missing = np.isnan(view.betas[valued.rows])
    return AnalyticsAnswer[FactorExposures](
        **stated(book, view),
        coverage=optional_number(result.coverage[0]),
        private_share=private_share(valued, options, holdings.private, view),
        excluded=_excluded(holdings, options, valued, missing, view),
        incomplete=_incomplete(valued, missing, view),
        carried=carried_figures(valued, missing, view),
        data=FactorExposures(
            factors=_factors(result, std_errors, nothing_priced=valued.has_no_price),
            provider_beta=_provider_beta(valued, view, equity=equity),
            collinearity=collinearity(view),
        ),
    )


def _factors(result: PortfolioExposures, ols_std_errors: FloatArray, *, nothing_priced: bool) -> list[FactorExposure]:
    known = np.nan if nothing_priced else 1.0
    std_errors = np.full(len(FACTORS), np.nan)
    std_errors[OLS_PLACES] = ols_std_errors
    numbers = np.array([result.exposures[0], result.per_invested[0], result.factor_coverage[0], std_errors])
    numbers *= known
    numbers[-1, np.isnan(numbers[0])] = np.nan
    cells = numbers.astype(object)
    cells[np.isnan(numbers)] = None
    columns = zip(FACTORS, *cells.tolist(), (result.dollars[0] * known).tolist(), strict=True)
    # Together: one by one they take half as long again.
    return FACTOR_EXPOSURES.validate_python(
        [
            {
                "name": factor.name,
                "exposure": exposure,
                "dollars": optional_cents(dollars),
                "per_invested": per_invested,
                "coverage": coverage,
                "std_err": std_err,
                "std_err_reason": _std_err_reason(factor, exposure, std_err),
            }
            for factor, exposure, per_invested, coverage, std_err, dollars in columns
        ]
    )


def _std_err_reason(factor: FactorDefinition, exposure: float | None, std_err: float | None) -> StdErrReason | None:
    if factor.estimator == "ridge":
        return "ridge"
    if exposure is None:
        return "no_exposure"
    return "short_history" if std_err is None else None


def _provider_beta(valued: ValuedPositions, view: MarketView, *, equity: float) -> ProviderBeta:
    """By the rules of a factor's exposure, from the vendor's betas."""
    betas, invested = view.provider_beta[valued.rows], np.abs(valued.market_value)
    known = np.isfinite(betas)
    gross = float(invested.sum())
    reason: Literal["no_price", "no_provider_beta"] | None = None
    if valued.has_no_price:
        reason = "no_price"
    elif gross > 0 and not known.any():
        reason = "no_provider_beta"
    dollars = float(valued.market_value[known] @ betas[known])
    return ProviderBeta(
        exposure=dollars / equity if reason is None and equity > 0 else None,
        dollars=cents(dollars) if reason is None else None,
        coverage=float(invested[known].sum()) / gross if gross > 0 else None,
        reason=reason,
    )


def _excluded(
    holdings: Holdings, options: Iterable[str], valued: ValuedPositions, missing: BoolArray, view: MarketView
) -> list[Excluded]:
    entries = [Excluded(symbol=symbol, reason=NO_PRICE) for symbol in valued.unpriced]
    others = (*((symbol, OPTIONS) for symbol in options), *((lot.symbol, PRIVATE) for lot in holdings.private))
    entries += [Excluded(symbol=symbol, reason=kind.lower()) for symbol, kind in dict.fromkeys(others)]
    for place in _lacking(missing):
        if missing[place].all():
            symbol = valued.symbols[place]
            entries.append(Excluded(symbol=symbol, reason=view.missing_reason(symbol, 0)))
    return sorted(entries, key=lambda entry: entry.symbol)


def _incomplete(valued: ValuedPositions, missing: BoolArray, view: MarketView) -> list[Incomplete]:
    entries = []
    for place in _lacking(missing):
        if missing[place].all():
            continue
        symbol = valued.symbols[place]
        by_reason: dict[str, list[str]] = {}
        for factor in np.flatnonzero(missing[place]).tolist():
            by_reason.setdefault(view.missing_reason(symbol, factor), []).append(FACTOR_NAMES[factor])
        entries += [Incomplete(symbol=symbol, reason=reason, factors=names) for reason, names in by_reason.items()]
    return entries


def _lacking(missing: BoolArray) -> list[int]:
    """Places of the positions that lack a beta: in most books there are none."""
    return np.flatnonzero(missing.any(axis=1)).tolist() if missing.any() else []
