"""Tests of books as arrays: exact units, matching keys, the state of the last snapshots."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import PublicationError
from sigmasight_assets.quant.snapshots import LotStatus
from sigmasight_assets.storage.book_tables import portfolios, positions, private_valuations
from sigmasight_assets.storage.books import Books, read_books, read_ledger_state
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import LOT_LISTS, portfolio_lot_values, portfolio_snapshots
from sigmasight_assets.storage.lot_terms import OversizedBooksError
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord, add_capital_flow, create_portfolio
from sigmasight_assets.storage.tables import corporate_actions
from tests.storage.conftest import SESSIONS, SYMBOLS
from tests.storage.rows import DIVIDEND, LOT, PRIVATE_LOT, ROWS, SPLIT, insert

FIRST, LAST = SESSIONS[0], SESSIONS[-1]
LARGEST_QUANTITY, LARGEST_PRICE = Decimal("99999999999999.9999"), Decimal("9999999999.9999")
CALL = "AAA250718C00150000"


def create(database: Database, user: str, *lots: NewLot, equity: str = "1000", as_of: date = FIRST) -> PortfolioRecord:
    with database.begin() as connection:
        return create_portfolio(connection, user=user, name="Main", equity=Decimal(equity), as_of=as_of, lots=lots)


def create_private(database: Database, portfolio_id: int, valuations: dict[date, str], **columns: Any) -> int:
    """A PRIVATE lot with its valuations; its number."""
    position_id: int = insert(database, positions, {**PRIVATE_LOT, "portfolio_id": portfolio_id, **columns})
    for day, value in valuations.items():
        insert(
            database, private_valuations, {"position_id": position_id, "valued_on": day, "market_value": Decimal(value)}
        )
    return position_id


def publish_split(database: Database, symbol: str, ex_date: date, numerator: int, denominator: int = 1) -> None:
    ratio = {"ratio_numerator": numerator, "ratio_denominator": denominator}
    insert(database, corporate_actions, {**SPLIT, "symbol": symbol, "ex_date": ex_date, **ratio})


def read(database: Database, last: date = LAST, *, only: Sequence[int] | None = None) -> Books:
    keys = None if only is None else np.array(only, dtype=np.int64)
    with database.bulk(read_only=True) as transaction:
        return read_books(transaction, last=last, only=keys)


def insert_marks(database: Database, portfolio_id: int, session: date, marks: Sequence[dict[str, Any]]) -> None:
    """Values of lots of a portfolio; each mark says what is not usual about its lot."""
    usual = ROWS[portfolio_lot_values]
    lists = {name: [mark.get(name, usual[name][0]) for mark in marks] for name in LOT_LISTS}
    insert(database, portfolio_lot_values, {"portfolio_id": portfolio_id, "session": session, **lists})


def dates(days: Sequence[date | None]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    return np.array(["NaT" if day is None else day.isoformat() for day in days], dtype="datetime64[D]")


class TestBooks:
    def test_numbers_arrive_in_exact_units(self, database: Database) -> None:
        open_lot = NewLot("BBB", Decimal("-0.0001"), LARGEST_PRICE, FIRST - timedelta(100))
        closed = NewLot("AAA", LARGEST_QUANTITY, Decimal("0.0001"), FIRST, Decimal("0.0009"), LAST)
        worthless = NewLot("AAA", Decimal(1), Decimal(1), FIRST, Decimal(0), FIRST)
        ann = create(database, "ann", open_lot, closed, worthless, equity="-92233720368.54775807")
        bob = create(database, "bob", NewLot("CCC", Decimal(2), Decimal(3), FIRST), as_of=LAST)
        with database.begin() as connection:
            add_capital_flow(connection, bob.portfolio_id, flow_date=LAST, amount=Decimal("-0.00000001"))
        books = read(database)
        assert books.portfolio_ids.tolist() == [ann.portfolio_id, bob.portfolio_id]
        assert books.owners.tolist() == [ann.portfolio_id] * 3 + [bob.portfolio_id]
        assert books.book_versions.tolist() == [1, 2]
        assert books.symbols == books.names == ("AAA", "BBB", "CCC")
        assert books.portfolios.stated_equity.tolist() == [-(2**63) + 1, 1000 * 10**8]
        lots = books.lots
        assert lots.portfolio.tolist() == [0, 0, 0, 1]
        assert [books.symbols[column] for column in lots.symbol.tolist()] == ["BBB", "AAA", "AAA", "CCC"]
        assert lots.quantity.tolist() == [-1, 10**18 - 1, 10_000, 20_000]
        assert lots.cost.tolist() == [-(10**14) + 1, 10**18 - 1, 10**8, 6 * 10**8]
        assert lots.proceeds.tolist() == [0, 9 * (10**18 - 1), 0, 0]
        np.testing.assert_array_equal(lots.entry_date, dates([FIRST - timedelta(100), FIRST, FIRST, FIRST]))
        np.testing.assert_array_equal(lots.exit_date, dates([None, LAST, FIRST, None]))
        assert lots.multiplier.tolist() == lots.split_numerator.tolist() == lots.split_denominator.tolist() == [1] * 4
        assert books.is_public.all()
        assert lots.pays_dividends.all()
        np.testing.assert_array_equal(books.portfolios.start_date, dates([FIRST, LAST]))
        flows = books.flows
        assert (flows.portfolio.tolist(), flows.amount.tolist()) == ([1], [-1])
        np.testing.assert_array_equal(flows.flow_date, dates([LAST]))

    def test_an_amount_beyond_what_is_exact_names_the_portfolio(self, database: Database) -> None:
        create(database, "ann", NewLot("AAA", Decimal(1), Decimal(1), FIRST))
        sold = NewLot("AAA", LARGEST_QUANTITY, Decimal("0.0001"), FIRST, Decimal("0.0010"), LAST)
        bob = create(database, "bob", sold)
        with pytest.raises(PublicationError, match=rf"portfolios \[{bob.portfolio_id}\] are too large to be exact"):
            read(database)

    def test_trades_to_come_are_not_read_yet(self, database: Database) -> None:
        """Whatever they come to; and private lots that are entered later have valuations already."""
        before, day = SESSIONS[2], SESSIONS[3]
        sold = NewLot("AAA", LARGEST_QUANTITY, Decimal("0.0001"), FIRST, Decimal("0.0010"), day)
        bought = NewLot("BBB", LARGEST_QUANTITY, LARGEST_PRICE, day)
        ann = create(database, "ann", sold, bought)
        early = {FIRST: "5"}
        for entry in (day, FIRST):
            create_private(database, ann.portfolio_id, early, entry_date=entry, entry_price=None)
        books = read(database, last=before)
        assert len(books.lots) == 2
        np.testing.assert_array_equal(books.lots.exit_date, dates([None, None]))
        assert books.lots.proceeds.tolist() == [0, 0]
        assert (books.symbols, books.valuations.first().tolist()) == (("AAA",), [5 * 10**8])
        with pytest.raises(OversizedBooksError, match=rf"portfolios \[{ann.portfolio_id}\]") as refused:
            read(database, last=day)
        assert refused.value.row is None

    def test_a_split_factor_beyond_what_is_exact_names_the_portfolio(self, database: Database) -> None:
        for ex_date in SESSIONS[1:3]:
            publish_split(database, "AAA", ex_date, 4_000_000_001)
        create(database, "ann", NewLot("AAA", Decimal(1), Decimal(1), LAST))
        bob = create(database, "bob", NewLot("AAA", Decimal(1), Decimal(1), FIRST))
        with pytest.raises(PublicationError, match=rf"portfolios \[{bob.portfolio_id}\] are too large to be exact"):
            read(database)

    def test_only_portfolios_that_exist_by_then_are_read(self, database: Database) -> None:
        lot = NewLot("AAA", Decimal(1), Decimal(1), FIRST)
        early, _ = create(database, "ann", lot), create(database, "bob", lot, as_of=LAST)
        books = read(database, last=SESSIONS[3])
        assert books.portfolio_ids.tolist() == [early.portfolio_id]
        assert len(books.lots) == 1

    def test_those_asked_for_and_those_stale_by_then(self, database: Database) -> None:
        lot = NewLot("AAA", Decimal(1), Decimal(1), FIRST)
        names = ("edited", "current", "asked", "edited later")
        numbers = [create(database, name, lot).portfolio_id for name in names]
        for number, stale_from in zip(numbers, (SESSIONS[2], None, None, SESSIONS[4]), strict=True):
            mark = sa.update(portfolios).where(portfolios.c.portfolio_id == number).values(stale_from=stale_from)
            with database.begin() as connection:
                connection.execute(mark)
        np.testing.assert_array_equal(read(database).stale_from, dates([SESSIONS[2], None, None, SESSIONS[4]]))
        edited, _, asked, later = numbers
        assert read(database, SESSIONS[3], only=[]).portfolio_ids.tolist() == [edited]
        assert read(database, SESSIONS[3], only=[asked]).portfolio_ids.tolist() == [edited, asked]
        assert read(database, only=[]).portfolio_ids.tolist() == [edited, later]

    @pytest.mark.parametrize("only", [None, []])
    def test_without_portfolios_everything_is_empty_and_typed(self, database: Database, only: list[int] | None) -> None:
        books = read(database, only=only)
        assert (len(books.portfolios), len(books.lots), books.symbols) == (0, 0, ())
        assert books.lots.exit_date.dtype == books.portfolios.start_date.dtype == np.dtype("datetime64[D]")

    def test_a_portfolio_without_lots_is_there(self, database: Database) -> None:
        create(database, "ann")
        books = read(database)
        assert (len(books.portfolios), len(books.lots), books.symbols) == (1, 0, ())


class TestClasses:
    def test_each_has_its_columns_and_multiplier(self, database: Database) -> None:
        public, option = NewLot("CCC", Decimal(2), Decimal(3), FIRST), NewLot(CALL, Decimal(-3), Decimal("1.25"), FIRST)
        ann = create(database, "ann", public, replace(option, investment_class="OPTIONS"))
        create_private(database, ann.portfolio_id, {FIRST: "500.5"}, quantity="7")
        bob = create(database, "bob", NewLot("AAA", Decimal(1), Decimal(1), FIRST))
        create_private(database, bob.portfolio_id, {FIRST: "0.00000001"}, symbol="AAA")
        books = read(database)
        assert books.symbols == ("AAA", CALL, "CCC")
        assert books.private_names == ("Vineyard", "AAA")
        assert [books.names[column] for column in books.lots.symbol.tolist()] == ["CCC", CALL, "Vineyard", "AAA", "AAA"]
        assert books.lots.symbol.tolist() == [2, 1, 3, 0, 4]
        assert books.is_public.tolist() == books.lots.pays_dividends.tolist() == [True, False, False, True, False]
        assert books.is_option.tolist() == [False, True, False, False, False]
        assert books.is_private.tolist() == [False, False, True, False, True]
        # A private lot is one thing whose price is its value, whatever its owner counts.
        assert books.lots.quantity.tolist() == [20_000, -30_000, 1, 10_000, 1]
        assert books.lots.multiplier.tolist() == [1, 100, 1, 1, 1]
        assert books.lots.cost.tolist() == [6 * 10**8, -375 * 10**8, 50_050_000_000, 10**8, 1]

    def test_an_option_that_was_closed_brought_a_hundred_times_its_price(self, database: Database) -> None:
        lot = NewLot(CALL, Decimal("-1.5"), Decimal("2.2"), FIRST, Decimal("0.0005"), LAST, "OPTIONS")
        create(database, "ann", lot)
        lots = read(database).lots
        assert (lots.cost.tolist(), lots.proceeds.tolist()) == ([-330 * 10**8], [-7_500_000])

    @pytest.mark.parametrize(
        ("entry_price", "cost"), [("12.5", 125 * 10**8), (None, 90 * 10**8)], ids=["a price", "the first valuation"]
    )
    def test_what_a_private_lot_cost(self, database: Database, entry_price: str | None, cost: int) -> None:
        ann = create(database, "ann")
        valuations = {SESSIONS[3]: "110", SESSIONS[1]: "90", SESSIONS[2]: "100"}
        columns = {"entry_price": entry_price, "exit_price": "13.25", "exit_date": LAST}
        create_private(database, ann.portfolio_id, valuations, **columns)
        lots = read(database).lots
        assert (lots.cost.tolist(), lots.proceeds.tolist()) == ([cost], [13_250_000_000])

    def test_a_private_lot_that_nobody_ever_valued_has_no_cost_to_speak_of(self, database: Database) -> None:
        create_private(database, create(database, "ann").portfolio_id, {})
        books = read(database)
        assert books.lots.cost.tolist() == [0]
        assert (books.valuations.in_force(books.portfolios.start_date)[1] == -1).all()

    def test_valuations_are_matched_by_lot_whatever_the_order_of_the_portfolios(self, database: Database) -> None:
        ann, bob = create(database, "ann"), create(database, "bob")
        create_private(database, bob.portfolio_id, {FIRST: "3"})
        create_private(database, ann.portfolio_id, {FIRST: "1", LAST: "2"})
        # Not a valuation of a private lot.
        public = insert(database, positions, {**LOT, "portfolio_id": ann.portfolio_id})
        row = {"position_id": public, "valued_on": FIRST, "market_value": 7}
        insert(database, private_valuations, row)
        books = read(database)
        values, _ = books.valuations.in_force(dates([FIRST, LAST]))
        assert values.tolist() == [[10**8, 3 * 10**8], [2 * 10**8, 3 * 10**8]]
        assert books.lots.cost.tolist() == [10**8, 50 * 10**8, 3 * 10**8]


class TestUnits:
    """AAA was split 4:1 on the second session and 1:10 on the last, BBB 3:2 on the third."""

    @pytest.fixture(autouse=True)
    def splits(self, database: Database) -> None:
        publish_split(database, "AAA", SESSIONS[1], 4)
        publish_split(database, "AAA", LAST, 1, 10)
        publish_split(database, "BBB", SESSIONS[2], 3, 2)

    def factors(self, database: Database, *lots: NewLot) -> list[tuple[int, int]]:
        create(database, "ann", *lots)
        found = read(database).lots
        return list(zip(found.split_numerator.tolist(), found.split_denominator.tolist(), strict=True))

    def test_a_lot_follows_the_splits_after_its_entry(self, database: Database) -> None:
        lots = [
            NewLot(symbol, Decimal(1), Decimal(1), day)
            for symbol, day in (
                ("AAA", FIRST),
                ("AAA", SESSIONS[1]),
                ("AAA", LAST),
                ("BBB", SESSIONS[1]),
                ("BBB", SESSIONS[2]),
                ("CCC", FIRST),
            )
        ]
        assert self.factors(database, *lots) == [(2, 5), (1, 10), (1, 1), (3, 2), (1, 1), (1, 1)]

    def test_or_after_the_date_of_its_units(self, database: Database) -> None:
        """8 of the 10 shares bought before the split are 32 shares in the units of the second session."""
        rest = NewLot("AAA", Decimal(32), Decimal(50), FIRST, units_date=SESSIONS[1])
        assert self.factors(database, rest) == [(1, 10)]
        assert read(database).lots.cost.tolist() == [400 * 10**8]

    def test_prices_are_in_the_units_of_their_own_dates(self, database: Database) -> None:
        create(
            database,
            "ann",
            # Bought at 100, sold at 26 after the split.
            NewLot("AAA", Decimal(10), Decimal(100), FIRST, Decimal(26), SESSIONS[3]),
            # The same said in shares of the day of the exit.
            NewLot("AAA", Decimal(40), Decimal(100), FIRST, Decimal(26), SESSIONS[3], units_date=SESSIONS[3]),
            # Sold at 255 after the reverse split as well: 4 shares.
            NewLot("AAA", Decimal(40), Decimal(100), FIRST, Decimal(255), LAST, units_date=SESSIONS[1]),
            # In units of a date after the exit: the 10 shares became 4.
            NewLot("AAA", Decimal(4), Decimal(100), FIRST, Decimal(26), SESSIONS[3], units_date=LAST),
            NewLot("AAA", Decimal(-10), Decimal(100), FIRST, Decimal(101), FIRST),
        )
        lots = read(database).lots
        assert lots.cost.tolist() == [1000 * 10**8] * 4 + [-1000 * 10**8]
        assert lots.proceeds.tolist() == [1040 * 10**8] * 2 + [1020 * 10**8, 1040 * 10**8, -1010 * 10**8]

    def test_money_is_rounded_half_even_once(self, database: Database) -> None:
        """A third of 0.0001 x 0.0001 and its double; a tie of each kind."""
        for ex_date, ratio in ((FIRST, (3, 1)), (SESSIONS[1], (2, 1)), (SESSIONS[2], (1, 1000))):
            publish_split(database, "CCC", ex_date, *ratio)
        small = Decimal("0.0001")
        before, lots = FIRST - timedelta(7), []
        for units, quantity in ((FIRST, 1), (FIRST, 2), (SESSIONS[1], 3), (SESSIONS[1], 9), (SESSIONS[1], -9)):
            lots.append(NewLot("CCC", quantity * small, small, before, units_date=units))
        create(database, "ann", *lots)
        # 1/3, 2/3, 1/2, 3/2 and -3/2 of 1e-8 USD.
        assert read(database).lots.cost.tolist() == [0, 1, 0, 2, -2]

    def test_no_split_concerns_a_contract_or_a_private_lot(self, database: Database) -> None:
        publish_split(database, CALL, SESSIONS[1], 7)
        ann = create(database, "ann", NewLot(CALL, Decimal(1), Decimal(1), FIRST, investment_class="OPTIONS"))
        create_private(database, ann.portfolio_id, {FIRST: "10"}, symbol="AAA", entry_date=FIRST)
        lots = read(database).lots
        assert lots.split_numerator.tolist() == lots.split_denominator.tolist() == [1, 1]
        assert lots.cost.tolist() == [100 * 10**8, 10 * 10**8]

    def test_only_published_actions_count(self, database: Database) -> None:
        for columns in ({"generation": None}, {"withdrawn_at": "2025-06-27", "withdrawn_generation": 2}):
            row = {**SPLIT, "symbol": "CCC", "ex_date": LAST, **columns}
            insert(database, corporate_actions, row)
            insert(
                database,
                corporate_actions,
                {**row, **DIVIDEND, "symbol": "CCC", "ratio_numerator": None, **columns, "ratio_denominator": None},
            )
        assert self.factors(database, NewLot("CCC", Decimal(1), Decimal(1), FIRST)) == [(1, 1)]
        assert len(read(database).dividends) == 0

    def test_dividends_are_those_of_the_public_symbols(self, database: Database) -> None:
        for symbol, amount in (("AAA", "0.000001"), ("BBB", "1.25"), ("ZZZ", "9"), (CALL, "9"), ("Vineyard", "9")):
            insert(database, corporate_actions, {**DIVIDEND, "symbol": symbol, "amount": amount, "ex_date": LAST})
        lots = [NewLot(symbol, Decimal(1), Decimal(1), FIRST) for symbol in ("BBB", "AAA")]
        ann = create(database, "ann", *lots, NewLot(CALL, Decimal(1), Decimal(1), FIRST, investment_class="OPTIONS"))
        create_private(database, ann.portfolio_id, {FIRST: "10"})
        books = read(database)
        assert [books.names[column] for column in books.dividends.symbol.tolist()] == ["AAA", "BBB"]
        assert books.dividends.amount.tolist() == [1, 1_250_000]
        np.testing.assert_array_equal(books.dividends.ex_date, dates([LAST, LAST]))


class TestState:
    def test_it_is_that_of_the_previous_snapshots(self, database: Database) -> None:
        lots = [NewLot(symbol, Decimal(1), Decimal(1), FIRST) for symbol in SYMBOLS]
        ann, bob = create(database, "ann", *lots), create(database, "bob", lots[0])
        books = read(database)
        changes = {"equity": Decimal("-0.00000001"), "cumulative_pnl": "12.34567891", "cash": "-510.00000001"}
        for day, values in ((FIRST, {}), (SESSIONS[1], changes)):
            row = {**ROWS[portfolio_snapshots], "portfolio_id": bob.portfolio_id, "session": day, **values}
            insert(database, portfolio_snapshots, row)
        own, others = (
            {"position_ids": int(books.position_ids[place]), "prices_used": 10_001 * place} for place in (1, 3)
        )
        # A lot that was deleted since has left its value behind.
        insert_marks(database, ann.portfolio_id, SESSIONS[1], [{"position_ids": -7}, own])
        insert_marks(database, bob.portfolio_id, SESSIONS[1], [others])
        insert_marks(database, ann.portfolio_id, SESSIONS[2], [{"position_ids": int(books.position_ids[0])}])
        with database.bulk(read_only=True) as transaction:
            state = read_ledger_state(transaction, books, SESSIONS[1])
        np.testing.assert_array_equal(state.session, dates([None, SESSIONS[1]]))
        assert (state.equity[1], state.cumulative_pnl[1]) == (-1, 1_234_567_891)
        assert state.price.tolist() == [0, 10_001, 0, 30_003]
        assert state.value.tolist() == [0, 100 * 10**8, 0, 100 * 10**8]
        assert state.has_mark.tolist() == [False, True, False, True]

    def test_the_price_is_brought_to_present_units_and_the_value_stays(self, database: Database) -> None:
        """Stored after a 3:1 split alone; known since are a 2:1 before the lot and a 1:7 after."""
        ann = create(database, "ann", *(NewLot("AAA", Decimal(1), Decimal(1), FIRST) for _ in range(3)))
        publish_split(database, "AAA", SESSIONS[1], 3)
        publish_split(database, "AAA", SESSIONS[2], 1, 7)
        books = read(database)
        stored = {"prices_used": 100_005, "market_values": 3_000_150_000}
        marks = [
            {**stored, "position_ids": position, "split_numerators": numerator, "split_denominators": denominator}
            for position, numerator, denominator in zip(books.position_ids.tolist(), (3, 3, 1), (1, 7, 28), strict=True)
        ]
        insert_marks(database, ann.portfolio_id, FIRST, marks)
        with database.bulk(read_only=True) as transaction:
            state = read_ledger_state(transaction, books, FIRST)
        # x 7, x 1, and 100005 / 12 = 8333.75.
        assert state.price.tolist() == [700_035, 100_005, 8334]
        assert state.value.tolist() == [3_000_150_000] * 3

    def test_a_price_that_present_units_make_too_large_names_the_portfolio(self, database: Database) -> None:
        ann = create(database, "ann", NewLot("AAA", Decimal(1), Decimal(1), FIRST))
        publish_split(database, "AAA", SESSIONS[1], 1, 4_000_000_001)
        books = read(database)
        insert_marks(
            database, ann.portfolio_id, FIRST, [{"position_ids": int(books.position_ids[0]), "prices_used": 10**10}]
        )
        with (
            pytest.raises(OversizedBooksError, match=rf"portfolios \[{ann.portfolio_id}\]"),
            database.bulk(read_only=True) as transaction,
        ):
            read_ledger_state(transaction, books, FIRST)

    def test_a_lot_that_was_never_priced_has_no_mark(self, database: Database) -> None:
        lot = NewLot("AAA", Decimal(1), Decimal(1), FIRST)
        ann = create(database, "ann", lot, lot, lot)
        for _ in range(2):
            create_private(database, ann.portfolio_id, {FIRST: "10"})
        books = read(database)
        kinds = [
            (20_000, LotStatus.UNPRICED),
            (None, LotStatus.UNPRICED),
            (30_000, LotStatus.STALE),
            (None, LotStatus.PRICED),
            (None, LotStatus.UNPRICED),
        ]
        marks = [
            {"position_ids": position, "prices_used": price, "statuses": int(status)}
            for position, (price, status) in zip(books.position_ids.tolist(), kinds, strict=True)
        ]
        insert_marks(database, ann.portfolio_id, FIRST, marks)
        with database.bulk(read_only=True) as transaction:
            state = read_ledger_state(transaction, books, FIRST)
        assert state.has_mark.tolist() == [True, False, True, True, False]
        # A private lot's price is what it is worth.
        assert state.price.tolist() == [20_000, 0, 30_000, 100 * 10**8, 0]
        assert state.value.tolist() == [100 * 10**8, 0, 100 * 10**8, 100 * 10**8, 0]

    def test_there_is_none_before_the_first(self, database: Database) -> None:
        create(database, "ann", NewLot("AAA", Decimal(1), Decimal(1), FIRST))
        books = read(database)
        with database.bulk(read_only=True) as transaction:
            state = read_ledger_state(transaction, books, None)
        np.testing.assert_array_equal(state.session, dates([None]))
        assert not state.has_mark.any()
