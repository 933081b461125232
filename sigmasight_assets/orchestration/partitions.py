"""The partitions of every product: one per session of the exchange, offered from 21:00 New York of its day.

The window of a session runs from 09:00 to 21:00 of its day, so its key exists exactly from the moment its data is
due; weekends and closures of the exchange have no key.
"""

from datetime import date, datetime, time
from functools import lru_cache

import dagster as dg

from sigmasight_assets.sessions import COMPLETE_AT, LAST_YEAR, NEW_YORK, exchange_calendar

WINDOW_START = time(9, 0)


@lru_cache(maxsize=4)
def session_partitions(start: date) -> dg.TimeWindowPartitionsDefinition:
    """Partitions of the sessions from ``start`` on."""
    closures = exchange_calendar().weekday_closures(start, date(LAST_YEAR, 12, 31))
    weekdays = "* * 1-5"
    return dg.TimeWindowPartitionsDefinition(
        start=datetime.combine(start, time(0), tzinfo=NEW_YORK),
        fmt="%Y-%m-%d",
        timezone=NEW_YORK.key,
        cron_schedule=f"0 {WINDOW_START.hour},{COMPLETE_AT.hour} {weekdays}",
        exclusions=[
            f"0 {COMPLETE_AT.hour} {weekdays}",
            *(datetime.combine(day, WINDOW_START, tzinfo=NEW_YORK) for day in closures),
        ],
        end_offset=0,
    )
