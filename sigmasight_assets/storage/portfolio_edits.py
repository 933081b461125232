"""Edits of portfolios as a whole and of their capital flows; lots are edited in ``lots``.

What is published of a portfolio goes with it, and that before its first session too, by triggers of the database.
"""

from datetime import date
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from sigmasight_assets.errors import NameTakenError, NotFoundError
from sigmasight_assets.storage.book_tables import capital_flows, portfolios
from sigmasight_assets.storage.portfolios import FLOW_COLUMNS, StoredFlow, mark_edited
from sigmasight_assets.storage.publications import LOCKS


def wait_for_snapshots(connection: sa.Connection) -> None:
    """Keep snapshots from being published until the transaction ends, and wait for those that are being written.

    Called before anything is locked, and before published rows go: a run that has read the portfolio as it was would
    write them again.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCKS["portfolio"])))


def rename_portfolio(connection: sa.Connection, portfolio_id: int, name: str) -> None:
    """Give the portfolio another name; ``NameTakenError`` when it is that of another one of the same owner.

    The transaction is lost then.
    """
    try:
        connection.execute(sa.update(portfolios).where(portfolios.c.portfolio_id == portfolio_id).values(name=name))
    except IntegrityError:
        raise NameTakenError(f"There is a portfolio named {name!r} already; choose another name") from None


def restate_equity(connection: sa.Connection, portfolio_id: int, *, equity: Decimal, as_of: date) -> None:
    """State another equity or another first session: all snapshots are to be made anew, and those before it go.

    For another first session the caller has called ``wait_for_snapshots``.
    """
    stated = {"stated_equity": equity, "as_of": as_of, "stale_from": as_of, "left_out_from": None}
    connection.execute(
        sa.update(portfolios)
        .where(portfolios.c.portfolio_id == portfolio_id)
        .values(**stated, book_version=portfolios.c.book_version + 1)
    )


def delete_portfolio(connection: sa.Connection, portfolio_id: int) -> None:
    """Delete a portfolio with its lots, valuations and flows, and all that was published of it.

    The caller has called ``wait_for_snapshots``.
    """
    connection.execute(sa.delete(portfolios).where(portfolios.c.portfolio_id == portfolio_id))


def read_flows(
    connection: sa.Connection, portfolio_id: int, *, limit: int | None = None, offset: int = 0
) -> tuple[list[StoredFlow], int]:
    """The portfolio's flows by date, or a part of them, and how many there are."""
    query = sa.select(*FLOW_COLUMNS).where(capital_flows.c.portfolio_id == portfolio_id)
    total = connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    ordered = query.order_by(capital_flows.c.flow_date, capital_flows.c.flow_id).limit(limit).offset(offset)
    return [StoredFlow(*row) for row in connection.execute(ordered)], int(total)


def delete_flow(connection: sa.Connection, portfolio_id: int, public_id: UUID) -> None:
    """Take a flow of the portfolio back, an edit of its date; ``NotFoundError`` when it has none of this id."""
    flow_date = connection.execute(
        sa.delete(capital_flows)
        .where(capital_flows.c.portfolio_id == portfolio_id, capital_flows.c.public_id == public_id)
        .returning(capital_flows.c.flow_date)
    ).scalar_one_or_none()
    if flow_date is None:
        raise NotFoundError("There is no such capital flow.")
    mark_edited(connection, portfolio_id, edited_from=flow_date)
