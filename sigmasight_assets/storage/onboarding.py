"""Requests to bring symbols into the universe at once: one open request a symbol, taken up under a lease."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.storage.book_tables import positions
from sigmasight_assets.storage.operations_tables import symbol_onboarding_queue

OPEN = ("pending", "processing")


def request_onboarding(
    connection: sa.Connection, symbols: Collection[str], *, requested_by: str, priority: int = 0
) -> None:
    """Ask for symbols; one that is asked for already keeps its request, with the larger of the two priorities."""
    if not symbols:
        return
    queue = symbol_onboarding_queue
    statement = insert(queue)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[queue.c.symbol],
            index_where=queue.c.status.in_(OPEN),
            set_={"priority": sa.func.greatest(queue.c.priority, statement.excluded.priority)},
        ),
        [{"symbol": symbol, "requested_by": requested_by, "priority": priority} for symbol in sorted(set(symbols))],
    )


def read_open_held_requests(connection: sa.Connection) -> dict[str, datetime]:
    """When each open request for a symbol that some portfolio holds was made, by symbol."""
    queue = symbol_onboarding_queue.c
    held = sa.exists().where(
        positions.c.symbol == queue.symbol, positions.c.investment_class.in_(("PUBLIC", "OPTIONS"))
    )
    query = sa.select(queue.symbol, queue.requested_at).where(queue.status.in_(OPEN), held).order_by(queue.symbol)
    return {row.symbol: row.requested_at for row in connection.execute(query)}
