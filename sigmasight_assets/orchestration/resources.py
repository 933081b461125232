"""What assets and sensors need from outside: the database, the market, the calendar and the clock."""

from datetime import date

import dagster as dg

from sigmasight_assets.errors import SessionError
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.settings import Settings, load_settings
from sigmasight_assets.storage.database import Database


class Pipeline(dg.ConfigurableResource[None]):
    """The pipeline's surroundings; the database URL is a secret and comes from the environment alone."""

    database_url: str

    def database(self) -> Database:
        """A handle on the database; the caller closes it."""
        return Database(self.database_url)

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return load_settings()

    @property
    def calendar(self) -> SessionCalendar:
        """The exchange's calendar."""
        return exchange_calendar()

    def market(self) -> MarketSource:
        """The market source of the settings, read anew."""
        return build_source(self.settings, self.calendar)

    def complete_sessions(self, first: str, last: str) -> list[date]:
        """The sessions from one partition key to another, both included.

        Raises ``SessionError`` when either is no complete session of the history: Dagster itself takes the key of a
        day without session for the next session.
        """
        settings = self.settings
        begin, end = (self.calendar.require_complete(_session_date(key), settings.clock()) for key in (first, last))
        if begin > end:
            raise SessionError(f"The range is reversed: {begin} is after {end}")
        if begin < settings.history_start:
            raise SessionError(
                f"{begin} is before SIGMASIGHT_HISTORY_START {settings.history_start}: set it earlier and restart"
            )
        return self.calendar.between(begin, end)


def _session_date(key: str) -> date:
    try:
        return date.fromisoformat(key)
    except ValueError:
        raise SessionError(f"{key!r} is not a date like 2025-07-31") from None
