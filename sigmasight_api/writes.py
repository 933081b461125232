"""What owners change of their portfolios: opened, restated, added to, deleted, and their capital flows.

Knows nothing of HTTP. Single positions are in ``position_writes``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa

from sigmasight_api.books import PRIVATE, Book
from sigmasight_api.cache import ViewCache
from sigmasight_api.entries import REPORTED_PROBLEMS, line_problems
from sigmasight_api.formats import cents
from sigmasight_api.limits import require_room_for_flows, require_room_for_lots, require_room_for_portfolio
from sigmasight_api.owned import NO_FLOW, lock_book, public_id, read_own_book
from sigmasight_api.repository import Page
from sigmasight_api.schemas import Listing, Portfolio
from sigmasight_api.service import portfolio_answer
from sigmasight_api.transactions import RequestName, Transactions
from sigmasight_api.write_schemas import (
    AddedPositions,
    CapitalFlow,
    CreatedPortfolio,
    NewCapitalFlow,
    PortfolioPatch,
    UploadReport,
)
from sigmasight_assets.errors import BookError, ImportFileError
from sigmasight_assets.positions_file import parse_positions
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.onboarding import read_pending
from sigmasight_assets.storage.portfolio_edits import (
    delete_flow,
    delete_portfolio,
    read_flows,
    rename_portfolio,
    restate_equity,
    wait_for_snapshots,
)
from sigmasight_assets.storage.portfolios import (
    NewLot,
    StoredFlow,
    add_capital_flow,
    insert_lots,
    mark_edited,
    open_portfolio,
)


@dataclass(frozen=True, slots=True)
class PortfolioTerms:
    """A portfolio to be opened: ``equity`` in USD as of the session ``as_of``."""

    name: str
    equity: Decimal
    as_of: date


class Writes:
    """Changes portfolios of users; everything in one transaction, and nothing of it when anything is wrong."""

    def __init__(self, transactions: Transactions, cache: ViewCache, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._cache = cache
        self._clock = clock

    @property
    def today(self) -> date:
        """The date in New York."""
        return self._clock().astimezone(NEW_YORK).date()

    def create(
        self, user_id: int, terms: PortfolioTerms, lots: Sequence[NewLot], *, name: RequestName | None = None
    ) -> CreatedPortfolio:
        """Open a portfolio.

        Raises ``NameTakenError``, ``SessionError`` for a date that is no complete session, ``BookError`` for too much.
        """
        return self._transactions.once(
            CreatedPortfolio,
            lambda connection: self._create(connection, user_id, terms, lots),
            user_id=user_id,
            name=name,
        )

    def try_create(self, user_id: int, terms: PortfolioTerms, content: bytes) -> UploadReport:
        """What opening a portfolio with the lots of a file would come to; nothing is stored."""
        return self._tried(content, lambda connection, lots: self._create(connection, user_id, terms, lots))

    def add(
        self, user_id: int, portfolio_id: str, lots: Sequence[NewLot], *, name: RequestName | None = None
    ) -> AddedPositions:
        """Add lots to a portfolio; ``NotFoundError`` when the user has none of this id, here and below."""
        return self._transactions.once(
            AddedPositions,
            lambda connection: self._add(connection, user_id, portfolio_id, lots),
            user_id=user_id,
            name=name,
        )

    def try_add(self, user_id: int, portfolio_id: str, content: bytes) -> UploadReport:
        """What adding the lots of a file would come to; nothing is stored."""
        return self._tried(content, lambda connection, lots: self._add(connection, user_id, portfolio_id, lots))

    def change(
        self, user_id: int, portfolio_id: str, patch: PortfolioPatch, *, name: RequestName | None = None
    ) -> Portfolio:
        """Rename a portfolio, or state its equity or first session anew; raises as ``create`` does."""

        def write(connection: sa.Connection) -> Portfolio:
            book = self._locked_out(connection, user_id, portfolio_id, alone=patch.as_of is not None)
            if patch.name is not None:
                rename_portfolio(connection, book.portfolio_id, patch.name)
            if patch.stated_equity is not None or patch.as_of is not None:
                self._restate(connection, book, patch)
            return portfolio_answer(read_own_book(connection, user_id, portfolio_id))

        return self._transactions.once(Portfolio, write, user_id=user_id, name=name)

    def delete(self, user_id: int, portfolio_id: str) -> None:
        """Delete a portfolio with everything in it and everything published of it."""
        with self._transactions.begin() as connection:
            delete_portfolio(connection, self._locked_out(connection, user_id, portfolio_id, alone=True).portfolio_id)

    def flows(self, user_id: int, portfolio_id: str, page: Page) -> Listing[CapitalFlow]:
        """Capital flows of a portfolio by date."""
        with self._transactions.begin() as connection:
            book = read_own_book(connection, user_id, portfolio_id)
            flows, total = read_flows(connection, book.portfolio_id, limit=page.limit, offset=page.offset)
        return Listing[CapitalFlow](items=[_flow(flow) for flow in flows], total=total)

    def add_flow(
        self, user_id: int, portfolio_id: str, flow: NewCapitalFlow, *, name: RequestName | None = None
    ) -> CapitalFlow:
        """Record money moved in or out; ``BookError`` for a date that is not after ``as_of`` or is in the future."""

        def write(connection: sa.Connection) -> CapitalFlow:
            book = lock_book(connection, user_id, portfolio_id)
            self._require_countable(flow, book)
            stored = add_capital_flow(connection, book.portfolio_id, flow_date=flow.flow_date, amount=flow.amount)
            require_room_for_flows(connection, book)
            return _flow(stored)

        return self._transactions.once(CapitalFlow, write, user_id=user_id, name=name)

    def delete_flow(self, user_id: int, portfolio_id: str, flow_id: str) -> None:
        """Take a flow back; ``NotFoundError`` when the portfolio has none of this id."""
        with self._transactions.begin() as connection:
            book = lock_book(connection, user_id, portfolio_id)
            delete_flow(connection, book.portfolio_id, public_id(flow_id, NO_FLOW))

    def _create(
        self, connection: sa.Connection, user_id: int, terms: PortfolioTerms, lots: Sequence[NewLot]
    ) -> CreatedPortfolio:
        read_calendar(connection).require_complete(terms.as_of, self._clock())
        require_room_for_portfolio(connection, user_id)
        opened = open_portfolio(
            connection, user_id=user_id, name=terms.name, equity=terms.equity, as_of=terms.as_of, lots=lots
        )
        book = read_own_book(connection, user_id, str(opened.public_id))
        require_room_for_lots(connection, book, self._cache.view_for)
        return CreatedPortfolio(
            **portfolio_answer(book).model_dump(), positions=len(lots), pending_symbols=_pending(connection, lots)
        )

    def _add(
        self, connection: sa.Connection, user_id: int, portfolio_id: str, lots: Sequence[NewLot]
    ) -> AddedPositions:
        book = lock_book(connection, user_id, portfolio_id)
        insert_lots(connection, book.portfolio_id, lots)
        mark_edited(connection, book.portfolio_id, edited_from=min(lot.entry_date for lot in lots))
        require_room_for_lots(connection, book, self._cache.view_for)
        return AddedPositions(
            portfolio_id=book.public_id,
            positions=len(lots),
            stale_from=read_own_book(connection, user_id, portfolio_id).stale_from,
            pending_symbols=_pending(connection, lots),
        )

    def _tried(
        self, content: bytes, write: Callable[[sa.Connection, Sequence[NewLot]], CreatedPortfolio | AddedPositions]
    ) -> UploadReport:
        try:
            lots = parse_positions(content, today=self.today)
        except ImportFileError as error:
            problems = list(line_problems(error))
            return UploadReport(
                positions=0, problems=problems[:REPORTED_PROBLEMS], problems_total=len(problems), pending_symbols=[]
            )
        with self._transactions.trial() as connection:
            done = write(connection, lots)
        return UploadReport(
            positions=done.positions, problems=[], problems_total=0, pending_symbols=done.pending_symbols
        )

    def _locked_out(self, connection: sa.Connection, user_id: int, portfolio_id: str, *, alone: bool) -> Book:
        """The portfolio, locked; ``alone`` while no snapshot of it can be written either."""
        if alone:
            # A stranger's id makes nobody wait.
            read_own_book(connection, user_id, portfolio_id)
            wait_for_snapshots(connection)
        return lock_book(connection, user_id, portfolio_id)

    def _restate(self, connection: sa.Connection, book: Book, patch: PortfolioPatch) -> None:
        if patch.as_of is not None:
            read_calendar(connection).require_complete(patch.as_of, self._clock())
        equity = book.stated_equity if patch.stated_equity is None else patch.stated_equity
        restate_equity(connection, book.portfolio_id, equity=equity, as_of=patch.as_of or book.as_of)
        require_room_for_flows(connection, book)
        if patch.as_of is not None:
            # Earlier snapshots hold lots that were closed since, at prices that may have been higher.
            restated = replace(book, as_of=patch.as_of)
            require_room_for_lots(connection, restated, self._cache.view_for)

    def _require_countable(self, flow: NewCapitalFlow, book: Book) -> None:
        if flow.amount == 0:
            raise BookError("amount is zero: nothing was moved")
        if flow.flow_date <= book.as_of:
            raise BookError(
                f"flow_date {flow.flow_date} is not after {book.as_of}, as of which the portfolio's equity is stated: "
                "that equity holds it already"
            )
        if flow.flow_date > self.today:
            raise BookError(f"flow_date {flow.flow_date} is in the future: enter it when it has happened")


def _pending(connection: sa.Connection, lots: Sequence[NewLot]) -> list[str]:
    return read_pending(connection, {lot.symbol for lot in lots if lot.investment_class != PRIVATE})


def _flow(flow: StoredFlow) -> CapitalFlow:
    return CapitalFlow(
        flow_id=flow.public_id, flow_date=flow.flow_date, amount=cents(flow.amount), entered_at=flow.created_at
    )
