"""Whatever owners and vendors change, and in whichever order: what is stored is what one pass over everything gives.

A machine keeps rows by session as a database does. Each change recomputes from the first session that it touches, from
the stored rows of the session before; nothing else is touched.
"""

from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sigmasight_assets.quant.lots import LedgerState
from sigmasight_assets.quant.snapshots import LedgerResult
from tests.quant.ledger_books import NOT_A_DATE, OPTIONS, PRIVATE, PUBLIC, Book, Dividend, Flow, Lot, Split
from tests.quant.ledger_oracle import oracle_rows
from tests.quant.ledger_strategies import CALENDAR, SYMBOLS, amounts, dividend_amounts, prices, quantities, ratios

LAST = len(CALENDAR) - 1
places = st.integers(0, LAST)
symbols = st.integers(0, SYMBOLS - 1)
# On, before and between sessions.
offsets = st.integers(-2, 2)

new_lots = st.sampled_from((PUBLIC, PUBLIC, OPTIONS, PRIVATE)).flatmap(
    lambda kind: st.builds(
        Lot,
        portfolio=st.integers(0, 2),
        symbol=symbols,
        quantity=st.just(Decimal(1)) if kind == PRIVATE else quantities,
        entry_price=prices,
        entry_date=st.just(CALENDAR[0]),
        kind=st.just(kind),
    )
)
TOLD = ("equity", "daily_pnl", "cumulative_pnl", "unpriced_value", "dividends", "realized_pnl")


@dataclass
class Stored:
    """The rows of one session by number: of portfolios that have a snapshot, of lots that are held or were closed."""

    portfolios: dict[int, dict[str, Any]]
    lots: dict[int, dict[str, Any]]


