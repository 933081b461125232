"""What the database holds of a date that turns out to be no session: told, moved out, and asked for again.

The decision itself is in ``decisions``; bars of single symbols are in ``stored_bars``.
"""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.storage.book_tables import positions
from sigmasight_assets.storage.ledger_tables import publications, snapshot_inputs
from sigmasight_assets.storage.portfolios import mark_edited
from sigmasight_assets.storage.publications import LOCKS
from sigmasight_assets.storage.stored_bars import LOCK_TIMEOUT, SENT_VALUES
from sigmasight_assets.storage.tables import (
    company_profiles,
    price_quarantine,
    symbol_exclusions,
    symbol_prices_daily,
    symbol_universe,
)

# Symbols whose first or last bar was of the date; without any bar they await their first price again.
CORRECT_UNIVERSE = sa.text("""
UPDATE symbol_universe AS tracked
SET first_trade_date = held.first, last_price_date = held.last,
    status = CASE WHEN held.first IS NULL AND tracked.status = 'active' THEN 'pending' ELSE tracked.status END
FROM (SELECT chosen.symbol,
             (SELECT min(price_date) FROM symbol_prices_daily AS bar WHERE bar.symbol = chosen.symbol) AS first,
             (SELECT max(price_date) FROM symbol_prices_daily AS bar WHERE bar.symbol = chosen.symbol) AS last
      FROM unnest(CAST(:symbols AS text[])) AS chosen (symbol)) AS held
WHERE tracked.symbol = held.symbol
""")


def lock_layers(connection: sa.Connection) -> None:
    """Keep others from publishing, and from writing prices, until this transaction ends.

    Raises ``TransientStorageError`` when a run is at them for longer than a minute.
    """
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    # In the order of everybody who takes both.
    for layer in ("portfolio", "symbol", "prices"):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCKS[layer])))


def has_publications(connection: sa.Connection, session: date) -> bool:
    """Whether anything was ever published of the session: a symbol product or snapshots."""
    of_session = sa.or_(
        sa.exists().where(publications.c.session == session), sa.exists().where(snapshot_inputs.c.session == session)
    )
    return bool(connection.execute(sa.select(of_session)).scalar_one())


def remove_session(
    connection: sa.Connection, session: date, *, reason: str, profiles_to: date | None
) -> dict[str, int]:
    """Move the bars of a date into quarantine and delete what else is dated so; how much of each there was.

    Profiles that were captured on the date become those of ``profiles_to`` where that session has none; with None,
    they are deleted, as the next run captures others.
    """
    symbols = _quarantine_bars(connection, session, reason=reason)
    connection.execute(CORRECT_UNIVERSE, {"symbols": symbols})
    profiles = company_profiles.c
    moved = 0
    if profiles_to is not None:
        held = sa.select(profiles.symbol).where(profiles.captured_on == profiles_to)
        moved = connection.execute(
            sa.update(company_profiles)
            .where(profiles.captured_on == session, profiles.symbol.not_in(held))
            .values(captured_on=profiles_to)
        ).rowcount
    deleted = connection.execute(sa.delete(company_profiles).where(profiles.captured_on == session))
    reasons = connection.execute(sa.delete(symbol_exclusions).where(symbol_exclusions.c.session == session))
    return {
        "bars_quarantined": len(symbols),
        "profiles_moved": moved,
        "profiles_deleted": deleted.rowcount,
        "exclusions_deleted": reasons.rowcount,
    }


def _quarantine_bars(connection: sa.Connection, session: date, *, reason: str) -> list[str]:
    bar = symbol_prices_daily.c
    names = ("source", "symbol", "price_date", *SENT_VALUES)
    values = [sa.cast(bar[name], price_quarantine.c[name].type) for name in names]
    rows = sa.select(*values, sa.literal(reason)).where(bar.price_date == session)
    statement = insert(price_quarantine).from_select([*names, "reason"], rows)
    # The same bar is there already when the date is closed a second time.
    connection.execute(statement.on_conflict_do_nothing())
    gone = connection.execute(sa.delete(symbol_prices_daily).where(bar.price_date == session).returning(bar.symbol))
    return list(gone.scalars())


def mark_settlements(connection: sa.Connection, *, first: date, before: date, since: date) -> int:
    """Have snapshots from ``since`` on made anew where lots of options expire from ``first`` on and ``before`` a date.

    Their settlement moves from one session to another. Returns in how many portfolios; none before there are any
    snapshots from ``since`` on.
    """
    newest = connection.execute(sa.select(sa.func.max(snapshot_inputs.c.session))).scalar_one()
    if newest is None or newest < since:
        return 0
    lots = positions.c
    held = sa.or_(lots.exit_date.is_(None), lots.exit_date > since)
    rows = connection.execute(
        sa.select(lots.portfolio_id, lots.symbol).where(lots.investment_class == "OPTIONS", held).distinct()
    )
    holders = {row.portfolio_id for row in rows if _expires(row.symbol, first, before)}
    for portfolio_id in sorted(holders):
        mark_edited(connection, portfolio_id, edited_from=since)
    return len(holders)


def _expires(symbol: str, first: date, before: date) -> bool:
    try:
        return first <= parse_occ_symbol(symbol).expiry < before
    except MarketDataError:
        # What is no contract is never settled.
        return False


def ask_for_session_again(connection: sa.Connection, session: date) -> None:
    """Have the next price update ask for the date of every symbol, as of one that was never asked for.

    A window that begins before ``history_from`` is asked for whatever it lacks, and then moves it back.
    """
    universe = symbol_universe.c
    connection.execute(
        sa.update(symbol_universe)
        .where(universe.history_from <= session)
        .values(history_from=sa.cast(session, sa.Date) + 1)
    )
