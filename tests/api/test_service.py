"""Tests of reads that combine a book with a view: always one generation, whatever is published meanwhile."""

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from sigmasight_api.aggregates import Aggregates
from sigmasight_api.analytic import Analytic
from sigmasight_api.books import Book, Holdings, HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.errors import InvalidRequestError
from sigmasight_api.exposures import factor_exposures
from sigmasight_api.loader import ViewLoader
from sigmasight_api.rendered import RenderedAnswers
from sigmasight_api.repository import Page, Repository
from sigmasight_api.risk_schemas import Performance
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.service import Reads
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import NotFoundError, StorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import portfolio_snapshots
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord, mark_edited
from tests.api.market import (
    SESSIONS,
    add_lots,
    add_portfolio,
    contract,
    publish,
    publish_snapshot,
    random_figures,
    settle_option,
    track,
)

SYMBOLS = ("AAA", "BBB", "CCC")
# Its last day is the newest session.
CALL = "AAPL250731C00150000"
ALL = Page(limit=100, offset=0)


@pytest.fixture
def record(database: Database) -> PortfolioRecord:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    record = add_portfolio(database, "ann", {"AAA": "10", "BBB": "-5"})
    publish_snapshot(database, record, SESSIONS[-1], Decimal(1000))
    return record


@pytest.fixture
def cache(database: Database) -> ViewCache:
    return ViewCache(ViewLoader(database))


def reads_of(repository: Repository, cache: ViewCache) -> Reads:
    return Reads(repository, cache, HoldingsCache(repository.read_holdings))


def test_a_snapshot_newer_than_the_view_brings_the_view_up_first(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    cache.refresh()
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2), notify=False)
    generation = publish_snapshot(database, record, SESSIONS[-1], Decimal(2000), notify=False)
    answer = reads_of(Repository(database), cache).consistent(record.user_id, str(record.public_id), factor_exposures)
    assert (answer.generation, answer.equity) == (generation, "2000.00")
    assert cache.current is not None
    assert cache.current.generation == generation


def test_a_newer_market_alone_is_left_to_the_refresher(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    view = cache.refresh()
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2), notify=False)
    answer = reads_of(Repository(database), cache).consistent(record.user_id, str(record.public_id), factor_exposures)
    assert answer.generation == view.generation


def test_a_warm_request_is_one_statement(database: Database, record: PortfolioRecord, cache: ViewCache) -> None:
    reads = reads_of(Repository(database), cache)
    cache.refresh()
    reads.consistent(record.user_id, str(record.public_id), factor_exposures)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        statements.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        reads.consistent(record.user_id, str(record.public_id), factor_exposures)
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)
    assert len(statements) == 1


def test_the_fallback_answers_as_the_cache_does(database: Database, record: PortfolioRecord, cache: ViewCache) -> None:
    reads = reads_of(Repository(database), cache)
    from_queries = reads.consistent(record.user_id, str(record.public_id), factor_exposures)
    assert cache.current is None
    cache.refresh()
    assert reads.consistent(record.user_id, str(record.public_id), factor_exposures) == from_queries


class _EditingRepository(Repository):
    """Sells one holding and buys another right after the holdings were read for the first time."""

    edits = itertools.count()

    def read_holdings(self, portfolio_id: int) -> Holdings:
        held = super().read_holdings(portfolio_id)
        if next(self.edits) == 0:
            with self._database.begin() as connection:
                connection.exec_driver_sql("UPDATE positions SET symbol = 'CCC' WHERE symbol = 'BBB'")
                mark_edited(connection, portfolio_id, edited_from=SESSIONS[-1])
        return held


