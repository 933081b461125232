"""The twelve risk factors: their names, the exchange-traded funds that stand for them, their estimators and windows.

Source: formulas.md section 3. How the estimates are made is in ``regression``.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

FACTOR_ETFS = ("SPY", "TLT", "VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")

# Part of every fingerprint: raise it when a change of method changes published numbers.
METHOD_VERSION = 2

# A larger |beta| is published at this bound with its sign; the raw value is kept beside it.
BETA_CAP = 5.0
RIDGE_PENALTY = 1.0


class Quality(IntEnum):
    """How much a published exposure rests on; ``NONE`` where there is no value.

    ``SUSPECT`` comes before the others: a bar of the window waits for a confirmation (see ``suspect``).
    """

    NONE = 0
    FULL = 1
    LIMITED = 2
    SUSPECT = 3

    @property
    def label(self) -> str:
        """The word that is stored and shown."""
        return self.name.lower()


class Reason(IntEnum):
    """Why an exposure has no value; ``NONE`` where it has one. The first that applies, in this order, is given."""

    NONE = 0
    NO_PRICE = 1
    SHORT_HISTORY = 2
    CONSTANT = 3

    @property
    def label(self) -> str:
        """The word that is stored and shown."""
        return self.name.lower()


@dataclass(frozen=True)
class FactorDefinition:
    """One factor; windows and observations count daily returns.

    One proxy is a regressor of its own; two are a spread, the first fund's return minus the second's. The ``ridge``
    factors share one joint regression.
    """

    name: str
    proxies: tuple[str, ...]
    estimator: Literal["ols", "ridge"]
    window: int
    min_observations: int
    full_observations: int


def _single(name: str, proxy: str, estimator: Literal["ols", "ridge"]) -> FactorDefinition:
    return FactorDefinition(name, (proxy,), estimator, window=90, min_observations=30, full_observations=60)


def _spread(name: str, long: str, short: str) -> FactorDefinition:
    return FactorDefinition(name, (long, short), "ols", window=180, min_observations=60, full_observations=120)


FACTORS = (
    _single("Market Beta", "SPY", "ols"),
    _single("IR Beta", "TLT", "ols"),
    _single("Value", "VTV", "ridge"),
    _single("Growth", "VUG", "ridge"),
    _single("Momentum", "MTUM", "ridge"),
    _single("Quality", "QUAL", "ridge"),
    _single("Size", "IWM", "ridge"),
    _single("Low Volatility", "USMV", "ridge"),
    _spread("Growth-Value Spread", "VUG", "VTV"),
    _spread("Momentum Spread", "MTUM", "SPY"),
    _spread("Size Spread", "IWM", "SPY"),
    _spread("Quality Spread", "QUAL", "SPY"),
)
