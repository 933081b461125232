"""A market source with a second one behind it, which serves where the first cannot be asked.

Comparing what both say, and whether what the second says fits what is stored, is not here: it needs stored bars.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.around import SourceAround
from sigmasight_assets.market_data.protocol import (
    PROFILE_SCHEMA,
    BarRequest,
    FetchResult,
    Listing,
    MarketSource,
    Outcome,
    ProfileResult,
    SymbolOutcome,
    in_parts,
    joined,
    requests_by_symbol,
    source_names,
)


@dataclass(frozen=True)
class WithSecond(SourceAround):
    """The first source, and the second for what the first does not answer.

    Only that the first fails counts as no answer: a symbol that it does not know is not asked of the second.
    """

    first: MarketSource
    second: MarketSource

    @property
    def inner(self) -> MarketSource:
        """The first."""
        return self.first

    @property
    def names(self) -> frozenset[str]:
        """Those of both."""
        return source_names(self.first) | source_names(self.second)

    def listings(self) -> list[Listing]:
        """The first's, or the second's when the first does not answer."""
        try:
            return self.first.listings()
        except MarketSetupError:
            raise
        except MarketDataError as error:
            try:
                return self.second.listings()
            except MarketDataError as other:
                raise _both_failed(error, self.second.name, other) from error

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The first's answers, and the second's for the symbols whose calls failed, all if the first is down.

        ``sources`` names the second for the symbols it has bars of; their detail is what the first failed of. Whatever
        else it says of a symbol leaves it failed, for it is not the one to say that a symbol is unknown or over. Raises
        what the first raised, with what the second said to it, when both are down.
        """
        requests_by_symbol(requests)
        try:
            answer = self.first.fetch_bars(requests)
        except MarketSetupError:
            raise
        except MarketDataError as error:
            try:
                return self._served({request: str(error) for request in requests})
            except MarketDataError as other:
                raise _both_failed(error, self.second.name, other) from error
        failed = {
            request: answer.outcomes[request.symbol].detail
            for request in requests
            if answer.outcomes[request.symbol].outcome is Outcome.FAILED
        }
        if not failed:
            return answer
        try:
            return _without(answer, failed, self._served(failed))
        except MarketDataError as other:
            return _still_failed(answer, failed, f"{self.second.name}: {other}")

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """The first's alone. While it does not answer there are none, and those captured before stay in force."""
        try:
            return self.first.fetch_profiles(symbols, as_of=as_of)
        except MarketSetupError:
            raise
        except MarketDataError as error:
            return ProfileResult(PROFILE_SCHEMA.empty_table(), dict.fromkeys(symbols, str(error)))

    def _served(self, causes: Mapping[BarRequest, str]) -> FetchResult:
        """The second's answers to requests that the first failed for these causes."""
        parts = in_parts(list(causes), self.second.symbols_per_call) or [()]
        answer = joined([self.second.fetch_bars(part) for part in parts])
        outcomes = {
            request.symbol: self._outcome(answer.outcomes[request.symbol], cause) for request, cause in causes.items()
        }
        served = [symbol for symbol, said in outcomes.items() if said.outcome is Outcome.OK]
        return FetchResult(
            bars=_only(answer.bars, served),
            outcomes=outcomes,
            actions=_only(answer.actions, served),
            sources={symbol: answer.sources.get(symbol, self.second.name) for symbol in served},
        )

    def _outcome(self, said: SymbolOutcome, cause: str) -> SymbolOutcome:
        if said.outcome is Outcome.OK:
            return SymbolOutcome(Outcome.OK, cause)
        words = f"{said.outcome.value}: {said.detail}" if said.detail else said.outcome.value
        return SymbolOutcome(Outcome.FAILED, f"{cause}; {self.second.name}: {words}")


def _without(answer: FetchResult, failed: Mapping[BarRequest, str], served: FetchResult) -> FetchResult:
    """The answer with that of the second in the place of what failed."""
    symbols = {request.symbol for request in failed}
    kept = [symbol for symbol in answer.outcomes if symbol not in symbols]
    own = FetchResult(
        bars=_not_of(answer.bars, symbols),
        outcomes={symbol: answer.outcomes[symbol] for symbol in kept},
        actions=_not_of(answer.actions, symbols),
        sources={symbol: name for symbol, name in answer.sources.items() if symbol not in symbols},
    )
    return joined([own, served])


def _still_failed(answer: FetchResult, failed: Mapping[BarRequest, str], words: str) -> FetchResult:
    outcomes = {request.symbol: SymbolOutcome(Outcome.FAILED, f"{said}; {words}") for request, said in failed.items()}
    return FetchResult(answer.bars, answer.outcomes | outcomes, answer.actions, answer.sources)


def _only(table: pa.Table, symbols: Sequence[str]) -> pa.Table:
    return table.filter(pc.is_in(table.column("symbol"), value_set=pa.array(symbols, pa.string())))


def _not_of(table: pa.Table, symbols: set[str]) -> pa.Table:
    """Rows of other symbols, those that nobody asked for among them: they are judged like the rest."""
    return table.filter(pc.invert(pc.is_in(table.column("symbol"), value_set=pa.array(sorted(symbols), pa.string()))))


def _both_failed(error: MarketDataError, second: str, other: MarketDataError) -> MarketDataError:
    """The first's error with what the second said to it; still one of too many calls if the first's was."""
    words = f"{error}; the second market {second} does not answer either: {other}"
    if isinstance(error, RateLimitedError):
        return RateLimitedError(words, retry_after=error.retry_after)
    return MarketDataError(words)
