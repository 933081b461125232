"""Tests of the tracked symbols: imports that only add and update, and what is learnt of each from its prices."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tables import symbol_universe
from sigmasight_assets.storage.universe import (
    PROGRESS_SCHEMA,
    ImportCounts,
    TrackedSymbol,
    import_listings,
    read_universe,
    record_factor_date,
    record_progress,
)
from tests.contents import contents

MAY, JUNE, JULY = date(2025, 5, 30), date(2025, 6, 27), date(2025, 7, 31)
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
    def test_new_symbols_wait_for_their_prices(self, database: Database) -> None:
        assert store(database, LISTINGS) == ImportCounts(added=3, changed=0, unchanged=0)
        found = tracked(database)
        assert list(found) == ["AAA", "BRK-B", "SPY"]
        assert found["BRK-B"] == TrackedSymbol(
            "BRK-B", 'B "and" Ü', "equity", "Financials", None, "pending", None, None, None, None, None
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

# What was known, what the source answered (from which date asked, first and last bar, problem), what is known then.
Answer = tuple[date, date | None, date | None, str | None]
PROGRESS: dict[str, tuple[dict[str, Any], Answer, dict[str, Any]]] = {
    "first prices": (NOTHING, (MAY, MAY, JUNE, None), PRICED),
    "newer prices": (PRICED, (JUNE, JUNE, JULY, None), {**PRICED, "last_price_date": JULY}),
    "older prices": (
        {**PRICED, "history_from": JUNE, "first_trade_date": JUNE},
        (MAY, MAY, MAY, None),
        PRICED,
    ),
    "the same prices": (PRICED, (MAY, MAY, JUNE, None), PRICED),
    "fewer prices": (PRICED, (JUNE, JUNE, JUNE, None), PRICED),
    "no answer at first": (NOTHING, (MAY, None, None, "unknown: no row"), FAILED),
    "no answer again": (FAILED, (MAY, None, None, "empty"), {**FAILED, "status_reason": "empty"}),
    "a later answer": (FAILED, (MAY, MAY, JUNE, None), PRICED),
    "no answer later": (PRICED, (JULY, None, None, "empty: the file has no row"), PRICED),
    "an answer without a valid bar": (NOTHING, (MAY, None, None, None), {**NOTHING, "history_from": MAY}),
    "an answer without a valid bar later": (FAILED, (MAY, None, None, None), FAILED),
    "prices of a delisted symbol": (
        {**PRICED, "status": "delisted"},
        (MAY, MAY, JULY, None),
        {**PRICED, "status": "delisted", "last_price_date": JULY},
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
                dict(zip(PROGRESS_SCHEMA.names, (names[case], *answer), strict=True))
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
        answer = pa.table(
            {"symbol": ["AAA"], "asked_from": [MAY], "first_date": [MAY], "last_date": [JUNE], "problem": [None]}
        )
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
