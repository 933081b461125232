"""Rows into and out of PostgreSQL: our bulk paths against what a user would write, and against a bare COPY.

Every contender meets the real tables: partitioned by year, with their primary keys and checks. All rows are made
before the clock starts, for each contender in the shape that it likes best. Writers commit; each begins with the table
in the same state, empty or filled. Readers end with the same numpy arrays. Contenders that take long move a share of
the sessions, and the tables say which.
"""

import io
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import pyarrow as pa
import sqlalchemy as sa
from psycopg2.extras import execute_values
from sqlalchemy.engine import make_url

from benchmarks.harness import Contender, Measurement, Options, Report, compared, interleaved
from benchmarks.world import LAST, fill_market, server, sessions_before, symbol_names
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.storage import figures
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import PRODUCT_TABLES, ColumnBuilder, FigureChange, FigureTable, write_change
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.prices import PRICE_COLUMNS, read_price_window
from sigmasight_assets.storage.published import BETA_COLUMNS, read_published_figures

SEED = 13
PAGE_SIZE = 1000
# Of the sessions, for those who take many seconds; what a row costs them does not depend on how many there are.
SHARE = 4
OURS_APPEND, OURS_REPLACE, OURS_CHANGE = "BulkTransaction.append", "BulkTransaction.replace", "write_change"
VALUES, CORE = "psycopg2 execute_values", "SQLAlchemy Core, executemany"
FLOOR = "floor: bare binary COPY"
OURS_READ, ROWS = "sigmasight", "SQLAlchemy rows"
READ_FLOOR = "floor: binary COPY, not parsed"
# What a path should reach: times as fast as a user's way, and share of the bare COPY's rate.
WRITE_TARGET, READ_TARGET, RATE_TARGET = 8.0, 5.0, 0.7


@dataclass(frozen=True)
class Batch:
    """Rows of one product in every shape: figures for ours, an Arrow table, tuples, mappings."""

    grid: Grid
    change: FigureChange
    rows: pa.Table
    tuples: list[tuple[Any, ...]]
    mappings: list[dict[str, Any]]

    @property
    def table(self) -> sa.Table:
        """Where the rows belong."""
        return PRODUCT_TABLES[self.change.figures.product].table

    @property
    def date_column(self) -> str:
        """Its column of sessions."""
        return PRODUCT_TABLES[self.change.figures.product].date_column


@dataclass(frozen=True)
class Target:
    """The database, a plain connection to it, and the bytes of a binary COPY of the rows."""

    database: Database
    plain: Any
    batch: Batch
    share: Batch
    copied: bytes

    def empty(self) -> None:
        """Begin with an empty table."""
        with self.plain.cursor() as cursor:
            cursor.execute(f"TRUNCATE {self.batch.table.name}")
        self.plain.commit()
        self._settle()

    def fill(self) -> None:
        """Begin with the table full of the rows."""
        with self.plain.cursor() as cursor:
            cursor.execute(f"TRUNCATE {self.batch.table.name}")
        self.copy()
        self._settle()

    def copy(self, *, delete: bool = False) -> None:
        """The floor: the prepared bytes, and nothing of a client's."""
        with self.plain.cursor() as cursor:
            if delete:
                cursor.execute(*self._deletion(self.batch))
            cursor.copy_expert(f"COPY {self.batch.table.name} FROM STDIN (FORMAT binary)", io.BytesIO(self.copied))
        self.plain.commit()

    def append(self) -> None:
        """Ours into an empty table."""
        with self.database.bulk() as transaction:
            transaction.append(self.batch.table.name, self.batch.rows)

    def replace(self) -> None:
        """Ours, with the keys of the rows that go."""
        batch = self.batch
        with self.database.bulk() as transaction:
            transaction.replace(batch.table, batch.rows.select([batch.date_column, "symbol"]), batch.rows)

    def change(self) -> None:
        """Ours as the pipeline calls it: from arrays to committed rows."""
        with self.database.bulk() as transaction:
            write_change(transaction, self.batch.grid, self.batch.change, generation=1)

    def values(self, *, delete: bool = False) -> None:
        """What those write who have read that executemany is slow."""
        names = ", ".join(self.share.rows.column_names)
        with self.plain.cursor() as cursor:
            if delete:
                cursor.execute(*self._deletion(self.share))
            insert = f"INSERT INTO {self.share.table.name} ({names}) VALUES %s"
            execute_values(cursor, insert, self.share.tuples, page_size=PAGE_SIZE)
        self.plain.commit()

    def core(self, *, delete: bool = False) -> None:
        """What the tutorial of SQLAlchemy says."""
        with self.database.begin() as connection:
            if delete:
                sessions = self.share.grid.sessions
                column = self.share.table.c[self.share.date_column]
                connection.execute(
                    sa.delete(self.share.table).where(column.between(sessions[0].item(), sessions[-1].item()))
                )
            connection.execute(sa.insert(self.share.table), self.share.mappings)

    def _deletion(self, batch: Batch) -> tuple[str, tuple[date, date]]:
        sessions = batch.grid.sessions
        sql = f"DELETE FROM {batch.table.name} WHERE {batch.date_column} BETWEEN %s AND %s"
        return sql, (sessions[0].item(), sessions[-1].item())

    def _settle(self) -> None:
        """Neither an automatic vacuum nor a checkpoint of what preparing wrote shall fall into a timed run."""
        self.plain.autocommit = True
        with self.plain.cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {self.batch.table.name}")
            cursor.execute("CHECKPOINT")
        self.plain.autocommit = False


