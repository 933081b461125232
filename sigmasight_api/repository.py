"""The statements of the API: small reads on pooled connections, each a single statement unless it says otherwise.

Bulk reads of the market are in ``loader``.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.sql.selectable import LateralFromClause

from sigmasight_api.books import Book, Holdings, Lot, holdings_of
from sigmasight_api.replica import History, Replica
from sigmasight_api.snapshot_series import SNAPSHOT_SERIES
from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.book_tables import portfolios, positions, private_valuations
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.engine import readable_errors
from sigmasight_assets.storage.ledger_tables import (
    batch_runs,
    data_quality_results,
    option_expiries,
    portfolio_exposures,
    portfolio_snapshots,
    publications,
)
from sigmasight_assets.storage.onboarding import OnboardingRequest, read_newest_requests
from sigmasight_assets.storage.operations_tables import symbol_onboarding_queue
from sigmasight_assets.storage.portfolios import STALE_FROM
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.roles import is_restricted
from sigmasight_assets.storage.tables import (
    PROFILE_FIGURES,
    company_profiles,
    symbol_prices_daily,
    symbol_universe,
)

Value = TypeVar("Value")

# The same words for an id that never existed, was deleted or is someone else's.
NO_PORTFOLIO = "There is no such portfolio."


# In the order of the fields of ``Book``, which ends with them.
OF_SNAPSHOT = (
    *("equity", "session", "generation"),
    *("daily_pnl", "daily_return", "cumulative_pnl", "unrealized_pnl", "is_partial"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """The part of a list that was asked for."""

    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class Rows:
    """One page of rows and how many rows there are in all."""

    items: list[sa.Row[Any]]
    total: int


def newest_snapshot() -> LateralFromClause:
    """What ``Book`` has of the newest snapshot, of a row of portfolios."""
    snapshots = portfolio_snapshots
    return (
        sa.select(*(snapshots.c[name] for name in OF_SNAPSHOT))
        .where(snapshots.c.portfolio_id == portfolios.c.portfolio_id)
        .order_by(snapshots.c.session.desc())
        .limit(sa.literal_column("1"))
        .lateral("newest")
    )


def book_columns(newest: LateralFromClause) -> list[sa.ColumnElement[Any]]:
    """The fields of ``Book`` in their order."""
    names = ("portfolio_id", "public_id", "name", "stated_equity", "as_of", "created_at", "book_version")
    return [*(portfolios.c[name] for name in names), STALE_FROM, *(newest.c[name] for name in OF_SNAPSHOT)]


def _books() -> sa.Select[Any]:
    """Portfolios with their newest snapshots, in the order of the fields of ``Book``."""
    newest = newest_snapshot()
    return sa.select(*book_columns(newest)).join_from(portfolios, newest, sa.true(), isouter=True)


def _lots() -> sa.Select[Any]:
    """Lots of a portfolio in the order of the fields of ``Lot``, by symbol and entry."""
    lots, settled, entered = positions.c, option_expiries.c, private_valuations.c
    dated = [
        sa.func.coalesce(
            sa.func.array_agg(aggregate_order_by(column, entered.valued_on)), sa.literal([], ARRAY(column.type))
        ).label(column.name)
        for column in (entered.valued_on, entered.market_value)
    ]
    valued = sa.select(*dated).where(entered.position_id == lots.position_id).lateral("valued")
    units_date = sa.func.coalesce(lots.units_date, lots.entry_date)
    terms = (lots.entry_price, lots.entry_date, lots.exit_price, lots.exit_date, lots.notes)
    return (
        sa.select(lots.public_id, lots.symbol, lots.investment_class, lots.quantity, units_date, *terms)
        .add_columns(settled.session, valued.c.valued_on, valued.c.market_value)
        .join_from(positions, valued, sa.true())
        .join(
            option_expiries,
            sa.and_(settled.portfolio_id == lots.portfolio_id, settled.position_id == lots.position_id),
            isouter=True,
        )
        .where(lots.portfolio_id == sa.bindparam("portfolio"))
        .order_by(lots.symbol, lots.entry_date, lots.position_id)
    )


def _symbols() -> sa.Select[Any]:
    """Tracked symbols: the columns of the universe and those of the newest profile, which are all null without one.

    Sector and industry are the profile's where it has them, else those of the universe.
    """
    newest = (
        sa.select(company_profiles)
        .where(company_profiles.c.symbol == symbol_universe.c.symbol)
        .order_by(company_profiles.c.captured_on.desc())
        .limit(1)
        .lateral("newest")
    )
    merged = ("sector", "industry")
    own = [column for column in symbol_universe.c if column.name not in merged]
    profile = [newest.c.captured_on, *(newest.c[name] for name in PROFILE_FIGURES)]
    both = [sa.func.coalesce(newest.c[name], symbol_universe.c[name]).label(name) for name in merged]
    return sa.select(*own, *both, *profile).join_from(symbol_universe, newest, sa.true(), isouter=True)


# Made once: building a statement anew costs more than the database needs to run it.
BOOKS = _books()
OWN_BOOK = BOOKS.where(portfolios.c.public_id == sa.bindparam("wanted"), portfolios.c.user_id == sa.bindparam("owner"))
LOTS = _lots()
THESE_BOOKS = BOOKS.where(portfolios.c.portfolio_id == sa.func.any(sa.bindparam("these", type_=ARRAY(sa.BigInteger))))
SYMBOL = _symbols().where(symbol_universe.c.symbol == sa.bindparam("wanted"))
OPEN_LOTS = LOTS.where(positions.c.exit_date.is_(None))


class Repository:
    """Reads of one database; every method raises ``StorageError`` when it is away or not migrated.

    The published history of a portfolio is read from the replica, if there is one that has the portfolio as it is, and
    whoever asks says of which generation it must be at least.
    """

    def __init__(self, database: Database, replica: Replica | None = None) -> None:
        self._database = database
        self._replica = replica

    def is_restricted(self) -> bool:
        """Whether the database role of this handle lacks the rights of the pipeline."""
        with self._reading() as connection:
            return is_restricted(connection)

    def read_book(self, user_id: int, public_id: UUID) -> Book:
        """The user's portfolio of this id; ``NotFoundError`` when the user has none such."""
        with self._reading() as connection:
            row = connection.execute(OWN_BOOK, {"owner": user_id, "wanted": public_id}).one_or_none()
        if row is None:
            raise NotFoundError(NO_PORTFOLIO)
        return _book(row)

    def read_all_books(self, user_id: int, public_ids: Sequence[UUID] | None, *, most: int) -> list[Book]:
        """The user's portfolios of these ids, or all of them, in one statement; at most ``most`` + 1 of them."""
        query = BOOKS.where(portfolios.c.user_id == user_id).order_by(portfolios.c.portfolio_id).limit(most + 1)
        if public_ids is not None:
            query = query.where(portfolios.c.public_id.in_(public_ids))
        with self._reading() as connection:
            return [_book(row) for row in connection.execute(query)]

    def read_books(self, user_id: int, page: Page) -> tuple[list[Book], int]:
        """The user's portfolios by name, and how many there are (two statements)."""
        rows = self._page(BOOKS.where(portfolios.c.user_id == user_id), portfolios.c.name, page)
        return [_book(row) for row in rows.items], rows.total

    def read_lots(self, portfolio_id: int, *, with_closed: bool) -> list[Lot]:
        """The lots of a portfolio by symbol and entry, without the closed ones unless they are asked for."""
        with self._reading() as connection:
            rows = connection.execute(LOTS if with_closed else OPEN_LOTS, {"portfolio": portfolio_id})
            return [Lot(*row) for row in rows]

    def read_holdings(self, portfolio_id: int) -> Holdings:
        """The open lots of a portfolio, summed where only their sum counts."""
        return holdings_of(self.read_lots(portfolio_id, with_closed=False))

    def read_snapshots(
        self,
        user_id: int,
        public_id: UUID,
        *,
        first: date | None,
        last: date | None,
        page: Page,
        at_least: int | None = None,
    ) -> Rows:
        """Snapshots of the user's portfolio, oldest first (three statements); raises as ``read_book`` does.

        A replica may answer that has the book and the generation ``at_least``; without one it is the primary.
        """
        book = self.read_book(user_id, public_id)
        query = sa.select(portfolio_snapshots).where(portfolio_snapshots.c.portfolio_id == book.portfolio_id)
        dated, history = portfolio_snapshots.c.session, History(book, at_least)
        return self._between(query, dated, first=first, last=last, page=page, history=history)

    def read_exposures(
        self, book: Book, *, first: date | None, last: date | None, page: Page, at_least: int | None = None
    ) -> Rows:
        """Recorded exposures of a portfolio, oldest first (two statements), from where snapshots are read."""
        query = sa.select(portfolio_exposures).where(portfolio_exposures.c.portfolio_id == book.portfolio_id)
        dated, history = portfolio_exposures.c.session, History(book, at_least)
        return self._between(query, dated, first=first, last=last, page=page, history=history)

    def read_snapshot_series(
        self,
        portfolio_id: int,
        *,
        first: date | None,
        last: date | None,
        benchmark: str,
        book: Book | None = None,
        at_least: int | None = None,
    ) -> list[sa.Row[Any]]:
        """Snapshots between two dates, both included, and the one before them, oldest first.

        The column ``benchmark`` is the adjusted close of that symbol at the session, None where it has no bar. With
        the ``book`` a replica may answer as for ``read_snapshots``.
        """
        dates = {"first": first or date.min, "last": last or date.max}
        asked = {"portfolio": portfolio_id, "benchmark": benchmark, **dates}
        history = None if book is None else History(book, at_least)
        return self._read_history(history, lambda connection: list(connection.execute(SNAPSHOT_SERIES, asked)))

    def are_current(self, books: Sequence[Book]) -> bool:
        """Whether these portfolios still have the edits and the newest snapshots that the books tell."""
        with self._reading() as connection:
            rows = connection.execute(THESE_BOOKS, {"these": [book.portfolio_id for book in books]})
            found = {row.portfolio_id: _book(row).version for row in rows}
        return all(found.get(book.portfolio_id) == book.version for book in books)

    def read_symbols(self, page: Page, *, status: str | None, asset_type: str | None) -> Rows:
        """Tracked symbols by name, all or those of a status or a type, without their profiles (two statements)."""
        query = sa.select(symbol_universe)
        if status is not None:
            query = query.where(symbol_universe.c.status == status)
        if asset_type is not None:
            query = query.where(symbol_universe.c.asset_type == asset_type)
        return self._page(query, symbol_universe.c.symbol, page)

    def read_bars(self, symbol: str, *, first: date | None, last: date | None, page: Page) -> Rows:
        """Stored bars of a symbol between two dates, both included, oldest first (two statements)."""
        query = sa.select(symbol_prices_daily).where(symbol_prices_daily.c.symbol == symbol)
        return self._between(query, symbol_prices_daily.c.price_date, first=first, last=last, page=page)

    def find_symbol(self, symbol: str) -> dict[str, Any] | None:
        """The row of a tracked symbol with its newest profile, or None; see ``_symbols`` for the columns."""
        with self._reading() as connection:
            row = connection.execute(SYMBOL, {"wanted": symbol}).one_or_none()
        return None if row is None else {str(name): value for name, value in row._mapping.items()}

    def read_tracked(self, symbols: Collection[str]) -> dict[str, dict[str, Any]]:
        """Status and its reason of those of the symbols that are tracked, by symbol."""
        columns = [symbol_universe.c[name] for name in ("symbol", "status", "status_reason")]
        query = sa.select(*columns).where(symbol_universe.c.symbol.in_(symbols))
        with self._reading() as connection:
            return {row.symbol: dict(row._mapping) for row in connection.execute(query)}

    def read_newest_requests(self, symbols: Collection[str]) -> dict[str, OnboardingRequest]:
        """The newest request to onboard each of the symbols that was ever asked for, by symbol."""
        with self._reading() as connection:
            return read_newest_requests(connection, symbols)

    def read_onboarding(self, page: Page) -> Rows:
        """Requests to onboard symbols, newest first (two statements)."""
        return self._page(sa.select(symbol_onboarding_queue), symbol_onboarding_queue.c.request_id.desc(), page)

    def read_calendar(self) -> SessionCalendar:
        """The exchange's calendar as operators have corrected it."""
        with self._reading() as connection:
            return read_calendar(connection)

    def read_batches(
        self, page: Page, *, kind: str | None = None, status: str | None = None, session: date | None = None
    ) -> Rows:
        """Recorded steps of runs, newest first: all, or those of a kind, a status or a session (two statements)."""
        query, steps = sa.select(batch_runs), batch_runs.c
        if kind is not None:
            query = query.where(steps.kind == kind)
        if status is not None:
            query = query.where(steps.status == status)
        if session is not None:
            query = query.where(steps.first_session <= session, steps.last_session >= session)
        return self._page(query, steps.started_at.desc(), page)

    def read_symbol_sessions(self, page: Page) -> Rows:
        """Published sessions of the symbol layer, newest first, each with its newest publication (two statements)."""
        product = sa.func.unnest(publications.c.products).label("product")
        each = (
            sa.select(publications.c.session, publications.c.generation, product)
            .where(publications.c.layer == "symbol")
            .subquery()
        )
        newest = (
            sa.select(
                each.c.session,
                sa.func.max(each.c.generation).label("generation"),
                (sa.func.count(sa.distinct(each.c.product)) == len(SYMBOL_PRODUCTS)).label("is_complete"),
            )
            .group_by(each.c.session)
            .subquery()
        )
        shown = [publications.c[name] for name in ("coverage", "counts", "run_id", "published_at")]
        same = sa.and_(
            publications.c.generation == newest.c.generation,
            publications.c.session == newest.c.session,
            publications.c.layer == "symbol",
        )
        return self._page(
            sa.select(newest, *shown).join_from(newest, publications, same), newest.c.session.desc(), page
        )

    def read_failed_symbol_checks(self, page: Page) -> Rows:
        """Blocking checks of the symbol layer that a session's newest judgement did not pass (two statements)."""
        results = data_quality_results
        newest = (
            sa.select(sa.func.max(results.c.result_id))
            .where(results.c.layer == "symbol", results.c.is_blocking)
            .group_by(results.c.session, results.c.check_name)
        )
        shown = [results.c[name] for name in ("session", "check_name", "detail", "run_id", "checked_at")]
        query = sa.select(*shown).where(results.c.result_id.in_(newest), sa.not_(results.c.passed))
        return self._page(query, results.c.session.desc(), page)

    def _between(
        self,
        query: sa.Select[Any],
        dated: sa.ColumnElement[date],
        *,
        first: date | None,
        last: date | None,
        page: Page,
        history: History | None = None,
    ) -> Rows:
        """The rows from ``first`` to ``last``, oldest first."""
        if first is not None:
            query = query.where(dated >= first)
        if last is not None:
            query = query.where(dated <= last)
        return self._page(query, dated, page, history=history)

    def _read_history(self, history: History | None, read: Callable[[sa.Connection], Value]) -> Value:
        """What is read of the published history of a book, from the replica if it has the book as it is."""
        if history is not None and self._replica is not None:
            found = self._replica.read_history(history, read)
            if found is not None:
                return found
        with self._reading() as connection:
            return read(connection)

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        # Outside a transaction a statement is one round trip; BEGIN and COMMIT would make it three.
        with readable_errors(self._database.url):
            engine = self._database.engine.execution_options(isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                yield connection

    def _page(
        self, query: sa.Select[Any], order: sa.ColumnElement[Any], page: Page, *, history: History | None = None
    ) -> Rows:
        def read(connection: sa.Connection) -> Rows:
            total = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
            items = connection.execute(query.order_by(order).limit(page.limit).offset(page.offset))
            return Rows(list(items), total)

        return self._read_history(history, read)


def _book(row: sa.Row[Any]) -> Book:
    return Book(*tuple(row))
