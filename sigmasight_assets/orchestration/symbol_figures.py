"""From a price window to the rows of every symbol product: pure computation, no database and no Dagster."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from sigmasight_assets.orchestration.symbol_window import PRICE_UNITS, SymbolWindow
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.covariance import WINDOW as COVARIANCE_WINDOW
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.quant.factors import FACTOR_ETFS, METHOD_VERSION, Quality, Reason
from sigmasight_assets.quant.fingerprint import combine, window_fingerprints
from sigmasight_assets.quant.metrics import (
    LONG_WINDOW,
    SESSIONS_PER_YEAR,
    SHORT_WINDOW,
    data_quality_score,
    symbol_metrics,
)
from sigmasight_assets.quant.ols import OlsEstimates
from sigmasight_assets.quant.regression import RIDGE, SINGLE, SPREADS, SymbolExposures, estimate_exposures
from sigmasight_assets.quant.ridge import RidgeEstimates
from sigmasight_assets.storage import figures, tables
from sigmasight_assets.storage.figures import ColumnBuilder, FigureTable

QUALITY_LABELS = [item.label for item in Quality]
# Reasons of the regressions, followed by those that concern the symbol as such.
EXCLUSION_LABELS = [*(item.label for item in Reason), "not_listed_yet", "no_data_from_source"]
NOT_LISTED_YET, NO_DATA = len(Reason), len(Reason) + 1
SHARES_UNIT = 1e-6
PROFILE_COLUMNS = ("market_cap", "pe_ratio", "forward_pe", "dividend_yield")


@dataclass(frozen=True)
class SymbolFigures:
    """All products of T sessions x S symbols.

    ``tables`` maps each product with a row per symbol to its rows; ``covariances`` (T, 8, 8) and its fingerprints
    (T,) stand apart. ``exclusions`` maps those products to reason codes (T, S), 0 where there is a row.
    ``active`` (T, S) marks the symbols a session is expected to hold, ``without_data`` those that the source has never
    had a price of; ``betas`` (T, S, 12) are the published ones.
    """

    exposures: SymbolExposures
    tables: dict[str, FigureTable]
    exclusions: dict[str, NDArray[np.int8]]
    covariances: FloatArray
    covariance_rows: IntArray
    covariance_fingerprint: IntArray
    active: BoolArray
    without_data: BoolArray
    priced: BoolArray
    betas: FloatArray


@dataclass(frozen=True)
class _Fingerprints:
    """Of each symbol's exposures, (T, S), and of the covariance, (T,)."""

    market: IntArray
    rates: IntArray
    ridge: IntArray
    spreads: IntArray
    covariance: IntArray


def compute_figures(window: SymbolWindow) -> SymbolFigures:
    """Compute every product of the window's target sessions."""
    factor_returns = window.factor_returns
    priced = window.has_bar[window.rows]
    exposures = estimate_exposures(
        window.returns, factor_returns, rows=window.rows, priced=window.has_bar, own=window.own
    )
    prints = _fingerprints(window, factor_returns)
    betas = np.concatenate(
        [
            exposures.market.beta[:, :, None],
            exposures.rates.beta[:, :, None],
            exposures.ridge.beta,
            np.stack([spread.beta for spread in exposures.spreads], axis=2),
        ],
        axis=2,
    )
    covariances, covariance_rows = factor_covariances(factor_returns, rows=window.rows)
    products = [
        _single_table("market_beta", tables.symbol_market_beta, exposures.market, prints.market),
        _single_table("ir_beta", tables.symbol_ir_beta, exposures.rates, prints.rates),
        _ridge_table(exposures.ridge, prints.ridge),
        _spread_table(exposures.spreads, prints.spreads),
        _metrics_table(window, betas, priced, prints),
    ]
    reasons = {
        "market_beta": exposures.market.reason,
        "ir_beta": exposures.rates.reason,
        "ridge_factors": exposures.ridge.reason,
        "spread_factors": exposures.spreads[0].reason,
        "symbol_daily_metrics": np.where(priced, Reason.NONE, Reason.NO_PRICE).astype(np.int8),
    }
    listed, has_data = _symbol_states(window)
    return SymbolFigures(
        exposures=exposures,
        tables={item.product: item for item in products},
        exclusions={
            item.product: _exclusion_codes(item.present, reasons[item.product], listed, has_data) for item in products
        },
        covariances=covariances,
        covariance_rows=covariance_rows,
        covariance_fingerprint=prints.covariance,
        active=listed & has_data,
        without_data=~has_data,
        priced=priced,
        betas=betas,
    )


def _symbol_states(window: SymbolWindow) -> tuple[BoolArray, BoolArray]:
    """Whether a symbol is listed at a session, and whether its source has data of it at all; both (T, S).

    A symbol that never had a price counts as listed: a vendor's silence must lower the coverage, not hide in it.
    """
    first = np.array(
        [np.datetime64(item.first_trade_date or "1900-01-01", "D") for item in window.symbols], dtype="datetime64[D]"
    )
    listed = first <= window.grid.sessions[window.rows][:, None]
    has_data = np.broadcast_to(np.array([item.status != "error" for item in window.symbols]), listed.shape)
    return listed, has_data


def _exclusion_codes(
    present: BoolArray, reason: NDArray[np.int8], listed: BoolArray, has_data: BoolArray
) -> NDArray[np.int8]:
    codes = np.where(listed, reason, NOT_LISTED_YET)
    codes = np.where(has_data, codes, NO_DATA)
    return np.where(present, 0, codes).astype(np.int8)


