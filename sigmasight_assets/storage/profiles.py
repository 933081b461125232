"""Company profiles by the session they are as of: dated rows in, the newest one of each session out."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.quant.arrays import DateArray, FloatArray, IntArray
from sigmasight_assets.storage.bulk import BulkTransaction, float_array, numpy_column
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.tables import PROFILE_FIGURES, company_profiles

PROFILE_TEXTS = ("name", "sector", "industry")
# All profiles captured inside the window, and of each symbol the newest one before it.
READ_WINDOW = """
SELECT asked.symbol, found.* FROM unnest($3::text[]) AS asked (symbol)
CROSS JOIN LATERAL (
    SELECT {columns} FROM company_profiles AS each
    WHERE each.symbol = asked.symbol AND captured_on BETWEEN $1 AND $2
    UNION ALL
    (SELECT {columns} FROM company_profiles AS each
     WHERE each.symbol = asked.symbol AND captured_on < $1 ORDER BY captured_on DESC LIMIT 1)
) AS found ORDER BY captured_on
"""


@dataclass(frozen=True)
class ProfileWindow:
    """The R profiles that the sessions of a grid (T, S) use.

    ``row`` (T, S) is the position of the newest profile captured on or before the session, -1 where there is none;
    ``captured_on`` (R,) datetime64[D]; ``figures`` by name float64 (R,), NaN where the source is silent.
    """

    row: IntArray
    captured_on: DateArray
    figures: dict[str, FloatArray]
    sector: list[str | None]
    industry: list[str | None]


def store_profiles(transaction: BulkTransaction, profiles: pa.Table, *, captured_on: date, source: str) -> int:
    """Store profiles in the protocol's ``PROFILE_SCHEMA`` as of a session; returns how many.

    A figure that is NaN or infinite is stored as NULL. A profile of the same symbol and session is replaced.
    """
    days = pa.repeat(pa.scalar(captured_on, pa.date32()), profiles.num_rows)
    keys = pa.table({"symbol": profiles.column("symbol"), "captured_on": days})
    rows = keys
    for name in PROFILE_TEXTS:
        rows = rows.append_column(name, profiles.column(name))
    for name in PROFILE_FIGURES:
        values = numpy_column(profiles, name)
        rows = rows.append_column(name, float_array(np.where(np.isfinite(values), values, np.nan)))
    rows = rows.append_column("source", pa.repeat(source, rows.num_rows))
    return transaction.replace(company_profiles, keys, rows)


def read_profile_window(transaction: BulkTransaction, grid: Grid) -> ProfileWindow:
    """The profiles in force at the sessions of the grid."""
    columns = ", ".join(("captured_on", "sector", "industry", *PROFILE_FIGURES))
    rows = transaction.read(
        READ_WINDOW.format(columns=columns),
        (grid.sessions[0].item(), grid.sessions[-1].item(), list(grid.symbols)),
    )
    captured_on = numpy_column(rows, "captured_on")
    column = pc.index_in(rows.column("symbol"), value_set=pa.array(grid.symbols, pa.string())).to_numpy()
    newest = np.full(grid.shape, -1, dtype=np.int64)
    # Rows come by date, so the later of two profiles has the larger number.
    np.maximum.at(newest, (np.searchsorted(grid.sessions, captured_on), column), np.arange(rows.num_rows))
    return ProfileWindow(
        row=np.maximum.accumulate(newest, axis=0),
        captured_on=captured_on,
        figures={name: numpy_column(rows, name).astype(np.float64) for name in PROFILE_FIGURES},
        sector=rows.column("sector").to_pylist(),
        industry=rows.column("industry").to_pylist(),
    )


def read_captures(transaction: BulkTransaction, *, first: date, last: date) -> dict[str, list[date]]:
    """By symbol the sessions from ``first`` to ``last`` that it has a profile of, ascending."""
    rows = transaction.read(
        "SELECT symbol, captured_on FROM company_profiles WHERE captured_on BETWEEN $1 AND $2 ORDER BY captured_on",
        (first, last),
    )
    captures: dict[str, list[date]] = {}
    for symbol, day in zip(rows.column("symbol").to_pylist(), rows.column("captured_on").to_pylist(), strict=True):
        captures.setdefault(symbol, []).append(day)
    return captures