@dataclass(frozen=True)
class Bench:
    """What every table is made with."""

    database: Database
    plain: Any
    options: Options
    rates: Report


def measure(options: Options) -> list[Report]:
    """Tables of writing two products and of reading bars and betas, and one of rates against the targets."""
    symbols, written, read = (5000, 24, 252) if not options.quick else (100, 8, 20)
    rates = Report("store: rates and targets", ("path", "rows/s", "times a user's way", "share of bare COPY", "target"))
    reports = []
    with (
        server() as running,
        running.database("bench_store") as database,
        closing(plain_connection(database)) as plain,
    ):
        bench = Bench(database, plain, options, rates)
        for product in ("market_beta", "symbol_daily_metrics"):
            reports += _write_tables(bench, product, symbols, written)
        fill_market(database, symbols=symbols, sessions=2)
        reports += _read_tables(bench, symbols, read)
    return [*reports, rates]


def plain_connection(database: Database) -> Any:
    """A connection of psycopg2."""
    parts = make_url(database.url)
    return psycopg2.connect(**{**parts.translate_connect_args(username="user", database="dbname"), **parts.query})


def made_up_batch(product: str, symbols: int, days: list[date]) -> Batch:
    """Random figures of every symbol and session in the columns of a product."""
    grid = Grid(np.array(days, dtype="datetime64[D]"), symbol_names(symbols))
    present = np.ones(grid.shape, dtype=np.bool_)
    random = np.random.default_rng(SEED)
    fingerprint = random.integers(-(2**62), 2**62, grid.shape)
    columns = {column.name: _made_up_column(column, random, grid.shape) for column in _figure_columns(product)}
    change = FigureChange(FigureTable(product, present, fingerprint, columns), write=present, delete=present)
    rows = _arrow_rows(grid, change)
    mappings = rows.to_pylist()
    return Batch(grid, change, rows, [tuple(row.values()) for row in mappings], mappings)


def _figure_columns(product: str) -> list[sa.Column[Any]]:
    source = PRODUCT_TABLES[product]
    others = {source.date_column, "symbol", "fingerprint", "generation"}
    return [column for column in source.table.columns if column.name not in others]


def _made_up_column(column: sa.Column[Any], random: np.random.Generator, shape: tuple[int, int]) -> ColumnBuilder:
    if column.name.endswith("quality"):
        return figures.labels_of(np.ones(shape, dtype=np.int8), ["", "full"])
    if isinstance(column.type, sa.Text):
        return figures.texts([f"{column.name} {number}" for number in range(11)], random.integers(0, 11, shape))
    if isinstance(column.type, sa.Numeric) and column.type.asdecimal:
        return figures.prices(random.integers(10_000, 10_000_000, shape))
    if isinstance(column.type, sa.Boolean):
        return figures.flags(random.random(shape) < 0.5)
    if isinstance(column.type, sa.SmallInteger):
        return figures.whole_numbers(random.integers(30, 90, shape))
    values: FloatArray = random.random(shape)
    return figures.floats(values)


def _arrow_rows(grid: Grid, change: FigureChange) -> pa.Table:
    rows = grid.keys(change.write, PRODUCT_TABLES[change.figures.product].date_column)
    for name, build in change.figures.columns.items():
        rows = rows.append_column(name, build(change.write))
    rows = rows.append_column("fingerprint", pa.array(change.figures.fingerprint[change.write]))
    return rows.append_column("generation", pa.repeat(pa.scalar(1, pa.int64()), rows.num_rows))


