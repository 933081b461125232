"""Tests of the tracked symbols: imports that only add and update, and what is learnt of each from its prices."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.tables import symbol_market_beta, symbol_universe
from sigmasight_assets.storage.universe import (
    PROGRESS_SCHEMA,
    ImportCounts,
    TrackedSymbol,
    import_listings,
    read_universe,
    read_universe_in_bulk,
    record_factor_date,
    record_progress,
    withdraw_factor_date,
)
from tests.contents import contents
from tests.orchestration.contents import wait_for_waiters
from tests.storage.rows import ROWS

APRIL, MAY, JUNE, JULY = date(2025, 4, 30), date(2025, 5, 30), date(2025, 6, 27), date(2025, 7, 31)
LISTINGS = [
    Listing("SPY", "Market Fund", "etf", None, None),
    Listing("AAA", "A Inc.", "equity", "Energy", "Oil & Gas"),
    Listing("BRK-B", 'B "and" Ü', "equity", "Financials", None),
]


def store(database: Database, listings: list[Listing]) -> ImportCounts:
    with database.begin() as connection:
        return import_listings(connection, listings)


def tracked(database: Database) -> dict[str, TrackedSymbol]:
    with database.begin() as connection:
        return {item.symbol: item for item in read_universe(connection)}


class TestImport:
    def test_only_what_changes_something_waits_for_the_prices(self, database: Database) -> None:
        """A price update changes the same rows in another order."""
        store(database, LISTINGS)
        renamed = [replace(item, name="Renamed") for item in LISTINGS]
        with database.bulk() as transaction:
            lock_layer(transaction, "prices")
            assert store(database, LISTINGS).unchanged == 3
            other = threading.Thread(target=store, args=(database, renamed), daemon=True)
            other.start()
            wait_for_waiters(database, 1)
            assert {item.name for item in tracked(database).values()} == {item.name for item in LISTINGS}
        other.join(30)
        assert {item.name for item in tracked(database).values()} == {"Renamed"}

    def test_new_symbols_wait_for_their_prices(self, database: Database) -> None:
        assert store(database, LISTINGS) == ImportCounts(added=3, changed=0, unchanged=0)
        found = tracked(database)
        assert list(found) == ["AAA", "BRK-B", "SPY"]
        assert found["BRK-B"] == TrackedSymbol(
            "BRK-B", 'B "and" Ü', "equity", "Financials", None, "pending", *[None] * 6
        )

    def test_the_same_again_changes_nothing(self, database: Database) -> None:
        store(database, LISTINGS)
        before = contents(database)
        assert store(database, LISTINGS) == ImportCounts(added=0, changed=0, unchanged=3)
        assert contents(database) == before

    def test_descriptions_change_and_nothing_else_does(self, database: Database) -> None:
        store(database, LISTINGS)
        with database.begin() as connection:
            connection.execute(sa.update(symbol_universe).values(status="active", first_trade_date=MAY))
        changed = Listing("AAA", "AAA plc", "equity", "Energy", None)
        assert store(database, [changed, LISTINGS[0], Listing("NEW", "New", "etf", None, None)]) == ImportCounts(
            1, 1, 1
        )
        found = tracked(database)
        assert (found["AAA"].name, found["AAA"].industry) == ("AAA plc", None)
        assert (found["AAA"].status, found["AAA"].first_trade_date) == ("active", MAY)
        assert found["NEW"].status == "pending"
        assert "BRK-B" in found

    def test_both_readings_are_the_same(self, database: Database) -> None:
        store(database, LISTINGS)
        with database.begin() as connection:
            connection.execute(
                sa.update(symbol_universe)
                .where(symbol_universe.c.symbol == "AAA")
                .values(status="delisted", status_reason="bought", first_trade_date=APRIL, last_price_date=MAY)
            )
            expected = read_universe(connection)
        with database.bulk(read_only=True) as transaction:
            assert read_universe_in_bulk(transaction) == expected
        assert expected[0].last_price_date == MAY

    def test_an_empty_list_is_no_change(self, database: Database) -> None:
        assert store(database, []) == ImportCounts(0, 0, 0)


NOTHING: dict[str, Any] = {
    "status": "pending",
    "status_reason": None,
    "history_from": None,
    "first_trade_date": None,
    "last_price_date": None,
}
PRICED = {**NOTHING, "status": "active", "history_from": MAY, "first_trade_date": MAY, "last_price_date": JUNE}
FAILED = {**NOTHING, "status": "error", "status_reason": "unknown: no row", "history_from": MAY}

OVER = {**PRICED, "status": "delisted", "status_reason": "merged"}
OVER_AGAIN = {**OVER, "status_reason": "merged in May"}
LATER = {**PRICED, "history_from": JUNE, "first_trade_date": JUNE}

# What was known, what the source answered (asked from and to, first and last bar, whether it trades no more, reason),
# what is known then.
Answer = tuple[date | None, date | None, date | None, date | None, bool, str | None]
PROGRESS: dict[str, tuple[dict[str, Any], Answer, dict[str, Any]]] = {
    "first prices": (NOTHING, (MAY, JUNE, MAY, JUNE, False, None), PRICED),
    "newer prices": (PRICED, (JUNE, JULY, JUNE, JULY, False, None), {**PRICED, "last_price_date": JULY}),
    "older prices": (LATER, (MAY, JUNE, MAY, MAY, False, None), PRICED),
    "the same prices": (PRICED, (MAY, JUNE, MAY, JUNE, False, None), PRICED),
    "fewer prices": (PRICED, (JUNE, JUNE, JUNE, JUNE, False, None), PRICED),
    "prices until the day before": (LATER, (MAY, JUNE - timedelta(1), MAY, MAY, False, None), PRICED),
    "much older prices": (LATER, (APRIL, MAY, APRIL, MAY, False, None), {**LATER, "first_trade_date": APRIL}),
    "much newer prices": (
        {**PRICED, "last_price_date": MAY},
        (JUNE, JULY, JUNE, JULY, False, None),
        {**PRICED, "history_from": JUNE, "last_price_date": JULY},
    ),
    "no price of a much newer window": (
        {**PRICED, "last_price_date": MAY},
        (JUNE, JULY, None, None, False, "empty"),
        {**PRICED, "history_from": JUNE, "last_price_date": MAY},
    ),
    "no answer at first": (NOTHING, (MAY, JUNE, None, None, False, "unknown: no row"), FAILED),
    "no answer again": (FAILED, (MAY, JUNE, None, None, False, "empty"), {**FAILED, "status_reason": "empty"}),
    "a later answer": (FAILED, (MAY, JUNE, MAY, JUNE, False, None), PRICED),
    "no answer later": (PRICED, (JUNE, JULY, None, None, False, "empty: the file has no row"), PRICED),
    "an answer without a valid bar": (
        NOTHING,
        (MAY, JUNE, None, None, False, None),
        {**NOTHING, "history_from": MAY},
    ),
    "an answer without a valid bar later": (FAILED, (MAY, JUNE, None, None, False, None), FAILED),
    "not asked for": (
        NOTHING,
        (None, None, None, None, False, "adjusted contract"),
        {**NOTHING, "status": "error", "status_reason": "adjusted contract"},
    ),
    "the last prices": (PRICED, (JUNE, JULY, JUNE, JULY, True, "merged"), {**OVER, "last_price_date": JULY}),
    "delisted without any price": (
        NOTHING,
        (MAY, JUNE, None, None, True, "expired"),
        {**NOTHING, "status": "delisted", "status_reason": "expired", "history_from": MAY},
    ),
    "delisted without being asked for": (
        NOTHING,
        (None, None, None, None, True, "expired"),
        {**NOTHING, "status": "delisted", "status_reason": "expired"},
    ),
    "delisted, and said so again": (OVER, (JUNE, JULY, None, None, True, "merged in May"), OVER_AGAIN),
    "delisted, and nothing said": (OVER, (JUNE, JULY, None, None, False, "empty"), OVER),
    "older prices of a delisted symbol": (OVER, (MAY, JUNE, MAY, JUNE, False, None), OVER),
    "newer prices of a delisted symbol": (
        OVER,
        (JUNE, JULY, JUNE, JULY, False, None),
        {**PRICED, "last_price_date": JULY},
    ),
    "first prices of a delisted symbol": (
        {**NOTHING, "status": "delisted", "status_reason": "expired"},
        (MAY, JUNE, MAY, JUNE, False, None),
        PRICED,
    ),
}


def known(database: Database, columns: Iterable[str] = NOTHING) -> dict[str, dict[str, Any]]:
    return {name: {column: getattr(item, column) for column in columns} for name, item in tracked(database).items()}


class TestProgress:
    def test_what_is_learnt_from_prices(self, database: Database) -> None:
        """One symbol per case, and one that was not asked for."""
        names = {case: f"S{number}" for number, case in enumerate(PROGRESS)}
        before = [{"symbol": names[case], **PROGRESS[case][0]} for case in PROGRESS]
        with database.begin() as connection:
            rows = [*before, {"symbol": "OTHER", **FAILED}]
            connection.execute(
                sa.insert(symbol_universe), [{"name": "x", "asset_type": "equity", **row} for row in rows]
            )
        answers = pa.Table.from_pylist(
            [
                dict(zip(PROGRESS_SCHEMA.names, (names[case], *answer, None, None), strict=True))
                for case, (_, answer, _) in PROGRESS.items()
            ],
            schema=PROGRESS_SCHEMA,
        )
        with database.bulk() as transaction:
            record_progress(transaction, answers)
        found = known(database)
        assert {case: found[name] for case, name in names.items()} == {case: row[2] for case, row in PROGRESS.items()}
        assert found["OTHER"] == FAILED

    def test_the_same_again_writes_no_row(self, database: Database) -> None:
        store(database, LISTINGS)
        row = ("AAA", *PROGRESS["first prices"][1], None, None)
        answer = pa.Table.from_pylist([dict(zip(PROGRESS_SCHEMA.names, row, strict=True))], schema=PROGRESS_SCHEMA)
        versions = []
        for _ in range(2):
            with database.bulk() as transaction:
                record_progress(transaction, answer)
                versions.append(transaction.read("SELECT xmin::text AS version FROM symbol_universe ORDER BY symbol"))
        assert versions[0] == versions[1]

    @pytest.mark.parametrize("days", [[MAY, JUNE], [JUNE, MAY], [JUNE, JUNE]])
    def test_the_newest_figures_are_remembered(self, database: Database, days: list[date]) -> None:
        store(database, LISTINGS)
        with database.bulk() as transaction:
            for day in days:
                record_factor_date(transaction, day, ["AAA", "SPY", "NOT-TRACKED"])
        assert known(database, ["last_factor_date"]) == {
            "AAA": {"last_factor_date": JUNE},
            "BRK-B": {"last_factor_date": None},
            "SPY": {"last_factor_date": JUNE},
        }

    def test_figures_that_are_gone_are_forgotten(self, database: Database) -> None:
        store(database, LISTINGS)
        beta = ROWS[symbol_market_beta]
        with database.begin() as connection:
            connection.execute(sa.insert(symbol_market_beta).values({**beta, "session": MAY}))
        with database.bulk() as transaction:
            record_factor_date(transaction, JUNE, ["AAA", "BRK-B", "SPY"])
            withdraw_factor_date(transaction, JUNE, ["AAA", "BRK-B"])
            # Not its newest.
            withdraw_factor_date(transaction, MAY, ["SPY"])
        assert known(database, ["last_factor_date"]) == {
            "AAA": {"last_factor_date": MAY},
            "BRK-B": {"last_factor_date": None},
            "SPY": {"last_factor_date": JUNE},
        }


def test_an_import_of_thousands_tells_how_far_it_is(database: Database) -> None:
    listings = [Listing(f"S{number}", "A stock", "equity", None, None) for number in range(2500)]
    told: list[tuple[int, int]] = []
    with database.begin() as connection:
        counts = import_listings(connection, listings, progress=lambda done, total: told.append((done, total)))
    assert counts == ImportCounts(2500, 0, 0)
    assert told == [(0, 2500), (1000, 2500), (2000, 2500)]
    with database.begin() as connection:
        assert len(read_universe(connection)) == 2500
