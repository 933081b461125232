"""Fingerprints of the symbol products: from inputs alone, so that what is fresh is known before anything is computed.

What goes into each is explained in docs/formulas/freshness.md; the arithmetic is in ``quant.fingerprint``.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from sigmasight_assets.orchestration.symbol_window import PRICE_UNITS, SymbolWindow
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.covariance import WINDOW as COVARIANCE_WINDOW
from sigmasight_assets.quant.factors import FACTOR_ETFS, METHOD_VERSION, FactorDefinition
from sigmasight_assets.quant.fingerprint import combine, window_fingerprints
from sigmasight_assets.quant.metrics import LONG_WINDOW, SESSIONS_PER_YEAR, SHORT_WINDOW
from sigmasight_assets.quant.regression import RIDGE, SINGLE, SPREADS, suspect_windows
from sigmasight_assets.storage.profiles import ProfileWindow

SHARES_UNIT = 1e-6
# A profile older than this no longer counts for the quality score (calendar days).
FRESH_PROFILE_DAYS = 7
REGRESSIONS = {
    "market_beta": (SINGLE[0],),
    "ir_beta": (SINGLE[1],),
    "ridge_factors": RIDGE,
    "spread_factors": SPREADS,
}


@dataclass(frozen=True)
class Fingerprints:
    """Of each product with a row per symbol (T, S), by its name, and of the covariances (T,)."""

    products: dict[str, IntArray]
    covariance: IntArray

    def part(self, targets: IntArray, columns: IntArray) -> Self:
        """Those of some target sessions and symbols."""
        cells = np.ix_(targets, columns)
        return type(self)({name: prints[cells] for name, prints in self.products.items()}, self.covariance[targets])


def fingerprints(window: SymbolWindow) -> Fingerprints:
    """Fingerprints of the window's targets; the exposures of symbols that have none are 0."""
    returns = {
        length: window_fingerprints(window.returns, rows=window.rows, window=length)
        for length in {factors[0].window for factors in REGRESSIONS.values()}
    }
    estimates = {
        name: np.where(window.is_regressed, _estimate_prints(window, factors, returns[factors[0].window]), 0)
        for name, factors in REGRESSIONS.items()
    }
    # A confirmed bar changes the quality of an exposure, not its value: metrics repeat the value alone.
    suspect = {
        name: suspect_windows(factors, window.suspect, window.factor_suspect, rows=window.rows).astype(np.int64)
        for name, factors in REGRESSIONS.items()
    }
    products = {name: combine(prints, suspect[name]) for name, prints in estimates.items()}
    products["symbol_daily_metrics"] = _metrics_prints(window, list(estimates.values()))
    return Fingerprints(products, _covariance_prints(window))


def fresh_profiles(window: SymbolWindow) -> BoolArray:
    """Whether (T, S) the newest profile at the session is younger than seven days."""
    profiles = window.profiles
    if not len(profiles.captured_on):
        return np.zeros(profiles.row.shape, dtype=np.bool_)
    age = window.targets.sessions[:, None] - profiles.captured_on[profiles.row]
    return (profiles.row >= 0) & (age < np.timedelta64(FRESH_PROFILE_DAYS, "D"))


def _estimate_prints(window: SymbolWindow, factors: Sequence[FactorDefinition], returns: IntArray) -> IntArray:
    """Of what determines the numbers of a regression: the symbol's returns, its regressors', whether it is one."""
    proxies = sorted({proxy for factor in factors for proxy in factor.proxies})
    funds = _fund_prints(window, proxies, factors[0].window)
    is_itself = (window.own,) if len(proxies) == 1 else ()
    return combine(METHOD_VERSION, returns, *funds, *is_itself)


def _fund_prints(window: SymbolWindow, names: Sequence[str], length: int) -> list[IntArray]:
    columns = [FACTOR_ETFS.index(name) for name in names]
    prints = window_fingerprints(window.factor_returns[:, columns], rows=window.rows, window=length)
    return [prints[:, [position]] for position in range(len(columns))]


def _covariance_prints(window: SymbolWindow) -> IntArray:
    prints: IntArray = combine(METHOD_VERSION, *_fund_prints(window, FACTOR_ETFS, COVARIANCE_WINDOW))[:, 0]
    return prints


def _metrics_prints(window: SymbolWindow, estimates: Sequence[IntArray]) -> IntArray:
    close = np.where(window.has_bar, window.close_units / PRICE_UNITS, np.nan)
    every = np.arange(len(window.rows))
    return combine(
        METHOD_VERSION,
        window_fingerprints(close, rows=window.rows, window=SESSIONS_PER_YEAR),
        window_fingerprints(window.volume * SHARES_UNIT, rows=window.rows, window=SHORT_WINDOW),
        window_fingerprints(window.returns, rows=window.rows, window=LONG_WINDOW),
        # No daily return tells when the prices before a gap are rescaled; the growth across it does.
        *(
            window_fingerprints(_growth(window, window.anchors[:, base]), rows=every, window=1)
            for base in range(window.anchors.shape[1])
        ),
        np.where(window.profiles.row >= 0, _profile_prints(window.profiles)[window.profiles.row], 0),
        fresh_profiles(window).astype(np.int64),
        *estimates,
    )


def _growth(window: SymbolWindow, bases: IntArray) -> FloatArray:
    """Total return (T, S) from the base rows (T,), NaN where a price is missing."""
    base_prices = np.where(bases[:, None] >= 0, window.adj_close[np.maximum(bases, 0)], np.nan)
    growth: FloatArray = window.adj_close[window.rows] / base_prices - 1.0
    return growth


def _profile_prints(profiles: ProfileWindow) -> IntArray:
    """Fingerprint of each profile (R,), and one 0 more so that there is always one to point at."""
    figures = [np.where(np.isnan(values), np.nan, values).view(np.int64) for values in profiles.figures.values()]
    words = [
        np.array([_word_print(word) for word in column], dtype=np.int64)
        for column in (profiles.sector, profiles.industry)
    ]
    return np.append(combine(*figures, *words), 0)


@lru_cache(maxsize=4096)
def _word_print(word: str | None) -> int:
    if word is None:
        return 0
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), signed=True)
