"""Single stored bars, each with the one before it: how operators look at them, and how one is taken out.

Windows of bars for computations are in ``prices``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import sqlalchemy as sa

from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.money import PRICE_DIGITS, to_units
from sigmasight_assets.quant.suspect import agreeing, disagreeing, unexplained_moves
from sigmasight_assets.storage.book_tables import positions
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.publications import LOCKS
from sigmasight_assets.storage.tables import price_quarantine, symbol_daily_metrics, symbol_prices_daily

# Limits keep every look-up on the primary key, however many bars there are.
BARS = """
SELECT chosen.symbol, chosen.asset_type, bar.price_date AS session, bar.close_price, bar.fetched_at AS stored_at,
       chosen.last_price_date AS newest_session,
       before.price_date AS previous_session, before.close_price AS previous_close_price,
       EXISTS (
           SELECT FROM corporate_actions AS action
           WHERE action.symbol = chosen.symbol AND action.withdrawn_at IS NULL
             AND action.ex_date > before.price_date AND action.ex_date <= bar.price_date
       ) AS has_action,
       compared.close_price AS compared_close_price, compared.second_close_price, compared.second_source
FROM {symbols} AS chosen
CROSS JOIN LATERAL (
    SELECT price_date, close_price, fetched_at FROM symbol_prices_daily
    WHERE symbol = chosen.symbol AND price_date = {session} LIMIT 1
) AS bar
LEFT JOIN LATERAL (
    SELECT price_date, close_price FROM symbol_prices_daily
    WHERE symbol = chosen.symbol AND price_date < bar.price_date ORDER BY price_date DESC LIMIT 1
) AS before ON true
LEFT JOIN bar_comparisons AS compared ON compared.symbol = chosen.symbol AND compared.price_date = bar.price_date
"""
# The tracked symbols with the sessions of bars that were compared; of most symbols there are none.
COMPARED_SYMBOLS = "(SELECT * FROM bar_comparisons JOIN symbol_universe USING (symbol))"
NEWEST_BARS = sa.text(
    BARS.format(symbols="symbol_universe", session="chosen.last_price_date") + "ORDER BY chosen.symbol"
)
COMPARED_BARS = sa.text(
    BARS.format(symbols=COMPARED_SYMBOLS, session="chosen.price_date") + "ORDER BY chosen.symbol, chosen.price_date"
)
ONE_BAR = sa.text(BARS.format(symbols="symbol_universe", session=":session") + "WHERE chosen.symbol = :symbol")

# What is known of a symbol once one of its bars is gone. Without any bar it awaits its first price again.
FORGET_BAR = sa.text("""
UPDATE symbol_universe AS tracked
SET first_trade_date = held.first, last_price_date = held.last,
    status = CASE WHEN held.first IS NULL AND tracked.status = 'active' THEN 'pending' ELSE tracked.status END
