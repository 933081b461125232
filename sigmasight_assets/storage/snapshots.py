"""Portfolio snapshots, values of lots and factor exposures: compare with what is stored, write what differs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.portfolio_exposures import PortfolioExposures
from sigmasight_assets.quant.segments import Scalar, Segments
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus, Snapshots
from sigmasight_assets.storage.books import Books
from sigmasight_assets.storage.bulk import BulkTransaction, float_array, money_array, numpy_column
from sigmasight_assets.storage.ledger_tables import (
    option_expiries,
    portfolio_exposures,
    portfolio_lot_values,
    portfolio_snapshots,
    snapshot_inputs,
)
from sigmasight_assets.storage.option_expiries import Settlements, SnapshotRange, replace_option_expiries
from sigmasight_assets.storage.tables import FACTOR_COLUMNS

MONEY_COLUMNS = (
    "equity",
    "long_value",
    "short_value",
    "gross",
    "net",
    "cash",
    "unpriced_value",
    "daily_pnl",
    "cumulative_pnl",
    "realized_pnl",
    "unrealized_pnl",
    "capital_flow",
    "dividends",
)
# Column of the table: field of the ledger's result.
COUNT_COLUMNS = {
    "positions_count": "positions",
    "long_count": "long_positions",
    "short_count": "short_positions",
    "stale_count": "stale_positions",
    "excluded_count": "excluded_positions",
}
# Number of each factor in the table: field of the exposures.
EXPOSURE_FIELDS = {
    "exposure": "exposures",
    "dollars": "dollars",
    "per_invested": "per_invested",
    "coverage": "factor_coverage",
}


@dataclass(frozen=True)
class PortfolioRows:
    """Everything the portfolio layer publishes of T sessions.

    ``ledger``
        snapshots (T, P) and lots (T, L), rolled on from the snapshots of ``previous`` (P,), NaT where there is none
    ``exposures`` (T)
        to the twelve factors and, as a 13th, to the vendor's own beta
    ``settlements`` (M)
        the option lots ended by expiry, also those that snapshots before the range have settled
    ``fingerprint`` (T, P)
        of all that is published of a portfolio at a session
    """

    books: Books
    previous: DateArray
    ledger: LedgerResult
    exposures: list[PortfolioExposures]
    settlements: Settlements
    fingerprint: IntArray

    @property
    def sessions(self) -> DateArray:
        """The sessions (T,)."""
        return self.ledger.sessions

    @property
    def range(self) -> SnapshotRange:
        """Where there are snapshots."""
        return SnapshotRange(self.books.portfolio_ids, self.previous, self.sessions, self.ledger.snapshots.exists)


@dataclass(frozen=True)
class SnapshotChange:
    """Where (T, P) a snapshot is new or differs from the stored one, is written, and takes the place of one.

    With force more is written than differs; later snapshots build on what differs alone.
    """

    differs: BoolArray
    write: BoolArray
    delete: BoolArray


def find_changed_snapshots(transaction: BulkTransaction, rows: PortfolioRows, *, force: bool = False) -> SnapshotChange:
    """What differs from what is stored; everything with ``force``."""
    stored = transaction.read(
        "SELECT session, portfolio_id, fingerprint FROM portfolio_snapshots "
        "WHERE session BETWEEN $1 AND $2 AND portfolio_id = ANY($3)",
        (rows.sessions[0].item(), rows.sessions[-1].item(), rows.books.portfolio_ids.tolist() or [0]),
    )
    exists = rows.ledger.snapshots.exists
    same, is_stored = np.zeros((2, *exists.shape), dtype=np.bool_)
    ids = rows.books.portfolio_ids
    row = np.searchsorted(rows.sessions, numpy_column(stored, "session"))
    place = np.searchsorted(ids, numpy_column(stored, "portfolio_id"))
    inside = (row < len(rows.sessions)) & (place < len(ids))
    inside[inside] = (rows.sessions[row[inside]] == numpy_column(stored, "session")[inside]) & (
        ids[place[inside]] == numpy_column(stored, "portfolio_id")[inside]
    )
    row, place = row[inside], place[inside]
    is_stored[row, place] = True
    same[row, place] = rows.fingerprint[row, place] == numpy_column(stored, "fingerprint")[inside]
    differs = exists & ~same
    write = exists if force else differs
    return SnapshotChange(differs=differs, write=write, delete=write & is_stored)


def replace_snapshots(
    transaction: BulkTransaction, rows: PortfolioRows, change: SnapshotChange, *, generation: int
) -> None:
    """Replace all rows of the changed portfolio sessions, and the options that were settled from the first one on."""
    cells, old = _Cells.of(change.write), _keys(rows, _Cells.of(change.delete))
    transaction.replace(portfolio_snapshots, old, _snapshot_rows(rows, cells, generation=generation))
    transaction.replace(portfolio_lot_values, old, _lot_rows(rows, cells))
    transaction.replace(portfolio_exposures, old, _exposure_rows(rows, cells, generation=generation))
    replace_option_expiries(transaction, rows.range, change.write, rows.settlements, generation=generation)


def remove_snapshots(transaction: BulkTransaction, sessions: Sequence[date]) -> None:
    """Remove all rows of these sessions."""
    for table in (portfolio_snapshots, portfolio_lot_values, portfolio_exposures, option_expiries):
        for day in sessions:
            transaction.execute(f"DELETE FROM {table.name} WHERE session = $1", (day,))


@dataclass(frozen=True, eq=False)
class _Cells:
    """Portfolio sessions (N,) by portfolio, then session: rows are copied in fastest in the order of their index."""

    session: IntArray
    portfolio: IntArray

    @classmethod
    def of(cls, selected: BoolArray) -> "_Cells":
        """Those that a mask (T, P) selects."""
        portfolio, session = np.nonzero(selected.T)
        return cls(session, portfolio)

    def __len__(self) -> int:
        return len(self.session)

    def take(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Theirs (N, ...) of values (T, P, ...)."""
        return values[self.session, self.portfolio]


