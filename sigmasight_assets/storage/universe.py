"""The tracked symbols: what is known of each, and which of them a session needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.publications import LOCKS
from sigmasight_assets.storage.tables import symbol_universe

DESCRIPTION = ("name", "asset_type", "sector", "industry")
IMPORTED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class TrackedSymbol:
    """A symbol of the universe; ``first_trade_date`` and ``last_price_date`` are None before its first price.

    Every session from ``history_from`` to ``last_price_date`` was asked for. ``answered_at`` is when the source last
    answered for it.
    """

    symbol: str
    name: str
    asset_type: str
    sector: str | None
    industry: str | None
    status: str
    status_reason: str | None
    history_from: date | None
    first_trade_date: date | None
    last_price_date: date | None
    last_factor_date: date | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """How many symbols an import added, changed and left as they were."""

    added: int
    changed: int
    unchanged: int


def import_listings(
    connection: sa.Connection, listings: Sequence[Listing], *, progress: Callable[[int, int], None] | None = None
) -> ImportCounts:
    """Add the listed symbols and update the descriptions of those already tracked; nothing is removed.

    When there is something to write, it waits for the slice or batch that holds the prices. ``progress`` is told how
    many of so many rows are written.
    """
    known = {item.symbol: item for item in read_universe(connection)}
    added = [item for item in listings if item.symbol not in known]
    changed = [item for item in listings if item.symbol in known and _differs(item, known[item.symbol])]
    rows = [
        {"symbol": item.symbol, **{name: getattr(item, name) for name in DESCRIPTION}} for item in (*added, *changed)
    ]
    if rows:
        # A price update changes the same rows in another order.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCKS["prices"])))
        statement = insert(symbol_universe)
        update = {name: statement.excluded[name] for name in DESCRIPTION}
        statement = statement.on_conflict_do_update(index_elements=["symbol"], set_=update)
        for first in range(0, len(rows), IMPORTED_AT_ONCE):
            if progress is not None:
                progress(first, len(rows))
            connection.execute(statement, rows[first : first + IMPORTED_AT_ONCE])
    return ImportCounts(len(added), len(changed), len(listings) - len(rows))


def _differs(listing: Listing, tracked: TrackedSymbol) -> bool:
    return any(getattr(listing, name) != getattr(tracked, name) for name in DESCRIPTION)


def read_universe(connection: sa.Connection) -> list[TrackedSymbol]:
    """Every tracked symbol in alphabetical order."""
    columns = [symbol_universe.c[name] for name in TrackedSymbol.__dataclass_fields__]
    rows = connection.execute(sa.select(*columns).order_by(symbol_universe.c.symbol))
    return [TrackedSymbol(*row) for row in rows]


def read_universe_in_bulk(transaction: BulkTransaction) -> list[TrackedSymbol]:
    """Every tracked symbol in alphabetical order, as this transaction sees it."""
    columns = ", ".join(TrackedSymbol.__dataclass_fields__)
    rows = transaction.read(f"SELECT {columns} FROM symbol_universe ORDER BY symbol")
    return [TrackedSymbol(**row) for row in rows.to_pylist()]


PROGRESS_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("asked_from", pa.date32()),
        ("asked_to", pa.date32()),
        ("first_date", pa.date32()),
        ("last_date", pa.date32()),
        ("has_ended", pa.bool_()),
        ("reason", pa.string()),
        ("is_unknown", pa.bool_()),
        ("answered_at", pa.timestamp("us", tz="UTC")),
    ]
)
PROGRESS_COLUMNS = {
    **dict.fromkeys(("symbol", "reason"), "text"),
    **dict.fromkeys(("asked_from", "asked_to", "first_date", "last_date"), "date"),
    **dict.fromkeys(("has_ended", "is_unknown"), "boolean"),
    "answered_at": "timestamptz",
}
# A source that does not know a symbol any more may be wrong for a night or two.
UNKNOWN_SESSIONS = 3

# Every session from history_from to last_price_date was asked for: an older window that ends before the day before
# history_from leaves it, and one that begins after the last price, with a gap before it, takes its place.
RECORD_PROGRESS = f"""
WITH known AS (
    SELECT tracked.symbol, tracked.status AS old_status, tracked.status_reason AS old_reason,
           CASE WHEN tracked.last_price_date < progress.asked_from THEN progress.asked_from
                WHEN progress.asked_to + 1 < tracked.history_from THEN tracked.history_from
                ELSE least(tracked.history_from, progress.asked_from) END AS history_from,
           least(tracked.first_trade_date, progress.first_date) AS first_trade_date,
           greatest(tracked.last_price_date, progress.last_date) AS last_price_date,
           progress.has_ended,
           tracked.status = 'delisted'
               AND (progress.last_date > coalesce(tracked.last_price_date, '-infinity')) IS NOT TRUE AS stays_delisted,
           CASE WHEN progress.is_unknown IS NOT TRUE THEN 0
                WHEN progress.asked_to > coalesce(tracked.unknown_at, '-infinity') THEN tracked.unknown_sessions + 1
                ELSE tracked.unknown_sessions END AS unknown_sessions,
           CASE WHEN progress.is_unknown THEN greatest(tracked.unknown_at, progress.asked_to) END AS unknown_at,
           greatest(tracked.answered_at, progress.answered_at) AS answered_at,
           progress.reason
    FROM symbol_universe AS tracked JOIN price_progress AS progress USING (symbol)
), judged AS (
    SELECT known.*,
           CASE WHEN has_ended OR stays_delisted THEN 'delisted'
                WHEN first_trade_date IS NOT NULL AND unknown_sessions >= {UNKNOWN_SESSIONS} THEN 'delisted'
                WHEN first_trade_date IS NOT NULL THEN 'active'
                WHEN reason IS NOT NULL THEN 'error'
                ELSE old_status END AS status,
           CASE WHEN has_ended THEN reason
                WHEN stays_delisted THEN old_reason
                WHEN first_trade_date IS NOT NULL AND unknown_sessions >= {UNKNOWN_SESSIONS} THEN reason
                WHEN first_trade_date IS NULL THEN coalesce(reason, old_reason) END AS status_reason
    FROM known
)
UPDATE symbol_universe AS target
SET history_from = judged.history_from, first_trade_date = judged.first_trade_date,
    last_price_date = judged.last_price_date, status = judged.status, status_reason = judged.status_reason,
    unknown_sessions = judged.unknown_sessions, unknown_at = judged.unknown_at, answered_at = judged.answered_at
