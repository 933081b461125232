"""Read a market view from the database: one read-only transaction, one set-based query per table, Arrow all the way.

A view of some symbols is read by the same statements as the view of all, so both give the same answers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from sigmasight_api.additions import with_symbols
from sigmasight_api.histories import read_covariance, read_returns, sessions_held
from sigmasight_api.splits import ShareUnits
from sigmasight_api.view import EXPOSURE_PRODUCTS, MarketView
from sigmasight_assets.market_data.protocol import SPLIT
from sigmasight_assets.quant.arrays import BoolArray, CodeArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, Quality
from sigmasight_assets.quant.splits import Splits
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.actions import read_published_actions
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.calendar import read_calendar_in_bulk
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import RIDGE_COLUMNS, SPREAD_COLUMNS

# More symbols than this are not read much faster than all.
MOST_CHANGED = 500
CHANGED = "SELECT symbols FROM publications WHERE layer = 'symbol' AND generation > $1::bigint"
# Figures of a symbol may be this many sessions older than the view.
CARRIED_SESSIONS = 5
METRICS = ("(close_price * 10000)::bigint AS close", "provider_beta", "sector")
NO_SESSIONS: DateArray = np.array([], dtype="datetime64[D]")
QUALITY_LABELS = [quality.label for quality in Quality]

GENERATIONS = """
    (SELECT coalesce(max(generation), 0) FROM publications) AS generation,
    (SELECT coalesce(max(generation), 0) FROM publications WHERE layer = 'symbol') AS symbol_generation
"""
# When the newest publications were made.
TIMES = """
    (SELECT published_at FROM publications ORDER BY generation DESC, published_at DESC LIMIT 1) AS published_at,
    (SELECT published_at FROM publications WHERE layer = 'symbol' ORDER BY generation DESC, published_at DESC LIMIT 1)
        AS symbols_published_at
"""
NEWEST = sa.text(f"SELECT {GENERATIONS}")
# And when those of a view that is held: not, or at another time, in a database that was brought back to before them.
NEWEST_AND_HELD = sa.text(f"""
    SELECT {GENERATIONS}, {TIMES},
           (SELECT max(published_at) FROM publications WHERE generation = :held) AS held_at,
           (SELECT max(published_at) FROM publications WHERE layer = 'symbol' AND generation = :symbols)
               AS symbols_held_at
""")
LEDGER = f"""
    SELECT {GENERATIONS}, {TIMES},
           (SELECT max(session) FROM (
                SELECT session FROM publications CROSS JOIN unnest(products) AS product
                WHERE layer = 'symbol' AND product IN ({", ".join(f"'{product}'" for product in SYMBOL_PRODUCTS)})
                GROUP BY session HAVING count(DISTINCT product) = {len(SYMBOL_PRODUCTS)}) AS complete) AS as_of
"""


@dataclass(frozen=True, slots=True)
class _Product:
    """Where the exposures of one product are: its table and, factor by factor, its columns; ridge has no errors."""

    table: str
    betas: tuple[str, ...]
    qualities: tuple[str, ...]
    std_errors: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.betas, *self.qualities, *self.std_errors, *self.reasons)))


# In the order of EXPOSURE_PRODUCTS, and their factors in the order of FACTORS.
PRODUCTS = (
    _Product("symbol_market_beta", ("beta",), ("quality",), ("std_err",)),
    _Product("symbol_ir_beta", ("beta",), ("quality",), ("std_err",)),
    _Product(
        "symbol_ridge_factors", tuple(f"{name}_beta" for name in RIDGE_COLUMNS), ("quality",) * len(RIDGE_COLUMNS)
    ),
    _Product(
        "symbol_spread_factors",
        tuple(f"{name}_beta" for name in SPREAD_COLUMNS),
        tuple(f"{name}_quality" for name in SPREAD_COLUMNS),
        tuple(f"{name}_std_err" for name in SPREAD_COLUMNS),
        tuple(f"{name}_reason" for name in SPREAD_COLUMNS),
    ),
)


class ViewLoader:
    """Reads views of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, *, previous: MarketView | None = None) -> MarketView:
        """The view of all symbols.

        Of ``previous`` everything is reused when the symbol layer has not changed since, and all but some symbols when
        only those were published, as onboarding does; nothing when what it was of is not in the database any more.
        Raises ``StorageError`` when the database is away or refuses.
        """
        if previous is not None:
            # A pooled connection tells in a millisecond; opening one for bulk reads takes a hundred.
            held = {"held": previous.generation, "symbols": previous.symbol_generation}
            with self._database.begin() as connection:
                newest = connection.execute(NEWEST_AND_HELD, held).one()
            if (newest.held_at, newest.symbols_held_at) != previous.published_at:
                previous = None
            elif newest.symbol_generation == previous.symbol_generation:
                times = newest.published_at, newest.symbols_published_at
                return replace(previous, generation=newest.generation, published_at=times)
        with self._database.bulk(read_only=True) as transaction:
            ledger = _ledger(transaction)
            if previous is None:
                return _read_view(transaction, ledger, symbols=None)
            changed = _changed_symbols(transaction, previous, ledger)
            part = _read_view(transaction, ledger, symbols=changed)
            if changed is not None and not np.array_equal(part.sessions, previous.sessions):
                # An operator has closed or reopened a date: the returns of all symbols are between other sessions now.
                part = _read_view(transaction, ledger, symbols=None)
        view = part if part.scope is None else with_symbols(previous, part)
        return replace(view, lineage=previous.lineage)

    def load_newest(self, *, previous: MarketView | None = None) -> MarketView:
        """The same, however long it takes to have the newest generation."""
        return self.load(previous=previous)

    @property
    def is_behind(self) -> bool:
        """Whether the last view that was loaded lacked what was published before."""
        return False

    def newest_generation(self) -> int:
        """The newest published generation of any layer; raises as ``load`` does."""
        with self._database.begin() as connection:
            return int(connection.execute(NEWEST).one().generation)

    def load_symbols(self, symbols: Collection[str]) -> MarketView:
        """The view of these symbols and the factor funds alone; raises as ``load`` does."""
        with self._database.bulk(read_only=True) as transaction:
            return _read_view(transaction, _ledger(transaction), symbols=frozenset((*symbols, *FACTOR_ETFS)))


