"""The stress-test answers: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 7.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Literal, Self

import numpy as np

from sigmasight_api.answers import carried_figures, stated
from sigmasight_api.books import OPTIONS, PRIVATE, Book, Holdings
from sigmasight_api.formats import optional_cents, optional_number
from sigmasight_api.per_view import PerView
from sigmasight_api.scenarios import given_returns, severity
from sigmasight_api.schemas import AnalyticsAnswer, Excluded
from sigmasight_api.stress_schemas import (
    Category,
    CustomScenario,
    ScenarioEntry,
    ScenarioImpact,
    Severity,
    ShockSet,
    StressEffect,
    StressTest,
)
from sigmasight_api.valuation import ValuedPositions, held_options, private_share, valued_positions
from sigmasight_api.view import NO_PRICE, MarketView
from sigmasight_assets.quant.arrays import BoolArray, FloatArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.stress import (
    MARKET,
    SHOCK_FACTORS,
    STYLES,
    BookStress,
    RateModel,
    Shocks,
    StressTable,
    book_stress,
    sensitivities,
    shocks,
)

# The style betas of a symbol are read against those of the market fund.
NO_SPY_BETAS = "no_spy_betas"
CUSTOM: Literal["custom"] = "custom"

StressAnalytic = Callable[[Book, Holdings, MarketView], AnalyticsAnswer[StressTest]]


@dataclass(frozen=True, slots=True, eq=False)
class _Scenario:
    """A scenario as answers name it, with its shocks as returns (8,), NaN where there is none."""

    id: str
    name: str
    category: Category
    severity: Severity
    rates_bp: float | None
    given: FloatArray

    @classmethod
    def of(cls, identity: str, name: str, category: Category, asked: ShockSet, rates: RateModel) -> Self:
        """The scenario with this identifier."""
        given = given_returns(asked, rates)
        return cls(identity, name, category, severity(given), asked.rates_bp, given)


class StressTests:
    """Answers for the scenarios of this API; what they do to the symbols of a view is computed once a view."""

    def __init__(self, scenarios: Sequence[ScenarioEntry], rates: RateModel) -> None:
        self._rates = rates
        self._scenarios = [_Scenario.of(entry.id, entry.name, entry.category, entry, rates) for entry in scenarios]
        self._given = np.array([scenario.given for scenario in self._scenarios])
        self._tables = PerView(self._table)

    def table(self, view: MarketView) -> StressTable:
        """What the scenarios do to each symbol of the view."""
        return self._tables.of(view)

    def stress_test(self, book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[StressTest]:
        """The answer for a portfolio and all scenarios; the newest snapshot of ``book`` is not newer than the view."""
        return self._answer(book, holdings, view, self._scenarios)

    def custom(self, asked: CustomScenario) -> StressAnalytic:
        """The same for one scenario of the caller's own."""
        scenario = _Scenario.of(CUSTOM, asked.name, CUSTOM, asked, self._rates)

        def stress_test(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[StressTest]:
            return self._answer(book, holdings, view, [scenario], given=scenario.given[np.newaxis])

        return stress_test

    def _answer(
        self,
        book: Book,
        holdings: Holdings,
        view: MarketView,
        scenarios: Sequence[_Scenario],
        *,
        given: FloatArray | None = None,
    ) -> AnalyticsAnswer[StressTest]:
        """Of all scenarios of the API, or of those that are ``given`` (N, 8)."""
        valued, table = valued_positions(holdings.shares, view), self.table(view)
        options = held_options(holdings, view, snapshot_session=book.equity_session)
        known = table.knows(valued.rows)
        rows, market_value = valued.rows[known], valued.market_value[known]
        if given is not None:
            table = StressTable.of(table.sensitivities[rows], shocks(given, view.covariance))
            rows = np.arange(rows.size)
        excluded = _excluded(holdings, options, valued, known, view)
        held = _HeldStress(
            symbols=tuple(compress(valued.symbols, known.tolist())),
            has_numbers=bool(known.any()) or not excluded,
            equity=None if book.equity is None else float(book.equity),
            moves=table.shocks,
            result=book_stress(table, rows, market_value),
        )
        gross = float(np.abs(valued.market_value).sum())
        return AnalyticsAnswer[StressTest](
            **stated(book, view),
            coverage=float(np.abs(market_value).sum()) / gross if gross > 0 else None,
            private_share=private_share(valued, options, holdings.private, view),
            excluded=excluded,
            incomplete=[],
            carried=carried_figures(valued, np.repeat(~known[:, np.newaxis], len(SHOCK_FACTORS), axis=1), view),
            data=StressTest(
                scenarios=[_impact(scenario, held, place) for place, scenario in enumerate(scenarios)],
                duration=self._rates.duration,
                convexity=self._rates.convexity,
                covariance_session=view.covariance_session,
            ),
        )

    def _table(self, view: MarketView) -> StressTable:
        found = sensitivities(view.betas, view.rows.get(FACTOR_ETFS[MARKET]))
        return StressTable.of(found, shocks(self._given, view.covariance))


@dataclass(frozen=True, slots=True, eq=False)
class _HeldStress:
    """What scenarios do to the symbols of a book; with none of them it has numbers only if it is empty."""

    symbols: tuple[str, ...]
    has_numbers: bool
    equity: float | None
    moves: Shocks
    result: BookStress

    def number(self, value: np.float64, moves: FloatArray) -> float:
        """The value, NaN when it is of no position or of moves that are not all known: a sum of none would be 0."""
        return float(value) if self.has_numbers and not np.isnan(moves).any() else np.nan


def _impact(scenario: _Scenario, held: _HeldStress, place: int) -> ScenarioImpact:
    """The part of the answer about the scenario at this place."""
    result = held.result
    correlated = held.number(result.correlated[place], held.moves.correlated[place])
    direct = held.number(result.direct[place], held.moves.direct[place])
    floored = list(compress(held.symbols, result.is_floored[:, place].tolist()))
    return ScenarioImpact(
        id=scenario.id,
        name=scenario.name,
        category=scenario.category,
        severity=scenario.severity,
        rates_bp=scenario.rates_bp,
        correlated=optional_cents(correlated),
        direct=optional_cents(direct),
        share_of_equity=optional_number(correlated / held.equity) if held.equity and held.equity > 0 else None,
        is_beyond_equity=_is_beyond(correlated, held.equity),
        reason=None if not np.isnan(correlated) else "no_covariance" if held.has_numbers else "no_sensitivities",
        effects=_effects(held, place),
        floored_dollars=optional_cents(held.number(result.floored[place], held.moves.correlated[place])),
        floored_count=len(floored),
        floored_symbols=floored,
    )


def _is_beyond(profit: float, equity: float | None) -> bool | None:
    """Whether the loss is larger than what the account has."""
    return None if equity is None or np.isnan(profit) else -profit > max(equity, 0.0)


def _effects(held: _HeldStress, place: int) -> list[StressEffect]:
    """Of the factors that are given, and when a style is among them, of all styles."""
    moves, is_given = held.moves.correlated[place], held.moves.is_given[place]
    shown = is_given.copy()
    shown[STYLES] |= is_given[STYLES].any()
    return [
        StressEffect(
            factor=factor.name,
            shock=optional_number(move),
            source="given" if given else "implied",
            dollars=optional_cents(effect) if held.has_numbers else None,
        )
        for factor, move, effect, given, is_shown in zip(
            SHOCK_FACTORS, moves.tolist(), held.result.effects[place].tolist(), is_given.tolist(), shown, strict=True
        )
        if is_shown
    ]


def _excluded(
    holdings: Holdings, options: Iterable[str], valued: ValuedPositions, known: BoolArray, view: MarketView
) -> list[Excluded]:
    entries = [Excluded(symbol=symbol, reason=NO_PRICE) for symbol in valued.unpriced]
    others = (*((symbol, OPTIONS) for symbol in options), *((lot.symbol, PRIVATE) for lot in holdings.private))
    entries += [Excluded(symbol=symbol, reason=kind.lower()) for symbol, kind in dict.fromkeys(others)]
    for place in np.flatnonzero(~known).tolist():
        symbol = valued.symbols[place]
        missing = np.flatnonzero(np.isnan(view.betas[valued.rows[place], : len(SHOCK_FACTORS)])).tolist()
        reason = view.missing_reason(symbol, missing[0]) if missing else NO_SPY_BETAS
        entries.append(Excluded(symbol=symbol, reason=reason))
    return sorted(entries, key=lambda entry: entry.symbol)
