"""From a price window to the rows of every symbol product: pure computation, no database and no Dagster."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sigmasight_assets.orchestration.symbol_fingerprints import Fingerprints, fresh_profiles
from sigmasight_assets.orchestration.symbol_states import EXCLUSION_LABELS
from sigmasight_assets.orchestration.symbol_window import PRICE_UNITS, SymbolWindow
from sigmasight_assets.quant.arrays import BoolArray, CodeArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import Quality, Reason
from sigmasight_assets.quant.metrics import data_quality_score, symbol_metrics
from sigmasight_assets.quant.ols import OlsEstimates
from sigmasight_assets.quant.regression import SymbolExposures, estimate_exposures, mark_suspect
from sigmasight_assets.quant.ridge import RidgeEstimates
from sigmasight_assets.storage import figures, tables
from sigmasight_assets.storage.figures import ColumnBuilder, FigureTable

QUALITY_LABELS = [item.label for item in Quality]


@dataclass(frozen=True)
class KeptBetas:
    """Published betas (T, S, 12) that stay as they are, where ``is_kept``; NaN there where a factor has none."""

    values: FloatArray
    is_kept: BoolArray


@dataclass(frozen=True)
class SymbolFigures:
    """The products with a row per symbol, of T sessions x S symbols, by product.

    ``reasons`` (T, S) are codes in ``EXCLUSION_LABELS`` of why the regressions gave no row, 0 where there is one;
    ``betas`` (T, S, 12) are the published ones, computed now or kept.
    """

    exposures: SymbolExposures
    tables: dict[str, FigureTable]
    reasons: dict[str, CodeArray]
    betas: FloatArray


def compute_figures(window: SymbolWindow, prints: Fingerprints, kept: KeptBetas) -> SymbolFigures:
    """Compute every product of the window's target sessions.

    Metrics repeat the published betas, so where those are kept they take them over digit by digit.
    """
    exposures = estimate_exposures(
        window.returns,
        window.factor_returns,
        rows=window.rows,
        priced=window.has_bar & window.is_regressed,
        own=window.own,
    )
    mark_suspect(exposures, window.suspect, window.factor_suspect, rows=window.rows)
    betas = _computed_betas(exposures)
    np.copyto(betas, kept.values, where=kept.is_kept)
    products = [
        _single_table("market_beta", exposures.market, prints),
        _single_table("ir_beta", exposures.rates, prints),
        _ridge_table(exposures.ridge, prints),
        _spread_table(exposures.spreads, prints),
        _metrics_table(window, betas, prints),
    ]
    priced = window.has_bar[window.rows]
    reasons = {
        "market_beta": exposures.market.reason,
        "ir_beta": exposures.rates.reason,
        "ridge_factors": exposures.ridge.reason,
        "spread_factors": np.where(products[3].present, np.int8(Reason.NONE), exposures.spreads[0].reason),
        "symbol_daily_metrics": np.where(priced, np.int8(Reason.NONE), np.int8(Reason.NO_PRICE)),
    }
    return SymbolFigures(exposures, {item.product: item for item in products}, reasons, betas)


def _computed_betas(exposures: SymbolExposures) -> FloatArray:
    """The twelve betas of every cell in the canonical order, (T, S, 12)."""
    single = [item.beta[:, :, None] for item in (exposures.market, exposures.rates)]
    spreads = [item.beta[:, :, None] for item in exposures.spreads]
    return np.concatenate([*single, exposures.ridge.beta, *spreads], axis=2)


def _ols_columns(estimates: OlsEstimates, prefix: str = "") -> dict[str, ColumnBuilder]:
    missing = estimates.reason != Reason.NONE
    return {
        f"{prefix}beta": figures.floats(estimates.beta),
        f"{prefix}raw_beta": figures.floats(estimates.raw_beta),
        f"{prefix}is_capped": figures.flags(estimates.is_capped, null=missing),
        f"{prefix}alpha": figures.floats(estimates.alpha),
        f"{prefix}r_squared": figures.floats(estimates.r_squared),
        f"{prefix}std_err": figures.floats(estimates.std_err),
        f"{prefix}p_value": figures.floats(estimates.p_value),
        f"{prefix}n_obs": figures.whole_numbers(estimates.n_obs, null=missing),
        f"{prefix}quality": figures.labels_of(estimates.quality, QUALITY_LABELS),
    }


def _single_table(product: str, estimates: OlsEstimates, prints: Fingerprints) -> FigureTable:
    present = estimates.reason == Reason.NONE
    return FigureTable(product, present, prints.products[product], _ols_columns(estimates))


def _ridge_table(estimates: RidgeEstimates, prints: Fingerprints) -> FigureTable:
    columns: dict[str, ColumnBuilder] = {}
    for position, name in enumerate(tables.RIDGE_COLUMNS):
        columns[f"{name}_beta"] = figures.floats(estimates.beta[:, :, position])
        columns[f"{name}_raw_beta"] = figures.floats(estimates.raw_beta[:, :, position])
        columns[f"{name}_is_capped"] = figures.flags(estimates.is_capped[:, :, position])
    columns["r_squared"] = figures.floats(estimates.r_squared)
    columns["n_obs"] = figures.whole_numbers(estimates.n_obs)
    columns["quality"] = figures.labels_of(estimates.quality, QUALITY_LABELS)
    present = estimates.reason == Reason.NONE
    return FigureTable("ridge_factors", present, prints.products["ridge_factors"], columns)


def _spread_table(spreads: Sequence[OlsEstimates], prints: Fingerprints) -> FigureTable:
    columns: dict[str, ColumnBuilder] = {}
    for name, estimates in zip(tables.SPREAD_COLUMNS, spreads, strict=True):
        columns |= _ols_columns(estimates, f"{name}_")
        columns[f"{name}_reason"] = figures.labels_of(estimates.reason, EXCLUSION_LABELS)
    present = np.logical_or.reduce([estimates.reason == Reason.NONE for estimates in spreads])
    return FigureTable("spread_factors", present, prints.products["spread_factors"], columns)


def _metrics_table(window: SymbolWindow, betas: FloatArray, prints: Fingerprints) -> FigureTable:
    close = np.where(window.has_bar, window.close_units / PRICE_UNITS, np.nan)
    metrics = symbol_metrics(close, window.adj_close, window.volume, rows=window.rows, anchors=window.anchors)
    priced = window.has_bar[window.rows]
    score = data_quality_score(
        priced=priced,
        missing_returns_21d=metrics.missing_returns_21d,
        has_all_betas=np.asarray(np.isfinite(betas).all(axis=2)),
        has_fresh_profile=fresh_profiles(window),
    )
    columns: dict[str, ColumnBuilder] = {"close_price": figures.prices(window.close_units[window.rows])}
    columns |= {name: figures.floats(getattr(metrics, name)) for name in tables.METRIC_COLUMNS}
    columns |= {
        name: figures.prices(np.rint(np.nan_to_num(getattr(metrics, name)) * PRICE_UNITS).astype(np.int64))
        for name in ("high_52w", "low_52w")
    }
    columns |= {
        f"{name}_beta": figures.floats(betas[:, :, position]) for position, name in enumerate(tables.FACTOR_COLUMNS)
    }
    columns |= _profile_columns(window)
    columns["data_quality_score"] = figures.whole_numbers(score)
    return FigureTable("symbol_daily_metrics", priced, prints.products["symbol_daily_metrics"], columns)


def _profile_columns(window: SymbolWindow) -> dict[str, ColumnBuilder]:
    """What the newest profile on or before the session says; NULL before the first one."""
    profiles = window.profiles
    columns = {
        "sector": figures.texts(profiles.sector, profiles.row),
        "industry": figures.texts(profiles.industry, profiles.row),
    }
    return columns | {
        name: figures.floats(_at(profiles.figures[name], profiles.row)) for name in tables.PROFILE_FIGURES
    }


def _at(values: FloatArray, row: IntArray) -> FloatArray:
    """The values (R,) at the positions ``row`` (T, S), NaN where there is none."""
    # The last of the extended values stands for -1.
    return np.append(values, np.nan)[row]