class Ledger(RuleBasedStateMachine):
    """Sessions that come or are left out, and changes of everything up to them."""

    def __init__(self) -> None:
        super().__init__()
        self.portfolios: list[tuple[date, Decimal]] = [(CALENDAR[0], Decimal(1000))]
        # By number, which is the order of entry; the ledger wants them by portfolio.
        self.lots: list[Lot] = []
        self.flows: list[Flow] = []
        self.dividends: list[Dividend] = []
        self.splits: list[Split] = []
        self.closes: list[list[Decimal | None]] = [[Decimal(20), None, Decimal(7)] for _ in CALENDAR]
        self.today = -1
        self.stored: dict[int, Stored] = {}

    @precondition(lambda self: self.today < LAST)
    @rule(computed=st.sampled_from((True, True, True, False)), closes=st.lists(prices, min_size=2, max_size=2))
    def another_session(self, computed: bool, closes: list[Decimal]) -> None:
        """The last symbol hardly ever trades; a session that is not computed is a hole."""
        self.today += 1
        self.closes[self.today] = [*closes, self.closes[self.today][2] if self.today % 7 == 0 else None]
        if computed:
            self._compute([self.today])

    @precondition(lambda self: self.today >= 0)
    @rule(place=places)
    def fill_a_hole(self, place: int) -> None:
        holes = [row for row in range(self.today + 1) if row not in self.stored]
        if holes:
            row = holes[place % len(holes)]
            self._compute(sorted([row, *(later for later in self.stored if later > row)]))

    @rule(place=places, offset=offsets, equity=amounts)
    def open_portfolio(self, place: int, offset: int, equity: Decimal) -> None:
        if len(self.portfolios) < 3:
            day = self._day(place, offset)
            self.portfolios.append((day, equity))
            self._recompute(day)

    @rule(lot=new_lots, place=places, offset=offsets)
    def buy(self, lot: Lot, place: int, offset: int) -> None:
        if len(self.lots) < 8:
            day = self._day(place, offset)
            valuations = ((day, lot.entry_price),) if lot.kind == PRIVATE else ()
            owner = lot.portfolio % len(self.portfolios)
            self.lots.append(replace(lot, portfolio=owner, entry_date=day, valuations=valuations))
            self._recompute(day)

    @precondition(lambda self: self.lots)
    @rule(which=st.integers(0, 7), held=st.integers(0, 12), price=prices)
    def sell(self, which: int, held: int, price: Decimal) -> None:
        number = which % len(self.lots)
        lot = self.lots[number]
        if lot.exit_date is None:
            self.lots[number] = replace(lot, exit_date=lot.entry_date + timedelta(days=held), exit_price=price)
            self._recompute(lot.entry_date + timedelta(days=held))

    @precondition(lambda self: self.lots)
    @rule(which=st.integers(0, 7), price=prices)
    def correct_the_entry(self, which: int, price: Decimal) -> None:
        number = which % len(self.lots)
        self.lots[number] = replace(self.lots[number], entry_price=price)
        self._recompute(self.lots[number].entry_date)

    @rule(owner=st.integers(0, 2), place=places, offset=offsets, amount=amounts)
    def pay_in(self, owner: int, place: int, offset: int, amount: Decimal) -> None:
        day = self._day(place, offset)
        self.flows.append(Flow(owner % len(self.portfolios), day, amount))
        self._recompute(day)

    @rule(symbol=symbols, place=places, amount=dividend_amounts)
    def learn_of_a_dividend(self, symbol: int, place: int, amount: Decimal) -> None:
        self.dividends.append(Dividend(symbol, CALENDAR[place], amount))
        self._recompute(CALENDAR[place])

    @rule(symbol=symbols, place=places, ratio=ratios)
    def learn_of_a_split(self, symbol: int, place: int, ratio: tuple[int, int]) -> None:
        """All history is in other units: everything is computed anew."""
        if len(self.splits) < 2:
            self.splits.append(Split(symbol, CALENDAR[place], *ratio))
            self._recompute(date.min)

    @precondition(lambda self: self.today >= 0)
    @rule(place=places, symbol=symbols, close=st.none() | prices)
    def restate_a_close(self, place: int, symbol: int, close: Decimal | None) -> None:
        row = min(place, self.today)
        self.closes[row] = [close if column == symbol else kept for column, kept in enumerate(self.closes[row])]
        self._recompute(CALENDAR[row])

    @invariant()
    def is_what_one_pass_gives(self) -> None:
        rows = sorted(self.stored)
        if not rows:
            return
        book = self._book()
        whole = book.roll(rows)
        assert self._taken(whole) == [self.stored[row] for row in rows]
        assert not any(book.offenders(whole))

    def teardown(self) -> None:
        """And what a ledger in fractions gives."""
        rows = sorted(self.stored)
        for owner in range(len(self.portfolios)):
            for row, expected in zip(rows, oracle_rows(self._book(), owner, rows), strict=True):
                found = self.stored[row].portfolios.get(owner)
                assert (found is None) == (expected is None)
                if found is not None:
                    assert {name: found[name] for name in TOLD} == {
                        name: getattr(expected, name) * 10**8 for name in TOLD
                    }

    def _day(self, place: int, offset: int) -> date:
        """A day of the past, or the near future."""
        return CALENDAR[min(place, self.today + 2, LAST)] + timedelta(days=offset)

    def _order(self) -> list[int]:
        """The numbers of the lots as the ledger has them."""
        return sorted(range(len(self.lots)), key=lambda number: self.lots[number].portfolio)

    def _book(self) -> Book:
        return Book(
            portfolios=self.portfolios,
            lots=[self.lots[number] for number in self._order()],
            calendar=CALENDAR,
            closes=self.closes,
            flows=self.flows,
            splits=self.splits,
            dividends=self.dividends,
        )

    def _recompute(self, first: date) -> None:
        """Compute the stored sessions from a date on anew."""
        rows = sorted(row for row in self.stored if CALENDAR[row] >= first)
        if rows:
            self._compute(rows)

    def _compute(self, rows: list[int]) -> None:
        before = max((row for row in self.stored if row < rows[0]), default=None)
        book = self._book()
        state = book.initial_state() if before is None else self._state(before)
        result = book.roll(rows, state)
        assert not any(book.offenders(result, state))
        self.stored |= dict(zip(rows, self._taken(result), strict=True))

    def _state(self, row: int) -> LedgerState:
        """The state as a reader of the stored rows has it; what was entered since has no rows."""
        stored = self.stored[row]
        owners = [stored.portfolios.get(owner, {}) for owner in range(len(self.portfolios))]
        lots = [stored.lots.get(number, {}) for number in self._order()]
        day = np.datetime64(CALENDAR[row], "D")
        return LedgerState(
            session=np.array([day if owner else NOT_A_DATE for owner in owners], "datetime64[D]"),
            equity=np.array([owner.get("equity", 0) for owner in owners], np.int64),
            cumulative_pnl=np.array([owner.get("cumulative_pnl", 0) for owner in owners], np.int64),
            value=np.array([lot.get("value", 0) for lot in lots], np.int64),
            price=np.array([lot.get("price", 0) for lot in lots], np.int64),
            has_mark=np.array([lot.get("has_mark", False) for lot in lots], np.bool_),
        )

    def _taken(self, result: LedgerResult) -> list[Stored]:
        """The rows of a result as they are stored; a ratio that is missing is None."""
        place = {number: index for index, number in enumerate(self._order())}
        stored = []
        for t in range(len(result.sessions)):
            owners = {owner: _row(result.snapshots.at(t), owner) for owner in range(len(self.portfolios))}
            lots = {number: _row(result.position_values.at(t), place[number]) for number in range(len(self.lots))}
            stored.append(
                Stored(
                    {owner: row for owner, row in owners.items() if row["exists"]},
                    {number: row for number, row in lots.items() if row["status"] or row["pnl"]},
                )
            )
        return stored


def _row(columns: Any, index: int) -> dict[str, Any]:
    values = {field.name: getattr(columns, field.name)[index].item() for field in fields(columns)}
    return {name: None if value != value else value for name, value in values.items()}  # noqa: PLR0124


def test_ledger_does_what_one_pass_gives() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
