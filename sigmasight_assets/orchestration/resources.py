"""What assets and sensors need from outside: the database, the market, the calendar and the clock."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date

import dagster as dg
from pydantic import Field

from sigmasight_assets.errors import SessionError
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.orchestration.lanes import takes_precedence
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.settings import Settings, load_settings
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.precedence import precedence


class Pipeline(dg.ConfigurableResource[None]):
    """The pipeline's surroundings; the database URL is a secret and comes from the environment alone."""

    database_url: str = Field(
        description="Leave it as it is: the name of the variable that the database's address is in."
    )

    @contextmanager
    def yield_for_execution(  # type: ignore[override]  # it yields itself, as its base does
        self, context: dg.InitResourceContext
    ) -> Iterator["Pipeline"]:
        """The pipeline for the time of a run, which has precedence if its lane has."""
        if context.run is not None and takes_precedence(context.run.tags):
            with precedence(self.database_url):
                yield self
        else:
            yield self

    def database(self, *, gives_way: bool = False) -> Database:
        """A handle on the database; the caller closes it."""
        return Database(self.database_url, gives_way=gives_way)

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return load_settings()

    @property
    def calendar(self) -> SessionCalendar:
        """The exchange's calendar as operators have corrected it; ``StorageError`` when the database is away."""
        with closing(self.database()) as database, database.begin() as connection:
            return read_calendar(connection)

    def market(self, turns: TurnsOf = no_turns) -> MarketSource:
        """The market source of the settings, read anew; what it is asked over HTTP takes the ``turns``.

        Bars of the simulated market depend on the position of their session, so it keeps the exchange's own calendar.
        """
        return build_source(self.settings, exchange_calendar(), turns=turns)

    def complete_sessions(self, first: str, last: str) -> list[date]:
        """The sessions from one partition key to another, both included; those that operators closed are left out.

        Raises ``SessionError`` when either is no complete session of the history: Dagster itself takes the key of a
        day without session for the next session.
        """
        settings = self.settings
        begin, end = _session_date(first), _session_date(last)
        sessions = self.calendar.complete_between(begin, end, settings.clock())
        if begin < settings.history_start:
            raise SessionError(
                f"{begin} is before SIGMASIGHT_HISTORY_START {settings.history_start}: set it earlier and restart"
            )
        return sessions


def _session_date(key: str) -> date:
    try:
        return date.fromisoformat(key)
    except ValueError:
        raise SessionError(f"{key!r} is not a date like 2025-07-31") from None
