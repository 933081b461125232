"""Daily bars: dense windows out, new and restated bars in."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.storage.bulk import DIALECT, BulkTransaction, numpy_column, price_array
from sigmasight_assets.storage.grid import Grid, read_rows
from sigmasight_assets.storage.tables import price_quarantine, symbol_prices_daily

PRICE_COLUMNS = ("open_price", "high_price", "low_price", "close_price")
# An adjusted close that moves by less than this share is the same figure in other floating-point clothes.
ADJUSTED_TOLERANCE = 1e-9
# Returns that lie closer are the same figure; a rescaled adjusted close moves them by rounding alone.
RETURN_TOLERANCE = 1e-9
SMALLEST_RETURN_CHANGE = 1e-11
# Far beyond any ticker, and far below what an index row holds.
LONGEST_NAME = 100
REREAD = "re-read of stored sessions"


@dataclass(frozen=True)
class PriceWindow:
    """Stored bars of a grid of N sessions x S symbols.

    ``prices`` maps open, high, low and close columns to int64 arrays (N, S) of 1e-4 USD, 0 where there is no bar;
    ``adj_close`` is float64 USD, NaN there; ``volume`` int64 shares, 0 there.
    """

    grid: Grid
    prices: dict[str, IntArray]
    adj_close: FloatArray
    volume: IntArray

    @property
    def close(self) -> IntArray:
        """Closes (N, S) in 1e-4 USD, 0 where there is no bar."""
        return self.prices["close_price"]

    @property
    def has_bar(self) -> BoolArray:
        """Whether a bar is stored, (N, S)."""
        return self.close > 0


@dataclass(frozen=True, slots=True)
class PriceWrite:
    """Bars stored for the first time, bars that replaced another, and bars that were there already.

    Of those that replaced another, ``rescaled`` ones differ only in an adjusted close that moved with its neighbours.
    ``taken_over`` are those that replaced a bar of another source; they are among the restated only if figures can tell
    the two apart by close or return.
    """

    inserted: int
    restated: int
    rescaled: int
    unchanged: int
    symbols: tuple[str, ...]
    restated_sessions: tuple[date, ...] = ()
    taken_over: int = 0


def read_price_window(
    transaction: BulkTransaction, grid: Grid, *, columns: Sequence[str] = PRICE_COLUMNS
) -> PriceWindow:
    """Read the bars of the grid's sessions; symbols without bars keep an empty column."""
    wanted = [*(f"({name} * 10000)::bigint AS {name}" for name in columns), "adj_close_price", "volume"]
    rows = read_rows(transaction, grid, "symbol_prices_daily", "price_date", columns=wanted)
    return dense_window(rows, grid, columns=columns)


def dense_window(bars: pa.Table, grid: Grid, *, columns: Sequence[str] = PRICE_COLUMNS) -> PriceWindow:
    """Lay bars out by session and symbol; bars of other symbols or dates are left out."""
    inside, cells = grid.locate(bars, "price_date")
    prices = {name: np.zeros(grid.shape, dtype=np.int64) for name in columns}
    for name, values in prices.items():
        values[cells] = numpy_column(bars, name)[inside]
    adj_close = np.full(grid.shape, np.nan)
    adj_close[cells] = numpy_column(bars, "adj_close_price")[inside]
    volume = np.zeros(grid.shape, dtype=np.int64)
    volume[cells] = numpy_column(bars, "volume")[inside]
    return PriceWindow(grid, prices, adj_close, volume)


def without_symbols(window: PriceWindow, symbols: Collection[str]) -> PriceWindow:
    """The window without the columns of some symbols."""
    kept = [column for column, symbol in enumerate(window.grid.symbols) if symbol not in symbols]
    return PriceWindow(
        Grid(window.grid.sessions, tuple(window.grid.symbols[column] for column in kept)),
        {name: values[:, kept] for name, values in window.prices.items()},
        window.adj_close[:, kept],
        window.volume[:, kept],
    )


def without_bars(window: PriceWindow, dropped: BoolArray) -> PriceWindow:
    """The window as if there were no bar where ``dropped`` (N, S)."""
    return PriceWindow(
        window.grid,
        {name: np.where(dropped, 0, values) for name, values in window.prices.items()},
        np.where(dropped, np.nan, window.adj_close),
        np.where(dropped, 0, window.volume),
    )