def _keys(rows: PortfolioRows, cells: _Cells) -> pa.Table:
    return pa.table(
        {
            "portfolio_id": pa.array(rows.books.portfolio_ids[cells.portfolio]),
            "session": pa.array(rows.sessions[cells.session]),
        }
    )


def _snapshot_rows(rows: PortfolioRows, cells: _Cells, *, generation: int) -> pa.Table:
    snapshots: Snapshots = rows.ledger.snapshots
    table = _keys(rows, cells)
    for name in MONEY_COLUMNS:
        table = table.append_column(name, money_array(cells.take(getattr(snapshots, name))))
    for name, field in COUNT_COLUMNS.items():
        table = table.append_column(name, pa.array(cells.take(getattr(snapshots, field)).astype(np.int32)))
    table = table.append_column("daily_return", float_array(cells.take(snapshots.daily_return)))
    table = table.append_column("priced_share", float_array(cells.take(snapshots.priced_share)))
    provider = [(each.exposures[:, -1], each.factor_coverage[:, -1]) for each in rows.exposures]
    for name, values in zip(
        ("provider_beta", "provider_beta_coverage"), np.array(provider).swapaxes(0, 1), strict=True
    ):
        table = table.append_column(name, float_array(cells.take(values)))
    table = table.append_column("is_partial", pa.array(cells.take(snapshots.is_partial)))
    table = table.append_column("missing_symbols", _missing_symbols(rows, cells))
    table = table.append_column("fingerprint", pa.array(cells.take(rows.fingerprint)))
    return table.append_column("generation", pa.repeat(pa.scalar(generation, pa.int64()), table.num_rows))


