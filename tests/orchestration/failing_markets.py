"""A scripted market that fails as a test says, to be the first or the second of two."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import (
    BarRequest,
    FetchResult,
    Listing,
    Outcome,
    ProfileResult,
    SymbolOutcome,
)
from tests.orchestration.markets import ScriptedMarket


@dataclass
class FailingMarket(ScriptedMarket):
    """Raises ``down`` when it is set, and is away after ``down_after`` calls.

    Calls for the symbols in ``failed`` end with these details.
    """

    down: MarketDataError | None = field(default=None, kw_only=True)
    failed: dict[str, str] = field(default_factory=dict, kw_only=True)
    down_after: int | None = field(default=None, kw_only=True)
    calls: int = field(default=0, kw_only=True)

    def listings(self) -> list[Listing]:
        self._answer()
        return super().listings()

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        self._answer()
        answer = super().fetch_bars(requests)
        wrong = {symbol: said for symbol, said in self.failed.items() if symbol in answer.outcomes}
        sent = pc.invert(pc.is_in(answer.bars.column("symbol"), value_set=pa.array(list(wrong), pa.string())))
        outcomes = {symbol: SymbolOutcome(Outcome.FAILED, said) for symbol, said in wrong.items()}
        return replace(answer, bars=answer.bars.filter(sent), outcomes=answer.outcomes | outcomes)

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        self._answer()
        return super().fetch_profiles(symbols, as_of=as_of)

    def _answer(self) -> None:
        self.calls += 1
        if self.down_after is not None:
            self.down_after -= 1
            if self.down_after < 0:
                raise MarketDataError("unreachable: it has gone away")
        if self.down is not None:
            raise self.down


def failing(market: ScriptedMarket, name: str) -> FailingMarket:
    """A copy of the market under another name, with bars of its own."""
    copied = {item.name: getattr(market, item.name) for item in fields(ScriptedMarket)}
    own = {"bars": dict(market.bars), "actions": dict(market.actions), "requests": [], "profile_requests": []}
    return FailingMarket(**(copied | own | {"name": name}))