def replace_changed_bars(
    transaction: BulkTransaction,
    stored: PriceWindow,
    fetched: PriceWindow,
    *,
    source: str,
    run_id: str,
    reasons: Mapping[str, str] | None = None,
    sources: Mapping[str, str] | None = None,
    of_others: BoolArray | None = None,
) -> PriceWrite:
    """Store the bars of ``fetched`` that ``stored`` lacks or holds otherwise, and log what changed.

    A dividend rescales the adjusted closes of all earlier sessions and changes no return: of a symbol of which nothing
    else changed the newest such bar is logged for all. Both windows have the same grid. A bar that the source no longer
    sends stays as it is. ``reasons`` tells by symbol why its bars changed, where more is known than that they were read
    again. ``sources`` has the source of the symbols of which it is not ``source``. Stored bars ``of_others`` (N, S),
    which another source sent in place of this one, are replaced even if nothing in them differs.
    """
    new = fetched.has_bar & ~stored.has_bar
    both = fetched.has_bar & stored.has_bar
    changed = changed_bars(stored, fetched)
    taken_over = both & (np.False_ if of_others is None else of_others)
    # Volumes and ranges of two sources are never quite the same.
    alike = taken_over & (fetched.close == stored.close) & ~changed_returns(stored, fetched)
    restated = changed & ~alike & ~_is_rescaled(stored, fetched)
    logged = _logged(changed & ~alike, restated)
    if logged.any():
        _log_restatements(transaction, stored, fetched, logged, reasons=reasons or {}, run_id=run_id)
    rows = _bar_rows(fetched, new | changed | taken_over)
    rows = rows.append_column("source", source_column(rows, source, sources))
    transaction.replace(symbol_prices_daily, stored.grid.keys(changed | taken_over, "price_date"), rows)
    touched = np.flatnonzero((new | changed).any(axis=0))
    return PriceWrite(
        inserted=int(new.sum()),
        restated=int(restated.sum()),
        rescaled=int((changed & ~restated & ~alike).sum()),
        unchanged=int((both & ~changed & ~taken_over).sum()),
        symbols=tuple(stored.grid.symbols[position] for position in touched),
        restated_sessions=tuple(stored.grid.sessions[restated.any(axis=1)].tolist()),
        taken_over=int(taken_over.sum()),
    )


def source_column(rows: pa.Table, source: str, sources: Mapping[str, str] | None) -> pa.Array:
    """The source of each row by its symbol; ``source`` where ``sources`` does not say otherwise."""
    if not sources:
        return pa.repeat(source, rows.num_rows)
    return pa.array([sources.get(symbol, source) for symbol in rows.column("symbol").to_pylist()], pa.string())


def changed_bars(stored: PriceWindow, fetched: PriceWindow) -> BoolArray:
    """Where (N, S) both windows have a bar and the two differ."""
    with np.errstate(invalid="ignore"):
        adjusted = np.abs(fetched.adj_close - stored.adj_close) > ADJUSTED_TOLERANCE * np.abs(stored.adj_close)
    return (changed_values(stored, fetched) | adjusted) & fetched.has_bar & stored.has_bar


def changed_values(stored: PriceWindow, fetched: PriceWindow) -> BoolArray:
    """Where (N, S) ``fetched`` has a bar with other prices or another volume than ``stored``, which may have none."""
    other = fetched.volume != stored.volume
    for name in PRICE_COLUMNS:
        other |= fetched.prices[name] != stored.prices[name]
    return np.asarray(fetched.has_bar & (other | ~stored.has_bar))


def changed_returns(stored: PriceWindow, fetched: PriceWindow) -> BoolArray:
    """Sessions (N, S) whose return is another one, or is there at all, once the bars of ``fetched`` are stored."""
    before, after = _returns_before_and_after(stored, fetched)
    return ~(_is_same(before, after) | (np.isnan(before) & np.isnan(after)))


def _is_rescaled(stored: PriceWindow, fetched: PriceWindow) -> BoolArray:
    """Bars (N, S) with the values that are stored and a return, to them or from them, that stays as it is."""
    before, after = _returns_before_and_after(stored, fetched)
    same_to = _is_same(before, after)
    same_from = np.concatenate([same_to[1:], np.zeros_like(same_to[:1])])
    other_to = ~same_to & np.isfinite(after)
    return (same_to | (same_from & ~other_to)) & ~changed_values(stored, fetched)


def _is_same(before: FloatArray, after: FloatArray) -> BoolArray:
    same: BoolArray = np.isclose(after, before, rtol=RETURN_TOLERANCE, atol=SMALLEST_RETURN_CHANGE)
    return same