def _missing_symbols(rows: PortfolioRows, cells: _Cells) -> pa.Array:
    """The names of stale and unpriced lots of each snapshot, sorted, each once."""
    lots, snapshots = rows.books.lots, rows.ledger.snapshots
    status = rows.ledger.position_values.status
    place = np.full(snapshots.is_partial.shape, -1, dtype=np.int64)
    place[cells.session, cells.portfolio] = np.arange(len(cells))
    partial = (place >= 0) & snapshots.is_partial
    troubled = ((status == LotStatus.STALE) | (status == LotStatus.UNPRICED)) & partial[:, lots.portfolio]
    session, lot = np.nonzero(troubled)
    column, found = np.unique(lots.symbol[lot], return_inverse=True)
    known = rows.books.names
    names, rank = np.unique(np.array([known[each] for each in column.tolist()], dtype=object), return_inverse=True)
    count = max(1, len(names))
    snapshot, name = np.divmod(np.unique(place[session, lots.portfolio[lot]] * count + rank[found]), count)
    offsets = np.searchsorted(snapshot, np.arange(len(cells) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(names, pa.string()).take(pa.array(name)))


def _lot_rows(rows: PortfolioRows, cells: _Cells) -> pa.Table:
    """Lists of the lots held, in the order of the books; without any there is no row."""
    books, values = rows.books, rows.ledger.position_values
    cell, lot = _held_lots(rows, cells)
    place = np.ravel_multi_index((cells.session[cell], lot), values.status.shape)
    count = np.bincount(cell, minlength=len(cells))
    offsets = pa.array(np.append(0, np.cumsum(count[count > 0])).astype(np.int32))
    # A private lot has a value and no price; neither has a lot that is held at its cost.
    no_price = books.is_private[lot] | ~values.has_mark.ravel()[place]
    lists = {
        "position_ids": pa.array(books.position_ids[lot]),
        "prices_used": pa.array(values.price.ravel()[place], mask=no_price),
        "split_numerators": pa.array(books.lots.split_numerator[lot]),
        "split_denominators": pa.array(books.lots.split_denominator[lot]),
        "market_values": pa.array(values.value.ravel()[place]),
        "daily_pnls": pa.array(values.pnl.ravel()[place]),
        "statuses": pa.array(values.status.ravel()[place].astype(np.int16)),
    }
    table = _keys(rows, cells).filter(pa.array(count > 0))
    for name, elements in lists.items():
        table = table.append_column(name, pa.ListArray.from_arrays(offsets, elements))
    return table


def _held_lots(rows: PortfolioRows, cells: _Cells) -> tuple[IntArray, IntArray]:
    """The lots (H,) that are held in the cells, and in which (H,): by cell, then lot."""
    segments = Segments.of(rows.books.lots.portfolio, len(rows.books.portfolios))
    count = segments.counts[cells.portfolio]
    cell = np.repeat(np.arange(len(cells)), count)
    # Lots of a portfolio are neighbours: their numbers go on where a running number of all cells' lots does.
    lot = np.arange(len(cell)) + np.repeat(segments.bounds[cells.portfolio] - (np.cumsum(count) - count), count)
    held = rows.ledger.position_values.status[cells.session[cell], lot] != LotStatus.NOT_HELD
    return cell[held], lot[held]


def _exposure_rows(rows: PortfolioRows, cells: _Cells, *, generation: int) -> pa.Table:
    # A portfolio without a beta of a factor has no number of it, and without any number no row.
    known = np.isfinite(_factor_numbers(rows, cells, "dollars"))
    stored = known.any(axis=0)
    numbers = {
        name: np.where(known, _factor_numbers(rows, cells, field), np.nan)[:, stored]
        for name, field in EXPOSURE_FIELDS.items()
    }
    table = _keys(rows, cells).filter(pa.array(stored))
    for position, factor in enumerate(FACTOR_COLUMNS):
        for name, values in numbers.items():
            table = table.append_column(f"{factor}_{name}", float_array(values[position]))
    return table.append_column("generation", pa.repeat(pa.scalar(generation, pa.int64()), table.num_rows))


def _factor_numbers(rows: PortfolioRows, cells: _Cells, field: str) -> FloatArray:
    """A field (12, N) of the exposures to the twelve factors."""
    values = np.stack([getattr(each, field)[:, : len(FACTOR_COLUMNS)] for each in rows.exposures])
    return np.ascontiguousarray(cells.take(values).T)


def record_consumed(transaction: BulkTransaction, generations: dict[date, int], *, run_id: str) -> None:
    """Remember which symbol publication the snapshots of each session were computed from."""
    for session, generation in generations.items():
        transaction.execute(
            "INSERT INTO snapshot_inputs (session, symbol_generation, run_id) VALUES ($1, $2, $3) "
            "ON CONFLICT (session) DO UPDATE SET symbol_generation = excluded.symbol_generation, "
            "run_id = excluded.run_id, computed_at = now() "
            "WHERE snapshot_inputs.symbol_generation <> excluded.symbol_generation",
            (session, generation, run_id),
        )


def read_consumed(connection: sa.Connection) -> dict[date, int]:
    """The symbol generation that each session's snapshots were computed from, oldest session first."""
    rows = connection.execute(sa.select(snapshot_inputs).order_by(snapshot_inputs.c.session))
    return {row.session: row.symbol_generation for row in rows}


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """Snapshots stored of some sessions, the portfolios that have any, and how many are partial."""

    snapshots: int
    portfolios: int
    partial: int


def count_published(transaction: BulkTransaction, sessions: Sequence[date]) -> StoredCounts:
    """What the sessions hold as this transaction sees it."""
    rows = transaction.read(
        "SELECT count(*) AS snapshots, count(DISTINCT portfolio_id) AS portfolios, "
        "count(*) FILTER (WHERE is_partial) AS partial FROM portfolio_snapshots WHERE session = ANY($1::date[])",
        ([str(day) for day in sessions],),
    )
    return StoredCounts(**rows.to_pylist()[0])


def count_snapshots(connection: sa.Connection, *, first: date, last: date) -> int:
    """Snapshots stored for the sessions from ``first`` to ``last``."""
    query = sa.select(sa.func.count()).where(portfolio_snapshots.c.session.between(first, last))
    return int(connection.execute(query).scalar_one())
