"""The seam between SigmaSight and the vendors of market data: what is asked, what is answered, who answers.

A source only translates its vendor's answer into these types; judging the bars is ``validation``'s task.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Literal, Protocol, TypeVar

import pyarrow as pa

from sigmasight_assets.errors import MarketDataError

Item = TypeVar("Item")

# Tickers in Yahoo spelling, such as BRK-B, and option contracts (see ``options``), which have up to 21 characters.
TICKER = re.compile(r"[A-Z0-9][A-Z0-9.\-]{0,20}", re.ASCII)

# Raw bars as a vendor states them, in US dollars and shares: null, NaN, infinite or nonsense values are allowed in the
# six numbers, so volume is a float here. Closes are split-adjusted, adj_close_price is the total-return close.
BAR_VALUES = ("open_price", "high_price", "low_price", "close_price", "adj_close_price", "volume")
BAR_SCHEMA = pa.schema(
    [("symbol", pa.string()), ("price_date", pa.date32()), *((name, pa.float64()) for name in BAR_VALUES)]
)
# Splits and dividends as a vendor states them. A split has a ratio of new shares (numerator) per old share
# (denominator) and no amount; a dividend has an amount, US dollars a share in the units of the closes of the same
# answer, and no ratio.
SPLIT, DIVIDEND = "split", "dividend"
ACTION_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("ex_date", pa.date32()),
        ("kind", pa.string()),
        ("ratio_numerator", pa.int64()),
        ("ratio_denominator", pa.int64()),
        ("amount", pa.float64()),
    ]
)
# What a vendor says of a company: market_cap in US dollars, the others dimensionless; null or NaN where it is silent.
PROFILE_VALUES = ("market_cap", "pe_ratio", "forward_pe", "dividend_yield", "provider_beta")
PROFILE_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("symbol", "name", "sector", "industry")),
        *((name, pa.float64()) for name in PROFILE_VALUES),
    ]
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol that a source can supply; sector and industry are GICS names, null where the source has none."""

    symbol: str
    name: str
    asset_type: Literal["equity", "etf", "option"]
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
    # The source says that the symbol has ceased to trade; bars up to then may be in the answer.
    DELISTED = "delisted"
    # The call failed or its answer made no sense: nothing is known of the symbol, and the next run asks again.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SymbolOutcome:
    """The answer for one symbol; ``detail`` is a sentence for people, empty when there is nothing to add."""

    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FetchResult:
    """Bars in ``BAR_SCHEMA``, in no promised order, and one outcome for every symbol that was asked for.

    ``actions`` in ``ACTION_SCHEMA`` are all the splits and dividends the source knows of the asked symbols with an
    ex-date on or after the first date of their windows, also those after the last: the bars are stated in the units
    after the last of these splits.

    ``sources`` has the name of the source that answered, for the symbols that the asked one did not answer itself.
    """

    bars: pa.Table
    outcomes: dict[str, SymbolOutcome]
    actions: pa.Table = field(default_factory=ACTION_SCHEMA.empty_table)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProfileResult:
    """Profiles in ``PROFILE_SCHEMA``, at most one a symbol, and why there is none for each of the others."""

    profiles: pa.Table
    problems: dict[str, str]


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

    @property
    def supplies_dated_profiles(self) -> bool:
        """Whether profiles can be asked as of any session; else they are those of the moment of asking."""
        ...

    @property
    def symbols_per_call(self) -> int:
        """How many symbols one call of the vendor is about: callers ask for no more at a time."""
        ...

    @property
    def own_calls(self) -> int | None:
        """HTTP calls made so far by a source that takes a turn for each; None of one whose caller times and counts."""
        ...

    def listings(self) -> list[Listing]:
        """Every symbol the source knows, each once; option contracts are not listed, they are asked for by symbol."""
        ...

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The bars of at most one window per symbol; a symbol asked for twice raises ``MarketDataError``."""
        ...

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """The profiles in force at the session ``as_of``, or those of now where the source has no dated ones."""
        ...


def source_names(source: MarketSource) -> frozenset[str]:
    """All the words that bars of this source may be stored with: its attribute ``names``, else its name alone."""
    names: frozenset[str] = getattr(source, "names", frozenset({source.name}))
    return names


def second_of(source: MarketSource) -> MarketSource | None:
    """The source that serves in place of this one and is compared with it, None when it stands alone."""
    second: MarketSource | None = getattr(source, "second", None)
    return second


def joined(answers: Sequence[FetchResult]) -> FetchResult:
    """The answers to requests for different symbols as one."""
    if len(answers) == 1:
        return answers[0]
    return FetchResult(
        bars=pa.concat_tables([answer.bars for answer in answers]),
        outcomes={symbol: said for answer in answers for symbol, said in answer.outcomes.items()},
        actions=pa.concat_tables([answer.actions for answer in answers]),
        sources={symbol: name for answer in answers for symbol, name in answer.sources.items()},
    )


def in_parts(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """The items in parts of ``size``, the last one perhaps smaller; no part of nothing."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def requests_by_symbol(requests: Sequence[BarRequest]) -> dict[str, BarRequest]:
    """The requests keyed by symbol, in their order; ``MarketDataError`` when a symbol is asked for twice."""
    by_symbol: dict[str, BarRequest] = {}
    for request in requests:
        if request.symbol in by_symbol:
            raise MarketDataError(f"{request.symbol} is asked for twice: ask for one window per symbol")
        by_symbol[request.symbol] = request
    return by_symbol
