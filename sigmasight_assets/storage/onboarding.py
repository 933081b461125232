"""The queue of symbols to be brought into the universe at once: who asks for them, and what became of that.

There is one open request a symbol. All times are the database's. Who works on requests is in ``onboarding_claims``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on, insert

from sigmasight_assets.storage.book_tables import portfolios, positions, users
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.operations_tables import symbol_onboarding_queue
from sigmasight_assets.storage.tables import symbol_universe

OPEN = ("pending", "processing")
MAX_ATTEMPTS = 3
OWNERS_PRIORITY = 10

QUEUE = symbol_onboarding_queue.c
NOW = sa.func.clock_timestamp()
IS_PUBLISHED = sa.exists().where(publications.c.layer == "symbol")


@dataclass(frozen=True, slots=True)
class OnboardingRequest:
    """A request as stored; ``attempts`` counts the one under way, ``error`` is why the last one failed."""

    request_id: int
    symbol: str
    status: str
    priority: int
    attempts: int
    requested_by: str
    requested_at: datetime
    not_before: datetime
    run_id: str | None
    started_at: datetime | None
    finished_at: datetime | None
    generation: int | None
    error: str | None

    @property
    def sentence(self) -> str:
        """What owners are told of it."""
        if self.status == "failed":
            return self.error or "not onboarded"
        if self.status == "completed":
            return "onboarded"
        under_way = self.status == "processing"
        number = self.attempts if under_way else self.attempts + 1
        words = "being onboarded" if under_way else "waiting to be onboarded"
        attempt = f", attempt {number} of {MAX_ATTEMPTS}" if number > 1 else ""
        return words + attempt + (f": {self.error}" if self.error else "")


def request_onboarding(
    connection: sa.Connection, symbols: Collection[str], *, requested_by: str, priority: int = 0
) -> None:
    """Ask for symbols; one that is asked for already keeps its request, with the larger of the two priorities."""
    if not symbols:
        return
    rows = [{"symbol": symbol, "requested_by": requested_by, "priority": priority} for symbol in sorted(set(symbols))]
    statement = insert(symbol_onboarding_queue).values(rows)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[QUEUE.symbol],
            index_where=QUEUE.status.in_(OPEN),
            set_={"priority": sa.func.greatest(QUEUE.priority, statement.excluded.priority)},
        )
    )


def requeue(connection: sa.Connection, symbol: str, *, requested_by: str) -> OnboardingRequest:
    """Have a symbol tried at once: without the pause that its open request waits for, or by another request.

    A request that somebody works on stays as it is.
    """
    request_onboarding(connection, [symbol], requested_by=requested_by, priority=OWNERS_PRIORITY)
    connection.execute(
        sa.update(symbol_onboarding_queue)
        .where(QUEUE.symbol == symbol, QUEUE.status == "pending")
        .values(not_before=NOW)
    )
    return read_newest_requests(connection, [symbol])[symbol]


def request_held(connection: sa.Connection, portfolio_id: int) -> None:
    """Ask for what a portfolio holds of symbols without a price that were never refused.

    Before the first publication nothing is asked for: the run that makes it takes up whatever is held.
    """
    first_held = sa.func.greatest(positions.c.entry_date, portfolios.c.as_of)
    known = sa.exists().where(symbol_universe.c.symbol == positions.c.symbol, symbol_universe.c.status != "pending")
    query = (
        sa.select(positions.c.symbol, users.c.name)
        .join_from(positions, portfolios)
        .join(users)
        .where(
            positions.c.portfolio_id == portfolio_id,
            positions.c.investment_class.in_(("PUBLIC", "OPTIONS")),
            sa.or_(positions.c.exit_date.is_(None), positions.c.exit_date > first_held),
            IS_PUBLISHED,
            ~known,
        )
    )
    rows = connection.execute(query.distinct()).all()
    if rows:
        symbols = [row.symbol for row in rows]
        request_onboarding(connection, symbols, requested_by=f"owner {rows[0].name}", priority=OWNERS_PRIORITY)


def request_pending(connection: sa.Connection, symbols: Collection[str], *, requested_by: str) -> list[str]:
    """Ask for those of the symbols that are tracked and were never priced nor refused; returns them.

    Before the first publication nothing is asked for, as by ``request_held``.
    """
    tracked = symbol_universe.c
    query = sa.select(tracked.symbol).where(tracked.symbol.in_(symbols), tracked.status == "pending", IS_PUBLISHED)
    pending = sorted(connection.execute(query).scalars())
    request_onboarding(connection, pending, requested_by=requested_by)
    return pending


def read_pending(connection: sa.Connection, symbols: Collection[str]) -> list[str]:
    """Those of the symbols that are asked for, or will be by the first publication, alphabetically."""
    wanted = sa.select(sa.func.unnest(sa.cast(list(symbols), ARRAY(sa.Text))).label("symbol")).subquery()
    tracked, symbol = symbol_universe.c, wanted.c.symbol
    is_open = sa.exists().where(QUEUE.symbol == symbol, QUEUE.status.in_(OPEN))
    is_pending = sa.exists().where(tracked.symbol == symbol, tracked.status == "pending")
    is_tracked = sa.exists().where(tracked.symbol == symbol)
    query = sa.select(symbol).distinct().where(sa.or_(is_open, is_pending, sa.not_(sa.or_(is_tracked, IS_PUBLISHED))))
    return sorted(connection.execute(query).scalars())


def read_requests(connection: sa.Connection, *, limit: int = 100) -> list[OnboardingRequest]:
    """The newest requests, newest first."""
    query = _requests().order_by(QUEUE.request_id.desc()).limit(limit)
    return [OnboardingRequest(*row) for row in connection.execute(query)]


def read_newest_requests(connection: sa.Connection, symbols: Collection[str]) -> dict[str, OnboardingRequest]:
    """The newest request of each of the symbols that was ever asked for."""
    query = _requests().where(QUEUE.symbol.in_(symbols)).ext(distinct_on(QUEUE.symbol))
    rows = connection.execute(query.order_by(QUEUE.symbol, QUEUE.request_id.desc()))
    return {row.symbol: OnboardingRequest(*row) for row in rows}


def count_open_requests(connection: sa.Connection) -> int:
    """How many requests wait or are worked on."""
    query = sa.select(sa.func.count()).select_from(symbol_onboarding_queue).where(QUEUE.status.in_(OPEN))
    return int(connection.execute(query).scalar_one())


def read_open_held_requests(connection: sa.Connection) -> dict[str, datetime]:
    """When each open request for a symbol that some portfolio holds was made, by symbol."""
    # There is an index of open lots; a symbol that was sold before it had a price is not worth a wait.
    held = sa.exists().where(
        positions.c.symbol == QUEUE.symbol,
        positions.c.exit_date.is_(None),
        positions.c.investment_class.in_(("PUBLIC", "OPTIONS")),
    )
    query = sa.select(QUEUE.symbol, QUEUE.requested_at).where(QUEUE.status.in_(OPEN), held).order_by(QUEUE.symbol)
    return {row.symbol: row.requested_at for row in connection.execute(query)}


def read_refused_in_bulk(transaction: BulkTransaction) -> frozenset[str]:
    """Symbols of which a request was ever given up, as this transaction sees it."""
    rows = transaction.read("SELECT DISTINCT symbol FROM symbol_onboarding_queue WHERE status = 'failed'")
    return frozenset(rows.column("symbol").to_pylist())


def _requests() -> sa.Select[Any]:
    return sa.select(*(QUEUE[name] for name in OnboardingRequest.__dataclass_fields__))
