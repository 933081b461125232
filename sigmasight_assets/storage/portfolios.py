"""Owners' books: portfolios, lots and flows, written with their edit date so that later snapshots count as stale.

Edits of single lots are in ``lots``, those of portfolios in ``portfolio_edits``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.errors import BookError, NameTakenError, NotFoundError
from sigmasight_assets.storage.book_tables import capital_flows, portfolios, positions, private_valuations, users
from sigmasight_assets.storage.onboarding import request_held
from sigmasight_assets.storage.tokens import ensure_user


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot to be stored: signed quantity, prices in USD, trade dates; an open lot has no exit.

    The quantity is in the share units of ``units_date``, which is the entry date when None. ``market_value`` (USD, of
    the whole lot) on ``valued_on`` is the first valuation of a PRIVATE lot, which may have no entry price.
    """

    symbol: str
    quantity: Decimal
    entry_price: Decimal | None
    entry_date: date
    exit_price: Decimal | None = None
    exit_date: date | None = None
    investment_class: str = "PUBLIC"
    notes: str | None = None
    units_date: date | None = None
    market_value: Decimal | None = None
    valued_on: date | None = None


VALUATION_FIELDS = ("market_value", "valued_on")
LOT_FIELDS = tuple(name for name in NewLot.__dataclass_fields__ if name not in VALUATION_FIELDS)


@dataclass(frozen=True, slots=True)
class StoredLot:
    """A lot as stored, with the newest of its valuations."""

    position_id: int
    public_id: UUID
    portfolio_id: int
    symbol: str
    investment_class: str
    quantity: Decimal
    units_date: date | None
    entry_price: Decimal | None
    entry_date: date
    exit_price: Decimal | None
    exit_date: date | None
    market_value: Decimal | None
    valued_on: date | None
    notes: str | None


# From when on a portfolio's snapshots are not up to date: they are stale, or it is left out of them.
STALE_FROM = sa.func.least(portfolios.c.stale_from, portfolios.c.left_out_from).label("stale_from")


@dataclass(frozen=True, slots=True)
class PortfolioRecord:
    """A portfolio as stored; ``stale_from`` is the date from which its snapshots await recomputation or are missing."""

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
    """Store a portfolio of the user of this name, created when new, as ``open_portfolio`` does."""
    user_id = ensure_user(connection, user)
    return open_portfolio(connection, user_id=user_id, name=name, equity=equity, as_of=as_of, lots=lots)


def open_portfolio(
    connection: sa.Connection, *, user_id: int, name: str, equity: Decimal, as_of: date, lots: Sequence[NewLot]
) -> PortfolioRecord:
    """Store a portfolio with its lots and their first valuations, all of its snapshots still to be made.

    ``NameTakenError`` when the user already has a portfolio of this name.
    """
    statement = (
        insert(portfolios)
        .values(user_id=user_id, name=name, stated_equity=equity, as_of=as_of, stale_from=as_of)
        .on_conflict_do_nothing(index_elements=["user_id", "name"])
        .returning(portfolios.c.portfolio_id)
    )
    portfolio_id = connection.execute(statement).scalar_one_or_none()
    if portfolio_id is None:
        raise NameTakenError(f"There is a portfolio named {name!r} already; choose another name")
    insert_lots(connection, portfolio_id, lots)
    return read_portfolios(connection, portfolio_id=portfolio_id)[0]


def insert_lots(connection: sa.Connection, portfolio_id: int, lots: Sequence[NewLot]) -> list[int]:
    """Store lots and their first valuations and return their numbers; the caller calls ``mark_edited``.

    Symbols of theirs that nobody tracks yet are asked for.
    """
    if not lots:
        return []
    rows = [{"portfolio_id": portfolio_id, **{name: getattr(lot, name) for name in LOT_FIELDS}} for lot in lots]
    statement = sa.insert(positions).returning(positions.c.position_id, sort_by_parameter_order=True)
    position_ids = list(connection.execute(statement, rows).scalars())
    valuations = [
        {"position_id": position_id, **_first_valuation(lot)}
        for position_id, lot in zip(position_ids, lots, strict=True)
        if lot.market_value is not None
    ]
    if valuations:
        connection.execute(sa.insert(private_valuations), valuations)
    request_held(connection, portfolio_id)
    return position_ids


def _first_valuation(lot: NewLot) -> dict[str, Any]:
    if lot.investment_class != "PRIVATE":
        raise BookError(f"{lot.symbol}: only PRIVATE lots have valuations, this one is {lot.investment_class}")
    return {name: getattr(lot, name) for name in VALUATION_FIELDS}


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """Money moved in (positive) or out (negative), USD."""

    public_id: UUID
    flow_date: date
    amount: Decimal
    created_at: datetime


FLOW_COLUMNS = tuple(capital_flows.c[name] for name in StoredFlow.__dataclass_fields__)


