"""Decisions on sessions, delisted symbols and failures, as operators make them over the API. Knows nothing of HTTP."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal

from sigmasight_api.decision_schemas import (
    CashOut,
    CashOutRequest,
    DecidedSession,
    OperatorAction,
    Retried,
    RetryRequest,
    SessionDecision,
)
from sigmasight_api.formats import four_decimals
from sigmasight_api.repository import Page
from sigmasight_api.schemas import Listing
from sigmasight_assets.operations import session_decisions
from sigmasight_assets.operations.cash_out import cash_out
from sigmasight_assets.operations.retry import retry
from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import read_actions


class Decisions:
    """Lists what was decided, and carries decisions out; the errors are those of ``operations``."""

    def __init__(
        self, database: Database, dagster: DagsterClient, *, clock: Callable[[], datetime], pause: timedelta
    ) -> None:
        self._database = database
        self._dagster = dagster
        self._clock = clock
        self._pause = pause

    def actions(self, page: Page) -> Listing[OperatorAction]:
        """The audit, newest first."""
        with self._database.begin() as connection:
            items, total = read_actions(connection, limit=page.limit, offset=page.offset)
        return Listing[OperatorAction](items=[OperatorAction(**asdict(item)) for item in items], total=total)

    def sessions(self, page: Page) -> Listing[SessionDecision]:
        """The decisions on sessions in force, by session."""
        found = session_decisions.list_session_decisions(self._database)
        chosen = found[page.offset : page.offset + page.limit]
        items = [SessionDecision.model_validate(asdict(item)) for item in chosen]
        return Listing[SessionDecision](items=items, total=len(found))

    def waive(self, session: date, *, user: str, reason: str) -> DecidedSession:
        """Have later sessions not wait for this one."""
        now = self._clock()
        return _decided(session_decisions.waive_session(self._database, session, actor=user, reason=reason, now=now))

    def unwaive(self, session: date, *, user: str, reason: str) -> DecidedSession:
        """Take a waiver back."""
        return _decided(session_decisions.unwaive_session(self._database, session, actor=user, reason=reason))

    def close(self, session: date, *, user: str, reason: str) -> DecidedSession:
        """Take a date out of the calendar."""
        return _decided(session_decisions.close_session(self._database, session, actor=user, reason=reason))

    def reopen(self, session: date, *, user: str, reason: str) -> DecidedSession:
        """Put a closed date back into the calendar."""
        return _decided(session_decisions.reopen_session(self._database, session, actor=user, reason=reason))

    def cash_out(self, symbol: str, request: CashOutRequest, *, user: str) -> CashOut:
        """Close every open lot of a delisted symbol."""
        done = cash_out(
            self._database,
            symbol,
            on=request.on,
            price=Decimal(request.price),
            actor=user,
            reason=request.reason,
            now=self._clock(),
        )
        return CashOut(**(asdict(done) | {"price": four_decimals(done.price)}))

    def retry(self, request: RetryRequest, *, user: str) -> Retried:
        """Start again what is failed."""
        done = retry(
            self._database,
            self._dagster,
            clock=self._clock(),
            pause=self._pause,
            actor=user,
            reason=request.reason,
            session=request.session,
            symbol=request.symbol,
        )
        return Retried.model_validate(asdict(done))


def _decided(done: session_decisions.DecidedSession) -> DecidedSession:
    return DecidedSession(**asdict(done))
