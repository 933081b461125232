"""Markets for the tests of this layer: bars that a test writes down, with a record of what was asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from sigmasight_assets.market_data.protocol import (
    ACTION_SCHEMA,
    BAR_SCHEMA,
    DIVIDEND,
    PROFILE_SCHEMA,
    SPLIT,
    BarRequest,
    FetchResult,
    Listing,
    MarketSource,
    Outcome,
    ProfileResult,
    SymbolOutcome,
    requests_by_symbol,
)
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import SessionCalendar

# Open, high, low, close, adjusted close, volume.
Bar = tuple[float | None, float | None, float | None, float | None, float | None, float | None]

# Numerator and denominator of a split, amount of a dividend.
ActionTerms = tuple[int | None, int | None, float | None]

# Symbols with something the matter, beside those of the simulated market.
LATE, YOUNG, FLAT, HALTED, LEVERED, UNKNOWN = "LATEX", "YOUNG", "FLATX", "HALTX", "LEVER", "GHOST"
AWKWARD = (LATE, YOUNG, FLAT, HALTED, LEVERED, UNKNOWN)


@dataclass
class ScriptedMarket:
    """Sends the bars of ``bars`` that lie in the windows asked for, and ``unasked`` rows with every answer.

    ``actions`` are by symbol, ex-date and kind, ``delisted`` says of a symbol why it trades no more, and ``profiles``
    has the columns of a symbol's profile that are not null.
    """

    bars: dict[tuple[str, date], Bar]
    descriptions: list[Listing]
    unasked: list[tuple[str, date, Bar]] = field(default_factory=list)
    requests: list[BarRequest] = field(default_factory=list)
    name: str = "scripted"
    supplies_corporate_actions: bool = False
    supplies_dated_profiles: bool = False
    symbols_per_call: int = 1_000
    own_calls: int | None = None
    actions: dict[tuple[str, date, str], ActionTerms] = field(default_factory=dict)
    delisted: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    profile_requests: list[tuple[date, list[str]]] = field(default_factory=list)

    def listings(self) -> list[Listing]:
        return list(self.descriptions)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        self.requests += requests
        windows = requests_by_symbol(requests)
        rows = [
            (symbol, day, bar)
            for (symbol, day), bar in self.bars.items()
            if symbol in windows and windows[symbol].first <= day <= windows[symbol].last
        ]
        known = {symbol for symbol, _ in self.bars}
        sent = {symbol for symbol, _, _ in rows}
        return FetchResult(
            bars=bar_table([*rows, *self.unasked]),
            outcomes={symbol: self._outcome(symbol, symbol in known, symbol in sent) for symbol in windows},
            actions=self._actions(windows),
        )

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        self.profile_requests.append((as_of, list(symbols)))
        rows = [{"symbol": symbol, **self.profiles[symbol]} for symbol in symbols if symbol in self.profiles]
        problems = {symbol: "no profile" for symbol in symbols if symbol not in self.profiles}
        return ProfileResult(pa.Table.from_pylist(rows, schema=PROFILE_SCHEMA), problems)

    def restate(self, symbol: str, day: date, factor: float) -> None:
        """Multiply the five prices of a bar."""
        *prices, volume = self.bars[symbol, day]
        changed = [None if price is None else round(price * factor, 4) for price in prices]
        self.bars[symbol, day] = (*changed, volume)  # type: ignore[assignment]

    def split(self, symbol: str, ex_date: date, numerator: int, denominator: int = 1) -> None:
        """Announce a split, and state all earlier bars and dividends in the units after it."""
        factor = denominator / numerator
        for day in self._days_before(symbol, ex_date):
            *prices, adjusted, volume = self.bars[symbol, day]
            assert adjusted is not None
            assert volume is not None
            rounded = [None if price is None else round(price * factor, 4) for price in prices]
            self.bars[symbol, day] = (*rounded, adjusted * factor, volume / factor)  # type: ignore[assignment]
        for (name, day, kind), (_, _, amount) in list(self.actions.items()):
            if name == symbol and kind == DIVIDEND and day < ex_date and amount is not None:
                self.actions[name, day, kind] = (None, None, amount * factor)
        self.actions[symbol, ex_date, SPLIT] = (numerator, denominator, None)

    def pay(self, symbol: str, ex_date: date, amount: float) -> None:
        """Announce a dividend, and lower the adjusted closes of all earlier bars by its share of the last one."""
        days = self._days_before(symbol, ex_date)
        last_close = self.bars[symbol, days[-1]][3]
        assert last_close is not None
        for day in days:
            *prices, adjusted, volume = self.bars[symbol, day]
            assert adjusted is not None
            self.bars[symbol, day] = (*prices, adjusted * (1 - amount / last_close), volume)  # type: ignore[assignment]
        self.actions[symbol, ex_date, DIVIDEND] = (None, None, amount)

    def asked(self) -> dict[str, tuple[date, date]]:
        """The windows asked for since the last call, by symbol."""
        windows = {item.symbol: (item.first, item.last) for item in self.requests}
        self.requests.clear()
        return windows

    def _days_before(self, symbol: str, ex_date: date) -> list[date]:
        return sorted(day for name, day in self.bars if name == symbol and day < ex_date)

    def _outcome(self, symbol: str, known: bool, sent: bool) -> SymbolOutcome:
        if symbol in self.delisted:
            return SymbolOutcome(Outcome.DELISTED, self.delisted[symbol])
        if not known:
            return SymbolOutcome(Outcome.UNKNOWN, "no such ticker")
        return SymbolOutcome(Outcome.OK if sent else Outcome.EMPTY)

    def _actions(self, windows: dict[str, BarRequest]) -> pa.Table:
        rows = [
            dict(zip(ACTION_SCHEMA.names, (*key, *terms), strict=True))
            for key, terms in self.actions.items()
            if key[0] in windows and key[1] >= windows[key[0]].first
        ]
        return pa.Table.from_pylist(rows, schema=ACTION_SCHEMA)


def bar(close: float, *, volume: float = 1000.0) -> Bar:
    """A sound bar of this close."""
    return (close, close + 1.0, close - 0.5, close, close, volume)


def bar_table(rows: Iterable[tuple[str, date, Bar]]) -> pa.Table:
    """Rows in the schema of the protocol."""
    flat = [(symbol, day, *values) for symbol, day, values in rows]
    columns = list(zip(*flat, strict=True)) or [()] * len(BAR_SCHEMA)
    return pa.table([pa.array(column, kind.type) for column, kind in zip(columns, BAR_SCHEMA, strict=True)], BAR_SCHEMA)


def stock(symbol: str) -> Listing:
    """A listing without any sector."""
    return Listing(symbol, f"{symbol} Inc.", "equity", None, None)


def option(symbol: str) -> Listing:
    """A contract as the universe tracks it."""
    return Listing(symbol, symbol, "option", None, None)


def copied(source: MarketSource, *, first: date, last: date) -> ScriptedMarket:
    """A market with the bars and listings of another."""
    listings = source.listings()
    sent = source.fetch_bars([BarRequest(item.symbol, first, last) for item in listings]).bars
    columns = [sent[name].to_pylist() for name in BAR_SCHEMA.names]
    bars: dict[tuple[str, date], Bar] = {
        (symbol, day): tuple(values) for symbol, day, *values in zip(*columns, strict=True)
    }
    return ScriptedMarket(bars, listings)


def traded_throughout(market: ScriptedMarket, sessions: Sequence[date], *, stocks: int = 60) -> ScriptedMarket:
    """The market's funds and first stocks that have a bar at every session."""
    whole = [item for item in market.descriptions if all((item.symbol, day) in market.bars for day in sessions)]
    equities = [item for item in whole if item.asset_type == "equity"][:stocks]
    kept = [item for item in whole if item in equities or item.asset_type != "equity"]
    names = {item.symbol for item in kept}
    return ScriptedMarket({key: values for key, values in market.bars.items() if key[0] in names}, kept)