def test_an_edit_during_the_fallback_is_not_answered_with_a_view_that_lacks_it(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    reads = reads_of(_EditingRepository(database), cache)
    found = reads.consistent(record.user_id, str(record.public_id), factor_exposures)
    assert found.excluded == []
    assert (
        found.data
        == reads_of(Repository(database), cache)
        .consistent(record.user_id, str(record.public_id), factor_exposures)
        .data
    )


class _RepublishingRepository(Repository):
    """Publishes another snapshot before every read of the book."""

    record: PortfolioRecord

    def read_book(self, user_id: int, public_id: UUID) -> Book:
        publish_snapshot(self._database, self.record, SESSIONS[-1], Decimal(1), notify=False)
        return super().read_book(user_id, public_id)


def test_a_portfolio_that_is_published_without_end_is_refused_not_mixed(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    cache.refresh()
    repository = _RepublishingRepository(database)
    repository.record = record
    with pytest.raises(StorageError, match="published again each time"):
        reads_of(repository, cache).consistent(record.user_id, str(record.public_id), factor_exposures)


class _AwayLoader(ViewLoader):
    """A loader whose database went away after the first load."""

    def load(self, *, previous: MarketView | None = None) -> MarketView:
        if previous is not None:
            raise StorageError("away")
        return super().load()

    def load_symbols(self, symbols: Collection[str]) -> MarketView:
        raise StorageError(f"away: {symbols}")


def test_a_view_that_cannot_follow_the_snapshot_is_not_used_with_it(
    database: Database, record: PortfolioRecord
) -> None:
    cache = ViewCache(_AwayLoader(database))
    cache.refresh()
    publish_snapshot(database, record, SESSIONS[-1], Decimal(2000), notify=False)
    with pytest.raises(StorageError):
        reads_of(Repository(database), cache).consistent(record.user_id, str(record.public_id), factor_exposures)


@pytest.mark.parametrize(
    "text",
    ["", "1", "not-an-id", "{{{id}}}", "urn:uuid:{id}", "{id}\n", "{bare}", "00000000-0000-0000-0000-000000000000"],
)
def test_ids_that_are_no_uuid_are_unknown_ones(
    database: Database, record: PortfolioRecord, cache: ViewCache, text: str
) -> None:
    wanted = text.format(id=record.public_id, bare=record.public_id.hex)
    with pytest.raises(NotFoundError, match=r"^There is no such portfolio\.$"):
        reads_of(Repository(database), cache).portfolio(record.user_id, wanted)


def test_a_reversed_range_is_refused(database: Database, record: PortfolioRecord, cache: ViewCache) -> None:
    reads = reads_of(Repository(database), cache)
    with pytest.raises(InvalidRequestError, match=r"from \(2025-07-31\) is after to"):
        reads.snapshots(
            record.user_id, str(record.public_id), first=SESSIONS[-1], last=SESSIONS[0], page=Page(limit=1, offset=0)
        )


def test_lots_that_were_closed_do_not_count(database: Database, cache: ViewCache) -> None:
    day = SESSIONS[0]
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    lots = [
        NewLot("AAA", Decimal(1), Decimal(5), day),
        NewLot("BBB", Decimal(9), Decimal(5), day, exit_price=Decimal(6), exit_date=day),
    ]
    both = add_portfolio(database, "ann", lots, name="with a closed lot")
    one = add_portfolio(database, "ann", lots[:1], name="without")
    reads = reads_of(Repository(database), cache)
    answers = [reads.consistent(both.user_id, str(record.public_id), factor_exposures) for record in (both, one)]
    assert answers[0].data == answers[1].data


def test_a_settled_option_is_gone_with_the_snapshot_that_settles_it(database: Database, cache: ViewCache) -> None:
    contracts = {CALL: contract("2")}
    publish(database, SESSIONS[-1], contracts)
    record = add_portfolio(database, "ann", {})
    (key,) = add_lots(database, record, {"symbol": CALL, "quantity": 1, "investment_class": "OPTIONS"})
    reads = reads_of(Repository(database), cache)
    cache.refresh()

    def named() -> list[str]:
        answer = reads.consistent(record.user_id, str(record.public_id), factor_exposures)
        listing, _ = reads.positions(record.user_id, str(record.public_id), with_closed=False, page=ALL)
        assert [item.symbol for item in listing.items] == [item.symbol for item in answer.excluded]
        return [item.symbol for item in listing.items]

    assert named() == [CALL]
    settle_option(database, record, key, SESSIONS[-1], Decimal(1))
    assert named() == []


def test_positions_are_valued_alike_with_and_without_the_cache(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    reads = reads_of(Repository(database), cache)
    from_queries = reads.positions(record.user_id, str(record.public_id), with_closed=True, page=ALL)
    assert cache.current is None
    view = cache.refresh()
    assert reads.positions(record.user_id, str(record.public_id), with_closed=True, page=ALL) == from_queries
    assert ([item.status for item in from_queries[0].items], from_queries[1]) == (["priced"] * 2, view.generation)


def test_a_symbol_is_read_with_the_view(database: Database, record: PortfolioRecord, cache: ViewCache) -> None:
    track(database, "AAA", last_factor_date=SESSIONS[-1])
    reads = reads_of(Repository(database), cache)
    assert record.user_id
    assert reads.symbol("AAA").close_session == SESSIONS[-1]
    assert reads.symbol_status("AAA").status == "ready"
    assert reads.symbol_status("UNHEARD").status == "unknown"
    with pytest.raises(NotFoundError, match="UNHEARD is not tracked"):
        reads.symbol("UNHEARD")


class _Republishing(Repository):
    """Has an older snapshot published again each time before the series is read, the newest staying as it was."""

    def __init__(self, database: Database, record: PortfolioRecord, times: int) -> None:
        super().__init__(database)
        self._own, self._record, self._times = database, record, times
        self.generations: list[int] = []

    def read_snapshot_series(self, portfolio_id: int, **options: Any) -> list[sa.Row[Any]]:
        if len(self.generations) < self._times:
            equity = Decimal(1000 + len(self.generations))
            self.generations.append(publish_snapshot(self._own, self._record, SESSIONS[-2], equity, notify=False))
        return super().read_snapshot_series(portfolio_id, **options)


def performance_of(record: PortfolioRecord, reads: Reads) -> AnalyticsAnswer[Performance]:
    return reads.consistent(record.user_id, str(record.public_id), reads.performance_between(None, None))


def test_performance_is_of_the_generation_of_its_newest_row(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    publish_snapshot(database, record, SESSIONS[-2], Decimal(900))
    cache.refresh()
    repository = _Republishing(database, record, times=2)
    answer = performance_of(record, reads_of(repository, cache))
    assert answer.generation == repository.generations[-1]
    # P&L of -0.001 on the equity that was published last.
    assert [point.daily_return for point in answer.data.items] == [None, pytest.approx(-0.001 / 1001)]


def test_performance_gives_up_when_each_attempt_finds_newer_rows(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    cache.refresh()
    reads = reads_of(_Republishing(database, record, times=100), cache)
    with pytest.raises(StorageError, match="published again each time"):
        performance_of(record, reads)


class _Edited(Repository):
    """Has something done to the database once, before the first series is read."""

    def __init__(self, database: Database, edit: Callable[[], None]) -> None:
        super().__init__(database)
        self._edit: Callable[[], None] | None = edit

    def read_snapshot_series(self, portfolio_id: int, **options: Any) -> list[sa.Row[Any]]:
        edit, self._edit = self._edit, None
        if edit is not None:
            edit()
        return super().read_snapshot_series(portfolio_id, **options)


def take_newest_away(database: Database, record: PortfolioRecord) -> None:
    """An edit after which the newest snapshot is gone."""
    with database.begin() as connection:
        mark_edited(connection, record.portfolio_id, edited_from=SESSIONS[-1])
        connection.execute(
            sa.delete(portfolio_snapshots).where(
                portfolio_snapshots.c.portfolio_id == record.portfolio_id,
                portfolio_snapshots.c.session == SESSIONS[-1],
            )
        )


def test_performance_is_of_one_state_of_a_book_that_is_edited_meanwhile(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    publish_snapshot(database, record, SESSIONS[-2], Decimal(900))
    cache.refresh()
    repository = _Edited(database, lambda: take_newest_away(database, record))
    answer = performance_of(record, reads_of(repository, cache))
    assert (answer.equity, answer.data.last_session) == ("900.00", SESSIONS[-2])


def test_performance_is_of_one_state_of_a_book_whose_snapshot_comes_after_the_view_of_its_generation(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    publish_snapshot(database, record, SESSIONS[-2], Decimal(900))
    generation = cache.refresh().generation

    def commit() -> None:
        stored = portfolio_snapshots.c
        restated = {"equity": stored.equity + 1000, "cash": stored.cash + 1000, "generation": generation}
        with database.begin() as connection:
            connection.execute(
                sa.update(portfolio_snapshots).where(stored.portfolio_id == record.portfolio_id).values(restated)
            )

    answer = performance_of(record, reads_of(_Edited(database, commit), cache))
    assert (answer.generation, answer.equity) == (generation, "2000.00")
    assert [point.daily_return for point in answer.data.items] == [None, pytest.approx(-0.001 / 1900)]


def test_performance_of_several_is_of_one_state_of_each(
    database: Database, record: PortfolioRecord, cache: ViewCache
) -> None:
    publish_snapshot(database, record, SESSIONS[-2], Decimal(900))
    other = add_portfolio(database, "ann", {"CCC": "1"}, name="Other")
    for session in SESSIONS[-2:]:
        publish_snapshot(database, other, session, Decimal(50))
    view = cache.refresh()
    repository = _Edited(database, lambda: take_newest_away(database, record))
    reads, holdings = reads_of(repository, cache), HoldingsCache(repository.read_holdings)
    aggregates = Aggregates(repository, cache, holdings, RenderedAnswers(), alone=threading.Lock())
    analytic = Analytic("performance", reads.performance_between(None, None), reads_on=True)
    answer = json.loads(asyncio.run(aggregates.answer(record.user_id, None, view, analytic)).body)
    # One has no snapshot of the other's newest session any more.
    assert (answer["equity"], answer["data"]["last_session"]) == (None, str(SESSIONS[-2]))


def test_performance_without_a_view_is_the_same(database: Database, record: PortfolioRecord, cache: ViewCache) -> None:
    reads = reads_of(Repository(database), cache)
    without = performance_of(record, reads)
    cache.refresh()
    assert without == performance_of(record, reads)
