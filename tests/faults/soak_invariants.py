"""What has to hold after every step of the soak: the invariants of the tables, and what a cache tells of them."""

from collections.abc import Sequence
from datetime import date, timedelta

from sigmasight_api.cache import ViewCache
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invariants import find_broken
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.contents import rows_of

HALF = f"""
SELECT session FROM publications, unnest(products) AS product WHERE layer = 'symbol'
GROUP BY session HAVING count(DISTINCT product) <> {len(SYMBOL_PRODUCTS)}
"""


def broken(database: Database, days: Sequence[date] | None = None) -> list[str]:
    """All that breaks an invariant, in words; with ``days`` only in their rows, and from the week before them on."""
    if days is not None and not days:
        return []
    with database.begin() as connection:
        found = find_broken(connection, days=days, since=min(days) - timedelta(days=7) if days else None)
    # A night publishes all products of a session at once; only a run by hand may publish one.
    return found + [f"only some products are published of {row['session']}" for row in rows_of(database, HALF)]


def changed_since(database: Database, generation: int) -> tuple[int, list[date]]:
    """The newest generation, and the sessions of all that were published after the given one."""
    rows = rows_of(
        database, "SELECT generation, session FROM publications WHERE generation > :generation", generation=generation
    )
    return max([generation, *(row["generation"] for row in rows)]), sorted({row["session"] for row in rows})


def wrong_answers(cache: ViewCache, database: Database) -> tuple[int, list[str]]:
    """How many closes the refreshed cache tells, and what of it is not what was published last."""
    view = cache.refresh()
    (newest,) = rows_of(database, "SELECT coalesce(max(generation), 0) AS generation FROM publications")
    wrong = [] if view.generation == newest["generation"] else [f"generation {view.generation}, not {newest}"]
    published = {
        row["symbol"]: (row["close"], row["day"])
        for row in rows_of(
            database,
            "SELECT DISTINCT ON (symbol) symbol, metrics_date AS day, (close_price * 10000)::bigint AS close "
            "FROM symbol_daily_metrics WHERE metrics_date >= CAST(:since AS date) ORDER BY symbol, metrics_date DESC",
            since=view.sessions[-6:][0].item() if view.sessions.size else date.min,
        )
    }
    told = {
        symbol: (close, day)
        for symbol, close, day in zip(
            view.symbols, view.close.tolist(), view.close_session.astype(object).tolist(), strict=True
        )
        if close
    }
    return len(told), wrong + [
        f"{symbol}: {told.get(symbol)} instead of {published.get(symbol)}"
        for symbol in sorted({*told, *published})
        if told.get(symbol) != published.get(symbol)
    ]
