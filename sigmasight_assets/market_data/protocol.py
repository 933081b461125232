"""The seam between SigmaSight and the vendors of market data: what is asked, what is answered, who answers.

A source only translates its vendor's answer into these types; judging the bars is ``validation``'s task.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal, Protocol

import pyarrow as pa

from sigmasight_assets.errors import MarketDataError

# Tickers in Yahoo spelling, such as BRK-B.
TICKER = re.compile(r"[A-Z0-9][A-Z0-9.\-]{0,19}", re.ASCII)

# Raw bars as a vendor states them, in US dollars and shares: null, NaN, infinite or nonsense values are allowed in the
# six numbers, so volume is a float here. Closes are split-adjusted, adj_close_price is the total-return close.
BAR_VALUES = ("open_price", "high_price", "low_price", "close_price", "adj_close_price", "volume")
BAR_SCHEMA = pa.schema(
    [("symbol", pa.string()), ("price_date", pa.date32()), *((name, pa.float64()) for name in BAR_VALUES)]
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol that a source can supply; sector and industry are GICS names, null where the source has none."""

    symbol: str
    name: str
    asset_type: Literal["equity", "etf"]
    sector: str | None
    industry: str | None


@dataclass(frozen=True, slots=True)
class BarRequest:
    """The daily bars of one symbol from ``first`` to ``last``, both included."""

    symbol: str
    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise MarketDataError(f"{self.symbol}: the window {self.first} to {self.last} is reversed")


class Outcome(StrEnum):
    """How a source answered for one symbol."""

    OK = "ok"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SymbolOutcome:
    """The answer for one symbol; ``detail`` is a sentence for people, empty when there is nothing to add."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """Bars in ``BAR_SCHEMA``, in no promised order, and one outcome for every symbol that was asked for."""

    bars: pa.Table
    outcomes: dict[str, SymbolOutcome]


class MarketSource(Protocol):
    """A vendor of daily bars; every method raises ``MarketDataError`` when the vendor cannot answer at all."""

    @property
    def name(self) -> str:
        """The word stored with every bar of this source."""
        ...

    @property
    def supplies_corporate_actions(self) -> bool:
        """Whether splits and dividends come as events; without them prices are taken as they are."""
        ...

    def listings(self) -> list[Listing]:
        """Every symbol the source knows, each once."""
        ...

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The bars of at most one window per symbol; a symbol asked for twice raises ``MarketDataError``."""
        ...


def requests_by_symbol(requests: Sequence[BarRequest]) -> dict[str, BarRequest]:
    """The requests keyed by symbol, in their order; ``MarketDataError`` when a symbol is asked for twice."""
    by_symbol: dict[str, BarRequest] = {}
    for request in requests:
        if request.symbol in by_symbol:
            raise MarketDataError(f"{request.symbol} is asked for twice: ask for one window per symbol")
        by_symbol[request.symbol] = request
    return by_symbol
