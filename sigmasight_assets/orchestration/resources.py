"""What assets and sensors need from outside: the database, the market, the calendar and the clock."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

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

    def complete_sessions(self, keys: Sequence[str]) -> list[date]:
        """The sessions of partition keys, oldest first; ``SessionError`` for one that is none or not complete."""
        now = self.settings.clock()
        return sorted(self.calendar.require_complete(date.fromisoformat(key), now) for key in keys)
