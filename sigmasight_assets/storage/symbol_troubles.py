"""Symbols that are not as they should be: tracked without data, held without a price, refused to be onboarded."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from sigmasight_assets.storage.book_tables import positions
from sigmasight_assets.storage.onboarding import OPEN, OnboardingRequest
from sigmasight_assets.storage.operations_tables import symbol_onboarding_queue
from sigmasight_assets.storage.tables import symbol_prices_daily, symbol_universe

TRACKED = symbol_universe.c
REQUESTS = symbol_onboarding_queue.c


@dataclass(frozen=True, slots=True)
class TroubledSymbol:
    """A symbol as far as it is known; ``reason`` is why it has no data, or has ceased to have any."""

    symbol: str
    asset_type: str
    status: str
    reason: str | None
    last_price_date: date | None
    is_held: bool


@dataclass(frozen=True, slots=True)
class RefusedSymbol:
    """A symbol whose newest onboarding request was given up."""

    symbol: str
    attempts: int
    error: str | None
    run_id: str | None


def read_without_data(connection: sa.Connection) -> list[TroubledSymbol]:
    """Tracked symbols that the market has nothing of, alphabetically."""
    return _troubled(connection, TRACKED.status == "error")


def read_held_without_price(connection: sa.Connection, session: date) -> list[TroubledSymbol]:
    """Symbols with prices before that are held at the session and have none at it, alphabetically."""
    price = sa.exists().where(
        symbol_prices_daily.c.symbol == TRACKED.symbol, symbol_prices_daily.c.price_date == session
    )
    return _troubled(connection, TRACKED.status != "error", sa.not_(price), _is_held(TRACKED.symbol, session))


def read_refused(connection: sa.Connection) -> list[RefusedSymbol]:
    """Symbols that somebody asked for in vain and that are still wanted: tracked or held, and without any price."""
    newest = (
        sa.select(REQUESTS.symbol, REQUESTS.status, REQUESTS.attempts, REQUESTS.error, REQUESTS.run_id)
        .ext(distinct_on(REQUESTS.symbol))
        .order_by(REQUESTS.symbol, REQUESTS.request_id.desc())
        .subquery()
    ).c
    has_price = sa.exists().where(TRACKED.symbol == newest.symbol, TRACKED.first_trade_date.is_not(None))
    is_tracked = sa.exists().where(TRACKED.symbol == newest.symbol)
    query = sa.select(newest.symbol, newest.attempts, newest.error, newest.run_id).where(
        newest.status == "failed", sa.not_(has_price), sa.or_(is_tracked, _is_held(newest.symbol))
    )
    return [RefusedSymbol(*row) for row in connection.execute(query.order_by(newest.symbol))]


def read_asked_for(connection: sa.Connection) -> Collection[str]:
    """Symbols with an open onboarding request."""
    return frozenset(connection.execute(sa.select(REQUESTS.symbol).where(REQUESTS.status.in_(OPEN))).scalars())


def read_open_requests(connection: sa.Connection) -> list[OnboardingRequest]:
    """Onboarding requests that wait or are worked on, in the order in which they are served."""
    columns = [REQUESTS[name] for name in OnboardingRequest.__dataclass_fields__]
    query = sa.select(*columns).where(REQUESTS.status.in_(OPEN))
    rows = connection.execute(query.order_by(REQUESTS.priority.desc(), REQUESTS.request_id))
    return [OnboardingRequest(*row) for row in rows]


def _troubled(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[TroubledSymbol]:
    columns = (TRACKED.symbol, TRACKED.asset_type, TRACKED.status, TRACKED.status_reason, TRACKED.last_price_date)
    query = sa.select(*columns, _is_held(TRACKED.symbol)).where(*conditions).order_by(TRACKED.symbol)
    return [TroubledSymbol(*row) for row in connection.execute(query)]


def _is_held(symbol: sa.ColumnElement[str], session: date | None = None) -> sa.ColumnElement[bool]:
    """Whether somebody has an open lot of the symbol that has a price on the market; entered by the session."""
    held = sa.exists().where(
        positions.c.symbol == symbol, positions.c.exit_date.is_(None), positions.c.investment_class != "PRIVATE"
    )
    return held if session is None else held.where(positions.c.entry_date <= session)
