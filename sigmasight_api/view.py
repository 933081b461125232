"""One immutable picture of the published market, held in columns: what every number of an answer is computed from.

How it is read is in ``loader``; which one is current, in ``cache``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from sigmasight_api.splits import ShareUnits
from sigmasight_assets.quant.arrays import BoolArray, CodeArray, DateArray, FloatArray, IntArray
from sigmasight_assets.storage.tables import FACTOR_COLUMNS, RIDGE_COLUMNS, SPREAD_COLUMNS

# The products that hold exposures, and the one that each of the twelve factors comes from.
EXPOSURE_PRODUCTS = ("market_beta", "ir_beta", "ridge_factors", "spread_factors")
PRODUCT_OF_FACTOR = np.array([0, 1, *[2] * len(RIDGE_COLUMNS), *[3] * len(SPREAD_COLUMNS)])

# A year of rows of the volatility forecast, each with 21 returns up to its session and 21 after it.
RETURNS_HELD = 252 + 20 + 21

NO_PRICE = "no_price"
NO_EXPOSURES = "no_exposures"


@dataclass(frozen=True, eq=False)
class MarketView:
    """The market as it was published at one generation: S symbols, K = 12 factors, P = 4 products, T returns.

    ``generation``
        the newest publication of any layer that this view includes
    ``symbol_generation``
        the newest publication of the symbol layer among them
    ``as_of``
        the newest session whose symbol layer is complete, None before the first
    ``symbols`` (S,)
        ascending, option contracts among them; those with a close or an exposure at most 5 sessions old
    ``close``, ``close_session`` (S,)
        the latest published close in units of 1e-4 USD, 0 where there is none, and its session, NaT there
    ``share_units``
        the published splits of the symbols: the closes are stated in the units after all of them
    ``provider_beta`` (S,)
        the vendor's own beta, dimensionless, published with the close; NaN where there is none
    ``betas``, ``quality`` (S, K)
        dimensionless, NaN where there is none, and how much each rests on
    ``std_errors`` (S, K)
        standard errors of the OLS betas, dimensionless, NaN for the ridge ones and where there is no beta
    ``factors_session`` (S, P)
        session of the exposures of each product, NaT where there are none
    ``sectors`` (S,)
        GICS sectors published with the closes, None where there is none
    ``is_fund`` (S,)
        whether the symbol is an exchange-traded fund
    ``sessions`` (T,)
        ascending, the last is ``as_of``; at most ``RETURNS_HELD``
    ``returns`` (S, T)
        simple daily total returns to the sessions from the bars as they were stored when the view was read; NaN where
        one is missing
    ``covariance`` (8, 8), ``covariance_session``
        daily return covariances of the factor funds, in the order of ``FACTOR_ETFS``, and their session, at most 5
        sessions before ``as_of``; None when there are none
    ``reasons``
        why a value is missing at ``as_of``, by symbol and by product or factor column
    ``scope``
        the symbols that were asked for; None when the view holds all
    ``published_at``
        when ``generation`` and ``symbol_generation`` were published, None before the first
    ``lineage``
        the same object as that of the view before it if both are of one history: a database that was brought back to an
        earlier state publishes the same generations again
    """

    generation: int
    symbol_generation: int
    as_of: date | None
    symbols: tuple[str, ...]
    close: IntArray
    close_session: DateArray
    share_units: ShareUnits
    provider_beta: FloatArray
    betas: FloatArray
    quality: CodeArray
    std_errors: FloatArray
    factors_session: DateArray
    sectors: tuple[str | None, ...]
    is_fund: BoolArray
    sessions: DateArray
    returns: FloatArray
    covariance: FloatArray | None
    covariance_session: date | None
    reasons: Mapping[tuple[str, str], str]
    scope: frozenset[str] | None = None
    published_at: tuple[datetime | None, datetime | None] = (None, None)
    lineage: object = field(default_factory=object)
    rows: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        for column in self._columns():
            column.setflags(write=False)
        object.__setattr__(self, "rows", {symbol: row for row, symbol in enumerate(self.symbols)})

    def covers(self, symbols: Iterable[str]) -> bool:
        """Whether a symbol of these that the view lacks truly has no published figures."""
        return self.scope is None or self.scope.issuperset(symbols)

    def missing_reason(self, symbol: str, factor: int) -> str:
        """Why the symbol has no exposure to the factor of this position."""
        product = EXPOSURE_PRODUCTS[PRODUCT_OF_FACTOR[factor]]
        for key in (FACTOR_COLUMNS[factor], product):
            if (symbol, key) in self.reasons:
                return self.reasons[symbol, key]
        return NO_EXPOSURES

    @property
    def nbytes(self) -> int:
        """Memory of the columns in bytes."""
        return sum(column.nbytes for column in self._columns())

    def _columns(self) -> tuple[IntArray | FloatArray | CodeArray | DateArray | BoolArray, ...]:
        splits = self.share_units.keys, self.share_units.numerators, self.share_units.denominators
        closes = self.close, self.close_session, self.provider_beta, self.is_fund
        factors = self.betas, self.quality, self.std_errors, self.factors_session
        covariance = () if self.covariance is None else (self.covariance,)
        return *closes, *splits, *factors, self.sessions, self.returns, *covariance