def _ledger(transaction: BulkTransaction) -> dict[str, Any]:
    row: dict[str, Any] = transaction.read(LEDGER).to_pylist()[0]
    return row


def _changed_symbols(
    transaction: BulkTransaction, previous: MarketView, ledger: Mapping[str, Any]
) -> frozenset[str] | None:
    """The only symbols that were published since, None when there may be others or too many."""
    if previous.as_of is None or ledger["as_of"] != previous.as_of:
        return None
    named = transaction.read(CHANGED, (previous.symbol_generation,))["symbols"].to_pylist()
    changed = frozenset(symbol for symbols in named for symbol in symbols or ())
    return changed if None not in named and len(changed) <= MOST_CHANGED else None


def _read_view(
    transaction: BulkTransaction, ledger: Mapping[str, Any], *, symbols: frozenset[str] | None
) -> MarketView:
    as_of: date | None = ledger["as_of"]
    calendar = None if as_of is None else read_calendar_in_bulk(transaction)
    rows = _Rows(transaction, as_of, calendar, None if symbols is None else sorted(symbols))
    metrics = rows.latest("symbol_daily_metrics", METRICS, dated="metrics_date")
    exposures = [rows.latest(product.table, product.columns) for product in PRODUCTS]
    known = tuple(sorted({symbol for table in (metrics, *exposures) for symbol in table["symbol"].to_pylist()}))
    columns = _Columns(known)
    columns.take_metrics(metrics)
    columns.take_funds(rows.funds())
    for position, (product, table) in enumerate(zip(PRODUCTS, exposures, strict=True)):
        columns.take_exposures(position, product, table)
    covariance, covariance_session = read_covariance(transaction, rows.sessions)
    sessions = NO_SESSIONS if calendar is None or as_of is None else sessions_held(calendar, as_of)
    return MarketView(
        generation=ledger["generation"],
        symbol_generation=ledger["symbol_generation"],
        as_of=as_of,
        symbols=known,
        close=columns.close,
        close_session=columns.close_session,
        share_units=ShareUnits.after(_published_splits(transaction, known, symbols)),
        provider_beta=columns.provider_beta,
        betas=columns.betas,
        quality=columns.quality,
        std_errors=columns.std_errors,
        factors_session=columns.factors_session,
        sectors=columns.sectors,
        is_fund=columns.is_fund,
        sessions=sessions[1:],
        returns=read_returns(transaction, sessions, known),
        covariance=covariance,
        covariance_session=covariance_session,
        reasons={**rows.exclusions(), **_spread_reasons(exposures[-1])},
        scope=symbols,
        published_at=(ledger["published_at"], ledger["symbols_published_at"]),
    )


