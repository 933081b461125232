"""Whatever changes, in whatever order it is run: what was computed selectively is what computing everything gives.

Each case is a random story of restated, withdrawn and late bars, corporate actions, profiles and owners' edits, with
publications and snapshots of some sessions in between, in slices of any size. In the end the gate brings everything up
to date; then all snapshots are forgotten and made anew.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.errors import BookError, NotReadyError
from sigmasight_assets.market_data.protocol import DIVIDEND
from sigmasight_assets.orchestration import portfolio_publication
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_lot, close_lot, delete_lot
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio, read_lots, read_portfolios
from tests.orchestration.books import (
    CALL,
    DAYS,
    FADING,
    HALTING,
    HISTORY_START,
    MOVING,
    PUT,
    RUNNING,
    SHORTED,
    SOLID,
    SPLIT_CALL,
    WAITING,
    answer_requests,
    books_market,
    publish_symbols,
)
from tests.orchestration.contents import assert_same_figures, execute
from tests.orchestration.markets import ScriptedMarket, bar
from tests.orchestration.portfolio_runs import (
    ROW_TABLES,
    assert_equal_to_oracle,
    content,
    next_range,
    run,
    run_gate,
)
from tests.orchestration.symbol_runs import delete_bars, mark

SHARES = (HALTING, FADING, SOLID, SHORTED, MOVING)
CONTRACTS = (CALL, PUT, SPLIT_CALL, RUNNING, WAITING)
CHANGES, CASES = 7, 6


class Story:
    """A market, its database, and a die."""

    def __init__(self, database: Database, calendar: SessionCalendar, seed: int) -> None:
        self.database, self.calendar = database, calendar
        self.market: ScriptedMarket = books_market(calendar)
        self.die = random.Random(seed)

    def symbol(self) -> str:
        return self.die.choice((*SHARES, *SHARES, *CONTRACTS))

    def fetch(self, day: date) -> None:
        """Ask for a session once more: it and the four before it are compared, all history if one differs."""
        update_prices(
            self.database, self.market, self.calendar, sessions=[day], history_start=HISTORY_START, run_id="prices"
        )

    def restate(self) -> None:
        symbol, day = self.symbol(), self.die.choice(DAYS)
        if (symbol, day) in self.market.bars:
            self.market.restate(symbol, day, 1 + self.die.choice((-1, 1)) / 64)
        self.fetch(day)

    def withdraw_bar(self) -> None:
        symbol, day = self.symbol(), self.die.choice(DAYS)
        self.market.bars.pop((symbol, day), None)
        delete_bars(self.database, day, symbol)
        mark(self.database, symbol, day, has_new_returns=True)

    def bring_bar(self) -> None:
        missing = [(symbol, day) for symbol in SHARES for day in DAYS if (symbol, day) not in self.market.bars]
        symbol, day = self.die.choice(missing)
        self.market.bars[symbol, day] = bar(round(self.die.uniform(20, 60), 4))
        self.fetch(day)

    def split(self) -> None:
        self.market.split(self.die.choice(SHARES), self.die.choice(DAYS), *self.die.choice([(2, 1), (1, 3), (3, 2)]))
        self.fetch(DAYS[-1])

    def pay(self) -> None:
        self.market.pay(self.die.choice(SHARES), self.die.choice(DAYS), self.die.choice((0.25, 0.5)))
        self.fetch(DAYS[-1])

    def withdraw_dividend(self) -> None:
        stated = sorted(key for key in self.market.actions if key[2] == DIVIDEND)
        if stated:
            del self.market.actions[self.die.choice(stated)]
        self.fetch(DAYS[-1])

    def learn_profile(self) -> None:
        execute(
            self.database,
            "INSERT INTO company_profiles (symbol, captured_on, provider_beta, source) "
            "VALUES (:symbol, :day, :beta, 'test') "
            "ON CONFLICT (symbol, captured_on) DO UPDATE SET provider_beta = :beta",
            symbol=self.die.choice(SHARES),
            day=self.die.choice(DAYS),
            beta=self.die.choice((None, 0.5, 1.5)),
        )

    def trade(self) -> None:
        """Somebody opens, closes or deletes a lot, or moves money."""
        # A contract that has expired cannot be closed.
        with suppress(BookError), self.database.begin() as connection:
            number = self.die.choice(read_portfolios(connection)).portfolio_id
            lots = [lot for lot in read_lots(connection, number) if lot.exit_date is None]
            day = self.die.choice(DAYS)
            what = self.die.choice(("open", "close", "delete", "pay in"))
            if what == "open" or not lots:
                add_lot(connection, number, self.new_lot(day))
            elif what == "close":
                lot = self.die.choice(lots)
                day = max(day, lot.entry_date)
                close_lot(connection, lot.position_id, exit_date=day, exit_price=Decimal("21.5"))
            elif what == "delete":
                delete_lot(connection, self.die.choice(lots).position_id)
            else:
                add_capital_flow(connection, number, flow_date=day, amount=Decimal(123))

    def open_portfolio(self) -> None:
        with self.database.begin() as connection:
            lots = [self.new_lot(self.die.choice((date(2025, 4, 30), *DAYS))) for _ in range(4)]
            create_portfolio(
                connection,
                user="bob",
                name=str(self.die.random()),
                equity=Decimal(20_000),
                as_of=self.die.choice(DAYS),
                lots=lots,
            )

    def new_lot(self, day: date) -> NewLot:
        symbol, quantity = self.symbol(), Decimal(self.die.choice((-5, 3, 12)))
        held_as = "OPTIONS" if symbol in CONTRACTS else "PUBLIC"
        sold = day + timedelta(self.die.randrange(9))
        closing: dict[str, Any] = {"exit_price": Decimal("33.25"), "exit_date": sold} if self.die.random() < 0.4 else {}
        return NewLot(symbol, quantity, Decimal("30.5"), day, investment_class=held_as, **closing)

    def publish_symbols(self) -> None:
        first = self.die.randrange(len(DAYS))
        publish_symbols(self.database, DAYS[first : first + self.die.choice((1, 3, 12))])
        answer_requests(self.database)

    def publish_snapshots(self) -> None:
        """By hand over some sessions, by the gate, or not at all."""
        choice = self.die.choice(("none", "by hand", "by hand", "gate"))
        if choice == "by hand":
            first = self.die.randrange(len(DAYS))
            with suppress(NotReadyError):
                run(self.database, DAYS[first : first + self.die.choice((1, 3, 12))])
        elif choice == "gate":
            run_gate(self.database)

    def live(self, monkeypatch: pytest.MonkeyPatch) -> None:
        changes: list[Callable[[], None]] = [
            self.restate,
            self.restate,
            self.withdraw_bar,
            self.bring_bar,
            self.split,
            self.pay,
            self.withdraw_dividend,
            self.learn_profile,
            self.trade,
            self.trade,
            self.open_portfolio,
        ]
        for _ in range(CHANGES):
            self.die.choice(changes)()
            self.publish_symbols()
            monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", self.die.choice((1, 20, 1_000_000)))
            self.publish_snapshots()


@pytest.mark.parametrize("seed", range(CASES))
def test_selective_snapshots_are_those_of_computing_everything(
    done: Database, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    Story(done, calendar, seed).live(monkeypatch)
    # All that is still marked is published, and everything is brought up to date.
    publish_symbols(done, DAYS)
    for _ in range(5):
        if run_gate(done) is None:
            break
    assert next_range(done) is None
    found = content(done)
    for table in (*ROW_TABLES, "snapshot_inputs"):
        execute(done, f"DELETE FROM {table}")
    assert run(done).published == DAYS
    assert_same_figures(found, content(done))
    assert_equal_to_oracle(done)
