"""Tests of bulk transfer: exact decimals, one transaction seen whole or not at all, errors that people can read."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import StorageError, TransientStorageError
from sigmasight_assets.storage.bulk import (
    ROWS_SENT_AT_ONCE,
    BulkConnections,
    BulkTransaction,
    bulk_transaction,
    decimal_array,
    float_array,
    money_array,
    numpy_column,
    price_array,
    with_literals,
)
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tables import symbol_exclusions
from tests.contents import contents
from tests.storage.conftest import SESSIONS

Integers = NDArray[np.int64]
SMALLEST, LARGEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
INTEGERS = arrays.arrays(np.int64, st.integers(0, 30), elements=st.integers(SMALLEST, LARGEST))


def exclusions(*rows: tuple[date, str, str, str]) -> pa.Table:
    names = ("session", "symbol", "product", "reason")
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})


STORED = exclusions(
    *(
        (day, symbol, product, "constant")
        for day in SESSIONS[:2]
        for symbol in ("AAA", "BBB")
        for product in ("ir_beta", "market_beta")
    )
)


@pytest.fixture
def stored(database: Database) -> Database:
    """Two sessions x two symbols x two products."""
    with database.bulk() as transaction:
        assert transaction.append("symbol_exclusions", STORED) == 8
    return database


def read_exclusions(transaction: BulkTransaction) -> list[tuple[Any, ...]]:
    rows = transaction.read("SELECT session, symbol, product, reason FROM symbol_exclusions ORDER BY 1, 2, 3")
    return [tuple(row.values()) for row in rows.to_pylist()]


class TestDecimalColumns:
    @given(INTEGERS)
    def test_they_equal_exact_decimals(self, scaled: Integers) -> None:
        column = decimal_array(scaled, precision=28, scale=8)
        column.validate(full=True)
        assert column.to_pylist() == [Decimal(value).scaleb(-8) for value in scaled.tolist()]

    @given(INTEGERS, st.data())
    def test_marked_rows_are_null(self, scaled: Integers, data: st.DataObject) -> None:
        null = data.draw(arrays.arrays(np.bool_, len(scaled)))
        column = decimal_array(scaled, precision=28, scale=8, null=null)
        column.validate(full=True)
        assert column.null_count == null.sum()
        assert column.to_pylist() == [
            None if missing else Decimal(value).scaleb(-8)
            for value, missing in zip(scaled.tolist(), null.tolist(), strict=True)
        ]

    def test_a_slice_with_gaps_in_memory_is_no_different(self) -> None:
        scaled = np.arange(-20, 20, dtype=np.int64)
        assert price_array(scaled[::-3]).to_pylist() == price_array(scaled[::-3].copy()).to_pylist()

    def test_the_database_holds_what_was_sent(self, database: Database) -> None:
        prices = np.array([1, -1, 0, 10**14 - 1, 1 - 10**14], dtype=np.int64)
        null = np.array([False, False, True, False, False])
        money = np.array([SMALLEST, LARGEST, 0, -1, 123_456_789], dtype=np.int64)
        rows = pa.table({"row": pa.array(range(5)), "price": price_array(prices, null), "money": money_array(money)})
        columns = {"row": "bigint", "price": "numeric(14,4)", "money": "numeric(28,8)"}
        with database.bulk() as transaction, transaction.scratch_table("sent", columns, rows):
            kept = transaction.read("SELECT price::text, money::text FROM sent ORDER BY row").to_pylist()
        assert [row["price"] for row in kept] == ["0.0001", "-0.0001", None, "9999999999.9999", "-9999999999.9999"]
        assert [row["money"] for row in kept] == [
            "-92233720368.54775808",
            "92233720368.54775807",
            "0.00000000",
            "-0.00000001",
            "1.23456789",
        ]

    def test_a_price_that_does_not_fit_is_refused(self, database: Database) -> None:
        rows = pa.table({"price": price_array(np.array([10**14]))})
        with pytest.raises(StorageError, match="numeric field overflow"), database.bulk() as transaction:
            transaction.scratch_table("sent", {"price": "numeric(14,4)"}, rows).__enter__()


class TestColumns:
    def test_no_number_is_null_in_the_database_and_back(self, database: Database) -> None:
        rows = pa.table({"value": float_array(np.array([1.5, np.nan, -np.inf]))})
        with database.bulk() as transaction, transaction.scratch_table("sent", {"value": "double precision"}, rows):
            back = transaction.read("SELECT value, value IS NULL AS missing FROM sent")
        assert back["missing"].to_pylist() == [False, True, False]
        np.testing.assert_array_equal(numpy_column(back, "value"), [1.5, np.nan, -np.inf])

    @pytest.mark.parametrize("condition", ["true", "false"])
    def test_types_do_not_depend_on_the_rows(self, database: Database, condition: str) -> None:
        query = (
            "SELECT date '2025-06-27' AS day, 5::bigint AS count, 0.5::double precision AS share, true AS known, "
            f"'AAA' AS symbol WHERE {condition}"
        )
        with database.bulk(read_only=True) as transaction:
            rows = transaction.read(query)
        kinds = {name: numpy_column(rows, name).dtype.str for name in rows.column_names}
        assert kinds == {"day": "<M8[D]", "count": "<i8", "share": "<f8", "known": kinds["known"], "symbol": "|O"}

    def test_missing_dates_are_not_a_time(self, database: Database) -> None:
        with database.bulk() as transaction:
            rows = transaction.read("SELECT date '2025-06-27' AS day UNION ALL SELECT NULL")
        np.testing.assert_array_equal(numpy_column(rows, "day"), np.array(["2025-06-27", "NaT"], dtype="datetime64[D]"))


class TestParameters:
    def test_values_are_bound_not_pasted(self, database: Database) -> None:
        query = "SELECT $1::text AS word, $2::date AS day, $3::double precision AS share, $4::bigint[] AS ids"
        values = ("'; DROP TABLE users; --", date(2025, 6, 27), 0.1, [1, 2**40])
        with database.bulk(read_only=True) as transaction:
            assert tuple(transaction.read(query, values).to_pylist()[0].values()) == values

    def test_lists_select_rows(self, stored: Database) -> None:
        with stored.bulk(read_only=True) as transaction:
            query = "SELECT count(*) AS found FROM symbol_exclusions WHERE session = $1 AND symbol = ANY($2)"
            found = transaction.read(query, (SESSIONS[0], ["BBB", "ZZZ"]))
        assert found["found"].to_pylist() == [2]


class TestReplace:
    def test_it_deletes_the_keys_and_appends_the_rows(self, stored: Database) -> None:
        keys = pa.table({"session": [SESSIONS[0], SESSIONS[1]], "symbol": ["AAA", "BBB"]})
        rows = exclusions((SESSIONS[0], "AAA", "market_beta", "no_price"), (SESSIONS[3], "CCC", "ir_beta", "no_price"))
        with stored.bulk() as transaction:
            assert transaction.replace(symbol_exclusions, keys, rows) == 2
            kept = read_exclusions(transaction)
        gone = set(zip(keys["session"].to_pylist(), keys["symbol"].to_pylist(), strict=True))
        untouched = [tuple(row.values()) for row in STORED.to_pylist() if (row["session"], row["symbol"]) not in gone]
        assert kept == sorted([*untouched, *(tuple(row.values()) for row in rows.to_pylist())])

    def test_keys_without_rows_only_delete(self, stored: Database) -> None:
        keys = pa.table({"product": ["ir_beta"]})
        with stored.bulk() as transaction:
            assert transaction.replace(symbol_exclusions, keys, exclusions()) == 0
            assert {row[2] for row in read_exclusions(transaction)} == {"market_beta"}

    def test_no_keys_and_no_rows_change_nothing(self, stored: Database) -> None:
        before = contents(stored)
        with stored.bulk() as transaction:
            assert (
                transaction.replace(symbol_exclusions, pa.table({"symbol": pa.array([], pa.string())}), exclusions())
                == 0
            )
        assert contents(stored) == before

    def test_a_table_may_be_replaced_twice_in_one_transaction(self, stored: Database) -> None:
        row = exclusions((SESSIONS[0], "AAA", "ir_beta", "no_price"))
        with stored.bulk() as transaction:
            for _ in range(2):
                transaction.replace(symbol_exclusions, row.drop_columns(["reason"]), row)
            assert len(read_exclusions(transaction)) == 8


class TestTransaction:
    def test_nobody_sees_it_before_its_end(self, stored: Database) -> None:
        before = contents(stored)
        with stored.bulk() as transaction:
            transaction.execute("DELETE FROM symbol_exclusions")
            assert contents(stored) == before
        assert contents(stored) != before

    @pytest.mark.parametrize(
        ("fail", "error", "message"),
        [
            (lambda transaction: transaction.append("symbol_exclusions", STORED), StorageError, "duplicate key value"),
            (lambda transaction: transaction.read("SELECT 1 / 0 AS a"), StorageError, "division by zero"),
            (lambda transaction: transaction.read("SELECT * FROM nowhere"), StorageError, '"nowhere" does not exist'),
            (lambda _: int("nine"), ValueError, "nine"),
        ],
    )
    def test_an_error_leaves_the_table_as_it_was(
        self,
        stored: Database,
        fail: Callable[[BulkTransaction], object],
        error: type[Exception],
        message: str,
    ) -> None:
        def change_and_fail() -> None:
            with stored.bulk() as transaction:
                keys = pa.table({"symbol": ["AAA"]})
                transaction.replace(symbol_exclusions, keys, exclusions((SESSIONS[4], "NEW", "ir_beta", "no_price")))
                fail(transaction)

        before = contents(stored)
        with pytest.raises(error, match=message):
            change_and_fail()
        assert contents(stored) == before

    @pytest.mark.parametrize(
        ("sqlstate", "kind"),
        [("40001", TransientStorageError), ("57014", TransientStorageError), ("53100", StorageError)],
        ids=["serialization", "statement timeout", "disk full"],
    )
    def test_trouble_that_passes_is_told_from_trouble_that_stays(
        self, stored: Database, sqlstate: str, kind: type[StorageError]
    ) -> None:
        refuse = f"DO $$ BEGIN RAISE EXCEPTION 'told by the server' USING ERRCODE = '{sqlstate}'; END $$"
        with pytest.raises(StorageError, match="told by the server") as caught, stored.bulk() as transaction:
            transaction.execute(refuse)
        assert type(caught.value) is kind

    def test_a_row_that_the_table_refuses_undoes_the_deletion(self, stored: Database) -> None:
        before = contents(stored)
        wrong = pa.table({"session": [SESSIONS[0]], "symbol": ["AAA"], "product": ["ir_beta"]})
        with pytest.raises(StorageError, match='null value in column "reason"'), stored.bulk() as transaction:
            transaction.replace(symbol_exclusions, pa.table({"symbol": ["AAA"]}), wrong)
        assert contents(stored) == before

    @pytest.mark.parametrize("error", [None, KeyError("mine")])
    def test_a_connection_lost_within_is_told_and_nothing_is_kept(
        self, stored: Database, error: Exception | None
    ) -> None:
        def lose() -> None:
            with stored.bulk() as transaction:
                transaction.execute("DELETE FROM symbol_exclusions")
                lost = transaction.read("SELECT pg_backend_pid() AS pid")["pid"][0].as_py()
                with stored.begin() as connection:
                    connection.exec_driver_sql(f"SELECT pg_terminate_backend({lost}, 1000)")
                if error:
                    raise error

        before = contents(stored)
        with pytest.raises(
            type(error) if error else TransientStorageError, match="mine" if error else "refused a bulk transfer"
        ):
            lose()
        assert contents(stored) == before

    def test_a_read_only_one_sees_one_state_throughout(self, stored: Database) -> None:
        with stored.bulk(read_only=True) as reader:
            before = read_exclusions(reader)
            with stored.begin() as connection:
                connection.execute(sa.delete(symbol_exclusions))
            assert read_exclusions(reader) == before
        with stored.bulk(read_only=True) as reader:
            assert read_exclusions(reader) == []

    def test_a_read_only_one_cannot_write(self, stored: Database) -> None:
        with (
            pytest.raises(StorageError, match="cannot execute DELETE in a read-only transaction"),
            stored.bulk(read_only=True) as reader,
        ):
            reader.execute("DELETE FROM symbol_exclusions")

    def test_a_scratch_table_is_gone_after_its_block(self, stored: Database) -> None:
        with stored.bulk() as transaction:
            for _ in range(2):
                with transaction.scratch_table("notes", {"note": "text"}, pa.table({"note": ["a"]})) as name:
                    assert transaction.read(f"SELECT note FROM {name}")["note"].to_pylist() == ["a"]
            assert transaction.read("SELECT to_regclass('pg_temp.notes') IS NULL AS gone")["gone"].to_pylist() == [True]


class TestConnection:
    def test_a_restarted_server_is_noticed(self, database: Database) -> None:
        handle = Database(database.url)
        with handle.bulk() as transaction:
            transaction.execute("SELECT 1")
        with database.begin() as connection:
            lost = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = current_database()"
            connection.exec_driver_sql(f"{lost} AND pid <> pg_backend_pid()")
        with handle.bulk() as transaction:
            assert transaction.read("SELECT 1 AS one")["one"].to_pylist() == [1]
        handle.close()

    def test_many_at_once_are_each_on_their_own(self, database: Database) -> None:
        handle = Database(database.url)

        def work(_: int) -> int:
            with handle.bulk() as transaction:
                return int(transaction.read("SELECT pg_backend_pid() AS pid, pg_sleep(0.05)::text")["pid"][0].as_py())

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(work, range(4)))) == 4
        handle.close()

    @pytest.mark.parametrize("options", ["", "?nonsense=1"])
    def test_a_database_that_is_away_is_told_without_its_password(self, options: str) -> None:
        url = "postgresql+psycopg2://me:s3cret@127.0.0.1:9/name" + options
        with pytest.raises(TransientStorageError) as caught, bulk_transaction(BulkConnections(url)):
            pass
        assert str(caught.value) == (
            f"The database postgresql+psycopg2://me:***@127.0.0.1:9/name{options} does not answer. "
            "Start the embedded one with `sigmasight db up`, or check SIGMASIGHT_DATABASE_URL."
        )

    def test_a_password_of_any_characters_and_options_reach_the_server(self, database: Database) -> None:
        password = 'p@ss:/#? %\\"é'
        with database.begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE odd LOGIN PASSWORD '{password}'".replace("%", "%%"))
        query = {"application_name": "bulk transfer", "options": "-c search_path=elsewhere"}
        url = make_url(database.url).set(username="odd", password=password, query=query)
        try:
            connections = BulkConnections(url.render_as_string(hide_password=False))
            with bulk_transaction(connections) as transaction:
                row = transaction.read(
                    "SELECT current_user::text AS me, current_setting('application_name') AS application, "
                    "current_setting('search_path') AS path"
                )
            assert row.to_pylist() == [{"me": "odd", "application": "bulk transfer", "path": "elsewhere"}]
            connections.close()
        finally:
            with database.begin() as connection:
                connection.exec_driver_sql("DROP ROLE odd")


class TestLiterals:
    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
    @settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_any_text_comes_back_as_it_is(self, text_bulk: BulkTransaction, text: str) -> None:
        rows = text_bulk.read("SELECT $1::text AS one, ($2::text[])[1] AS first", (text, [text, "other"]))
        assert rows.to_pylist() == [{"one": text, "first": text}]

    def test_they_have_the_type_of_their_place(self, database: Database) -> None:
        with database.bulk(read_only=True) as transaction:
            sql = "SELECT date '2025-07-31' = $1 AS a, date '2025-07-31' = ANY($2) AS b, 7 = $3 AS c, 7 = ANY($4) AS d"
            found = transaction.read(sql, (date(2025, 7, 31), [date(2025, 7, 31)], 7, [6, 7])).to_pylist()
            assert found == [{"a": True, "b": True, "c": True, "d": True}]
            assert transaction.read("SELECT 'x' = ANY($1) AS found", ([],)).to_pylist() == [{"found": False}]

    def test_nothing_numbers_and_flags_are_themselves(self, database: Database) -> None:
        with database.bulk(read_only=True) as transaction:
            sql = "SELECT $1::int IS NULL AS a, $2 AS b, 1.5 > $3 AS c, ($4::int[])[1] IS NULL AS d, 5-$5 AS e"
            found = transaction.read(sql.replace("$2", "$2::boolean"), (None, False, -1.25, [None, 1], -2)).to_pylist()
            assert found == [{"a": True, "b": False, "c": True, "d": True, "e": 7}]

    def test_the_twelfth_is_not_the_first(self) -> None:
        assert with_literals("$12 $1", list(range(1, 13))) == "E'12' E'1'"

    @pytest.mark.parametrize("value", [b"x", {"a": 1}, [b"x"], datetime(2025, 7, 31, tzinfo=UTC)])
    def test_other_kinds_are_refused(self, value: Any) -> None:
        with pytest.raises(TypeError, match="cannot be a parameter"):
            with_literals("SELECT $1", (value,))

    def test_a_zero_byte_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zero byte"):
            with_literals("SELECT $1", ("a\0b",))


@pytest.fixture
def text_bulk(database: Database) -> Iterator[BulkTransaction]:
    with database.bulk(read_only=True) as transaction:
        yield transaction


def test_more_rows_than_are_sent_at_once_arrive_whole(database: Database) -> None:
    count = 2 * ROWS_SENT_AT_ONCE + 1
    names = [f"S{number:05d}" for number in range(count)]
    rows = exclusions(*((SESSIONS[0], name, "ir_beta", "constant") for name in names))
    with database.bulk() as transaction:
        assert transaction.append("symbol_exclusions", rows) == count
        assert [row[1] for row in read_exclusions(transaction)] == names


def test_lists_of_any_length_arrive_whole_in_more_rows_than_are_sent_at_once(database: Database) -> None:
    lists = [
        [None if item % 5 == 4 else item for item in range(row, row + row % 7)] for row in range(2 * ROWS_SENT_AT_ONCE)
    ]
    rows = pa.table({"place": np.arange(len(lists)), "items": pa.array(lists, pa.list_(pa.int64()))})
    columns = {"place": "bigint", "items": "bigint[]"}
    with database.bulk() as transaction, transaction.scratch_table("listed", columns, rows):
        assert transaction.read("SELECT items FROM listed ORDER BY place")["items"].to_pylist() == lists
