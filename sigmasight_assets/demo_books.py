"""The demo portfolios: every kind of position, made of what the market itself has in the demo's window.

What each of them shows, and why its numbers are what they are, is told in ``docs/demo.md``. A market without option
contracts, splits, halts or delistings gets the same portfolios without them.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from sigmasight_assets.demo_market import FUNDS, DemoMarket, valid_closes
from sigmasight_assets.market_data.options import OptionContract
from sigmasight_assets.market_data.protocol import BarRequest, MarketSource
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.portfolios import NewLot

DIVERSIFIED, LONG_SHORT, OPTIONS, PRIVATE, MARGIN, NEW = NAMES = (
    *("Diversified", "Long-short", "Options", "Private", "Margin", "New"),
)
# Positions of sessions in the window at which something happens.
EARLY, MIDDLE, LATER, LATE, LAST_VALUED = 10, 20, 30, 40, 45
# A contract that expires in the window does so at least so many sessions before its end; one that stays open lives on
# for at least so many days after it.
SESSIONS_AFTER_EXPIRY, DAYS_TO_EXPIRY = 8, 30
# Shares of these prices (USD) make option positions of a handy size; how many of them each contract is sought on.
OPTION_PRICES = (Decimal(20), Decimal(250))
ROOT = re.compile("[A-Z]{1,6}")
CANDIDATES = 6


@dataclass(frozen=True)
class DemoBook:
    """A demo portfolio before it is stored: ``flows`` by date, ``valuations`` beside the first by name and date."""

    name: str
    equity: Decimal
    as_of: date
    lots: list[NewLot]
    flows: tuple[tuple[date, Decimal], ...] = ()
    valuations: tuple[tuple[str, date, Decimal], ...] = ()


def demo_books(source: MarketSource, calendar: SessionCalendar, market: DemoMarket) -> list[DemoBook]:
    """The demo portfolios; the one of options is left out where the market has no contracts to make it of."""
    # The splitting stock is among the diversified ones, the other splitting ones are taken last.
    stocks = [*market.splitting[:1], *market.stocks, *market.splitting[1:]]
    books = [
        _diversified(market, stocks[:20]),
        _long_short(market, stocks[20:]),
        _options(source, calendar, market),
        _private(market),
        _margin(market),
        DemoBook(NEW, Decimal(100_000), market.sessions[-1], []),
    ]
    return [book for book in books if book is not None]


def _diversified(market: DemoMarket, stocks: list[str]) -> DemoBook:
    """Twenty stocks of equal weight."""
    start = market.sessions[0]
    return DemoBook(
        DIVERSIFIED, Decimal(250_000), start, [_lot(market, symbol, start, Decimal(11_000)) for symbol in stocks]
    )


def _long_short(market: DemoMarket, stocks: list[str]) -> DemoBook:
    """Longs and shorts with trades: one bought three times, one sold in part, one sold, one bought, money paid in."""
    sessions = market.sessions
    start, middle, late = sessions[0], sessions[MIDDLE], sessions[LATE]
    long, short, (bought, sold) = stocks[:8], stocks[8:16], stocks[16:18]
    lots = [_lot(market, symbol, start, Decimal(9_000)) for symbol in long if symbol != long[1]]
    lots += [_lot(market, symbol, start, Decimal(-7_000)) for symbol in short]
    lots += [_lot(market, long[0], sessions[place], Decimal(3_000)) for place in (EARLY, LATER)]
    lots += [
        _lot(market, long[1], start, Decimal(6_000)),
        _lot(market, long[1], start, Decimal(3_000), closed=late),
        _lot(market, sold, start, Decimal(8_000), closed=late),
        _lot(market, bought, middle, Decimal(8_000)),
    ]
    return DemoBook(LONG_SHORT, Decimal(100_000), start, lots, flows=((middle, Decimal(10_000)),))


def _private(market: DemoMarket) -> DemoBook:
    """A house that is valued twice and a stake in a fund that is sold, beside two listed funds."""
    sessions = market.sessions
    start = sessions[0]
    house = NewLot(
        symbol="Harbour Street 12",
        quantity=Decimal(1),
        entry_price=Decimal(380_000),
        entry_date=start - timedelta(2_000),
        investment_class="PRIVATE",
        market_value=Decimal(410_000),
        valued_on=start - timedelta(30),
    )
    stake = NewLot(
        symbol="Alder Ventures II",
        quantity=Decimal(100),
        entry_price=Decimal(950),
        entry_date=start - timedelta(700),
        exit_price=Decimal(1_260),
        exit_date=sessions[LATE],
        investment_class="PRIVATE",
        market_value=Decimal(120_000),
        valued_on=start - timedelta(45),
    )
    funds = [
        _lot(market, symbol, start, dollars)
        for symbol, dollars in zip(FUNDS, (Decimal(30_000), Decimal(15_000)), strict=True)
    ]
    valuations = (
        (house.symbol, sessions[MIDDLE], Decimal(425_000)),
        (house.symbol, sessions[LAST_VALUED], Decimal(415_500)),
    )
    return DemoBook(PRIVATE, Decimal(600_000), start, [house, stake, *funds], valuations=valuations)


def _margin(market: DemoMarket) -> DemoBook:
    """An account that owes more than it holds until money is paid in, with a halted and a delisted stock."""
    special = [*market.halted[:1], *market.delisted[:1]]
    stocks = [*special, *market.stocks][:5]
    lots = [_lot(market, symbol, market.first_session(symbol), Decimal(13_000)) for symbol in stocks]
    paid_in = (market.sessions[LATER], Decimal(30_000))
    return DemoBook(MARGIN, Decimal(-5_000), market.sessions[0], lots, flows=(paid_in,))


def _lot(market: DemoMarket, symbol: str, opened: date, dollars: Decimal, *, closed: date | None = None) -> NewLot:
    """Whole shares worth about ``dollars`` (negative: short), traded at the closes."""
    entry_price = market.trade_price(symbol, opened)
    quantity = round(dollars / entry_price) or (1 if dollars > 0 else -1)
    return NewLot(
        symbol=symbol,
        quantity=Decimal(quantity),
        entry_price=entry_price,
        entry_date=opened,
        exit_price=market.trade_price(symbol, closed) if closed else None,
        exit_date=closed,
    )


@dataclass(frozen=True)
class _Role:
    """A contract to be found: ``strike`` chooses a price from those of the underlying at the start and at expiry."""

    right: Literal["call", "put"]
    expiry: date
    strike: Callable[[Decimal, Decimal], Decimal]
    contracts: int
    shares: int = 0


def _options(source: MarketSource, calendar: SessionCalendar, market: DemoMarket) -> DemoBook | None:
    """A covered call, a protective put, and two contracts that expire in the window, one of them worthless."""
    sessions = market.sessions
    past = _monthly_expiry(calendar, not_after=sessions[-1 - SESSIONS_AFTER_EXPIRY])
    ahead = _monthly_expiry(calendar, not_after=sessions[-1] + timedelta(DAYS_TO_EXPIRY + 35))
    roles = (
        _Role("call", ahead, lambda start, _: start * Decimal("1.05"), contracts=-2, shares=200),
        _Role("put", ahead, lambda start, _: start * Decimal("0.95"), contracts=1, shares=100),
        _Role("call", past, lambda _, end: end * Decimal("0.92"), contracts=2),
        _Role("put", past, lambda _, end: end * Decimal("0.92"), contracts=-2),
    )
    low, high = OPTION_PRICES
    handy = [
        symbol
        for symbol in market.stocks
        if ROOT.fullmatch(symbol) and low <= market.closes[symbol, sessions[0]] <= high
    ]
    # Each on shares of its own; a contract that did not trade on the first day is passed over for the next one.
    sought = [
        [_contract(market, symbol, role) for symbol in handy[at :: len(roles)][:CANDIDATES]]
        for at, role in enumerate(roles)
    ]
    prices = _first_closes(source, calendar, sessions[0], [each for contracts in sought for each in contracts])
    traded = [[each for each in contracts if each.symbol in prices] for contracts in sought]
    if not all(traded):
        return None
    lots = [
        lot
        for role, (contract, *_) in zip(roles, traded, strict=True)
        for lot in _option_lots(market, role, contract, prices[contract.symbol])
    ]
    return DemoBook(OPTIONS, Decimal(100_000), sessions[0], lots)


def _monthly_expiry(calendar: SessionCalendar, *, not_after: date) -> date:
    """The last third Friday of a month, or the session before it when that is a holiday, that is not later."""
    month = not_after.replace(day=1)
    while True:
        third_friday = month + timedelta(14 + (4 - month.weekday()) % 7)
        expiry = calendar.on_or_before(third_friday)
        if expiry <= not_after:
            return expiry
        month = (month - timedelta(1)).replace(day=1)


def _contract(market: DemoMarket, symbol: str, role: _Role) -> OptionContract:
    end = role.expiry if (symbol, role.expiry) in market.closes else market.sessions[-1]
    wanted = role.strike(market.closes[symbol, market.sessions[0]], market.closes[symbol, end])
    return OptionContract(symbol, role.expiry, role.right, Decimal(int(wanted)))


def _first_closes(
    source: MarketSource, calendar: SessionCalendar, day: date, contracts: Iterable[OptionContract]
) -> dict[str, Decimal]:
    """Closes of a day by contract, of those that traded."""
    requests = [BarRequest(each.symbol, first=day, last=day) for each in contracts]
    closes = valid_closes(source.fetch_bars(requests), requests, calendar)
    return {symbol: close for (symbol, _), close in closes.items()}


def _option_lots(market: DemoMarket, role: _Role, contract: OptionContract, price: Decimal) -> list[NewLot]:
    """The contracts of a role, and the shares that belong to it."""
    start = market.sessions[0]
    lots = [
        NewLot(
            symbol=contract.symbol,
            quantity=Decimal(role.contracts),
            entry_price=price,
            entry_date=start,
            investment_class="OPTIONS",
        )
    ]
    if role.shares:
        underlying = market.trade_price(contract.root, start)
        lots.append(NewLot(contract.root, Decimal(role.shares), underlying, start))
    return lots
