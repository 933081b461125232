"""How many sessions each layer and each product is behind: one is a warning, two or more are critical."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa

from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.decisions import read_waived
from sigmasight_assets.storage.portfolios import read_book_marks
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    Layer,
    read_newest_sessions,
    read_symbol_generations,
)
from sigmasight_assets.storage.snapshots import read_consumed
from sigmasight_assets.storage.tables import symbol_universe

PORTFOLIO_PRODUCTS = ("portfolio_snapshots", "portfolio_factor_exposures")

Severity = Literal["ok", "warning", "critical"]
CRITICAL_SESSIONS = 2


@dataclass(frozen=True, slots=True)
class Freshness:
    """How current something published is.

    ``newest`` is its newest published session and ``behind`` counts the complete sessions after it, without waived
    ones; it is None when nothing is published yet. ``reason`` says in words what is not as it should be, or why there
    is nothing to be late.
    """

    layer: Layer
    product: str | None
    newest: date | None
    behind: int | None
    severity: Severity
    reason: str | None = None


def freshness(
    layer: Layer,
    product: str | None,
    published: Collection[date],
    sessions: Sequence[date],
    *,
    waived: Collection[date] = (),
) -> Freshness:
    """The state of a layer, or of one product of it, among the complete ``sessions`` (ascending) that it should have.

    Without any session there is nothing to be late.
    """
    if not sessions:
        return Freshness(layer, product, None, 0, "ok", "nothing is due")
    newest = max((day for day in published if day <= sessions[-1]), default=None)
    if newest is None:
        return Freshness(layer, product, None, None, "warning", "nothing is published yet")
    missing = [day for day in sessions if day > newest and day not in waived]
    if not missing:
        return Freshness(layer, product, newest, 0, "ok")
    severity: Severity = "critical" if len(missing) >= CRITICAL_SESSIONS else "warning"
    word = "session" if len(missing) == 1 else "sessions"
    return Freshness(
        layer, product, newest, len(missing), severity, f"{len(missing)} {word} behind: {missing[0]} is not published"
    )


def read_freshness(connection: sa.Connection, *, clock: datetime) -> list[Freshness]:
    """The two layers, then their products.

    A session of the symbol layer counts once every product of it is published, one of the portfolio layer once its
    snapshots exist. Prices are those of the symbol with the newest one.
    """
    published, consumed, waived = (read(connection) for read in (read_symbol_generations, read_consumed, read_waived))
    due = _due_sessions(connection, min(published, default=None), clock)
    by_product = read_newest_sessions(connection, "symbol")
    prices = connection.execute(sa.select(sa.func.max(symbol_universe.c.last_price_date))).scalar()
    products: dict[tuple[Layer, str | None], Collection[date]] = {
        ("symbol", None): published,
        ("portfolio", None): consumed,
        ("symbol", "symbol_prices"): [prices] if prices else [],
        **{("symbol", name): [by_product[name]] if name in by_product else [] for name in SYMBOL_PRODUCTS},
        **{("portfolio", name): consumed for name in PORTFOLIO_PRODUCTS},
    }
    return [freshness(*key, days, due[key[0]], waived=waived) for key, days in products.items()]


def _due_sessions(connection: sa.Connection, first: date | None, clock: datetime) -> dict[Layer, list[date]]:
    """The complete sessions that each layer should have, from the ``first`` published one on.

    Before the first publication that is the newest session for the symbol layer, and none for the portfolio layer.
    """
    calendar = read_calendar(connection)
    newest = calendar.last_complete(clock)
    first_book, _ = read_book_marks(connection)
    needed = [] if first is None or first_book is None else calendar.between(max(first, first_book), newest)
    return {"symbol": calendar.between(first, newest) if first else [newest], "portfolio": needed}
