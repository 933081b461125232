"""Tests of answers as they are sent: remembered by what they depend on, and shared while there is no view."""

import asyncio
import threading
from collections.abc import Hashable, Iterator
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmasight_api.analytic import Analytic
from sigmasight_api.analytics import Analytics
from sigmasight_api.books import Book, Holdings, HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.exposure_schemas import FactorExposures
from sigmasight_api.exposures import factor_exposures
from sigmasight_api.loader import ViewLoader
from sigmasight_api.rendered import Rendered, RenderedAnswers
from sigmasight_api.repository import Repository
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.service import Reads
from sigmasight_api.shared import SharedAnswers
from sigmasight_api.view import MarketView
from sigmasight_api.warming import RecentAnswers, computed_before
from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations_tables import portfolio_analytics_cache
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.conftest import wait_until
from tests.api.market import (
    SESSIONS,
    add_lots,
    add_portfolio,
    delete_portfolio,
    publish,
    publish_snapshot,
    random_figures,
)

SYMBOLS = ("AAA", "BBB")


class Process:
    """The parts of one API process, and how often it computed."""

    def __init__(self, database: Database, rendered: RenderedAnswers | None = None) -> None:
        self.cache = ViewCache(ViewLoader(database))
        self.repository = Repository(database)
        self.holdings = holdings = HoldingsCache(self.repository.read_holdings)
        self.shared = SharedAnswers(database)
        reads = Reads(self.repository, self.cache, holdings)
        self.analytics = Analytics(
            reads,
            self.repository,
            self.cache,
            holdings,
            shared=self.shared,
            rendered=RenderedAnswers() if rendered is None else rendered,
            alone=threading.Lock(),
        )
        self.computed = 0

    def exposures(self, book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[FactorExposures]:
        self.computed += 1
        return factor_exposures(book, holdings, view)

    def answer(self, record: PortfolioRecord, *, is_costly: bool = True, kind: str = "exposures") -> Rendered:
        view = self.cache.current
        book = self.repository.read_book(record.user_id, record.public_id)
        analytic = Analytic(kind, self.exposures, is_costly=is_costly)
        return asyncio.run(self.analytics.answer(record.user_id, book, view, analytic))


@pytest.fixture
def record(database: Database) -> PortfolioRecord:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    record = add_portfolio(database, "ann", {"AAA": "10", "BBB": "-5"})
    publish_snapshot(database, record, SESSIONS[-1], Decimal(1000))
    return record


@pytest.fixture
def process(database: Database) -> Iterator[Process]:
    process = Process(database)
    process.shared.start()
    yield process
    process.shared.close()


def shared_rows(database: Database) -> int:
    with database.begin() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(portfolio_analytics_cache)).scalar_one())


def test_the_same_question_is_computed_once(process: Process, record: PortfolioRecord) -> None:
    process.cache.refresh()
    first = process.answer(record)
    assert process.answer(record) is first
    assert process.computed == 1
    assert AnalyticsAnswer[FactorExposures].model_validate_json(first.body).generation == first.generation


def test_another_kind_is_another_answer(process: Process, record: PortfolioRecord) -> None:
    process.cache.refresh()
    process.answer(record, kind="90")
    process.answer(record, kind="60")
    assert process.computed == 2


def test_edits_snapshots_and_markets_are_answered_anew(
    process: Process, record: PortfolioRecord, database: Database
) -> None:
    process.cache.refresh()
    bodies = [process.answer(record).body]
    add_lots(database, record, {"symbol": "AAA", "quantity": "3"})
    bodies.append(process.answer(record).body)
    publish_snapshot(database, record, SESSIONS[-1], Decimal(2000))
    bodies.append(process.answer(record).body)
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    process.cache.refresh()
    bodies.append(process.answer(record).body)
    assert len(set(bodies)) == 4


