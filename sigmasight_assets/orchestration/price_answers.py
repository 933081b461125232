"""What a market source answered for a set of windows: judged, and laid out by session and symbol."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from sigmasight_assets.market_data.action_validation import ValidatedActions, validate_actions
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    BarRequest,
    FetchResult,
    MarketSource,
    Outcome,
    SymbolOutcome,
    requests_by_symbol,
)
from sigmasight_assets.market_data.validation import ValidatedBars, validate_bars
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bar_decisions import BarDecision, decided_bars
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.prices import PriceWindow, dense_window, without_bars, without_symbols

# A symbol that has ceased to trade is answered for as well as one that has not.
ANSWERED = (Outcome.OK, Outcome.DELISTED)
# What bars are counted under that an operator has rejected; beside it are the reasons of ``BarReason``.
REJECTED_BY_OPERATOR = "rejected_by_operator"


@dataclass(frozen=True)
class Answer:
    """The windows asked for by symbol, and what came: bars, also on a grid of all of them, actions and outcomes.

    ``sources`` names the source of the symbols that the asked one did not answer for itself.
    """

    requests: Mapping[str, BarRequest]
    bars: ValidatedBars
    window: PriceWindow
    actions: ValidatedActions
    outcomes: Mapping[str, SymbolOutcome]
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def answered_from(self) -> dict[str, date]:
        """By symbol the date from which on the answer tells all its bars and actions; silent symbols are left out."""
        return {
            symbol: request.first
            for symbol, request in self.requests.items()
            if self.outcomes[symbol].outcome in ANSWERED
        }

    @property
    def problems(self) -> dict[str, str]:
        """What the source said of the symbols it has no bars for."""
        silent = {symbol: self.outcomes[symbol] for symbol in self.requests if symbol not in self.answered_from}
        return {symbol: _sentence(outcome) for symbol, outcome in silent.items()}

    @property
    def failed(self) -> set[str]:
        """The symbols whose calls brought no answer."""
        return {symbol for symbol in self.requests if self.outcomes[symbol].outcome is Outcome.FAILED}

    @property
    def unknown(self) -> set[str]:
        """The symbols that the source does not know, or no longer."""
        return {symbol for symbol in self.requests if self.outcomes[symbol].outcome is Outcome.UNKNOWN}

    @property
    def delisted(self) -> dict[str, str]:
        """What the source said of the symbols that have ceased to trade."""
        return {
            symbol: self.outcomes[symbol].detail or "delisted"
            for symbol in self.requests
            if self.outcomes[symbol].outcome is Outcome.DELISTED
        }

    @property
    def silent(self) -> set[str]:
        """The symbols that the source knows, or did not answer for, and has no bar of that is valid."""
        has_bar = set(np.flatnonzero(self.window.has_bar.any(axis=0)).tolist())
        known = (Outcome.OK, Outcome.EMPTY, Outcome.FAILED)
        return {
            symbol
            for column, symbol in enumerate(self.window.grid.symbols)
            if column not in has_bar and symbol in self.requests and self.outcomes[symbol].outcome in known
        }

    def served_by(self, names: Collection[str]) -> dict[str, str]:
        """The symbols that one of the named sources answered for in place of the asked one, each with its source."""
        return {symbol: name for symbol, name in self.sources.items() if name in names}

    def without(self, symbols: Collection[str]) -> "Answer":
        """The same without some symbols; rejected bars and problems of actions stay, for they are only reported."""
        if not symbols:
            return self
        kept = {symbol: request for symbol, request in self.requests.items() if symbol not in symbols}
        return replace(self, requests=kept, window=without_symbols(self.window, symbols))

    def without_rejected(self, rejections: Sequence[BarDecision]) -> "Answer":
        """The same without the bars that operators have rejected, which are counted; quarantine holds them already."""
        dropped = decided_bars(self.window.close, self.window.grid, rejections)
        if not dropped.any():
            return self
        counts = Counter(self.bars.counts) + Counter({REJECTED_BY_OPERATOR: int(dropped.sum())})
        return replace(self, bars=replace(self.bars, counts=dict(counts)), window=without_bars(self.window, dropped))


def ask(source: MarketSource, calendar: SessionCalendar, requests: Sequence[BarRequest], grid: Grid) -> Answer:
    """Put the requests, whose symbols and sessions lie on the grid, to the source; none are put to nobody."""
    sent = source.fetch_bars(requests) if requests else FetchResult(BAR_SCHEMA.empty_table(), {})
    bars = validate_bars(sent.bars, requests, calendar)
    return Answer(
        requests=requests_by_symbol(requests),
        bars=bars,
        window=dense_window(bars.valid, grid),
        actions=validate_actions(sent.actions, requests, calendar),
        outcomes=sent.outcomes,
        sources=sent.sources,
    )


def _sentence(answer: SymbolOutcome) -> str:
    return f"{answer.outcome.value}: {answer.detail}" if answer.detail else answer.outcome.value
