"""What owners do on the evenings of ``nights``: portfolios of every kind, trades, flows, valuations and corrections.

Everything is entered on the evening it happens, at the closes as they were known then, but for what is entered late.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import sqlalchemy as sa

from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_lot, add_valuation, close_lot, delete_lot
from sigmasight_assets.storage.portfolios import (
    NewLot,
    StoredLot,
    add_capital_flow,
    create_portfolio,
    read_lots,
    read_portfolios,
)

OWNER = "owner"
WHOLE, TRADES, CONTRACTS, PRIVATE, LATE = "Whole market", "Trades", "Contracts", "Private", "Late"
# The stock that splits 3:2 while it is held, that which splits 2:1 on the second session, is late and is halted for
# five sessions, that with a wrong bar, that which is delisted, that which is halted every month, and one that is late.
SPLITTING, TROUBLED, WRONG, DELISTED, HALTED, DELAYED = "FOSI", "YERI", "XICE", "DOGA", "GOGO", "KIWI"


@dataclass(frozen=True)
class Desk:
    """An owner's evening: the position of its session among ``days``, and the market as it is known."""

    connection: sa.Connection
    market: SimulatedMarket
    days: Sequence[date]
    place: int

    @property
    def today(self) -> date:
        """The session that has just closed."""
        return self.days[self.place]

    def closes(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        """Today's closes of the symbols that have one, USD, in the share units of today."""
        bars = self.market.fetch_bars([BarRequest(symbol, self.today, self.today) for symbol in symbols]).bars
        names, closes = (bars.column(name).to_pylist() for name in ("symbol", "close_price"))
        return {name: Decimal(f"{close:.4f}") for name, close in zip(names, closes, strict=True)}

    def lot(self, symbol: str, quantity: int, *, held_as: str = "PUBLIC") -> NewLot:
        """A lot that is opened at today's close."""
        price = self.closes([symbol])[symbol]
        return NewLot(symbol, Decimal(quantity), price, self.today, investment_class=held_as)

    def portfolio(self, name: str) -> int:
        """The number of a portfolio."""
        (number,) = (item.portfolio_id for item in read_portfolios(self.connection) if item.name == name)
        return number

    def held(self, name: str, symbol: str) -> StoredLot:
        """The first lot of a symbol in a portfolio."""
        return next(lot for lot in read_lots(self.connection, self.portfolio(name)) if lot.symbol == symbol)

    def create(self, name: str, equity: int, lots: Sequence[NewLot], *, as_of: date | None = None) -> None:
        """Open a portfolio with its lots."""
        create_portfolio(
            self.connection, user=OWNER, name=name, equity=Decimal(equity), as_of=as_of or self.today, lots=list(lots)
        )


def enter_edits(database: Database, market: SimulatedMarket, days: Sequence[date], today: date) -> None:
    """What the owners do on one evening."""
    place = days.index(today)
    if place in EDITS:
        with database.begin() as connection:
            EDITS[place](Desk(connection, market, days, place))


def contract(symbol: str, expiry: str, right: str, strike: Decimal | int) -> str:
    """The OCC symbol; ``expiry`` as yymmdd, ``strike`` cut to whole dollars."""
    return f"{symbol}{expiry}{right}{int(strike) * 1000:08d}"


def _open(desk: Desk) -> None:
    closes = desk.closes([item.symbol for item in desk.market.listings()])
    # Every third is short.
    whole = [desk.lot(symbol, (10 + place) * (1 if place % 3 else -1)) for place, symbol in enumerate(closes)]
    desk.create(WHOLE, 400_000, whole)
    traded = {SPLITTING: 301, DELAYED: -40, WRONG: 90, DELISTED: 50, TROUBLED: -25}
    desk.create(TRADES, 60_000, [desk.lot(symbol, quantity) for symbol, quantity in traded.items()])
    desk.create(CONTRACTS, 50_000, [_option(symbol, quantity, desk.today) for symbol, quantity in _contracts(closes)])
    house = NewLot(
        "House",
        Decimal(1),
        Decimal(250_000),
        desk.today - timedelta(900),
        investment_class="PRIVATE",
        market_value=Decimal(310_000),
        valued_on=desk.today - timedelta(40),
    )
    desk.create(PRIVATE, 350_000, [house, desk.lot("SPY", 100)])


def _contracts(closes: dict[str, Decimal]) -> list[tuple[str, int]]:
    """Contracts and how many: of the splitting stock across its split, of one that is late and one that is halted on
    the day of expiry, and of others that end in and out of the money or run on.
    """
    quiet = [symbol for symbol in closes if symbol not in ("SPY", "TLT")][8:12]
    return [
        (contract(SPLITTING, "190329", "C", closes[SPLITTING] * Decimal("0.9")), 2),
        (contract(SPLITTING, "190329", "P", closes[SPLITTING] * Decimal("1.2")), -3),
        # Its close of the day comes an evening later, and the split is between entry and expiry.
        (contract(TROUBLED, "190315", "P", closes[TROUBLED] * 2), 1),
        (contract(HALTED, "190405", "C", closes[HALTED] * Decimal("0.8")), 1),
        (contract(quiet[0], "190315", "C", closes[quiet[0]] * Decimal("0.8")), -1),
        (contract(quiet[1], "190322", "C", closes[quiet[1]] * 2), 5),
        # Good Friday is no session, so the Thursday before it counts; and one that runs on.
        (contract(quiet[2], "190418", "P", closes[quiet[2]]), 1),
        (contract(quiet[3], "190621", "C", closes[quiet[3]]), -2),
    ]


def _option(symbol: str, quantity: int, day: date) -> NewLot:
    return NewLot(symbol, Decimal(quantity), Decimal("3.25"), day, investment_class="OPTIONS")


def _buy_halted_and_option(desk: Desk) -> None:
    add_lot(desk.connection, desk.portfolio(TRADES), desk.lot(HALTED, 35))
    (underlying,) = desk.closes([WRONG]).items()
    option = _option(contract(WRONG, "190418", "C", underlying[1]), 4, desk.today)
    add_lot(desk.connection, desk.portfolio(CONTRACTS), option)


def _pay_in_on_saturday(desk: Desk) -> None:
    saturday = desk.today - timedelta(2)
    add_capital_flow(desk.connection, desk.portfolio(TRADES), flow_date=saturday, amount=Decimal("12345.67"))


def _enter_forgotten_lot(desk: Desk) -> None:
    forgotten = NewLot("TOZU", Decimal(15), Decimal("21.5"), desk.days[desk.place - 4])
    add_lot(desk.connection, desk.portfolio(TRADES), forgotten)


def _value_house(desk: Desk) -> None:
    """As of three sessions ago."""
    house = desk.held(PRIVATE, "House")
    valued_on = desk.days[desk.place - 3]
    add_valuation(desk.connection, house.position_id, valued_on=valued_on, market_value=Decimal(325_500))


def _sell_option_and_buy_back(desk: Desk) -> None:
    (option,) = [lot for lot in read_lots(desk.connection, desk.portfolio(CONTRACTS)) if lot.symbol.startswith(WRONG)]
    close_lot(desk.connection, option.position_id, exit_date=desk.today, exit_price=Decimal("2.8"))
    bought = desk.held(TRADES, DELAYED)
    price = desk.closes([DELAYED])[DELAYED]
    close_lot(desk.connection, bought.position_id, exit_date=desk.today, exit_price=price)


def _open_late(desk: Desk) -> None:
    """A portfolio as of five sessions ago, before the split, with a lot that is older still."""
    as_of = desk.days[desk.place - 5]
    older = NewLot(SPLITTING, Decimal(-70), Decimal("43.21"), desk.days[1])
    desk.create(LATE, 20_000, [older, NewLot(DELISTED, Decimal(33), Decimal("50.5"), as_of)], as_of=as_of)


def _sell_some_after_split(desk: Desk) -> None:
    """100 of 451.5 shares."""
    price = desk.closes([SPLITTING])[SPLITTING]
    lot = desk.held(TRADES, SPLITTING)
    close_lot(desk.connection, lot.position_id, exit_date=desk.today, exit_price=price, quantity=Decimal(100))


def _delete_lot_and_pay_out(desk: Desk) -> None:
    delete_lot(desk.connection, desk.held(TRADES, "TOZU").position_id)
    add_capital_flow(desk.connection, desk.portfolio(WHOLE), flow_date=desk.today, amount=Decimal(-5_000))


def _buy_at_wrong_close(desk: Desk) -> None:
    add_lot(desk.connection, desk.portfolio(TRADES), desk.lot(WRONG, -60))


def _cash_out_delisted(desk: Desk) -> None:
    lot = desk.held(TRADES, DELISTED)
    close_lot(desk.connection, lot.position_id, exit_date=desk.today, exit_price=Decimal("1.25"))


EDITS: dict[int, Callable[[Desk], None]] = {
    0: _open,
    3: _buy_halted_and_option,
    7: _pay_in_on_saturday,
    10: _enter_forgotten_lot,
    12: _value_house,
    14: _sell_option_and_buy_back,
    19: _open_late,
    20: _sell_some_after_split,
    21: _delete_lot_and_pay_out,
    22: _buy_at_wrong_close,
    26: _cash_out_delisted,
}