class TestBeforeAViewIsSwappedIn:
    def test_what_was_asked_for_lately_is_known_of_it_already(
        self, process: Process, record: PortfolioRecord, database: Database
    ) -> None:
        process.cache.refresh()
        before = process.answer(record)
        generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
        process.cache.refresh()
        computed = process.computed
        after = process.answer(record)
        assert (after.generation, process.computed) == (generation, computed)
        assert after.body != before.body
        cold = Process(database)
        cold.cache.refresh()
        assert cold.answer(record) == after

    def test_readers_see_the_view_before_it_meanwhile(
        self, process: Process, record: PortfolioRecord, database: Database
    ) -> None:
        process.cache.refresh()
        before, seen = process.answer(record), list[Rendered]()
        compute = process.exposures

        def looked(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[FactorExposures]:
            if view is not process.cache.current:
                seen.append(process.answer(record))
            return compute(book, holdings, view)

        process.exposures = looked  # type: ignore[method-assign]
        process.answer(record, kind="looks")
        publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
        process.cache.refresh()
        assert seen == [before]

    def test_until_then_they_find_what_was_computed_of_the_view_before_it(
        self, record: PortfolioRecord, database: Database
    ) -> None:
        computed = list[int]()

        class Watched(RenderedAnswers):
            def put(self, key: Hashable, answer: Rendered) -> None:
                super().put(key, answer)
                view = process.cache.current
                if view is not None and answer.generation > view.generation:
                    before = process.computed
                    found.append(process.answer(record))
                    computed.append(process.computed - before)

        found = list[Rendered]()
        process = Process(database, Watched())
        process.cache.refresh()
        known = process.answer(record)
        publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
        process.cache.refresh()
        assert (found, computed) == ([known], [0])

    def test_what_cannot_be_computed_keeps_no_view_back(
        self, process: Process, record: PortfolioRecord, database: Database
    ) -> None:
        process.cache.refresh()
        process.answer(record)
        compute = process.exposures

        def fails_in_advance(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[FactorExposures]:
            if view is not process.cache.current:
                raise ZeroDivisionError
            return compute(book, holdings, view)

        process.exposures = fails_in_advance  # type: ignore[method-assign]
        process.answer(record, kind="fails")
        generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
        assert process.cache.refresh().generation == generation
        assert process.answer(record, kind="fails").generation == generation

    def test_no_more_is_computed_than_the_time_allows(self, process: Process, record: PortfolioRecord) -> None:
        view = process.cache.refresh()
        book = process.repository.read_book(record.user_id, record.public_id)
        holdings = process.repository.read_holdings(record.portfolio_id)
        asked = [(book, Analytic(str(number), process.exposures)) for number in range(5)]
        clock = iter([0.0, 0.1, 0.2, 0.6, 0.7, 0.8, 0.9])
        answers = computed_before(
            view,
            asked,
            holdings_of=lambda _: holdings,
            alone=threading.Lock(),
            is_awaited=lambda: False,
            seconds=0.5,
            monotonic=lambda: next(clock),
        )
        assert [item.analytic.kind for item in answers] == ["0", "1"]

    def test_whoever_waits_for_the_view_has_it_at_once(
        self, process: Process, record: PortfolioRecord, database: Database
    ) -> None:
        process.cache.refresh()
        process.answer(record)
        generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
        computed = process.computed
        assert process.cache.view_for(SYMBOLS, at_least=generation).generation == generation
        assert process.computed == computed
        assert process.answer(record).generation == generation

    def test_it_does_not_wait_for_a_long_computation_of_somebody_else(
        self, process: Process, record: PortfolioRecord
    ) -> None:
        view = process.cache.refresh()
        book = process.repository.read_book(record.user_id, record.public_id)
        holdings = process.repository.read_holdings(record.portfolio_id)
        busy = threading.Lock()
        with busy:
            answers = computed_before(
                view,
                [(book, Analytic("exposures", process.exposures))],
                holdings_of=lambda _: holdings,
                alone=busy,
                is_awaited=lambda: False,
                seconds=0.05,
            )
        assert answers == []

    def test_only_so_many_are_kept_in_mind_for_an_hour_and_the_last_ones_come_first(
        self, process: Process, record: PortfolioRecord
    ) -> None:
        book = process.repository.read_book(record.user_id, record.public_id)
        now = 0.0
        recent = RecentAnswers(capacity=3, monotonic=lambda: now)
        for kind in "abcd":
            recent.note(book, Analytic(kind, process.exposures))
        recent.touch("b", book)
        recent.touch("a", book)
        now = 3_000.0
        recent.note(book, Analytic("c", process.exposures))
        assert [analytic.kind for _, analytic in recent.newest_first()] == ["c", "b", "d"]
        now = 4_000.0
        assert [analytic.kind for _, analytic in recent.newest_first()] == ["c"]
        assert len(recent) == 1

    def test_what_is_computed_in_advance_counts_as_asked_by_nobody(
        self, process: Process, record: PortfolioRecord, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        noted = list[str]()
        note = RecentAnswers.note

        def watched(recent: RecentAnswers, book: Book, analytic: Analytic) -> None:
            noted.append(analytic.kind)
            note(recent, book, analytic)

        monkeypatch.setattr(RecentAnswers, "note", watched)
        process.cache.refresh()
        for kind in ("first", "second"):
            process.answer(record, kind=kind)
        publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
        process.cache.refresh()
        assert noted == ["first", "second"]
        before = process.computed
        process.answer(record, kind="first")
        assert process.computed == before

    def test_scenarios_of_a_caller_and_books_whose_lots_are_gone_from_memory_are_left_alone(
        self, process: Process, record: PortfolioRecord, database: Database
    ) -> None:
        process.cache.refresh()
        book = process.repository.read_book(record.user_id, record.public_id)
        own = Analytic("own", process.exposures, is_lasting=False)
        asyncio.run(process.analytics.answer(record.user_id, book, process.cache.current, own))
        process.answer(record)
        process.holdings.clear()
        computed = process.computed
        publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
        process.cache.refresh()
        assert process.computed == computed


def test_a_process_without_a_view_finds_what_another_has_computed(
    process: Process, record: PortfolioRecord, database: Database
) -> None:
    process.cache.refresh()
    answer = process.answer(record)
    wait_until(lambda: shared_rows(database) == 1)
    cold = Process(database)
    assert cold.answer(record) == answer
    assert (cold.computed, cold.cache.current) == (0, None)
    assert cold.answer(record) == answer


def test_what_was_shared_before_an_edit_or_a_publication_is_not_found(
    process: Process, record: PortfolioRecord, database: Database
) -> None:
    process.cache.refresh()
    process.answer(record)
    wait_until(lambda: shared_rows(database) == 1)
    add_lots(database, record, {"symbol": "AAA", "quantity": "3"})
    edited, cold = Process(database), Process(database)
    assert edited.answer(record) == process.answer(record)
    assert edited.computed == 1
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    assert cold.answer(record).generation > process.answer(record).generation
    assert cold.computed == 1


def test_cheap_answers_are_not_shared(process: Process, record: PortfolioRecord, database: Database) -> None:
    process.cache.refresh()
    process.answer(record, is_costly=False)
    process.answer(record, kind="costly")
    wait_until(lambda: shared_rows(database) > 0)
    assert shared_rows(database) == 1


def test_without_a_view_and_anything_shared_the_answer_is_the_same(
    process: Process, record: PortfolioRecord, database: Database
) -> None:
    cold = Process(database).answer(record)
    process.cache.refresh()
    assert process.answer(record) == cold


def test_a_portfolio_that_is_deleted_meanwhile_is_not_found(
    process: Process, record: PortfolioRecord, database: Database
) -> None:
    book = process.repository.read_book(record.user_id, record.public_id)
    delete_portfolio(database, record.public_id)
    analytic = Analytic("exposures", process.exposures)
    with pytest.raises(NotFoundError):
        asyncio.run(process.analytics.answer(record.user_id, book, None, analytic))