def _fingerprints(window: SymbolWindow, factor_returns: FloatArray) -> _Fingerprints:
    def symbols(length: int) -> IntArray:
        return window_fingerprints(window.returns, rows=window.rows, window=length)

    def funds(names: Sequence[str], length: int) -> list[IntArray]:
        columns = [FACTOR_ETFS.index(name) for name in names]
        prints = window_fingerprints(factor_returns[:, columns], rows=window.rows, window=length)
        return [prints[:, [position]] for position in range(len(columns))]

    short, long = symbols(SINGLE[0].window), symbols(SPREADS[0].window)
    spread_funds = sorted({proxy for spread in SPREADS for proxy in spread.proxies})
    return _Fingerprints(
        market=combine(METHOD_VERSION, short, *funds(SINGLE[0].proxies, SINGLE[0].window), window.own),
        rates=combine(METHOD_VERSION, short, *funds(SINGLE[1].proxies, SINGLE[1].window), window.own),
        ridge=combine(METHOD_VERSION, short, *funds([item.proxies[0] for item in RIDGE], RIDGE[0].window)),
        spreads=combine(METHOD_VERSION, long, *funds(spread_funds, SPREADS[0].window)),
        covariance=combine(METHOD_VERSION, *funds(FACTOR_ETFS, COVARIANCE_WINDOW))[:, 0],
    )


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


def _single_table(product: str, table: sa.Table, estimates: OlsEstimates, prints: IntArray) -> FigureTable:
    present = estimates.reason == Reason.NONE
    return FigureTable(product, table, "session", present, prints, _ols_columns(estimates))


def _ridge_table(estimates: RidgeEstimates, prints: IntArray) -> FigureTable:
    columns: dict[str, ColumnBuilder] = {}
    for position, name in enumerate(tables.RIDGE_COLUMNS):
        columns[f"{name}_beta"] = figures.floats(estimates.beta[:, :, position])
        columns[f"{name}_raw_beta"] = figures.floats(estimates.raw_beta[:, :, position])
        columns[f"{name}_is_capped"] = figures.flags(estimates.is_capped[:, :, position])
    columns["r_squared"] = figures.floats(estimates.r_squared)
    columns["n_obs"] = figures.whole_numbers(estimates.n_obs)
    columns["quality"] = figures.labels_of(estimates.quality, QUALITY_LABELS)
    present = estimates.reason == Reason.NONE
    return FigureTable("ridge_factors", tables.symbol_ridge_factors, "session", present, prints, columns)


def _spread_table(spreads: Sequence[OlsEstimates], prints: IntArray) -> FigureTable:
    columns: dict[str, ColumnBuilder] = {}
    for name, estimates in zip(tables.SPREAD_COLUMNS, spreads, strict=True):
        columns |= _ols_columns(estimates, f"{name}_")
        columns[f"{name}_reason"] = figures.labels_of(estimates.reason, EXCLUSION_LABELS)
    present = np.logical_or.reduce([estimates.reason == Reason.NONE for estimates in spreads])
    return FigureTable("spread_factors", tables.symbol_spread_factors, "session", present, prints, columns)


def _metrics_table(window: SymbolWindow, betas: FloatArray, priced: BoolArray, prints: _Fingerprints) -> FigureTable:
    close = np.where(window.has_bar, window.close_units / PRICE_UNITS, np.nan)
    metrics = symbol_metrics(close, window.adj_close, window.volume, rows=window.rows, anchors=window.anchors)
    every = np.arange(len(window.rows))
    # Without profiles nothing is fresh: a symbol scores at most 80.
    score = data_quality_score(
        priced=priced,
        missing_returns_21d=metrics.missing_returns_21d,
        has_all_betas=np.asarray(np.isfinite(betas).all(axis=2)),
        has_fresh_profile=np.zeros(priced.shape, dtype=np.bool_),
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
    columns["sector"] = figures.texts([item.sector for item in window.symbols], priced.shape)
    columns["industry"] = figures.texts([item.industry for item in window.symbols], priced.shape)
    columns |= {name: figures.nulls(pa.float64()) for name in PROFILE_COLUMNS}
    columns["data_quality_score"] = figures.whole_numbers(score)
    return FigureTable(
        product="symbol_daily_metrics",
        table=tables.symbol_daily_metrics,
        date_column="metrics_date",
        present=priced,
        fingerprint=combine(
            METHOD_VERSION,
            window_fingerprints(close, rows=window.rows, window=SESSIONS_PER_YEAR),
            window_fingerprints(window.volume * SHARES_UNIT, rows=window.rows, window=SHORT_WINDOW),
            window_fingerprints(window.returns, rows=window.rows, window=LONG_WINDOW),
            # No daily return tells when the prices before a gap are rescaled; the returns across it do.
            *(window_fingerprints(getattr(metrics, name), rows=every, window=1) for name in tables.RETURN_COLUMNS),
            np.array([_text_fingerprint(item.sector, item.industry) for item in window.symbols]),
            prints.market,
            prints.rates,
            prints.ridge,
            prints.spreads,
        ),
        columns=columns,
    )


def _text_fingerprint(*words: str | None) -> int:
    digest = hashlib.blake2b("\0".join(word or "" for word in words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
