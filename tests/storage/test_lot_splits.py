"""Tests of closing a part of a lot after a split: in which share units both parts are stated."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.errors import BookError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord
from tests.contents import contents
from tests.storage.lot_edits import (
    CALL,
    ENTRY,
    EXIT,
    EXPIRY,
    HOUSE,
    LAST,
    SHARES,
    SHORT,
    close,
    hold,
    lots,
    state_split,
)


class TestClosingAfterASplit:
    def test_a_part_is_stated_in_the_units_of_its_day(self, database: Database, book: PortfolioRecord) -> None:
        state_split(database, EXIT, (4, 1))
        held = hold(database, book, SHARES)
        close(database, held, "2")
        kept, taken = lots(database, book)
        assert (kept.quantity, kept.units_date, kept.entry_price) == (Decimal(40), EXIT, Decimal("99.5"))
        assert (taken.quantity, taken.units_date, taken.entry_price) == (Decimal(2), EXIT, Decimal("99.5"))

    def test_all_of_it_by_number_is_the_whole_lot_as_it_was(self, database: Database, book: PortfolioRecord) -> None:
        state_split(database, EXIT, (4, 1))
        closed = close(database, hold(database, book, SHARES), "42")
        assert (closed.quantity, closed.units_date) == (SHARES.quantity, None)
        assert len(lots(database, book)) == 1

    @pytest.mark.parametrize(
        ("ex_date", "changes"),
        [
            (ENTRY, {}),
            (EXIT + timedelta(1), {}),
            (EXIT, {"symbol": "BBB"}),
            (EXIT, {"withdrawn_at": "2025-07-01", "generation": 3}),
        ],
        ids=["at the entry", "after the exit", "of another symbol", "withdrawn"],
    )
    def test_other_splits_change_nothing(
        self, database: Database, book: PortfolioRecord, ex_date: date, changes: dict[str, Any]
    ) -> None:
        state_split(database, ex_date, (4, 1), **changes)
        close(database, hold(database, book, SHARES), "2")
        assert [(lot.quantity, lot.units_date) for lot in lots(database, book)] == [
            (Decimal("8.5"), None),
            (Decimal(2), None),
        ]

    def test_splits_multiply(self, database: Database, book: PortfolioRecord) -> None:
        state_split(database, ENTRY + timedelta(1), (3, 1))
        state_split(database, ENTRY + timedelta(2), (1, 10))
        close(database, hold(database, book, SHORT), "0.7")
        assert [lot.quantity for lot in lots(database, book)] == [Decimal(-2), Decimal("-0.7")]

    def test_a_later_close_starts_from_the_units_of_the_earlier_one(
        self, database: Database, book: PortfolioRecord
    ) -> None:
        state_split(database, ENTRY + timedelta(1), (2, 1))
        state_split(database, EXIT + timedelta(1), (5, 1))
        held = hold(database, book, SHARES)
        close(database, held, "1")
        close(database, held, "10", exit_date=LAST)
        assert [(lot.quantity, lot.units_date) for lot in lots(database, book)] == [
            (Decimal(90), LAST),
            (Decimal(1), EXIT),
            (Decimal(10), LAST),
        ]

    def test_an_earlier_close_states_the_rest_in_earlier_units(self, database: Database, book: PortfolioRecord) -> None:
        state_split(database, EXIT + timedelta(1), (5, 1))
        held = hold(database, book, SHARES)
        close(database, held, "10", exit_date=LAST)
        close(database, held, "0.5")
        assert [(lot.quantity, lot.units_date) for lot in lots(database, book)] == [
            (Decimal(8), EXIT),
            (Decimal(10), LAST),
            (Decimal("0.5"), EXIT),
        ]

    def test_what_four_decimals_cannot_hold_is_refused_with_the_way_out(
        self, database: Database, book: PortfolioRecord
    ) -> None:
        state_split(database, EXIT, (1, 3))
        held = hold(database, book, NewLot("AAA", Decimal(10), Decimal(5), ENTRY))
        before = contents(database)
        message = (
            r"AAA: 10\.0000 are about 3\.3333333333 after the splits until 2025-06-22, which has more than 4 decimal "
            "places; close all of it and enter what is left as a new position"
        )
        with pytest.raises(BookError, match=message):
            close(database, held, "1")
        with pytest.raises(BookError, match=r"4 are to be closed on 2025-06-22, when about 3\.3333333333 were held"):
            close(database, held, "4")
        assert contents(database) == before
        assert close(database, held).quantity == Decimal(10)

    @pytest.mark.parametrize("kind", ["OPTIONS", "PRIVATE"])
    def test_only_shares_split(self, database: Database, book: PortfolioRecord, kind: str) -> None:
        lot = {"OPTIONS": CALL, "PRIVATE": HOUSE}[kind]
        state_split(database, ENTRY + timedelta(1), (4, 1), symbol=lot.symbol)
        close(database, hold(database, book, lot), "1", exit_date=EXPIRY)
        assert [abs(part.quantity) for part in lots(database, book)] == [abs(lot.quantity) - 1, 1]