class _Rows:
    """The rows that a view may use: of the sessions up to ``as_of`` and, when named, of some symbols only."""

    def __init__(
        self,
        transaction: BulkTransaction,
        as_of: date | None,
        calendar: SessionCalendar | None,
        symbols: Sequence[str] | None,
    ) -> None:
        self._transaction = transaction
        self._as_of = as_of
        self._symbols = symbols
        self.sessions: list[date] = []
        if calendar is not None and as_of is not None:
            self.sessions = calendar.between(calendar.offset(as_of, -CARRIED_SESSIONS), as_of)

    def latest(self, table: str, columns: Sequence[str], *, dated: str = "session") -> pa.Table:
        """Each symbol's newest row as ``symbol``, ``session`` and the columns."""
        # Dates in the text, not as parameters: the planner then looks into one year's partition only.
        sessions = ", ".join(f"DATE '{session}'" for session in self.sessions) or "NULL"
        return self._read(
            f"SELECT DISTINCT ON (symbol) symbol, {dated} AS session, {', '.join(columns)} FROM {table} "
            f"WHERE {dated} IN ({sessions}) {{symbols}} ORDER BY symbol, {dated} DESC"
        )

    def funds(self) -> list[str]:
        """The symbols that are exchange-traded funds."""
        found = self._read("SELECT symbol FROM symbol_universe WHERE asset_type = 'etf' {symbols}")
        return [str(symbol) for symbol in found["symbol"].to_pylist()]

    def exclusions(self) -> dict[tuple[str, str], str]:
        """Recorded reasons of missing values at the session of the view, by symbol and product."""
        if self._as_of is None:
            return {}
        found = self._read(
            f"SELECT symbol, product, reason FROM symbol_exclusions WHERE session = DATE '{self._as_of}' {{symbols}}"
        )
        return {(row["symbol"], row["product"]): row["reason"] for row in found.to_pylist()}

    def _read(self, sql: str) -> pa.Table:
        if self._symbols is None:
            return self._transaction.read(sql.format(symbols=""))
        return self._transaction.read(sql.format(symbols="AND symbol = ANY($1)"), (self._symbols,))


class _Columns:
    """Columns under construction, one row per known symbol."""

    def __init__(self, symbols: Sequence[str]) -> None:
        count = len(symbols)
        self._symbols = pa.array(symbols, pa.string())
        self.close: IntArray = np.zeros(count, dtype=np.int64)
        self.close_session: DateArray = np.full(count, np.datetime64("NaT", "D"))
        self.provider_beta: FloatArray = np.full(count, np.nan)
        self.betas: FloatArray = np.full((count, len(FACTORS)), np.nan)
        self.quality: CodeArray = np.zeros((count, len(FACTORS)), dtype=np.int8)
        self.std_errors: FloatArray = np.full((count, len(FACTORS)), np.nan)
        self.factors_session: DateArray = np.full((count, len(EXPOSURE_PRODUCTS)), np.datetime64("NaT", "D"))
        self.sectors: tuple[str | None, ...] = (None,) * count
        self.is_fund: BoolArray = np.zeros(count, dtype=np.bool_)

    def take_metrics(self, table: pa.Table) -> None:
        rows = self._rows(table)
        sectors = dict(zip(rows.tolist(), table["sector"].to_pylist(), strict=True))
        self.sectors = tuple(sectors.get(row) for row in range(len(self._symbols)))
        self.close[rows] = numpy_column(table, "close")
        self.provider_beta[rows] = numpy_column(table, "provider_beta")
        self.close_session[rows] = numpy_column(table, "session")

    def take_funds(self, funds: Sequence[str]) -> None:
        self.is_fund[:] = pc.is_in(self._symbols, value_set=pa.array(funds, pa.string())).to_numpy(zero_copy_only=False)

    def take_exposures(self, position: int, product: _Product, table: pa.Table) -> None:
        rows = self._rows(table)
        self.factors_session[rows, position] = numpy_column(table, "session")
        labels = pa.array(QUALITY_LABELS)
        first = sum(len(earlier.betas) for earlier in PRODUCTS[:position])
        for factor, (beta, quality) in enumerate(zip(product.betas, product.qualities, strict=True), start=first):
            self.betas[rows, factor] = numpy_column(table, beta)
            codes = pc.fill_null(pc.index_in(table[quality], value_set=labels), int(Quality.NONE))
            self.quality[rows, factor] = codes.to_numpy()
        for factor, std_error in enumerate(product.std_errors, start=first):
            self.std_errors[rows, factor] = numpy_column(table, std_error)

    def _rows(self, table: pa.Table) -> IntArray:
        rows: IntArray = pc.index_in(table["symbol"], value_set=self._symbols).to_numpy().astype(np.int64)
        return rows


def _published_splits(transaction: BulkTransaction, known: Sequence[str], scope: frozenset[str] | None) -> Splits:
    """The splits that the published closes are stated after; their symbols are indices into ``known``."""
    actions = read_published_actions(transaction, None if scope is None else sorted(scope))
    rows = pc.index_in(actions["symbol"], value_set=pa.array(known, pa.string()))
    is_used = pc.and_(pc.equal(actions["kind"], SPLIT), pc.is_valid(rows))
    splits = actions.filter(is_used)
    return Splits(
        symbol=rows.filter(is_used).to_numpy().astype(np.int64),
        ex_date=numpy_column(splits, "ex_date"),
        numerator=numpy_column(splits, "ratio_numerator"),
        denominator=numpy_column(splits, "ratio_denominator"),
    )


def _spread_reasons(table: pa.Table) -> dict[tuple[str, str], str]:
    reasons = {}
    for name in SPREAD_COLUMNS:
        given = table.filter(pc.is_valid(table[f"{name}_reason"]))
        for symbol, reason in zip(given["symbol"].to_pylist(), given[f"{name}_reason"].to_pylist(), strict=True):
            reasons[symbol, name] = reason
    return reasons
