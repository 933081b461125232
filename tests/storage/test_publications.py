"""Tests of the ledger of publications: generations count up, publishers queue, readers see all of one or nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import (
    CHANNEL,
    LOCKS,
    SYMBOL_PRODUCTS,
    Layer,
    Publication,
    complete_sessions,
    lock_layer,
    newest_generation,
    next_generation,
    read_changed_symbols,
    read_coverage,
    read_newest_coverage,
    read_newest_portfolio_generation,
    read_products,
    read_published_sessions,
    read_symbol_generations,
    record_publications,
)
from tests.contents import contents
from tests.storage.conftest import SESSIONS

FIRST, SECOND = SESSIONS[:2]
WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted AND objid = {number}"
)
DEADLINE_SECONDS = 30.0


def item(session: date, products: tuple[str, ...] = SYMBOL_PRODUCTS, **values: Any) -> Publication:
    usual: dict[str, Any] = {"rows_written": 1, "coverage": 0.99, "counts": {"no_price": 1}}
    return Publication(session=session, products=products, **{**usual, **values})


def publish(database: Database, *items: Publication, layer: Layer = "symbol", run_id: str = "r1") -> int:
    with database.bulk() as transaction:
        generation = next_generation(transaction)
        record_publications(transaction, generation, layer, list(items), run_id=run_id)
    return generation


class Other:
    """A second publisher on a connection and in a thread of its own."""

    def __init__(self, database: Database, work: Callable[[BulkTransaction], object]) -> None:
        self._database, self._work = database, work
        self.answers: list[object] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._database.bulk() as transaction:
            self.answers.append(self._work(transaction))

    def wait_until_it_waits(self, lock: str) -> None:
        for _ in range(3_000):
            with self._database.begin() as connection:
                if connection.exec_driver_sql(WAITING.format(number=LOCKS[lock])).scalar_one():
                    return
            self._thread.join(0.01)
        pytest.fail("it does not wait")

    def finish(self) -> None:
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()


class TestGenerations:
    def test_they_count_up_over_both_layers(self, database: Database) -> None:
        with database.bulk(read_only=True) as transaction:
            assert newest_generation(transaction) == 0
        assert publish(database, item(FIRST)) == 1
        assert publish(database, item(FIRST), layer="portfolio") == 2
        assert publish(database, item(FIRST), item(SECOND)) == 3
        with database.bulk(read_only=True) as transaction:
            assert newest_generation(transaction) == 3

    def test_one_that_was_not_published_is_given_again(self, database: Database) -> None:
        def fail() -> None:
            with database.bulk() as transaction:
                record_publications(transaction, next_generation(transaction), "symbol", [item(FIRST)], run_id="r1")
                raise KeyError

        before = contents(database)
        with pytest.raises(KeyError):
            fail()
        assert contents(database) == before
        assert publish(database, item(FIRST)) == 1

    @pytest.mark.parametrize("succeeds", [True, False])
    def test_a_second_publisher_waits_for_the_first(self, database: Database, succeeds: bool) -> None:
        with suppress(StorageError), database.bulk() as transaction:
            generation = next_generation(transaction)
            record_publications(transaction, generation, "symbol", [item(FIRST)], run_id="r1")
            other = Other(database, next_generation)
            other.wait_until_it_waits("generation")
            assert other.answers == []
            if not succeeds:
                transaction.execute("SELECT 1 / 0")
        other.finish()
        assert other.answers == [generation + 1 if succeeds else generation]

    def test_many_at_once_get_each_its_own(self, database: Database) -> None:
        def work(transaction: BulkTransaction) -> int:
            generation = next_generation(transaction)
            record_publications(transaction, generation, "symbol", [item(FIRST)], run_id="r1")
            return generation

        others = [Other(database, work) for _ in range(5)]
        for other in others:
            other.finish()
        assert sorted(str(answer) for other in others for answer in other.answers) == ["1", "2", "3", "4", "5"]

    def test_a_generation_cannot_be_recorded_twice(self, database: Database) -> None:
        publish(database, item(FIRST))
        before = contents(database)
        with pytest.raises(StorageError, match="duplicate key"), database.bulk() as transaction:
            record_publications(transaction, 1, "symbol", [item(FIRST)], run_id="r2")
        assert contents(database) == before


class TestLayers:
    def test_a_layer_has_one_writer_at_a_time(self, database: Database) -> None:
        with database.bulk() as transaction:
            lock_layer(transaction, "symbol")
            other = Other(database, lambda second: lock_layer(second, "symbol"))
            other.wait_until_it_waits("symbol")
        other.finish()
        assert other.answers == [None]

    def test_layers_do_not_wait_for_each_other(self, database: Database) -> None:
        with database.bulk() as transaction:
            lock_layer(transaction, "symbol")
            lock_layer(transaction, "prices")
            other = Other(database, lambda second: lock_layer(second, "portfolio"))
            other.finish()
        assert other.answers == [None]


class TestReaders:
    def test_they_see_figures_and_ledger_together_or_neither(self, database: Database) -> None:
        """Three publications, each with as many rows as its number; a reader looks after every statement."""
        look = (
            "SELECT (SELECT coalesce(max(generation), 0) FROM publications) AS generation, "
            "(SELECT count(*) FROM symbol_exclusions) AS rows"
        )
        seen = []

        def look_again() -> None:
            with database.begin() as reader:
                seen.append(tuple(reader.exec_driver_sql(look).one()))

        for number in (1, 2, 3):
            with database.bulk() as transaction:
                generation = next_generation(transaction)
                row = {"session": [FIRST], "symbol": [f"S{number}"], "product": ["ir_beta"], "reason": ["no_price"]}
                transaction.append("symbol_exclusions", pa.table(row))
                look_again()
                record_publications(transaction, generation, "symbol", [item(FIRST)], run_id="r1")
                look_again()
            look_again()
        assert seen == [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1), (2, 2), (2, 2), (2, 2), (3, 3)]


class Listener:
    """A connection that is told of publications."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(False))
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def heard(self) -> list[str]:
        """What came until now: a notification is sent before the answer to any later statement."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        heard = [notification.payload for notification in self._connection.notifies]
        self._connection.notifies.clear()
        return heard

    def close(self) -> None:
        self._connection.close()


class TestNotifications:
    @pytest.fixture
    def listener(self, database: Database) -> Iterator[Listener]:
        listener = Listener(database.url)
        yield listener
        listener.close()

    def test_listeners_hear_the_generation_once_it_is_there(self, database: Database, listener: Listener) -> None:
        with database.bulk() as transaction:
            record_publications(transaction, 7, "symbol", [item(FIRST), item(SECOND)], run_id="r1")
            assert listener.heard() == []
        assert listener.heard() == ["7"]
        publish(database, item(FIRST), layer="portfolio")
        publish(database, item(FIRST))
        assert listener.heard() == ["8", "9"]

    def test_they_hear_nothing_of_what_was_undone(self, database: Database, listener: Listener) -> None:
        twice = [item(FIRST), item(FIRST)]
        with pytest.raises(StorageError, match="duplicate key"), database.bulk() as transaction:
            record_publications(transaction, 1, "symbol", twice, run_id="r1")
        assert listener.heard() == []


class TestReading:
    def test_a_publication_is_kept_with_its_counts(self, database: Database) -> None:
        publish(database, item(FIRST, ("market_beta", "ir_beta"), rows_written=7, coverage=None, counts={"a": 1}))
        with database.begin() as connection:
            row = dict(connection.exec_driver_sql("SELECT * FROM publications").mappings().one())
        assert row.pop("published_at").utcoffset() is not None
        assert row == {
            "generation": 1,
            "layer": "symbol",
            "session": FIRST,
            "products": ["market_beta", "ir_beta"],
            "rows_written": 7,
            "coverage": None,
            "counts": {"a": 1},
            "symbols": None,
            "run_id": "r1",
        }

    @pytest.mark.parametrize("symbols", [None, (), ("AAA",), ("BRK.B", "O'X", "{,}")])
    def test_symbols_are_kept_as_they_are(self, database: Database, symbols: tuple[str, ...] | None) -> None:
        publish(database, item(FIRST, symbols=symbols))
        with database.begin() as connection:
            kept = connection.exec_driver_sql("SELECT symbols FROM publications").scalar_one()
        assert kept == (None if symbols is None else list(symbols))

    def test_changed_symbols_are_those_of_newer_publications(self, database: Database) -> None:
        def changed(consumed: dict[date, int]) -> dict[date, set[str] | None]:
            with database.begin() as connection:
                return read_changed_symbols(connection, consumed)

        publish(database, item(FIRST), item(SECOND))
        publish(database, item(FIRST, symbols=("AAA", "BBB")), item(SECOND, symbols=()))
        publish(database, item(FIRST, SYMBOL_PRODUCTS[:1], symbols=("CCC",)))
        publish(database, item(FIRST), layer="portfolio")
        assert changed({}) == {}
        assert changed({FIRST: 0, SECOND: 0}) == {FIRST: None, SECOND: None}
        assert changed({FIRST: 1, SECOND: 1}) == {FIRST: {"AAA", "BBB", "CCC"}, SECOND: set()}
        assert changed({FIRST: 2, SECOND: 2}) == {FIRST: {"CCC"}}
        assert changed({FIRST: 3}) == {}
        publish(database, item(FIRST))
        publish(database, item(FIRST, symbols=("DDD",)))
        assert changed({FIRST: 3, SECOND: 1}) == {FIRST: None, SECOND: set()}

    @pytest.mark.parametrize(
        ("products", "is_complete"),
        [(SYMBOL_PRODUCTS, True), ({*SYMBOL_PRODUCTS, "more"}, True), (SYMBOL_PRODUCTS[1:], False), ((), False)],
    )
    def test_sessions_are_complete_with_every_product(self, products: set[str], is_complete: bool) -> None:
        assert complete_sessions({FIRST: products}) == ({FIRST} if is_complete else set())

    def test_a_session_is_complete_with_every_product_however_they_came(self, database: Database) -> None:
        def complete(**options: Any) -> dict[date, int]:
            with database.begin() as connection:
                return read_symbol_generations(connection, **options)

        assert complete() == {}
        publish(database, item(FIRST, SYMBOL_PRODUCTS[:4]), item(SECOND))
        assert complete() == {SECOND: 1}
        publish(database, item(FIRST, SYMBOL_PRODUCTS[4:]), layer="portfolio")
        assert complete() == {SECOND: 1}
        publish(database, item(FIRST, SYMBOL_PRODUCTS[3:]))
        assert complete() == {FIRST: 3, SECOND: 1}
        publish(database, item(SECOND, SYMBOL_PRODUCTS[:1]))
        assert complete() == {FIRST: 3, SECOND: 4}
        assert complete(since=SECOND) == {SECOND: 4}
        with database.bulk(read_only=True) as transaction:
            assert read_products(transaction, "symbol") == {day: set(SYMBOL_PRODUCTS) for day in (FIRST, SECOND)}
            assert read_products(transaction, "portfolio") == {FIRST: set(SYMBOL_PRODUCTS[4:])}

    def test_what_a_session_holds_is_told_with_the_time_of_its_newest_publication(self, database: Database) -> None:
        publish(database, item(SECOND, SYMBOL_PRODUCTS[:2]), item(FIRST))
        publish(database, item(SECOND, SYMBOL_PRODUCTS[1:3]))
        publish(database, item(SECOND), layer="portfolio")
        with database.begin() as connection:
            found = read_published_sessions(connection)
            rows = connection.exec_driver_sql("SELECT generation, published_at FROM publications")
            times: dict[int, datetime] = {row.generation: row.published_at for row in rows}
        assert list(found) == [FIRST, SECOND]
        assert (found[FIRST].generation, found[FIRST].products) == (1, frozenset(SYMBOL_PRODUCTS))
        assert (found[SECOND].generation, found[SECOND].products) == (2, frozenset(SYMBOL_PRODUCTS[:3]))
        assert [found[day].is_complete for day in (FIRST, SECOND)] == [True, False]
        assert [found[day].published_at for day in (FIRST, SECOND)] == [times[1], times[2]]

    def test_the_newest_generation_of_snapshots(self, database: Database) -> None:
        def newest() -> int:
            with database.begin() as connection:
                return read_newest_portfolio_generation(connection)

        publish(database, item(FIRST))
        assert newest() == 0
        publish(database, item(FIRST), layer="portfolio")
        publish(database, item(FIRST))
        assert newest() == 2

    def test_the_newest_of_each_session_counts(self, database: Database) -> None:
        publish(database, item(SECOND, coverage=0.5), item(FIRST, coverage=0.9), run_id="r1")
        publish(database, item(SECOND, coverage=0.8, rows_written=5), run_id="r2")
        publish(database, item(SECOND, coverage=None), layer="portfolio", run_id="r3")
        with database.begin() as connection:
            assert read_coverage(connection) == {FIRST: 0.9, SECOND: 0.8}
        with database.bulk(read_only=True) as transaction:
            assert read_newest_coverage(transaction) == {FIRST: 0.9, SECOND: 0.8}
