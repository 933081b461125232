"""Tests of books as arrays: exact units, matching keys, the state of the last snapshots, published figures."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.books import (
    Books,
    read_books,
    read_ledger_state,
    read_published_betas,
    read_published_closes,
)
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.ledger_tables import portfolio_snapshots, position_values
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord, add_capital_flow, create_portfolio
from sigmasight_assets.storage.tables import FACTOR_COLUMNS, symbol_daily_metrics
from tests.storage.conftest import SESSIONS, SYMBOLS
from tests.storage.rows import ROWS, insert

FIRST, LAST = SESSIONS[0], SESSIONS[-1]
LARGEST_QUANTITY, LARGEST_PRICE = Decimal("99999999999999.9999"), Decimal("9999999999.9999")


def create(database: Database, user: str, *lots: NewLot, equity: str = "1000", as_of: date = FIRST) -> PortfolioRecord:
    with database.begin() as connection:
        return create_portfolio(connection, user=user, name="Main", equity=Decimal(equity), as_of=as_of, lots=lots)


def read(database: Database, last: date = LAST, *, only_stale: bool = False) -> Books:
    with database.bulk(read_only=True) as transaction:
        return read_books(transaction, last=last, only_stale=only_stale)


def dates(days: Sequence[date | None]) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    return np.array(["NaT" if day is None else day.isoformat() for day in days], dtype="datetime64[D]")


class TestBooks:
    def test_numbers_arrive_in_exact_units(self, database: Database) -> None:
        open_lot = NewLot("BBB", Decimal("-0.0001"), LARGEST_PRICE, FIRST - timedelta(100))
        closed = NewLot("AAA", LARGEST_QUANTITY, Decimal("0.0001"), FIRST, Decimal("1.5"), LAST)
        worthless = NewLot("AAA", Decimal(1), Decimal(1), FIRST, Decimal(0), FIRST)
        ann = create(database, "ann", open_lot, closed, worthless, equity="-92233720368.54775807")
        bob = create(database, "bob", NewLot("CCC", Decimal(2), Decimal(3), FIRST), as_of=LAST)
        with database.begin() as connection:
            add_capital_flow(connection, bob.portfolio_id, flow_date=LAST, amount=Decimal("-0.00000001"))
        books = read(database)
        assert books.portfolio_ids.tolist() == [ann.portfolio_id, bob.portfolio_id]
        assert books.book_versions.tolist() == [1, 2]
        assert books.symbols == ("AAA", "BBB", "CCC")
        assert books.portfolios.stated_equity.tolist() == [-(2**63) + 1, 1000 * 10**8]
        lots = books.lots
        assert lots.portfolio.tolist() == [0, 0, 0, 1]
        assert [books.symbols[column] for column in lots.symbol.tolist()] == ["BBB", "AAA", "AAA", "CCC"]
        assert lots.quantity.tolist() == [-1, 10**18 - 1, 10_000, 20_000]
        assert lots.entry_price.tolist() == [10**14 - 1, 1, 10_000, 30_000]
        assert lots.exit_price.tolist() == [0, 15_000, 0, 0]
        np.testing.assert_array_equal(lots.entry_date, dates([FIRST - timedelta(100), FIRST, FIRST, FIRST]))
        np.testing.assert_array_equal(lots.exit_date, dates([None, LAST, FIRST, None]))
        np.testing.assert_array_equal(books.portfolios.start_date, dates([FIRST, LAST]))
        flows = books.flows
        assert (flows.portfolio.tolist(), flows.amount.tolist()) == ([1], [-1])
        np.testing.assert_array_equal(flows.flow_date, dates([LAST]))

    def test_only_portfolios_that_exist_by_then_are_read(self, database: Database) -> None:
        lot = NewLot("AAA", Decimal(1), Decimal(1), FIRST)
        early, _ = create(database, "ann", lot), create(database, "bob", lot, as_of=LAST)
        books = read(database, last=SESSIONS[3])
        assert books.portfolio_ids.tolist() == [early.portfolio_id]
        assert len(books.lots) == 1

    def test_only_edited_ones_when_asked(self, database: Database) -> None:
        lot = NewLot("AAA", Decimal(1), Decimal(1), FIRST)
        edited, current = create(database, "ann", lot), create(database, "bob", lot)
        settle = sa.update(portfolios).where(portfolios.c.portfolio_id == current.portfolio_id).values(stale_from=None)
        with database.begin() as connection:
            connection.execute(settle)
        np.testing.assert_array_equal(read(database).stale_from, dates([FIRST, None]))
        assert read(database, only_stale=True).portfolio_ids.tolist() == [edited.portfolio_id]

    @pytest.mark.parametrize("only_stale", [True, False])
    def test_without_portfolios_everything_is_empty_and_typed(self, database: Database, only_stale: bool) -> None:
        books = read(database, only_stale=only_stale)
        assert (len(books.portfolios), len(books.lots), books.symbols) == (0, 0, ())
        assert books.lots.exit_date.dtype == books.portfolios.start_date.dtype == np.dtype("datetime64[D]")

    def test_a_portfolio_without_lots_is_there(self, database: Database) -> None:
        create(database, "ann")
        books = read(database)
        assert (len(books.portfolios), len(books.lots), books.symbols) == (1, 0, ())


class TestState:
    def test_it_is_that_of_the_previous_snapshots(self, database: Database) -> None:
        lots = [NewLot(symbol, Decimal(1), Decimal(1), FIRST) for symbol in SYMBOLS]
        ann, bob = create(database, "ann", *lots), create(database, "bob", lots[0])
        books = read(database)
        changes = {"equity": Decimal("-0.00000001"), "cumulative_pnl": "12.34567891", "cash": "-510.00000001"}
        for day, values in ((FIRST, {}), (SESSIONS[1], changes)):
            row = {**ROWS[portfolio_snapshots], "portfolio_id": bob.portfolio_id, "session": day, **values}
            insert(database, portfolio_snapshots, row)
        for place in (3, 1):
            row = {**ROWS[position_values], "position_id": int(books.position_ids[place]), "session": SESSIONS[1]}
            insert(database, position_values, {**row, "portfolio_id": ann.portfolio_id, "price_used": f"{place}.0001"})
        # A lot that was deleted since has left its value behind.
        insert(database, position_values, {**ROWS[position_values], "position_id": -7, "session": SESSIONS[1]})
        with database.bulk(read_only=True) as transaction:
            state = read_ledger_state(transaction, books, SESSIONS[1])
        np.testing.assert_array_equal(state.session, dates([None, SESSIONS[1]]))
        assert (state.equity[1], state.cumulative_pnl[1]) == (-1, 1_234_567_891)
        assert state.mark.tolist() == [0, 10_001, 0, 30_001]
        assert state.has_mark.tolist() == [False, True, False, True]

    def test_there_is_none_before_the_first(self, database: Database) -> None:
        create(database, "ann", NewLot("AAA", Decimal(1), Decimal(1), FIRST))
        books = read(database)
        with database.bulk(read_only=True) as transaction:
            state = read_ledger_state(transaction, books, None)
        np.testing.assert_array_equal(state.session, dates([None]))
        assert not state.has_mark.any()


class TestPublishedFigures:
    def test_they_are_laid_out_on_the_grid(self, database: Database, grid: Grid) -> None:
        names = [f"{factor}_beta" for factor in FACTOR_COLUMNS]
        betas = {name: place / 8 for place, name in enumerate(names)}
        published = ((FIRST, "BBB"), (LAST, "AAA"), (LAST, "ZZZ"), (LAST + timedelta(30), "AAA"))
        for number, (day, symbol) in enumerate(published, start=1):
            row = {**ROWS[symbol_daily_metrics], "metrics_date": day, "symbol": symbol, "close_price": f"{number}.0001"}
            insert(database, symbol_daily_metrics, {**row, **betas, "market_beta": None if number == 2 else 1.5})
        with database.bulk(read_only=True) as transaction:
            closes, found = read_published_closes(transaction, grid), read_published_betas(transaction, grid)
        expected = np.zeros(grid.shape, dtype=np.int64)
        expected[0, 1], expected[4, 0] = 10_001, 20_001
        np.testing.assert_array_equal(closes, expected)
        rest = [place / 8 for place in range(1, len(FACTORS))]
        assert found.shape == (5, 3, len(FACTORS))
        np.testing.assert_array_equal(found[0, 1], [1.5, *rest])
        np.testing.assert_array_equal(found[4, 0], [np.nan, *rest])
        assert np.isnan(found).all(axis=2).sum() == 13

    def test_no_symbols_are_an_empty_grid(self, database: Database, grid: Grid) -> None:
        empty = Grid(grid.sessions, ())
        with database.bulk(read_only=True) as transaction:
            assert read_published_closes(transaction, empty).shape == (5, 0)
            assert read_published_betas(transaction, empty).shape == (5, 0, len(FACTORS))
