"""A step's way to the market source: in calls of the vendor's size, each in its turn, and counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from sigmasight_assets.market_data.around import SourceAround
from sigmasight_assets.market_data.protocol import (
    BarRequest,
    FetchResult,
    Item,
    Listing,
    MarketSource,
    ProfileResult,
    in_parts,
    joined,
    requests_by_symbol,
    second_of,
    source_names,
)
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.vendor_turns import BACKFILL, NIGHTLY, VendorTurns


@dataclass
class MeteredMarket(SourceAround):
    """A market source whose calls wait for their turn, if ``turns`` are given, and are counted in ``calls``.

    A source that counts its own calls takes its turns itself. ``calls_per_second`` is None where there is no limit.
    """

    source: MarketSource
    turns: VendorTurns | None = None
    calls_per_second: float | None = None
    _calls: int = field(default=0, init=False)

    @property
    def inner(self) -> MarketSource:
        """The source that is called."""
        return self.source

    @property
    def calls(self) -> int:
        """How many there were until now."""
        own = self.source.own_calls
        return self._calls if own is None else own

    @property
    def own_calls(self) -> int | None:
        """The same: whoever asks this one need not count."""
        return self.calls

    @property
    def names(self) -> frozenset[str]:
        """The source's."""
        return source_names(self.source)

    @property
    def second(self) -> MarketSource | None:
        """The source's."""
        return second_of(self.source)

    def listings(self) -> list[Listing]:
        """The source's, in one call."""
        self._take_turn()
        return self.source.listings()

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The source's answers to as many calls as the requests need."""
        requests_by_symbol(requests)
        answers = []
        for part in self._parts(requests):
            self._take_turn()
            answers.append(self.source.fetch_bars(part))
        return joined(answers)

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """The source's answers to as many calls as the symbols need."""
        answers = []
        for part in self._parts(symbols):
            self._take_turn()
            answers.append(self.source.fetch_profiles(part, as_of=as_of))
        return ProfileResult(
            profiles=pa.concat_tables([answer.profiles for answer in answers]),
            problems={symbol: said for answer in answers for symbol, said in answer.problems.items()},
        )

    def _take_turn(self) -> None:
        if self.source.own_calls is not None:
            return
        if self.turns is not None:
            self.turns.wait()
        self._calls += 1

    def _parts(self, items: Sequence[Item]) -> list[Sequence[Item]]:
        """Parts of a call's size; one empty part of nothing."""
        return in_parts(items, self.symbols_per_call) or [items]


def metered(source: MarketSource, database: Database, settings: Settings, *, priority: int) -> MeteredMarket:
    """The source as a step calls it: within the rate of the settings, larger priorities first."""
    if source.own_calls is not None:
        return MeteredMarket(source, calls_per_second=settings.yahoo_rate)
    if settings.market_rate is None:
        return MeteredMarket(source)
    turns = VendorTurns(database, source.name, settings.market_rate, priority)
    return MeteredMarket(source, turns, settings.market_rate)


def run_priority(sessions: Sequence[date], calendar: SessionCalendar, settings: Settings) -> int:
    """The turn of a run over these sessions: the newest session's goes before those of the past."""
    return NIGHTLY if calendar.last_complete(settings.clock()) in sessions else BACKFILL