def _write_tables(bench: Bench, product: str, symbols: int, sessions: int) -> list[Report]:
    database, plain, rates = bench.database, bench.plain, bench.rates
    days = sessions_before(LAST, sessions)
    batch, share = made_up_batch(product, symbols, days), made_up_batch(product, symbols, days[: len(days) // SHARE])
    target = Target(database, plain, batch, share, b"")
    target.empty()
    target.append()
    target = Target(database, plain, batch, share, copied_bytes(plain, f"TABLE {batch.table.name}"))
    into_empty = [
        Contender(OURS_APPEND, target.append, target.empty),
        Contender(FLOOR, target.copy, target.empty),
        Contender(VALUES, target.values, target.empty, scale=SHARE),
        Contender(CORE, target.core, target.empty, scale=SHARE),
    ]
    over_filled = [
        Contender(OURS_CHANGE, target.change, target.fill),
        Contender(OURS_REPLACE, target.replace, target.fill),
        Contender(FLOOR, partial(target.copy, delete=True), target.fill),
        Contender(VALUES, partial(target.values, delete=True), target.fill, scale=SHARE),
        Contender(CORE, partial(target.core, delete=True), target.fill, scale=SHARE),
    ]
    count, name = batch.rows.num_rows, batch.table.name
    first, second = (interleaved(each, repeats=bench.options.repeats) for each in (into_empty, over_filled))
    for measured, ours in ((first, [OURS_APPEND]), (second, [OURS_REPLACE, OURS_CHANGE])):
        for path in ours:
            _rate(rates, f"{path} into {name}", count, measured, path, others=(VALUES, FLOOR), target=WRITE_TARGET)
    return [
        compared(f"store: {count:,} rows into the empty {name}", first, reference=OURS_APPEND),
        compared(f"store: {count:,} rows of {name} replaced", second, reference=OURS_CHANGE),
    ]


def copied_bytes(plain: Any, query: str) -> bytes:
    """The rows of a query as the server's binary COPY sends them."""
    sink = io.BytesIO()
    with plain.cursor() as cursor:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", sink)
    plain.commit()
    return sink.getvalue()


class _Nowhere(io.RawIOBase):
    """Takes bytes and keeps none."""

    def write(self, data: Any) -> int:
        return len(data)


@dataclass(frozen=True)
class Reading:
    """A query of figures by session and symbol, and the arrays it has to end in: exact prices as integers."""

    database: Database
    plain: Any
    grid: Grid
    table: str
    date_column: str
    prices: tuple[str, ...]
    figures: tuple[str, ...]
    counts: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """As a user writes it."""
        names = ", ".join((self.date_column, "symbol", *self.prices, *self.figures, *self.counts))
        first, last = self.grid.sessions[[0, -1]].tolist()
        return f"SELECT {names} FROM {self.table} WHERE {self.date_column} BETWEEN '{first}' AND '{last}'"

    def share(self) -> "Reading":
        """The first sessions."""
        part = Grid(self.grid.sessions[: len(self.grid.sessions) // SHARE], self.grid.symbols)
        return Reading(**{**self.__dict__, "grid": part})

    def floor(self) -> None:
        """The rows as the server sends them, read to the end."""
        with self.plain.cursor() as cursor:
            cursor.copy_expert(f"COPY ({self.sql}) TO STDOUT (FORMAT binary)", _Nowhere())
        self.plain.commit()

    def sqlalchemy_rows(self) -> dict[str, Any]:
        """A statement and its rows."""
        with self.database.begin() as connection:
            return self._arrays(list(connection.execute(sa.text(self.sql))))

    def fetchall(self) -> dict[str, Any]:
        """The same without SQLAlchemy."""
        with self.plain.cursor() as cursor:
            cursor.execute(self.sql)
            rows = cursor.fetchall()
        self.plain.commit()
        return self._arrays(rows)

    def pandas(self) -> dict[str, Any]:
        """A frame, and its columns laid out."""
        with self.database.begin() as connection:
            frame = pd.read_sql(sa.text(self.sql), connection)
        days = frame[self.date_column].to_numpy().astype("datetime64[D]")
        cells = self._cells(days, pd.Index(self.grid.symbols).get_indexer(frame["symbol"]))
        found = {name: np.rint(frame[name].to_numpy(float) * 10_000).astype(np.int64) for name in self.prices}
        found |= {name: frame[name].to_numpy() for name in (*self.figures, *self.counts)}
        return {name: self._laid_out(name, cells, values) for name, values in found.items()}

    def _arrays(self, rows: list[Any]) -> dict[str, Any]:
        places = {symbol: place for place, symbol in enumerate(self.grid.symbols)}
        days, symbols, *columns = zip(*rows, strict=True)
        cells = self._cells(
            np.array(days, dtype="datetime64[D]"), np.fromiter((places[symbol] for symbol in symbols), int, len(rows))
        )
        found: dict[str, Any] = {}
        for name, values in zip((*self.prices, *self.figures, *self.counts), columns, strict=True):
            if name in self.prices:
                column = np.rint(np.array(values, dtype=float) * 10_000).astype(np.int64)
            else:
                column = np.array(values, dtype=float if name in self.figures else np.int64)
            found[name] = self._laid_out(name, cells, column)
        return found

    def _cells(self, days: Any, columns: Any) -> tuple[Any, Any]:
        return np.searchsorted(self.grid.sessions, days), columns

    def _laid_out(self, name: str, cells: tuple[Any, Any], values: Any) -> Any:
        empty = np.full(self.grid.shape, np.nan) if name in self.figures else np.zeros(self.grid.shape, dtype=np.int64)
        empty[cells] = values
        return empty


def _read_tables(bench: Bench, symbols: int, sessions: int) -> list[Report]:
    database, plain = bench.database, bench.plain
    bars = _grid(symbols, sessions)
    prices = Reading(
        *(database, plain, bars, "symbol_prices_daily", "price_date"),
        *(PRICE_COLUMNS, ("adj_close_price",), ("volume",)),
    )
    # What the writers left there.
    published = _grid(symbols, plain_sessions(plain, "symbol_daily_metrics", "metrics_date"))
    figures = Reading(
        database, plain, published, "symbol_daily_metrics", "metrics_date", ("close_price",), BETA_COLUMNS
    )
    reports = []
    for what, ours, reading in (
        ("bars", partial(_our_bars, database, bars), prices),
        ("published closes and betas", partial(_our_figures, database, published), figures),
    ):
        reports.append(_read_table(what, ours, reading, bench))
    return reports


def _grid(symbols: int, sessions: int) -> Grid:
    return Grid(np.array(sessions_before(LAST, sessions), dtype="datetime64[D]"), symbol_names(symbols))


def plain_sessions(plain: Any, table: str, date_column: str) -> int:
    """How many sessions a table has rows of."""
    with plain.cursor() as cursor:
        cursor.execute(f"SELECT count(DISTINCT {date_column}) FROM {table}")
        (count,) = cursor.fetchone()
    plain.commit()
    return int(count)


def _our_bars(database: Database, grid: Grid) -> Mapping[str, Any]:
    with database.bulk(read_only=True) as transaction:
        window = read_price_window(transaction, grid)
    return {**window.prices, "adj_close_price": window.adj_close, "volume": window.volume}


def _our_figures(database: Database, grid: Grid) -> Mapping[str, Any]:
    with database.bulk(read_only=True) as transaction:
        closes, betas = read_published_figures(transaction, grid)
    return {"close_price": closes, **{name: betas[..., position] for position, name in enumerate(BETA_COLUMNS)}}


def _read_table(what: str, ours: Callable[[], Mapping[str, Any]], reading: Reading, bench: Bench) -> Report:
    share = reading.share()
    _require_same(ours(), share)
    measured = interleaved(
        [
            Contender(OURS_READ, ours),
            Contender(READ_FLOOR, reading.floor),
            Contender("pandas.read_sql", share.pandas, scale=SHARE),
            Contender("psycopg2 fetchall", share.fetchall, scale=SHARE),
            Contender(ROWS, share.sqlalchemy_rows, scale=SHARE),
        ],
        repeats=bench.options.repeats,
    )
    count = int(_count(reading))
    _rate(bench.rates, f"read {what}", count, measured, OURS_READ, others=(ROWS, READ_FLOOR), target=READ_TARGET)
    return compared(f"store: {count:,} {what} into arrays", measured, reference=OURS_READ)


def _require_same(ours: Mapping[str, Any], share: Reading) -> None:
    """All ways end in the same arrays, or they are no contenders."""
    for found in (share.pandas(), share.fetchall(), share.sqlalchemy_rows()):
        for name, values in found.items():
            part = ours[name][: len(values)]
            np.testing.assert_array_equal(part, values, err_msg=name)


def _count(reading: Reading) -> int:
    with reading.plain.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({reading.sql}) AS rows")
        (count,) = cursor.fetchone()
    reading.plain.commit()
    return int(count)


def _rate(
    rates: Report,
    path: str,
    rows: int,
    measured: Mapping[str, Measurement],
    ours: str,
    *,
    others: tuple[str, str],
    target: float,
) -> None:
    """A line of rates: against a user's way, and against the bare COPY."""
    user, bare = (measured[name].median / measured[ours].median for name in others)
    wanted = f">= {target:g} x" + (f", >= {RATE_TARGET:.0%} of COPY" if target == WRITE_TARGET else "")
    reached = user >= target and (bare >= RATE_TARGET or target != WRITE_TARGET)
    rates.add(path, rows / measured[ours].median, user, bare, f"{wanted}: {'reached' if reached else 'missed'}")
