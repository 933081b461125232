"""Bring company profiles up to date: ask for those that have grown old, store them by the session they are as of.

No Dagster here; the asset in ``assets.market`` calls this.
"""

from bisect import bisect_right, insort
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.calendar import require_not_closed
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.profiles import read_captures, store_profiles
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.universe import TrackedSymbol, read_universe

# Of a source whose profiles are those of now: one counts as fresh for less than a week.
LARGEST_AGE = timedelta(days=6)
# Symbols per vendor request and transaction: what is stored stays stored when a later batch fails.
BATCH_SYMBOLS = 500
# Of a source that is asked about one symbol at a time and tells profiles of now, a night takes one of so many parts of
# the universe: a week has five nights, and prices wait behind profiles.
NIGHTS = 5


@dataclass
class ProfileUpdate:
    """Profiles stored, symbols that needed none or were left to another night, and why others have none."""

    captured: int = 0
    already_fresh: int = 0
    postponed: int = 0
    without_profile: dict[str, str] = field(default_factory=dict)


def update_profiles(
    database: Database,
    source: MarketSource,
    calendar: SessionCalendar,
    *,
    sessions: Sequence[date],
    newest_session: date,
    symbols: Collection[str] | None = None,
) -> ProfileUpdate:
    """Give every tracked share and fund, or only ``symbols``, a profile that is fresh at each session.

    Dated profiles are those of the week's first session at which the source has one, whether or not that session was
    asked for: which ones are stored does not depend on the order of the runs. A source whose profiles are those of now
    is asked once, as of ``newest_session``, whatever the sessions, for what is older than six days; where each symbol
    is a call, of no more than a fifth of all, unless ``symbols`` says of which.
    """
    with database.begin() as connection:
        universe = read_universe(connection)
    tracked = [item for item in universe if item.asset_type != "option" and (symbols is None or item.symbol in symbols)]
    dated = source.supplies_dated_profiles
    days = _days_of_weeks(calendar, sessions) if dated else {newest_session: newest_session - LARGEST_AGE}
    with database.bulk(read_only=True) as transaction:
        captures = read_captures(transaction, first=min(days.values()), last=max(days))
    update, asked = ProfileUpdate(), set()
    for day, since in days.items():
        due = [item.symbol for item in tracked if _is_due(item, captures.get(item.symbol, []), day, since)]
        if symbols is None and not dated and source.symbols_per_call == 1:
            tonight = _of_the_night(due, day, most=-(-len(tracked) // NIGHTS))
            update.postponed, due = len(due) - len(tonight), tonight
        asked.update(due)
        for first in range(0, len(due), BATCH_SYMBOLS):
            for symbol in _capture(database, source, due[first : first + BATCH_SYMBOLS], day, update):
                insort(captures.setdefault(symbol, []), day)
    update.already_fresh = len(tracked) - len(asked) - update.postponed
    return update


def _days_of_weeks(calendar: SessionCalendar, sessions: Sequence[date]) -> dict[date, date]:
    """The sessions of every week up to the last one given of it, each with the week's Monday."""
    last = {day - timedelta(days=day.weekday()): day for day in sorted(sessions)}
    return {day: monday for monday, end in last.items() for day in calendar.between(monday, end)}


def _is_due(item: TrackedSymbol, captured: Sequence[date], day: date, since: date) -> bool:
    """Whether a symbol that still trades has no profile from ``since`` to ``day``; ``captured`` is ascending."""
    if item.status == "delisted" and (item.last_price_date is None or item.last_price_date < day):
        return False
    earlier = bisect_right(captured, day)
    return earlier == 0 or captured[earlier - 1] < since


def _of_the_night(due: Sequence[str], day: date, *, most: int) -> list[str]:
    """So many of the symbols that are due, from another one on each weekday: some never get a profile."""
    start = day.weekday() * most % max(1, len(due))
    return [*due[start:], *due[:start]][:most]


def _capture(
    database: Database, source: MarketSource, symbols: Sequence[str], day: date, update: ProfileUpdate
) -> list[str]:
    """Store what the source says as of the session; the symbols it has a profile of."""
    answer = source.fetch_profiles(symbols, as_of=day)
    profiles = answer.profiles.filter(pc.is_in(answer.profiles.column("symbol"), value_set=pa.array(symbols)))
    with database.bulk() as transaction:
        lock_layer(transaction, "prices")
        require_not_closed(transaction, day)
        update.captured += store_profiles(transaction, profiles, captured_on=day, source=source.name)
    found: list[str] = profiles.column("symbol").to_pylist()
    for symbol in found:
        update.without_profile.pop(symbol, None)
    missing = set(symbols) - set(found)
    update.without_profile.update({symbol: answer.problems.get(symbol, "no answer") for symbol in missing})
    return found
