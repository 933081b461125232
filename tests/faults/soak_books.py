"""The owners of the soak: portfolios of every kind, and what they do on random evenings."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import sqlalchemy as sa

from sigmasight_assets.errors import BookError
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.storage.lots import add_lot, add_valuation, close_lot, correct_lot, delete_lot
from sigmasight_assets.storage.portfolios import (
    NewLot,
    StoredLot,
    add_capital_flow,
    create_portfolio,
    read_lots,
    read_portfolios,
)

OWNER = "owner"
PRICE = Decimal("0.0001")


@dataclass(frozen=True)
class Owners:
    """What owners see on an evening: closes of today, the sessions so far, and symbols that nobody tracks yet."""

    connection: sa.Connection
    chance: random.Random
    closes: dict[str, Decimal]
    days: Sequence[date]
    untracked: Sequence[str]

    @property
    def today(self) -> date:
        """The session that has just closed."""
        return self.days[-1]

    def act(self) -> str:
        """One of them does something; what it was."""
        edits: list[Callable[[], None]] = [
            self._buy,
            self._buy,
            self._buy_late,
            self._buy_new,
            self._buy_contract,
            self._close,
            self._close,
            self._close_part,
            self._flow,
            self._value,
            self._correct,
            self._delete,
            self.open_portfolio,
        ]
        edit = self.chance.choice(edits)
        with suppress(BookError):
            edit()
        return edit.__name__.strip("_")

    def open_portfolio(self) -> None:
        """A portfolio of shares, long and short, perhaps with a contract or a house, and sometimes as of the past."""
        number = len(read_portfolios(self.connection)) + 1
        symbols = self.chance.sample(sorted(self.closes), self.chance.choice((1, 5, 12)))
        lots = [self._lot(symbol) for symbol in symbols]
        if self.chance.random() < 0.3:
            lots.append(self._contract())
        if self.chance.random() < 0.3:
            lots.append(self._house())
        as_of = self.chance.choice([self.today, *self.days[-3:]])
        name, equity = f"Book {number}", Decimal(self.chance.randrange(50_000, 900_000))
        create_portfolio(self.connection, user=OWNER, name=name, equity=equity, as_of=as_of, lots=lots)

    def _portfolio(self) -> int:
        return self.chance.choice([item.portfolio_id for item in read_portfolios(self.connection)])

    def _open_lot(self, *classes: str) -> StoredLot:
        lots = read_lots(self.connection, self._portfolio(), open_at=self.today)
        found = [lot for lot in lots if lot.investment_class in classes]
        if not found:
            raise BookError("nothing of the kind is held")
        return self.chance.choice(found)

    def _quantity(self) -> Decimal:
        return Decimal(self.chance.choice((1, 7, 40, 250, Decimal("12.5")))) * self.chance.choice((1, 1, 1, -1))

    def _lot(self, symbol: str, *, entered: date | None = None) -> NewLot:
        price = self.closes.get(symbol, Decimal(40))
        return NewLot(symbol, self._quantity(), price, entered or self.today)

    def _contract(self) -> NewLot:
        """A contract of four to ninety days on a share that has a close today."""
        symbol = self.chance.choice(sorted(name for name in self.closes if len(name) <= 5))
        expiry = self.today + timedelta(self.chance.choice((4, 11, 25, 90)))
        expiry += timedelta((4 - expiry.weekday()) % 7)
        strike = max(1, int(self.closes[symbol] * Decimal(self.chance.choice(("0.8", "1", "1.2")))))
        name = f"{symbol}{expiry:%y%m%d}{self.chance.choice('CP')}{strike * 1000:08d}"
        quantity = Decimal(self.chance.choice((1, 3, -2)))
        return NewLot(name, quantity, Decimal("2.5"), self.today, investment_class="OPTIONS")

    def _house(self) -> NewLot:
        entered, valued = self.today - timedelta(400), self.today - timedelta(self.chance.randrange(60))
        return NewLot(
            "House",
            Decimal(1),
            Decimal(200_000),
            entered,
            investment_class="PRIVATE",
            market_value=Decimal(self.chance.randrange(150_000, 350_000)),
            valued_on=valued,
        )

    def _buy(self) -> None:
        add_lot(self.connection, self._portfolio(), self._lot(self.chance.choice(sorted(self.closes))))

    def _buy_late(self) -> None:
        """A trade of some sessions ago that was forgotten."""
        lot = self._lot(self.chance.choice(sorted(self.closes)), entered=self.chance.choice(self.days[-10:]))
        add_lot(self.connection, self._portfolio(), lot)

    def _buy_new(self) -> None:
        """A share that nobody tracks yet."""
        if self.untracked:
            add_lot(self.connection, self._portfolio(), self._lot(self.chance.choice(self.untracked)))

    def _buy_contract(self) -> None:
        add_lot(self.connection, self._portfolio(), self._contract())

    def _exit_price(self, lot: StoredLot) -> Decimal:
        is_contract = lot.investment_class == "OPTIONS"
        return Decimal("1.75") if is_contract else self.closes.get(lot.symbol, Decimal(10))

    def _close(self) -> None:
        lot = self._open_lot("PUBLIC", "OPTIONS")
        if lot.investment_class == "OPTIONS" and parse_occ_symbol(lot.symbol).expiry < self.today:
            return
        close_lot(self.connection, lot.position_id, exit_date=self.today, exit_price=self._exit_price(lot))

    def _close_part(self) -> None:
        lot = self._open_lot("PUBLIC")
        price, quantity = self._exit_price(lot), Decimal(1)
        close_lot(self.connection, lot.position_id, exit_date=self.today, exit_price=price, quantity=quantity)

    def _flow(self) -> None:
        """Perhaps dated between two sessions."""
        day = self.today - timedelta(self.chance.randrange(8))
        amount = Decimal(self.chance.randrange(-500_000, 900_000)) / 100
        add_capital_flow(self.connection, self._portfolio(), flow_date=day, amount=amount)

    def _value(self) -> None:
        lot = self._open_lot("PRIVATE")
        valued_on, value = self.today - timedelta(self.chance.randrange(5)), self.chance.randrange(150_000, 350_000)
        add_valuation(self.connection, lot.position_id, valued_on=valued_on, market_value=Decimal(value))

    def _correct(self) -> None:
        """The price paid was another."""
        lot = self._open_lot("PUBLIC")
        assert lot.entry_price is not None
        terms = NewLot(lot.symbol, lot.quantity, (lot.entry_price * Decimal("1.01")).quantize(PRICE), lot.entry_date)
        if lot.units_date is None:
            correct_lot(self.connection, lot.position_id, terms)

    def _delete(self) -> None:
        delete_lot(self.connection, self._open_lot("PUBLIC").position_id)
