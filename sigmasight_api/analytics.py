"""Analytics of a portfolio as they are sent: remembered, or computed of one generation and then remembered.

While there is no view of the market, those that cost much are looked for among what other processes have computed.
"""

import asyncio
import threading
from collections.abc import Callable, Hashable
from typing import Any

from sigmasight_api.analytic import Analytic
from sigmasight_api.books import Book, Holdings, HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.rendered import Rendered, RenderedAnswers
from sigmasight_api.repository import Repository
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.service import Reads
from sigmasight_api.shared import SharedAnswers, answer_key
from sigmasight_api.view import MarketView
from sigmasight_api.warming import RecentAnswers, computed_before
from sigmasight_assets.storage.shared_answers import SharedAnswer


class Analytics:
    """Gives answers of portfolios that the caller was found to own."""

    def __init__(
        self,
        reads: Reads,
        repository: Repository,
        cache: ViewCache,
        holdings: HoldingsCache,
        *,
        shared: SharedAnswers,
        rendered: RenderedAnswers,
        alone: threading.Lock,
    ) -> None:
        self._reads = reads
        self._repository = repository
        self._cache = cache
        self._holdings = holdings
        self._shared = shared
        self._rendered = rendered
        self._alone = alone
        self._recent = RecentAnswers()
        cache.before_swap(self._prepare)
        cache.on_another_history(self._forget)

    async def answer(self, user_id: int, book: Book, view: MarketView | None, analytic: Analytic) -> Rendered:
        """The answer for a book that was read after the view was taken; computed in a thread.

        Raises ``StorageError`` when the database is away and something must be read.
        """
        known = self.remembered(book, view, analytic.kind)
        if known is not None:
            return known
        return await asyncio.to_thread(self._computed, user_id, book, view, analytic)

    def remembered(self, book: Book, view: MarketView | None, kind: str) -> Rendered | None:
        """The answer of this kind if this process has it; the book was read after the view was taken."""
        if view is None or view.generation < (book.equity_generation or 0):
            return None
        known = self._rendered.get(_content(kind, book, view.generation))
        if known is not None:
            self._cache.count("hit")
            self._recent.touch(kind, book)
        return known

    def _prepare(self, view: MarketView, is_awaited: Callable[[], bool]) -> Callable[[], None]:
        """Compute what was asked for lately of a view that nobody has seen yet; the result remembers it."""
        answers = computed_before(
            view,
            self._recent.newest_first(),
            holdings_of=lambda book: self._holdings.known(book.portfolio_id, book.version),
            alone=self._alone,
            is_awaited=is_awaited,
        )

        def remember() -> None:
            # Not noted: nobody has asked for them now.
            for item in answers:
                self._remember(item.book, item.holdings, item.rendered, item.analytic)

        return remember

    def _forget(self) -> None:
        for memory in (self._recent, self._rendered, self._holdings):
            memory.clear()

    def _computed(self, user_id: int, book: Book, view: MarketView | None, analytic: Analytic) -> Rendered:
        if view is None:
            # The generation comes before the book, as a view would.
            generation = self._cache.newest_generation()
            book = self._repository.read_book(user_id, book.public_id)
            found = self._found(book, generation, analytic)
            if found is not None:
                return found
        used: list[tuple[Book, Holdings]] = []

        def noted(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[Any]:
            used.append((book, holdings))
            return analytic.computed(book, holdings, view, alone=self._alone)

        answer = self._reads.consistent_from(user_id, book, view, noted)
        rendered = Rendered(answer.generation, answer.model_dump_json().encode())
        self._keep(*used[-1], rendered, analytic)
        return rendered

    def _found(self, book: Book, generation: int, analytic: Analytic) -> Rendered | None:
        """An answer of this generation that this process remembers or another one has shared."""
        if generation < (book.equity_generation or 0):
            return None
        content = _content(analytic.kind, book, generation)
        found = self._rendered.get(content)
        if found is None and analytic.is_costly:
            holdings = self._holdings.get(book.portfolio_id, book.version)
            key = answer_key(analytic.kind, book, holdings, generation)
            body = self._shared.find(book.portfolio_id, analytic.kind, key)
            found = None if body is None else Rendered(generation, body)
            if found is not None:
                self._rendered.put(content, found)
        return found

    def _keep(self, book: Book, holdings: Holdings, rendered: Rendered, analytic: Analytic) -> None:
        # What reads on may have found something newer than the view by the time that the next one comes.
        if analytic.is_lasting and not analytic.reads_on:
            self._recent.note(book, analytic)
        self._remember(book, holdings, rendered, analytic)

    def _remember(self, book: Book, holdings: Holdings, rendered: Rendered, analytic: Analytic) -> None:
        self._rendered.put(_content(analytic.kind, book, rendered.generation), rendered)
        if analytic.is_costly:
            key = answer_key(analytic.kind, book, holdings, rendered.generation)
            self._shared.offer(SharedAnswer(book.portfolio_id, analytic.kind, key, rendered.generation, rendered.body))


def _content(kind: str, book: Book, generation: int) -> Hashable:
    return kind, book.content, generation