FROM (SELECT min(price_date) AS first, max(price_date) AS last FROM symbol_prices_daily WHERE symbol = :symbol) AS held
WHERE tracked.symbol = :symbol
""")
# A window that begins before history_from is asked for whatever it lacks, and then moves it back.
ASK_AGAIN = sa.text("UPDATE symbol_universe SET history_from = greatest(history_from, :session) WHERE symbol = :symbol")
LOCK_TIMEOUT = "60s"
SENT_VALUES = ("open_price", "high_price", "low_price", "close_price", "adj_close_price", "volume")


@dataclass(frozen=True, slots=True)
class StoredBar:
    """A bar of a tracked symbol, the symbol's bar before it (None: there is none) and its newest session.

    Closes in USD. ``has_action`` tells of a split or dividend with an ex-date after the bar before it and up to it.
    ``second_close_price`` is what the market ``second_source`` stated when the bar closed at ``compared_close_price``;
    all three are None unless that was worth keeping.
    """

    symbol: str
    asset_type: str
    session: date
    close_price: Decimal
    stored_at: datetime
    newest_session: date
    previous_session: date | None
    previous_close_price: Decimal | None
    has_action: bool
    compared_close_price: Decimal | None = None
    second_close_price: Decimal | None = None
    second_source: str | None = None

    @property
    def is_disputed(self) -> bool:
        """Whether a second market stated it otherwise when the two were compared last."""
        return bool(disagreeing(self._units_of(self.compared_close_price), self._second_units))

    @property
    def is_confirmed(self) -> bool:
        """Whether a second market states the close as it is now."""
        return bool(agreeing(self._units_of(self.close_price), self._second_units))

    @property
    def _second_units(self) -> IntArray:
        return self._units_of(self.second_close_price)

    @staticmethod
    def _units_of(price: Decimal | None) -> IntArray:
        return np.array(0 if price is None else to_units(price, PRICE_DIGITS))

    @property
    def units(self) -> tuple[int, int | None]:
        """Its close and the one before it in 1e-4 USD."""
        before = self.previous_close_price
        return to_units(self.close_price, PRICE_DIGITS), None if before is None else to_units(before, PRICE_DIGITS)

    @property
    def move_percent(self) -> float | None:
        """By how much the close lies off the one before it, percent; None when there is none."""
        if self.previous_close_price is None:
            return None
        return round(float(self.close_price / self.previous_close_price - 1) * 100, 2)


def lock_prices(connection: sa.Connection) -> None:
    """Keep others from writing prices, and what is made of them, until this transaction ends.

    Raises ``TransientStorageError`` when a run is at them for longer than a minute.
    """
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCKS["prices"])))


def read_newest_bars(connection: sa.Connection) -> list[StoredBar]:
    """The newest bar of each symbol that has one, by symbol."""
    return [StoredBar(**row) for row in connection.execute(NEWEST_BARS).mappings()]


def read_compared_bars(connection: sa.Connection) -> list[StoredBar]:
    """The bars of which something is kept that a second market said, by symbol and session."""
    return [StoredBar(**row) for row in connection.execute(COMPARED_BARS).mappings()]


def read_bar(connection: sa.Connection, symbol: str, session: date) -> StoredBar | None:
    """The bar of a symbol and session, None when none is stored."""
    row = connection.execute(ONE_BAR, {"symbol": symbol, "session": session}).mappings().one_or_none()
    return None if row is None else StoredBar(**row)


def has_unexplained_moves(bars: Sequence[StoredBar]) -> BoolArray:
    """Which of the bars (S,) moved beyond 50 % without a corporate action."""
    units = [bar.units for bar in bars]
    closes = np.array([[before or 0 for _, before in units], [close for close, _ in units]], dtype=np.int64)
    has_action = np.array([[False] * len(bars), [bar.has_action for bar in bars]], dtype=np.bool_)
    moved: BoolArray = unexplained_moves(closes, has_action)[1]
    return moved


def quarantine_stored_bar(connection: sa.Connection, symbol: str, session: date, *, reason: str) -> None:
    """Move a bar into quarantine and correct what is known of its symbol."""
    bar = symbol_prices_daily.c
    is_bar = sa.and_(bar.symbol == symbol, bar.price_date == session)
    names = ("source", "symbol", "price_date", *SENT_VALUES)
    values = [sa.cast(bar[name], price_quarantine.c[name].type) for name in names]
    connection.execute(
        sa.insert(price_quarantine).from_select(
            [*names, "reason"], sa.select(*values, sa.literal(reason)).where(is_bar)
        )
    )
    connection.execute(sa.delete(symbol_prices_daily).where(is_bar))
    connection.execute(FORGET_BAR, {"symbol": symbol})


def ask_again(connection: sa.Connection, symbol: str, session: date) -> None:
    """Have the next price update ask for the bar of a session that counts as asked for."""
    connection.execute(ASK_AGAIN, {"symbol": symbol, "session": session})


def read_sessions_with_figures(connection: sa.Connection, bars: Collection[StoredBar]) -> set[tuple[str, date]]:
    """Symbols and sessions of the bars that published figures of the symbol rest on at that very session."""
    metrics = symbol_daily_metrics.c
    keys = [(bar.symbol, bar.session) for bar in bars]
    columns = (metrics.symbol, metrics.metrics_date)
    query = sa.select(*columns).where(sa.tuple_(*columns).in_(keys))
    return {(row.symbol, row.metrics_date) for row in connection.execute(query)}


def is_published(connection: sa.Connection, session: date) -> bool:
    """Whether figures of the session are published."""
    ledger = publications.c
    found = sa.exists().where(ledger.layer == "symbol", ledger.session == session)
    return bool(connection.execute(sa.select(found)).scalar_one())


def count_holders(connection: sa.Connection, symbols: Collection[str]) -> dict[str, int]:
    """How many portfolios hold open lots of each of the symbols that any holds."""
    query = (
        sa.select(positions.c.symbol, sa.func.count(positions.c.portfolio_id.distinct()).label("portfolios"))
        .where(
            positions.c.symbol.in_(symbols),
            positions.c.exit_date.is_(None),
            positions.c.investment_class != "PRIVATE",
        )
        .group_by(positions.c.symbol)
    )
    return {row.symbol: row.portfolios for row in connection.execute(query)}
