"""Several portfolios of one owner as if they were one: their lots together, and then the analytics of one portfolio.

Nothing is averaged: what cancels between two portfolios is gone before any number is made of it.
"""

import asyncio
import hashlib
import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from sigmasight_api.aggregate_schemas import AggregateAnswer
from sigmasight_api.analytic import Analytic
from sigmasight_api.books import Book, Holdings, HoldingsCache, RatiosReason, Shares, public_id_in, reason_of
from sigmasight_api.cache import ViewCache
from sigmasight_api.errors import InvalidRequestError
from sigmasight_api.rendered import Rendered, RenderedAnswers
from sigmasight_api.repository import NO_PORTFOLIO, Repository
from sigmasight_api.schemas import AnalyticsAnswer, Answer
from sigmasight_api.service import CONSISTENCY_ATTEMPTS, NewerDataError
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import NotFoundError, StorageError

MOST_PORTFOLIOS = 100
NOBODYS_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class AggregateBook(Book):
    """Several books as one; without an equity when one of them has none, or not of the same session."""

    members: tuple[Book, ...]
    has_different_sessions: bool

    @property
    def parts(self) -> tuple[Book, ...]:
        """The books whose snapshots it has."""
        return self.members

    @property
    def ratios_reason(self) -> RatiosReason | None:
        """Why nothing can be related to its equity; None when it can."""
        return "different_sessions" if self.has_different_sessions else reason_of(self.equity)


def combined_book(books: Sequence[Book]) -> AggregateBook:
    """Of one book at least."""
    sessions = {book.equity_session for book in books}
    is_known = None not in sessions
    is_one = is_known and len(sessions) == 1

    def total(name: str) -> Decimal | None:
        return sum((getattr(book, name) for book in books), start=Decimal(0)) if is_one else None

    equity, pnl = total("equity"), total("daily_pnl")
    # One at its first snapshot flows in, as in the series of them; where all are, there is no return yet.
    has_returns = is_one and any(book.daily_return is not None for book in books)
    # The equity of the session before and what flowed in since.
    base = None if equity is None or pnl is None else equity - pnl
    return AggregateBook(
        portfolio_id=0,
        public_id=NOBODYS_ID,
        name="",
        stated_equity=sum((book.stated_equity for book in books), start=Decimal(0)),
        as_of=max(book.as_of for book in books),
        created_at=max(book.created_at for book in books),
        book_version=0,
        stale_from=min((book.stale_from for book in books if book.stale_from is not None), default=None),
        equity=equity,
        equity_session=_newest(sessions),
        equity_generation=max((book.equity_generation or 0 for book in books), default=0) or None,
        daily_pnl=pnl,
        daily_return=float(pnl / base) if has_returns and pnl is not None and base is not None and base > 0 else None,
        cumulative_pnl=total("cumulative_pnl"),
        unrealized_pnl=total("unrealized_pnl"),
        is_partial=any(book.is_partial for book in books) if is_one else None,
        members=tuple(books),
        has_different_sessions=is_known and not is_one,
    )


def _newest(sessions: set[date | None]) -> date | None:
    return max((session for session in sessions if session is not None), default=None)


def combined_holdings(holdings: Sequence[Holdings]) -> Holdings:
    """All lots together; long and short ones of the same units that cancel are gone."""
    quantities: dict[tuple[str, date], int] = {}
    for shares in (held.shares for held in holdings):
        keys = zip(shares.symbols, shares.units_dates.tolist(), strict=True)
        for key, quantity in zip(keys, shares.quantities, strict=True):
            quantities[key] = quantities.get(key, 0) + quantity
    held_keys = sorted(key for key, quantity in quantities.items() if quantity != 0)
    shares = Shares(
        symbols=tuple(symbol for symbol, _ in held_keys),
        units_dates=np.array([units_date for _, units_date in held_keys], dtype="datetime64[D]"),
        quantities=tuple(quantities[key] for key in held_keys),
        costs=tuple(cost for held in holdings for cost in held.shares.costs),
    )
    return Holdings(
        shares,
        tuple(lot for held in holdings for lot in held.options),
        tuple(lot for held in holdings for lot in held.private),
    )


class Aggregates:
    """Answers for some or all portfolios of an owner."""

    def __init__(
        self,
        repository: Repository,
        cache: ViewCache,
        holdings: HoldingsCache,
        rendered: RenderedAnswers,
        *,
        alone: threading.Lock,
    ) -> None:
        self._repository = repository
        self._cache = cache
        self._holdings = holdings
        self._rendered = rendered
        self._alone = alone

    async def answer(
        self, user_id: int, portfolios: Sequence[str] | None, view: MarketView | None, analytic: Analytic
    ) -> Rendered:
        """The answer for these of the user's portfolios, or for all, of one generation; computed in a thread.

        Raises ``NotFoundError`` when one of them is not the user's or there is none, ``InvalidRequestError`` when they
        are too many.
        """
        return await asyncio.to_thread(self._answer, user_id, portfolios, view, analytic)

    def _answer(
        self, user_id: int, portfolios: Sequence[str] | None, view: MarketView | None, analytic: Analytic
    ) -> Rendered:
        for _ in range(CONSISTENCY_ATTEMPTS):
            books = self._books(user_id, portfolios)
            book = combined_book(books)
            needed = book.equity_generation or 0
            if view is not None and view.generation >= needed:
                # Before the lots are added up, which takes seconds for the largest books.
                found = self._rendered.get(_key(analytic, books, view.generation))
                if found is not None:
                    return found
            holdings = combined_holdings([self._holdings.get(one.portfolio_id, one.version) for one in books])
            if view is not None and view.generation >= needed and view.covers(holdings.symbols):
                try:
                    answer = analytic.computed(book, holdings, view, alone=self._alone)
                except NewerDataError as error:
                    needed = error.generation
                else:
                    rendered = _rendered(books, answer)
                    self._rendered.put(_key(analytic, books, view.generation), rendered)
                    return rendered
            view = self._cache.view_for(holdings.symbols, at_least=needed)
        raise StorageError("The portfolios were published again each time they were read")

    def _books(self, user_id: int, portfolios: Sequence[str] | None) -> list[Book]:
        wanted = None if portfolios is None else {public_id_in(text) for text in portfolios}
        known = None if wanted is None else [public_id for public_id in wanted if public_id is not None]
        books = self._repository.read_all_books(user_id, known, most=MOST_PORTFOLIOS)
        if not books or (wanted is not None and len(books) < len(wanted)):
            raise NotFoundError(NO_PORTFOLIO)
        if len(books) > MOST_PORTFOLIOS:
            raise InvalidRequestError(
                f"There are more than {MOST_PORTFOLIOS} portfolios: name so many of them or fewer as portfolio_id."
            )
        return books


def digest(books: Sequence[Book]) -> bytes:
    """SHA-256 of what answers depend on: the contents of a hundred books take more memory than most answers."""
    return hashlib.sha256(repr([book.content for book in books]).encode()).digest()


def _key(analytic: Analytic, books: Sequence[Book], generation: int) -> Hashable:
    return analytic.kind, digest(books), generation


def _rendered(books: Sequence[Book], answer: AnalyticsAnswer[Any]) -> Rendered:
    stated: dict[str, Any] = {name: getattr(answer, name) for name in Answer.model_fields}
    whole = AggregateAnswer[Any](portfolio_ids=[book.public_id for book in books], data=answer.data, **stated)
    return Rendered(answer.generation, whole.model_dump_json().encode())
