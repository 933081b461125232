"""The demo portfolios: each shows what it is there for, on any market and at any time."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.demo_books import NAMES, DemoBook, demo_books
from sigmasight_assets.demo_market import DemoMarket, read_demo_market
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult, MarketSource
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.portfolios import NewLot
from tests.orchestration.markets import ScriptedMarket, bar, copied

CALENDAR = exchange_calendar()
LAST = date(2026, 6, 30)


def window(last: date) -> list[date]:
    return CALENDAR.between(CALENDAR.offset(last, -59), last)


def books_of(source: MarketSource, last: date) -> tuple[DemoMarket, dict[str, DemoBook]]:
    market = read_demo_market(source, CALENDAR, window(last))
    return market, {book.name: book for book in demo_books(source, CALENDAR, market)}


@pytest.fixture(scope="module")
def rich() -> tuple[DemoMarket, dict[str, DemoBook]]:
    """The portfolios of the ordinary demo."""
    return books_of(SimulatedMarket(CALENDAR, stocks=500, as_of=LAST), LAST)


@pytest.fixture
def scripted() -> ScriptedMarket:
    """A market of bars alone, whose data has ended."""
    return copied(SimulatedMarket(CALENDAR, stocks=50, as_of=LAST), first=window(LAST)[0], last=LAST)


def dollars(lots: Sequence[NewLot]) -> list[Decimal]:
    return [lot.quantity * lot.entry_price for lot in lots if lot.entry_price is not None]


def require_sound(market: DemoMarket, books: dict[str, DemoBook]) -> None:
    """Whole lots, entered and closed at what the market traded at, in the window."""
    for book in books.values():
        for lot in book.lots:
            assert lot.quantity == lot.quantity.to_integral_value() != 0
            assert lot.entry_price is not None
            assert lot.entry_price > 0
            if lot.investment_class != "PUBLIC":
                continue
            assert lot.entry_price == market.trade_price(lot.symbol, lot.entry_date)
            assert lot.entry_date >= book.as_of
            if lot.exit_date is not None:
                assert lot.exit_price == market.trade_price(lot.symbol, lot.exit_date)


class TestTheOrdinaryDemo:
    def test_there_is_a_portfolio_of_every_kind(self, rich: tuple[DemoMarket, dict[str, DemoBook]]) -> None:
        market, books = rich
        assert tuple(books) == NAMES
        require_sound(market, books)

    def test_diversified_holds_twenty_stocks_alike_and_one_splits(
        self, rich: tuple[DemoMarket, dict[str, DemoBook]]
    ) -> None:
        market, books = rich
        book = books["Diversified"]
        assert len({lot.symbol for lot in book.lots}) == len(book.lots) == 20
        assert all(abs(each - 11_000) < 600 for each in dollars(book.lots))
        splitting = [lot.symbol for lot in book.lots if lot.symbol in market.splitting]
        assert splitting == market.splitting[:1] != []
        assert {lot.entry_date for lot in book.lots} == {market.sessions[0]}

    def test_long_short_trades(self, rich: tuple[DemoMarket, dict[str, DemoBook]]) -> None:
        market, books = rich
        book, sessions = books["Long-short"], market.sessions
        lots = Counter(lot.symbol for lot in book.lots)
        assert sorted(lots.values()) == [1] * 16 + [2, 3]
        assert sum(lot.quantity < 0 for lot in book.lots) == 8
        (thrice,) = [symbol for symbol, count in lots.items() if count == 3]
        assert [lot.entry_date for lot in book.lots if lot.symbol == thrice] == [sessions[at] for at in (0, 10, 30)]
        twice = [lot for lot in book.lots if lots[lot.symbol] == 2]
        assert len({(lot.entry_date, lot.entry_price) for lot in twice}) == 1
        assert [lot.exit_date for lot in twice] == [None, sessions[40]]
        assert twice[0].symbol in market.stocks
        assert [lot.exit_date for lot in book.lots].count(sessions[40]) == 2
        assert book.flows == ((sessions[20], Decimal(10_000)),)
        assert not {lot.symbol for lot in book.lots} & {lot.symbol for lot in books["Diversified"].lots}
        assert sum(map(abs, dollars(book.lots))) < 2 * book.equity

    def test_options_cover_protect_and_expire(self, rich: tuple[DemoMarket, dict[str, DemoBook]]) -> None:
        market, books = rich
        shares = {lot.symbol: lot.quantity for lot in books["Options"].lots if lot.investment_class == "PUBLIC"}
        (call, put, won, lost) = [lot for lot in books["Options"].lots if lot.investment_class == "OPTIONS"]
        contracts = {lot.symbol: parse_occ_symbol(lot.symbol) for lot in (call, put, won, lost)}
        assert [contracts[lot.symbol].right for lot in (call, put, won, lost)] == ["call", "put", "call", "put"]
        assert [lot.quantity for lot in (call, put, won, lost)] == [-2, 1, 2, -2]
        assert shares == {contracts[call.symbol].underlying: 200, contracts[put.symbol].underlying: 100}
        for lot in (call, put):
            assert (contracts[lot.symbol].expiry - market.sessions[-1]).days >= 30
        for lot, is_worth_something in ((won, True), (lost, False)):
            contract = contracts[lot.symbol]
            assert contract.expiry in market.sessions[1:-8]
            value = contract.intrinsic_value(market.closes[contract.underlying, contract.expiry])
            assert (value > 0) == is_worth_something
            assert lot.exit_date is None
        assert len({contract.underlying for contract in contracts.values()}) == 4

    def test_private_assets_are_valued_by_date_beside_funds(self, rich: tuple[DemoMarket, dict[str, DemoBook]]) -> None:
        market, books = rich
        book = books["Private"]
        house, stake, *funds = book.lots
        assert [lot.symbol for lot in funds] == ["SPY", "TLT"]
        for lot in (house, stake):
            assert lot.investment_class == "PRIVATE"
            assert lot.market_value is not None
            assert lot.valued_on is not None
            assert lot.entry_date < lot.valued_on < book.as_of
        assert (house.exit_date, stake.exit_date) == (None, market.sessions[40])
        assert [(name, day) for name, day, _ in book.valuations] == [
            (house.symbol, market.sessions[20]),
            (house.symbol, market.sessions[45]),
        ]

    def test_margin_owes_more_than_it_holds_and_holds_a_halted_and_a_delisted_stock(
        self, rich: tuple[DemoMarket, dict[str, DemoBook]]
    ) -> None:
        market, books = rich
        book = books["Margin"]
        assert book.equity < 0 < book.equity + book.flows[0][1]
        assert [lot.symbol for lot in book.lots[:2]] == [market.halted[0], market.delisted[0]]
        assert {lot.symbol for lot in book.lots[2:]} <= set(market.stocks)
        assert len(book.lots) == 5

    def test_the_new_one_is_empty_and_starts_at_the_end(self, rich: tuple[DemoMarket, dict[str, DemoBook]]) -> None:
        market, books = rich
        assert (books["New"].lots, books["New"].as_of) == ([], market.sessions[-1])
        assert {book.as_of for name, book in books.items() if name != "New"} == {market.sessions[0]}

    def test_it_is_the_same_every_time(self, rich: tuple[DemoMarket, dict[str, DemoBook]]) -> None:
        assert books_of(SimulatedMarket(CALENDAR, stocks=500, as_of=LAST), LAST) == rich


@pytest.mark.parametrize("last", [date(2021, 1, 29), date(2023, 4, 21), date(2024, 7, 3), date(2030, 12, 31)])
@pytest.mark.parametrize("size", [50, 500, 10_000])
def test_every_size_and_time_has_all_portfolios(size: int, last: date) -> None:
    market, books = books_of(SimulatedMarket(CALENDAR, stocks=size, as_of=last), last)
    assert tuple(books) == NAMES
    require_sound(market, books)
    assert [len(books[name].lots) for name in NAMES] == [20, 21, 6, 4, 5, 0]
    assert len({lot.symbol for lot in books["Margin"].lots}) == 5


def test_a_market_of_bars_alone_has_no_portfolio_of_options(scripted: ScriptedMarket) -> None:
    market, books = books_of(scripted, LAST)
    assert tuple(books) == tuple(name for name in NAMES if name != "Options")
    require_sound(market, books)
    assert [len(book.lots) for book in books.values()] == [20, 21, 4, 5, 0]


def test_tickers_that_no_contract_can_name_have_no_options(scripted: ScriptedMarket) -> None:
    for day in window(LAST):
        for item in scripted.listings():
            scripted.bars[item.symbol, day] = bar(100.0)
    names = {item.symbol: f"{item.symbol}-B" for item in scripted.listings() if item.asset_type == "equity"}
    scripted.bars = {(names.get(symbol, symbol), day): values for (symbol, day), values in scripted.bars.items()}
    scripted.descriptions = [
        type(item)(names.get(item.symbol, item.symbol), item.name, item.asset_type, None, None)
        for item in scripted.descriptions
    ]
    assert "Options" not in books_of(scripted, LAST)[1]


def test_a_share_dearer_than_the_position_is_held_once(scripted: ScriptedMarket) -> None:
    symbol = next(item.symbol for item in scripted.listings() if item.asset_type == "equity")
    for day in window(LAST):
        scripted.bars[symbol, day] = bar(700_000.0)
    lots = books_of(scripted, LAST)[1]["Diversified"].lots
    assert next(lot for lot in lots if lot.symbol == symbol).quantity == 1


class Quiet(SimulatedMarket):
    """The simulated market without the trades of some contracts."""

    silent: frozenset[str] = frozenset()

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        return super().fetch_bars([request for request in requests if request.symbol not in self.silent])


def test_a_contract_that_did_not_trade_gives_way_to_the_next() -> None:
    market = Quiet(CALENDAR, stocks=50, as_of=LAST)
    before = books_of(market, LAST)[1]["Options"]
    contracts = [lot.symbol for lot in before.lots if lot.investment_class == "OPTIONS"]
    market.silent = frozenset(contracts[:1])
    after = books_of(market, LAST)[1]["Options"]
    others = [lot.symbol for lot in after.lots if lot.investment_class == "OPTIONS"]
    assert others[0] != contracts[0]
    assert others[1:] == contracts[1:]