FROM judged
WHERE target.symbol = judged.symbol
  AND (target.history_from, target.first_trade_date, target.last_price_date, target.status,
       target.status_reason, target.unknown_sessions, target.unknown_at,
       target.answered_at)
      IS DISTINCT FROM (judged.history_from, judged.first_trade_date, judged.last_price_date, judged.status,
                        judged.status_reason, judged.unknown_sessions, judged.unknown_at, judged.answered_at)
"""


def record_progress(transaction: BulkTransaction, progress: pa.Table) -> None:
    """Update what is known of each symbol after its prices were asked for; rows in ``PROGRESS_SCHEMA``.

    ``first_date`` and ``last_date`` span the bars the source has sent, null when it sent none. ``has_ended`` tells
    that the symbol trades no more: its status becomes delisted until newer bars come. ``is_unknown`` tells that the
    source does not know the symbol: the status becomes delisted when it has said so at three sessions in a row, in
    which later ones it was asked for count. ``reason`` says why then, or why there is no bar, and a symbol that never
    had one gets the status error with it.
    """
    with transaction.scratch_table("price_progress", PROGRESS_COLUMNS, progress.cast(PROGRESS_SCHEMA)):
        transaction.execute(RECORD_PROGRESS)


def withdraw_factor_date(transaction: BulkTransaction, session: date, symbols: Sequence[str]) -> None:
    """Take ``last_factor_date`` back from a session at which the symbols' exposures are gone, to their newest left."""
    transaction.execute(
        "UPDATE symbol_universe AS tracked SET last_factor_date = "
        "(SELECT max(session) FROM symbol_market_beta AS beta WHERE beta.symbol = tracked.symbol) "
        "WHERE symbol = ANY($2) AND last_factor_date = $1",
        (session, list(symbols)),
    )


def record_factor_date(transaction: BulkTransaction, session: date, symbols: Sequence[str]) -> None:
    """Advance ``last_factor_date`` of symbols whose exposures are published for the session."""
    transaction.execute(
        "UPDATE symbol_universe SET last_factor_date = $1 WHERE symbol = ANY($2) "
        "AND (last_factor_date IS NULL OR last_factor_date < $1)",
        (session, list(symbols)),
    )
