"""Owners' books: portfolios, lots and flows, written with their edit date so that later snapshots count as stale."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from sigmasight_assets.errors import NotFoundError, StorageError
from sigmasight_assets.storage.book_tables import capital_flows, portfolios, positions, users
from sigmasight_assets.storage.tokens import ensure_user


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot to be stored: signed quantity, prices in USD, trade dates; an open lot has no exit."""

    symbol: str
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    exit_price: Decimal | None = None
    exit_date: date | None = None
    investment_class: str = "PUBLIC"
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class StoredLot:
    """A lot as stored."""

    position_id: int
    public_id: UUID
    symbol: str
    investment_class: str
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    exit_price: Decimal | None
    exit_date: date | None
    notes: str | None


@dataclass(frozen=True, slots=True)
class PortfolioRecord:
    """A portfolio as stored; ``stale_from`` is the date from which its snapshots await recomputation."""

    portfolio_id: int
    public_id: UUID
    user_id: int
    owner: str
    name: str
    stated_equity: Decimal
    as_of: date
    book_version: int
    stale_from: date | None
    created_at: datetime


def create_portfolio(
    connection: sa.Connection, *, user: str, name: str, equity: Decimal, as_of: date, lots: Sequence[NewLot]
) -> PortfolioRecord:
    """Store a portfolio with its lots; ``StorageError`` when the user already has one of this name."""
    user_id = ensure_user(connection, user)
    taken = sa.select(portfolios.c.portfolio_id).where(portfolios.c.user_id == user_id, portfolios.c.name == name)
    if connection.execute(taken).first() is not None:
        raise StorageError(f"User {user} already has a portfolio named {name!r}; choose another --name")
    portfolio_id = connection.execute(
        sa.insert(portfolios)
        .values(user_id=user_id, name=name, stated_equity=equity, as_of=as_of, stale_from=as_of)
        .returning(portfolios.c.portfolio_id)
    ).scalar_one()
    if lots:
        rows = [
            {"portfolio_id": portfolio_id, **{field: getattr(lot, field) for field in NewLot.__dataclass_fields__}}
            for lot in lots
        ]
        connection.execute(sa.insert(positions), rows)
    return read_portfolios(connection, portfolio_id=portfolio_id)[0]


def add_capital_flow(connection: sa.Connection, portfolio_id: int, *, flow_date: date, amount: Decimal) -> None:
    """Record money moved in (positive) or out (negative); snapshots from that date on become stale."""
    connection.execute(sa.insert(capital_flows).values(portfolio_id=portfolio_id, flow_date=flow_date, amount=amount))
    mark_edited(connection, portfolio_id, edited_from=flow_date)


def mark_edited(connection: sa.Connection, portfolio_id: int, *, edited_from: date) -> None:
    """Count the edit and let snapshots from ``edited_from`` on await recomputation.

    Every writer of lots and flows calls this in the transaction of its edit.
    """
    connection.execute(
        sa.update(portfolios)
        .where(portfolios.c.portfolio_id == portfolio_id)
        .values(
            book_version=portfolios.c.book_version + 1,
            # least() ignores NULL, so a portfolio that was up to date becomes stale from the edit on.
            stale_from=sa.func.greatest(
                sa.func.least(portfolios.c.stale_from, sa.cast(edited_from, sa.Date)), portfolios.c.as_of
            ),
        )
    )


def read_portfolios(
    connection: sa.Connection,
    *,
    user_id: int | None = None,
    portfolio_id: int | None = None,
    public_id: UUID | None = None,
) -> list[PortfolioRecord]:
    """Portfolios that match every given key, by name; all of them without a key."""
    columns: list[Any] = [
        users.c.name.label("owner") if name == "owner" else portfolios.c[name]
        for name in PortfolioRecord.__dataclass_fields__
    ]
    query = sa.select(*columns).join_from(portfolios, users).order_by(portfolios.c.name, portfolios.c.portfolio_id)
    keys = {"user_id": user_id, "portfolio_id": portfolio_id, "public_id": public_id}
    query = query.where(*(portfolios.c[name] == value for name, value in keys.items() if value is not None))
    return [PortfolioRecord(*row) for row in connection.execute(query)]


def require_portfolio(connection: sa.Connection, public_id: UUID) -> PortfolioRecord:
    """The portfolio of this public id; ``NotFoundError`` when there is none."""
    found = read_portfolios(connection, public_id=public_id)
    if not found:
        raise NotFoundError(f"There is no portfolio {public_id}")
    return found[0]


def read_lots(connection: sa.Connection, portfolio_id: int, *, open_at: date | None = None) -> list[StoredLot]:
    """Lots of a portfolio in the order they were entered; with ``open_at`` those held at the end of that date."""
    columns = [positions.c[name] for name in StoredLot.__dataclass_fields__]
    query = sa.select(*columns).where(positions.c.portfolio_id == portfolio_id).order_by(positions.c.position_id)
    if open_at is not None:
        query = query.where(
            positions.c.entry_date <= open_at,
            sa.or_(positions.c.exit_date.is_(None), positions.c.exit_date > open_at),
        )
    return [StoredLot(*row) for row in connection.execute(query)]


def read_held_symbols(connection: sa.Connection) -> set[str]:
    """Symbols of the open PUBLIC lots of all portfolios."""
    query = sa.select(positions.c.symbol).where(
        positions.c.exit_date.is_(None), positions.c.investment_class == "PUBLIC"
    )
    return set(connection.execute(query.distinct()).scalars())


def read_book_marks(connection: sa.Connection) -> tuple[date | None, list[tuple[int, int, date]]]:
    """The earliest as-of date of all portfolios (None without any) and the edited books.

    An edited book is its portfolio number, version and the date from which its snapshots are stale.
    """
    earliest: date | None = connection.execute(sa.select(sa.func.min(portfolios.c.as_of))).scalar()
    edited = sa.select(portfolios.c.portfolio_id, portfolios.c.book_version, portfolios.c.stale_from)
    rows = connection.execute(edited.where(portfolios.c.stale_from.is_not(None)))
    return earliest, [(row.portfolio_id, row.book_version, row.stale_from) for row in rows]
