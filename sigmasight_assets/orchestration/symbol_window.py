"""What the symbol products are computed from: one dense window of prices and profiles, and the symbols it is about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.errors import MarketSetupError
from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.quant.suspect import unexplained_moves
from sigmasight_assets.sessions import ONE_DAY, SessionCalendar
from sigmasight_assets.storage.actions import read_stated_actions
from sigmasight_assets.storage.bar_comparisons import ComparedCloses, read_compared_closes
from sigmasight_assets.storage.bar_decisions import BarDecision, decided_bars, read_bar_decisions_in_bulk
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.prices import read_price_window
from sigmasight_assets.storage.profiles import ProfileWindow, read_profile_window
from sigmasight_assets.storage.universe import TrackedSymbol

# Sessions before the first computed one: a year for anchors and ranges, and room for fingerprints to see all of it.
LOOKBACK_SESSIONS = 262
PRICE_UNITS = 10_000


@dataclass(frozen=True)
class SymbolWindow:
    """N sessions x S symbols, of which the T sessions ``rows`` are the targets.

    Prices are float64 USD, ``volume`` float64 shares, NaN where there is no bar; ``close_units`` int64 1e-4 USD, 0
    there. ``own`` (S,) is the symbol's position among the factor ETFs, -1 for the others. ``anchors`` (T, 5) are the
    base rows of the calendar returns. ``suspect`` (N, S) marks bars that wait for a confirmation. ``factor_returns``
    and ``factor_suspect`` (N, 8) are those of the factor ETFs, whether or not they are among the symbols. The rows of
    ``profiles`` are (T, S).
    """

    grid: Grid
    rows: IntArray
    symbols: tuple[TrackedSymbol, ...]
    own: IntArray
    anchors: IntArray
    close_units: IntArray
    adj_close: FloatArray
    volume: FloatArray
    returns: FloatArray
    suspect: BoolArray
    factor_returns: FloatArray
    factor_suspect: BoolArray
    profiles: ProfileWindow

    @property
    def targets(self) -> Grid:
        """The grid of the target sessions, (T, S)."""
        return Grid(self.grid.sessions[self.rows], self.grid.symbols)

    @property
    def has_bar(self) -> BoolArray:
        """Whether there is a bar, (N, S)."""
        return self.close_units > 0

    @property
    def is_regressed(self) -> BoolArray:
        """Whether a symbol has exposures at all, (S,): option contracts have none."""
        return np.array([item.asset_type != "option" for item in self.symbols], dtype=np.bool_)

    def part(self, targets: IntArray, columns: IntArray) -> Self:
        """The same window with some of the targets (positions among them) and some of the symbols."""
        # All of them, without a copy.
        taken = slice(None) if len(columns) == len(self.symbols) else columns
        return replace(
            self,
            grid=Grid(self.grid.sessions, tuple(self.grid.symbols[column] for column in columns)),
            rows=self.rows[targets],
            symbols=tuple(self.symbols[column] for column in columns),
            own=self.own[taken],
            anchors=self.anchors[targets],
            close_units=self.close_units[:, taken],
            adj_close=self.adj_close[:, taken],
            volume=self.volume[:, taken],
            returns=self.returns[:, taken],
            suspect=self.suspect[:, taken],
            profiles=replace(self.profiles, row=self.profiles.row[np.ix_(targets, columns)]),
        )


def read_symbol_window(
    transaction: BulkTransaction,
    calendar: SessionCalendar,
    symbols: Sequence[TrackedSymbol],
    *,
    sessions: Sequence[date],
) -> SymbolWindow:
    """Read the window of the sessions, which need not be contiguous; the factor ETFs must be among the symbols.

    ``symbols`` must have been read under the lock of the prices: a move makes a bar suspect only while it is the
    symbol's newest, no second market confirms it and no operator has accepted it. Raises ``MarketSetupError`` when a
    factor ETF is not tracked.
    """
    names = tuple(item.symbol for item in symbols)
    missing = [name for name in FACTOR_ETFS if name not in names]
    if missing:
        raise MarketSetupError(
            f"The factor ETFs {', '.join(missing)} are not tracked: run `sigmasight universe add {' '.join(missing)}`"
        )
    positions = np.array([calendar.index(day) for day in sessions])
    start = max(0, int(positions[0]) - LOOKBACK_SESSIONS)
    grid = Grid(calendar.sessions[start : int(positions[-1]) + 1], names)
    prices = read_price_window(transaction, grid, columns=("close_price",))
    actions = read_stated_actions(transaction, first=grid.sessions[0].item(), last=grid.sessions[-1].item())
    returns = simple_returns(prices.adj_close)
    accepted = read_bar_decisions_in_bulk(transaction, grid, verdict="accepted")
    compared = read_compared_closes(transaction, grid)
    suspect = suspect_bars(prices.close, symbols, grid, actions, accepted, compared=compared)
    funds = [names.index(name) for name in FACTOR_ETFS]
    return SymbolWindow(
        grid=grid,
        rows=positions - start,
        symbols=tuple(symbols),
        own=np.array([FACTOR_ETFS.index(name) if name in FACTOR_ETFS else -1 for name in names]),
        anchors=return_anchors(grid.sessions, positions - start),
        close_units=prices.close,
        adj_close=prices.adj_close,
        volume=np.where(prices.has_bar, prices.volume, np.nan),
        returns=returns,
        suspect=suspect,
        factor_returns=returns[:, funds],
        factor_suspect=suspect[:, funds],
        profiles=read_profile_window(transaction, Grid(grid.sessions[positions - start], names)),
    )


def suspect_bars(
    closes: IntArray,
    symbols: Sequence[TrackedSymbol],
    grid: Grid,
    actions: pa.Table,
    accepted: Sequence[BarDecision] = (),
    *,
    compared: ComparedCloses | None = None,
) -> BoolArray:
    """Bars (N, S) that wait for a confirmation and that no operator has accepted.

    Those are moves that no corporate action explains and neither a later bar of the symbol nor a second market
    confirms, and bars that a second market states otherwise. ``closes`` (N, S) in 1e-4 USD, 0 where there is no bar.
    ``actions`` has the columns ``symbol`` and ``ex_date``; an ex-date that is no session counts for the next one.
    ``accepted`` are operators' decisions for bars, ``compared`` what the second market said, None without one.
    """
    columns = pc.fill_null(pc.index_in(actions.column("symbol"), value_set=pa.array(grid.symbols, pa.string())), -1)
    column = columns.to_numpy().astype(np.int64)
    row = np.searchsorted(grid.sessions, numpy_column(actions, "ex_date"))
    inside = (column >= 0) & (row < len(grid.sessions))
    has_action = np.zeros(grid.shape, dtype=np.bool_)
    has_action[row[inside], column[inside]] = True
    newest = np.array([np.datetime64(item.last_price_date or "NaT", "D") for item in symbols], dtype="datetime64[D]")
    suspect: BoolArray = unexplained_moves(closes, has_action) & (grid.sessions[:, None] == newest)
    if compared is not None:
        suspect = (suspect & ~compared.confirm(closes)) | (compared.disputed & (closes > 0))
    return suspect & ~decided_bars(closes, grid, accepted)


def return_anchors(sessions: DateArray, rows: IntArray) -> IntArray:
    """Base rows (T, 5) of the month-to-date, year-to-date, one-month, three-month and one-year returns.

    The last session before the month and before the year of each row's session, and the last session on or before the
    same day 1, 3 and 12 months earlier (the month's last day when it is shorter); -1 when ``sessions`` starts later.
    """
    days = sessions[rows]
    months = days.astype("datetime64[M]")
    years = days.astype("datetime64[Y]")
    before_month = months.astype("datetime64[D]") - ONE_DAY
    before_year = years.astype("datetime64[D]") - ONE_DAY
    earlier = [_months_earlier(days, months, count) for count in (1, 3, 12)]
    bases = np.stack([before_month, before_year, *earlier], axis=1)
    anchors: IntArray = np.searchsorted(sessions, bases, side="right") - 1
    return anchors


def _months_earlier(days: DateArray, months: DateArray, count: int) -> DateArray:
    offset = days - months.astype("datetime64[D]")
    month = months - np.timedelta64(count, "M")
    first = month.astype("datetime64[D]")
    last = (month + np.timedelta64(1, "M")).astype("datetime64[D]") - ONE_DAY
    earlier: DateArray = np.minimum(first + offset, last)
    return earlier