def add_capital_flow(connection: sa.Connection, portfolio_id: int, *, flow_date: date, amount: Decimal) -> StoredFlow:
    """Record money moved in (positive) or out (negative); snapshots from that date on become stale."""
    statement = sa.insert(capital_flows).values(portfolio_id=portfolio_id, flow_date=flow_date, amount=amount)
    flow = StoredFlow(*connection.execute(statement.returning(*FLOW_COLUMNS)).one())
    mark_edited(connection, portfolio_id, edited_from=flow_date)
    return flow


def mark_edited(connection: sa.Connection, portfolio_id: int, *, edited_from: date) -> None:
    """Count the edit and let snapshots from ``edited_from`` on await recomputation.

    Every writer of lots and flows calls this in the transaction of its edit. A portfolio that is left out is tried
    again from where its snapshots end, whatever the date of the edit.
    """
    dates = (portfolios.c.stale_from, portfolios.c.left_out_from, sa.cast(edited_from, sa.Date))
    connection.execute(
        sa.update(portfolios)
        .where(portfolios.c.portfolio_id == portfolio_id)
        .values(
            book_version=portfolios.c.book_version + 1,
            # least() ignores NULL, so a portfolio that was up to date becomes stale from the edit on.
            stale_from=sa.func.greatest(sa.func.least(*dates), portfolios.c.as_of),
            left_out_from=None,
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
    others: dict[str, Any] = {"owner": users.c.name.label("owner"), "stale_from": STALE_FROM}
    columns: list[Any] = [
        others[name] if name in others else portfolios.c[name] for name in PortfolioRecord.__dataclass_fields__
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
    query = lots_query(valued_until=open_at).where(positions.c.portfolio_id == portfolio_id)
    if open_at is not None:
        query = query.where(
            positions.c.entry_date <= open_at,
            sa.or_(positions.c.exit_date.is_(None), positions.c.exit_date > open_at),
        )
    return [StoredLot(*row) for row in connection.execute(query.order_by(positions.c.position_id))]


def lots_query(*, valued_until: date | None = None) -> sa.Select[Any]:
    """Selects the fields of ``StoredLot`` with the newest valuation, of those until ``valued_until`` when given."""
    valuations = private_valuations.c
    newest = sa.select(valuations.market_value, valuations.valued_on).where(
        valuations.position_id == positions.c.position_id
    )
    if valued_until is not None:
        newest = newest.where(valuations.valued_on <= valued_until)
    newest_one = newest.order_by(valuations.valued_on.desc()).limit(1).lateral("newest")
    columns = [
        newest_one.c[name] if name in VALUATION_FIELDS else positions.c[name] for name in StoredLot.__dataclass_fields__
    ]
    return sa.select(*columns).join_from(positions, newest_one, sa.true(), isouter=True)


def read_held_symbols(connection: sa.Connection) -> dict[str, str]:
    """The investment class of each symbol in PUBLIC and OPTIONS lots that some snapshot finds held.

    Lots that were closed later count too: the snapshots before that value them.
    """
    first_held = sa.func.greatest(positions.c.entry_date, portfolios.c.as_of)
    query = (
        sa.select(positions.c.symbol, positions.c.investment_class)
        .join_from(positions, portfolios)
        .where(
            sa.or_(positions.c.exit_date.is_(None), positions.c.exit_date > first_held),
            positions.c.investment_class.in_(("PUBLIC", "OPTIONS")),
        )
    )
    return {row.symbol: row.investment_class for row in connection.execute(query.distinct())}


def read_contracts_held_after(connection: sa.Connection, day: date) -> set[str]:
    """The symbols of OPTIONS lots that are not closed by the day."""
    query = sa.select(positions.c.symbol).where(
        positions.c.investment_class == "OPTIONS",
        sa.or_(positions.c.exit_date.is_(None), positions.c.exit_date > day),
    )
    return set(connection.execute(query.distinct()).scalars())


def read_investment_classes(connection: sa.Connection, symbols: Collection[str]) -> dict[str, set[str]]:
    """The investment classes, other than PRIVATE, in which each of the symbols is held."""
    query = sa.select(positions.c.symbol, positions.c.investment_class).where(
        positions.c.symbol.in_(symbols),
        positions.c.investment_class.in_(("PUBLIC", "OPTIONS")),
        positions.c.exit_date.is_(None),
    )
    classes: dict[str, set[str]] = {}
    for row in connection.execute(query.distinct()):
        classes.setdefault(row.symbol, set()).add(row.investment_class)
    return classes


def read_book_marks(connection: sa.Connection) -> tuple[date | None, list[tuple[int, int, date]]]:
    """The earliest as-of date of all portfolios (None without any) and the edited books.

    An edited book is its portfolio number, version and the date from which its snapshots are stale.
    """
    earliest: date | None = connection.execute(sa.select(sa.func.min(portfolios.c.as_of))).scalar()
    # A run computes nobody after the session from which it is left out.
    edited = sa.select(portfolios.c.portfolio_id, portfolios.c.book_version, STALE_FROM)
    rows = connection.execute(edited.where(portfolios.c.stale_from.is_not(None)))
    return earliest, [(row.portfolio_id, row.book_version, row.stale_from) for row in rows]
