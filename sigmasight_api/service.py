"""What owners can read: portfolios, snapshots, analytics and symbols. Knows nothing of HTTP."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from sigmasight_api.books import Book, Holdings, HoldingsCache, Lot
from sigmasight_api.cache import ViewCache
from sigmasight_api.errors import InvalidRequestError
from sigmasight_api.exposure_schemas import RecordedExposures
from sigmasight_api.factor_schemas import Factors
from sigmasight_api.factors import factors
from sigmasight_api.formats import cents, optional_cents
from sigmasight_api.owned import public_id
from sigmasight_api.performance import BENCHMARK, performance
from sigmasight_api.position_exposures import recorded_exposures
from sigmasight_api.positions import lots_held, position_answers, symbols_without_close
from sigmasight_api.repository import NO_PORTFOLIO, Page, Repository
from sigmasight_api.risk_schemas import Performance
from sigmasight_api.schemas import (
    AnalyticsAnswer,
    Listing,
    Portfolio,
    Position,
    Snapshot,
    Symbol,
    SymbolStatus,
)
from sigmasight_api.snapshot_series import SnapshotSeries
from sigmasight_api.symbol_schemas import Bar, TrackedSymbol
from sigmasight_api.symbols import bar_answer, symbol_answer, symbol_status, unpriced_reason
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import NotFoundError, StorageError

Answer = TypeVar("Answer")

# Each attempt after the first needs a publication that touches this portfolio within the same few milliseconds.
CONSISTENCY_ATTEMPTS = 5


class NewerDataError(Exception):
    """What an answer needs was published after the view that it was to be made with."""

    def __init__(self, generation: int) -> None:
        super().__init__(f"generation {generation}")
        self.generation = generation


class Reads:
    """Answers owners' questions. Ids come as text: one that is no UUID is an unknown one."""

    def __init__(self, repository: Repository, cache: ViewCache, holdings: HoldingsCache) -> None:
        self._repository = repository
        self._cache = cache
        self._holdings = holdings

    def portfolios(self, user_id: int, page: Page) -> Listing[Portfolio]:
        """The user's portfolios by name."""
        books, total = self._repository.read_books(user_id, page)
        return Listing[Portfolio](items=[portfolio_answer(book) for book in books], total=total)

    def portfolio(self, user_id: int, portfolio_id: str) -> Portfolio:
        """One of the user's portfolios; ``NotFoundError`` when the user has none of this id, here and below."""
        return portfolio_answer(self._repository.read_book(user_id, public_id(portfolio_id, NO_PORTFOLIO)))

    def snapshots(
        self,
        user_id: int,
        portfolio_id: str,
        *,
        first: date | None,
        last: date | None,
        page: Page,
        promised: int | None = None,
    ) -> Listing[Snapshot]:
        """Snapshots of one of the user's portfolios between two dates, both included, oldest first.

        They are not older than the generation ``promised``, None: than any.
        """
        require_order(first, last)
        own = public_id(portfolio_id, NO_PORTFOLIO)
        rows = self._repository.read_snapshots(user_id, own, first=first, last=last, page=page, at_least=promised)
        return Listing[Snapshot](items=[_snapshot(row) for row in rows.items], total=rows.total)

    def exposure_history(
        self, book: Book, *, first: date | None, last: date | None, page: Page, promised: int | None = None
    ) -> Listing[RecordedExposures]:
        """What was recorded of a portfolio's exposures, as ``snapshots`` lists these."""
        require_order(first, last)
        rows = self._repository.read_exposures(book, first=first, last=last, page=page, at_least=promised)
        return Listing[RecordedExposures](items=[recorded_exposures(row) for row in rows.items], total=rows.total)

    def positions(
        self, user_id: int, portfolio_id: str, *, with_closed: bool, page: Page
    ) -> tuple[Listing[Position], int]:
        """Lots of one of the user's portfolios by symbol, those held or all, and the generation they are valued at."""
        book = self._repository.read_book(user_id, public_id(portfolio_id, NO_PORTFOLIO))
        lots = self._repository.read_lots(book.portfolio_id, with_closed=with_closed)
        view = self._cache.view_for({lot.symbol for lot in lots}, at_least=book.equity_generation or 0)
        # Which options have ended depends on the view, so the page cannot be cut by the database.
        listed = lots if with_closed else lots_held(lots, view, snapshot_session=book.equity_session)
        shown = listed[page.offset : page.offset + page.limit]
        reasons = self._unpriced_reasons(shown, view)
        items = position_answers(shown, view, snapshot_session=book.equity_session, reasons=reasons)
        return Listing[Position](items=items, total=len(listed)), view.generation

    def consistent(
        self, user_id: int, portfolio_id: str, compute: Callable[[Book, Holdings, MarketView], Answer]
    ) -> Answer:
        """What is computed of one of the user's portfolios, all numbers of one generation."""
        view = self._cache.current
        book = self._repository.read_book(user_id, public_id(portfolio_id, NO_PORTFOLIO))
        return self.consistent_from(user_id, book, view, compute)

    def consistent_from(
        self,
        user_id: int,
        book: Book,
        view: MarketView | None,
        compute: Callable[[Book, Holdings, MarketView], Answer],
    ) -> Answer:
        """The same from a book that was read after the view was taken.

        A snapshot that is not newer than the view then is the one that was current at the view's generation. A newer
        one means the view is behind, so it is brought up first, and the book is read again after it; so it is when the
        computation itself finds something newer and raises ``NewerDataError``.
        """
        for attempt in range(CONSISTENCY_ATTEMPTS):
            holdings = self._holdings.get(book.portfolio_id, book.version)
            needed = book.equity_generation or 0
            if view is not None and view.generation >= needed and view.covers(holdings.symbols):
                try:
                    answer = compute(book, holdings, view)
                except NewerDataError as error:
                    needed = error.generation
                else:
                    if attempt == 0:
                        self._cache.count("hit")
                    return answer
            view = self._cache.view_for(holdings.symbols, at_least=needed)
            book = self._repository.read_book(user_id, book.public_id)
        raise StorageError(f"Portfolio {book.public_id} was published again each time it was read")

    def performance_between(
        self, first: date | None, last: date | None
    ) -> Callable[[Book, Holdings, MarketView], AnalyticsAnswer[Performance]]:
        """How to compute what a portfolio has returned between two dates, both included, by its snapshots."""
        require_order(first, last)

        def compute(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[Performance]:
            read = partial(
                self._repository.read_snapshot_series,
                first=first,
                last=last,
                benchmark=BENCHMARK,
                # Of several portfolios the replica would have to have all as they are.
                book=book if book.parts == (book,) else None,
                at_least=view.generation,
            )
            series = SnapshotSeries.together([SnapshotSeries.of(read(part.portfolio_id)) for part in book.parts])
            # One that was published again need not be the newest snapshot, whose generation the book tells.
            if series.generation > view.generation:
                raise NewerDataError(series.generation)
            # An edit takes snapshots away, and a generation's may come after the view of it.
            if not self._repository.are_current(book.parts):
                raise NewerDataError(view.generation)
            sessions = self._repository.read_calendar().sessions
            return performance(book, holdings, view, series=series, calendar=sessions)

        return compute

    def symbols(self, page: Page, *, status: str | None, asset_type: str | None) -> Listing[TrackedSymbol]:
        """Tracked symbols by name, all or those of a status or a type."""
        rows = self._repository.read_symbols(page, status=status, asset_type=asset_type)
        names = TrackedSymbol.model_fields
        items = [TrackedSymbol(**{name: row._mapping[name] for name in names}) for row in rows.items]
        return Listing[TrackedSymbol](items=items, total=rows.total)

    def prices(self, symbol: str, *, first: date | None, last: date | None, page: Page) -> Listing[Bar]:
        """Stored bars of a tracked symbol between two dates, both included, oldest first; raises as ``symbol``."""
        require_order(first, last)
        self._tracked(symbol)
        rows = self._repository.read_bars(symbol, first=first, last=last, page=page)
        return Listing[Bar](items=[bar_answer(row) for row in rows.items], total=rows.total)

    def factors(self) -> Factors:
        """The twelve factors, and how collinear the funds of the joint regression are now."""
        return factors(self._cache.view_for(()))

    def symbol(self, symbol: str) -> Symbol:
        """A tracked symbol with its newest figures; ``NotFoundError`` when it is not tracked."""
        return symbol_answer(self._tracked(symbol), self._cache.view_for([symbol]))

    def symbol_status(self, symbol: str) -> SymbolStatus:
        """Whether a symbol can be used in analytics; one that is not tracked is unknown."""
        # The request is read first: one that is completed in between has left figures that are seen.
        request = self._repository.read_newest_requests([symbol]).get(symbol)
        tracked = self._repository.find_symbol(symbol)
        return symbol_status(symbol, tracked, self._cache.view_for([symbol]), request=request)

    def _tracked(self, symbol: str) -> dict[str, Any]:
        tracked = self._repository.find_symbol(symbol)
        if tracked is None:
            raise NotFoundError(f"The symbol {symbol} is not tracked.")
        return tracked

    def _unpriced_reasons(self, lots: Sequence[Lot], view: MarketView) -> dict[str, str]:
        """Why symbols of the lots have no close in the view (no statement when all have one, else two)."""
        symbols = symbols_without_close(lots, view)
        if not symbols:
            return {}
        requests = self._repository.read_newest_requests(symbols)
        tracked = self._repository.read_tracked(symbols)
        return {symbol: unpriced_reason(tracked.get(symbol), requests.get(symbol)) for symbol in symbols}


def require_order(first: date | None, last: date | None) -> None:
    """Raise ``InvalidRequestError`` when a range ends before it begins."""
    if first is not None and last is not None and first > last:
        raise InvalidRequestError(f"from ({first}) is after to ({last}).")


def portfolio_answer(book: Book) -> Portfolio:
    """The portfolio as owners are told of it."""
    return Portfolio(
        portfolio_id=book.public_id,
        name=book.name,
        stated_equity=cents(book.stated_equity),
        as_of=book.as_of,
        created_at=book.created_at,
        equity=optional_cents(book.equity),
        equity_session=book.equity_session,
        stale_from=book.stale_from,
    )


def _snapshot(row: sa.Row[Any]) -> Snapshot:
    values = {name: row._mapping[name] for name in Snapshot.model_fields}
    return Snapshot(**{name: cents(value) if isinstance(value, Decimal) else value for name, value in values.items()})
