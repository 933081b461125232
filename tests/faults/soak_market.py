"""The soak's market: the simulated one, with what has happened to it for good and with what is wrong tonight."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from sigmasight_assets.errors import MarketDataError, RateLimitedError
from sigmasight_assets.market_data.around import SourceAround
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    BarRequest,
    FetchResult,
    Listing,
    MarketSource,
    Outcome,
    ProfileResult,
    SymbolOutcome,
)
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import exchange_calendar
from tests.e2e.market import ROUNDED_PRICES, Disturbances, DisturbedMarket, Row, Split

# Small calls, so that a vendor can go away in the middle of a night.
SYMBOLS_PER_CALL = 50


@dataclass(frozen=True)
class Fault:
    """What is wrong tonight, for so many attempts; which fields count depends on the kind.

    ``at`` is the number of the call or of the statement that is hit, and ``days`` are ISO dates.
    """

    kind: str
    symbols: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    column: str = ""
    value: float = 0.0
    at: int = 0
    lasts: int = 1

    def __str__(self) -> str:
        some = f"{len(self.symbols)} symbols" if len(self.symbols) > 3 else " ".join(self.symbols)
        words = (self.kind, some, *self.days, self.column, f"{self.value:g}", f"at {self.at}", f"x{self.lasts}")
        return " ".join(word for word in words if word)


@dataclass
class Facts:
    """What is true of the market from some evening on: splits, restated closes, and prices at new levels for good."""

    stocks: int
    disturbances: Disturbances = field(default_factory=Disturbances)
    levels: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def touched(self) -> set[str]:
        """Symbols to which something has happened already."""
        splits = {item.symbol for item in self.disturbances.splits}
        return splits | self.levels.keys() | self.disturbances.restated.keys()

    def add_split(self, split: Split) -> None:
        """A split that is told of from now on."""
        self.disturbances = replace(self.disturbances, splits=[*self.disturbances.splits, split])

    def restate(self, symbol: str, day: date, factor: float) -> None:
        """A close that is stated otherwise from now on."""
        restated = {**self.disturbances.restated, symbol: {str(day): factor}}
        self.disturbances = replace(self.disturbances, restated=restated)

    def market(self, path: Path, evening: date, fault: Fault | None = None) -> "SoakMarket":
        """The market as it is known on an evening; ``path`` is a file of its own."""
        self.disturbances.save(path)
        simulated = SimulatedMarket(exchange_calendar(), stocks=self.stocks, as_of=evening)
        return SoakMarket(DisturbedMarket(simulated, path, today=evening), self.levels, fault)


class SoakMarket(SourceAround):
    """The source ``inner``, with prices at other levels, and with tonight's fault if there is one."""

    symbols_per_call = SYMBOLS_PER_CALL

    def __init__(self, inner: MarketSource, levels: dict[str, tuple[str, float]], fault: Fault | None) -> None:
        self._inner = inner
        self._levels = levels
        self._fault = fault
        self._calls = 0
        self.has_struck = False

    @property
    def inner(self) -> MarketSource:
        """The source that is disturbed."""
        return self._inner

    def listings(self) -> list[Listing]:
        """The source's, which a vendor that is away does not give."""
        self._answer()
        return self._inner.listings()

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """The source's, which a vendor that is away does not give."""
        self._answer()
        return self._inner.fetch_profiles(symbols, as_of=as_of)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The source's answer at the new levels, spoilt by tonight's fault."""
        self._answer()
        answer = self._inner.fetch_bars(requests)
        if not self._levels and self._fault is None:
            return answer
        rows = [self._at_level(row) for row in answer.bars.to_pylist()]
        spoilt = self._spoil(rows)
        self.has_struck |= spoilt != rows
        sent = {row["symbol"] for row in spoilt}
        outcomes = {symbol: self._outcome(symbol, said, sent) for symbol, said in answer.outcomes.items()}
        return replace(answer, bars=pa.Table.from_pylist(spoilt, schema=BAR_SCHEMA), outcomes=outcomes)

    def _answer(self) -> None:
        self._calls += 1
        if self._fault is None or self._calls <= self._fault.at:
            return
        if self._fault.kind == "refused":
            self.has_struck = True
            raise RateLimitedError("rate_limited: too many requests")
        if self._fault.kind == "away":
            self.has_struck = True
            raise MarketDataError("the vendor does not answer")

    def _at_level(self, row: Row) -> Row:
        first, factor = self._levels.get(row["symbol"], ("9", 1.0))
        return moved(row, factor) if str(row["price_date"]) >= first else row

    def _spoil(self, rows: list[Row]) -> list[Row]:
        fault = self._fault
        return SPOILERS[fault.kind](rows, fault) if fault is not None and fault.kind in SPOILERS else rows

    def _outcome(self, symbol: str, said: SymbolOutcome, sent: set[str]) -> SymbolOutcome:
        if self._fault is not None and self._fault.kind == "failing" and symbol in self._fault.symbols:
            self.has_struck = True
            return SymbolOutcome(Outcome.FAILED, "status 500")
        if said.outcome is Outcome.OK and symbol not in sent:
            return SymbolOutcome(Outcome.EMPTY, "no bar")
        return said


def moved(row: Row, factor: float) -> Row:
    """The bar with its prices multiplied."""
    rounded = {name: round(row[name] * factor, 4) for name in ROUNDED_PRICES}
    return {**row, **rounded, "adj_close_price": row["adj_close_price"] * factor}


def _hit(row: Row, fault: Fault) -> bool:
    return row["symbol"] in fault.symbols and str(row["price_date"]) in fault.days


def _without(rows: list[Row], fault: Fault) -> list[Row]:
    return [row for row in rows if not _hit(row, fault)]


def _of_failing(rows: list[Row], fault: Fault) -> list[Row]:
    return [row for row in rows if row["symbol"] not in fault.symbols]


def _moved(rows: list[Row], fault: Fault) -> list[Row]:
    return [moved(row, fault.value) if _hit(row, fault) else row for row in rows]


def _garbled(rows: list[Row], fault: Fault) -> list[Row]:
    return [{**row, fault.column: fault.value} if _hit(row, fault) else row for row in rows]


def _doubled(rows: list[Row], fault: Fault) -> list[Row]:
    return [*rows, *(row for row in rows if _hit(row, fault))]


def _conflicting(rows: list[Row], fault: Fault) -> list[Row]:
    return [*rows, *(moved(row, 1.02) for row in rows if _hit(row, fault))]


def _misdated(rows: list[Row], fault: Fault) -> list[Row]:
    """Bars of the next Saturday, of a year ahead, of 30 days ago with other prices, and of an unknown symbol."""
    hit = [row for row in rows if _hit(row, fault)]
    saturdays = [{**row, "price_date": _saturday(row["price_date"])} for row in hit]
    ahead = [{**row, "price_date": row["price_date"] + timedelta(365)} for row in hit]
    old = [{**moved(row, 1.5), "price_date": row["price_date"] - timedelta(30)} for row in hit]
    strangers = [{**row, "symbol": "NOBODYS"} for row in hit]
    return [*rows, *saturdays, *ahead, *old, *strangers]


def _saturday(day: date) -> date:
    return day + timedelta((5 - day.weekday()) % 7)


SPOILERS: dict[str, Callable[[list[Row], Fault], list[Row]]] = {
    "missing": _without,
    "failing": _of_failing,
    "jumped": _moved,
    "garbled": _garbled,
    "doubled": _doubled,
    "conflicting": _conflicting,
    "misdated": _misdated,
}
