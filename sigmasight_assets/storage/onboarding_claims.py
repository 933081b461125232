"""Work on requests of the onboarding queue: who takes them under a lease, and how their attempts end.

All times are the database's. Taking a request counts an attempt; whoever takes it holds it until its lease ends and
extends that while he works. A lease that ends makes the request due again, so a lost worker loses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from sigmasight_assets.storage.ledger_tables import batch_runs, publications
from sigmasight_assets.storage.onboarding import MAX_ATTEMPTS, NOW, QUEUE
from sigmasight_assets.storage.operations_tables import symbol_onboarding_queue
from sigmasight_assets.storage.tables import figure_invalidations, symbol_daily_metrics, symbol_universe

# Pauses after the first and after the second failed attempt.
BACKOFF_SECONDS = (30, 120)
LEASE_SECONDS = 60
LOST = "its worker was lost"
LOST_THRICE = "its worker was lost three times"


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that was taken: it is the taker's as long as nobody else has made the next attempt."""

    request_id: int
    attempt: int
    symbol: str


def claim(
    connection: sa.Connection, *, limit: int, run_id: str | None = None, lease_seconds: float = LEASE_SECONDS
) -> list[Claim]:
    """Take requests that are due, the most urgent and then the oldest first; others that do so take other ones.

    Without ``run_id`` they are held for the run that will ``take`` them. One whose worker was lost for the third time
    is given up instead.
    """
    is_lost = sa.and_(QUEUE.status == "processing", QUEUE.lease_until < NOW)
    connection.execute(
        sa.update(symbol_onboarding_queue)
        .where(is_lost, QUEUE.attempts >= MAX_ATTEMPTS)
        .values(status="failed", lease_until=None, finished_at=NOW, error=LOST_THRICE)
    )
    due = (
        sa.select(QUEUE.request_id)
        .where(sa.or_(sa.and_(QUEUE.status == "pending", QUEUE.not_before <= NOW), is_lost))
        .order_by(QUEUE.priority.desc(), QUEUE.requested_at, QUEUE.request_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = (
        sa.update(symbol_onboarding_queue)
        .where(QUEUE.request_id == due.c.request_id)
        .values(
            status="processing",
            attempts=QUEUE.attempts + 1,
            started_at=NOW,
            lease_until=_lease(lease_seconds),
            run_id=run_id,
            error=sa.case((QUEUE.status == "processing", LOST), else_=QUEUE.error),
        )
        .returning(QUEUE.request_id, QUEUE.attempts, QUEUE.symbol)
    )
    return sorted((Claim(*row) for row in connection.execute(taken)), key=lambda item: item.request_id)


def take(
    connection: sa.Connection, attempts: Mapping[int, int], *, run_id: str, lease_seconds: float = LEASE_SECONDS
) -> list[Claim]:
    """Make claims this run's own, by request and number of the attempt; those that others have taken since are not."""
    statement = (
        _claims(attempts)
        .where(sa.or_(QUEUE.run_id.is_(None), QUEUE.run_id == run_id))
        .values(run_id=run_id, lease_until=_lease(lease_seconds))
        .returning(QUEUE.request_id, QUEUE.attempts, QUEUE.symbol)
    )
    return sorted((Claim(*row) for row in connection.execute(statement)), key=lambda item: item.request_id)


def hold(connection: sa.Connection, attempts: Mapping[int, int], *, lease_seconds: float = LEASE_SECONDS) -> None:
    """Extend claims, by request and number of the attempt, whose run has not begun yet."""
    not_begun = _claims(attempts).where(QUEUE.run_id.is_(None))
    connection.execute(not_begun.values(lease_until=_lease(lease_seconds)))


def extend_leases(connection: sa.Connection, *, run_id: str, lease_seconds: float = LEASE_SECONDS) -> None:
    """Extend the leases of what a run still works on."""
    connection.execute(
        sa.update(symbol_onboarding_queue)
        .where(QUEUE.run_id == run_id, QUEUE.status == "processing")
        .values(lease_until=_lease(lease_seconds))
    )


def fail_attempts(
    connection: sa.Connection, reasons: Mapping[str, str], *, run_id: str, is_final: bool = False
) -> list[str]:
    """End a run's attempts at these symbols, each with why it failed; returns the symbols that were given up.

    There is another attempt after a pause, but for the third one and where the failure ``is_final``.
    """
    given_up = []
    for symbol, reason in reasons.items():
        statement = (
            sa.update(symbol_onboarding_queue)
            .where(QUEUE.symbol == symbol, QUEUE.run_id == run_id, QUEUE.status == "processing")
            .values(
                status=_ended(is_final, "failed", "pending"),
                finished_at=_ended(is_final, NOW, None),
                not_before=NOW + _backoff(),
                lease_until=None,
                error=reason,
            )
            .returning(QUEUE.status)
        )
        if connection.execute(statement).scalar() == "failed":
            given_up.append(symbol)
    return given_up


def complete_published(connection: sa.Connection, *, run_id: str) -> list[str]:
    """Complete the requests whose symbols have prices and nothing left to publish; returns those symbols.

    Requests that another run works on are left to it.
    """
    statement = (
        sa.update(symbol_onboarding_queue)
        .where(
            _waits_or_is_of(run_id),
            symbol_universe.c.symbol == QUEUE.symbol,
            symbol_universe.c.first_trade_date.is_not(None),
            ~sa.exists().where(figure_invalidations.c.symbol == QUEUE.symbol),
        )
        .values(status="completed", finished_at=NOW, lease_until=None, error=None, generation=_newest_generation())
        .returning(QUEUE.symbol)
    )
    return sorted(connection.execute(statement).scalars())


def fail_refused(connection: sa.Connection, *, run_id: str) -> list[str]:
    """Give up the requests of symbols that have no price although this run has asked for it; returns those symbols.

    They were made before the run began to ask; requests that somebody works on are left to him.
    """
    asking = batch_runs.c.run_id == run_id, batch_runs.c.kind == "symbol_prices"
    began = sa.select(batch_runs.c.started_at).where(*asking).scalar_subquery()
    statement = (
        sa.update(symbol_onboarding_queue)
        .where(
            QUEUE.status == "pending",
            QUEUE.requested_at < began,
            symbol_universe.c.symbol == QUEUE.symbol,
            symbol_universe.c.first_trade_date.is_(None),
            symbol_universe.c.status != "pending",
        )
        .values(status="failed", finished_at=NOW, error=symbol_universe.c.status_reason)
        .returning(QUEUE.symbol)
    )
    return sorted(connection.execute(statement).scalars())


def _claims(attempts: Mapping[int, int]) -> sa.Update:
    """Updates claims, by request and number of the attempt, as long as nobody has made the next one."""
    return sa.update(symbol_onboarding_queue).where(
        sa.tuple_(QUEUE.request_id, QUEUE.attempts).in_(list(attempts.items())), QUEUE.status == "processing"
    )


def _waits_or_is_of(run_id: str) -> sa.ColumnElement[bool]:
    return sa.or_(QUEUE.status == "pending", sa.and_(QUEUE.status == "processing", QUEUE.run_id == run_id))


def _newest_generation() -> sa.ScalarSelect[int]:
    """The generation of the symbol's figures at its newest published session, null without any there."""
    newest = (
        sa.select(sa.func.max(publications.c.session))
        .where(publications.c.layer == "symbol", publications.c.session <= symbol_universe.c.last_price_date)
        .correlate(symbol_universe)
    )
    figures = symbol_daily_metrics.c
    return (
        sa.select(figures.generation)
        .where(figures.symbol == QUEUE.symbol, figures.metrics_date == newest.scalar_subquery())
        .scalar_subquery()
    )


def _ended(is_final: bool, then: object, otherwise: object) -> sa.ColumnElement[object]:
    return sa.case((sa.or_(sa.literal(is_final), QUEUE.attempts >= MAX_ATTEMPTS), then), else_=otherwise)


def _backoff() -> sa.ColumnElement[timedelta]:
    first, second = (timedelta(seconds=seconds) for seconds in BACKOFF_SECONDS)
    return sa.case((QUEUE.attempts <= 1, first), else_=second)


def _lease(seconds: float) -> sa.ColumnElement[datetime]:
    return NOW + sa.cast(timedelta(seconds=seconds), sa.Interval)