def _returns_before_and_after(stored: PriceWindow, fetched: PriceWindow) -> tuple[FloatArray, FloatArray]:
    """Returns (N, S) of the stored bars, and once those of ``fetched`` are stored."""
    written = (fetched.has_bar & ~stored.has_bar) | changed_bars(stored, fetched)
    # An adjusted close may be as small as a float can be; what overflows is no return.
    with np.errstate(over="ignore"):
        before = simple_returns(stored.adj_close)
        return before, simple_returns(np.where(written, fetched.adj_close, stored.adj_close))


def read_other_sources(transaction: BulkTransaction, sources: Collection[str], *, first: date, last: date) -> list[str]:
    """Names of market sources, but for those given, that bars stored from ``first`` to ``last`` came from."""
    rows = transaction.read(
        "SELECT DISTINCT source FROM symbol_prices_daily WHERE source <> ALL($1::text[]) "
        "AND price_date BETWEEN $2 AND $3",
        (sorted(sources), first, last),
    )
    return sorted(rows.column("source").to_pylist())


def read_bars_of(transaction: BulkTransaction, grid: Grid, sources: Collection[str]) -> BoolArray:
    """The grid's stored bars (N, S) that came from one of the sources."""
    rows = transaction.read(
        "SELECT price_date, symbol FROM symbol_prices_daily WHERE price_date BETWEEN $1 AND $2 "
        "AND symbol = ANY($3::text[]) AND source = ANY($4::text[])",
        (grid.sessions[0].item(), grid.sessions[-1].item(), list(grid.symbols), sorted(sources)),
    )
    return grid.marks(rows, "price_date")


def quarantine_bars(
    transaction: BulkTransaction, rejected: pa.Table, *, source: str, sources: Mapping[str, str] | None = None
) -> None:
    """Keep rejected bars with their reason, names as far as they can be held; the same one again is kept once.

    ``sources`` has the source of the symbols of which it is not ``source``.
    """
    if rejected.num_rows == 0:
        return
    place = rejected.column_names.index("symbol")
    rejected = rejected.append_column("source", source_column(rejected, source, sources))
    rows = rejected.set_column(place, "symbol", _storable_names(rejected["symbol"]))
    names = ", ".join(rows.column_names)
    columns = {name: price_quarantine.c[name].type.compile(DIALECT) for name in rows.column_names}
    with transaction.scratch_table("rejected_bars", columns, rows) as scratch:
        transaction.execute(
            f"INSERT INTO price_quarantine ({names}) SELECT {names} FROM {scratch} ON CONFLICT DO NOTHING"
        )


def _storable_names(sent: pa.ChunkedArray) -> pa.ChunkedArray:
    """The names as far as the database holds them: texts have no zero byte, and an index row no room for long ones."""
    return pc.utf8_slice_codeunits(pc.replace_substring(sent, "\0", "\N{SYMBOL FOR NULL}"), 0, LONGEST_NAME)


def _bar_rows(window: PriceWindow, selected: BoolArray) -> pa.Table:
    rows = window.grid.keys(selected, "price_date")
    for name in PRICE_COLUMNS:
        rows = rows.append_column(name, price_array(window.prices[name][selected]))
    rows = rows.append_column("adj_close_price", pa.array(window.adj_close[selected]))
    return rows.append_column("volume", pa.array(window.volume[selected]))


def _logged(changed: BoolArray, restated: BoolArray) -> BoolArray:
    """The changes (N, S) to be logged: those that matter, else the newest of a symbol."""
    newest = np.zeros_like(changed)
    columns = np.flatnonzero(changed.any(axis=0) & ~restated.any(axis=0))
    newest[len(changed) - 1 - changed[::-1, columns].argmax(axis=0), columns] = True
    return restated | newest


def _log_restatements(
    transaction: BulkTransaction,
    stored: PriceWindow,
    fetched: PriceWindow,
    logged: BoolArray,
    *,
    reasons: Mapping[str, str],
    run_id: str,
) -> None:
    log = stored.grid.keys(logged, "price_date")
    for prefix, window in (("old", stored), ("new", fetched)):
        log = log.append_column(f"{prefix}_close_price", price_array(window.close[logged]))
        log = log.append_column(f"{prefix}_adj_close_price", pa.array(window.adj_close[logged]))
    why = [reasons.get(symbol, REREAD) for symbol in log.column("symbol").to_pylist()]
    log = log.append_column("reason", pa.array(why, pa.string()))
    log = log.append_column("run_id", pa.repeat(run_id, log.num_rows))
    transaction.append("restatements", log)