def awkward_market(calendar: SessionCalendar, *, first: date, targets: Sequence[date]) -> ScriptedMarket:
    """60 simulated stocks and the funds, and six symbols with something the matter.

    ``LATE`` has bars from the fifth target session on, ``YOUNG`` from 55 sessions before the first one. ``FLAT`` never
    changes its price. ``HALTED`` has no bar at the eighth target session and 40 sessions before it. ``LEVERED`` moves
    eight times as much as SPY. ``UNKNOWN`` is listed, but the market knows no bar of it.
    """
    sessions = calendar.between(first, targets[-1])
    market = traded_throughout(copied(SimulatedMarket(calendar, stocks=80), first=first, last=targets[-1]), sessions)
    late, young, halted = (item.symbol for item in market.descriptions[10:13])
    halts = {targets[7], calendar.offset(targets[7], -40)}
    levered, before = 100.0, market.bars["SPY", first]
    for day in sessions:
        if day >= targets[4]:
            market.bars[LATE, day] = market.bars[late, day]
        if day >= calendar.offset(targets[0], -55):
            market.bars[YOUNG, day] = market.bars[young, day]
        if day not in halts:
            market.bars[HALTED, day] = market.bars[halted, day]
        market.bars[FLAT, day] = bar(25.0)
        today = market.bars["SPY", day]
        levered *= 1 + 8 * (adjusted_close(today) / adjusted_close(before) - 1)
        market.bars[LEVERED, day] = bar(round(levered, 4))
        before = today
    market.descriptions += [stock(symbol) for symbol in AWKWARD]
    return market


def adjusted_close(of: Bar) -> float:
    """The total-return close of a sound bar."""
    assert of[4] is not None
    return of[4]
