"""Covariances of the factor ETFs, one matrix a session: which are stale, and the rows of those computed anew."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.tables import factor_covariances as covariance_table


@dataclass(frozen=True)
class CovarianceChange:
    """Of T target sessions: which matrices are ``written``, and how many sessions hold one afterwards if all are good.

    ``matrices`` (T, 8, 8) and ``n_obs`` (T,) mean something where ``written``.
    """

    written: BoolArray
    present: BoolArray
    matrices: FloatArray
    n_obs: IntArray
    fingerprint: IntArray


def covariance_change(
    transaction: BulkTransaction, window: SymbolWindow, fingerprint: IntArray, *, force: bool = False
) -> CovarianceChange:
    """Compute the matrices of the targets whose stored fingerprint is missing or another; all with ``force``.

    A session with too few joint returns has none; a matrix that was published stays.
    """
    sessions = window.targets.sessions
    rows = transaction.read(
        "SELECT session, fingerprint FROM factor_covariances WHERE session BETWEEN $1 AND $2",
        (sessions[0].item(), sessions[-1].item()),
    )
    stored = dict(zip(rows.column("session").to_pylist(), numpy_column(rows, "fingerprint").tolist(), strict=True))
    days = sessions.tolist()
    known = np.array([day in stored for day in days], dtype=np.bool_)
    differs = np.array([stored.get(day) != each for day, each in zip(days, fingerprint.tolist(), strict=True)])
    stale = np.flatnonzero(~known | differs | force)
    matrices = np.full((len(days), len(FACTOR_ETFS), len(FACTOR_ETFS)), np.nan)
    n_obs = np.zeros(len(days), dtype=np.int64)
    if stale.size:
        matrices[stale], n_obs[stale] = factor_covariances(window.factor_returns, rows=window.rows[stale])
    written = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
    return CovarianceChange(written, known | written, matrices, n_obs, fingerprint)


def write_covariances(
    transaction: BulkTransaction,
    window: SymbolWindow,
    change: CovarianceChange,
    selected: BoolArray,
    *,
    generation: int,
) -> None:
    """Replace the matrices of the selected target sessions (T,)."""
    keys = pa.table({"session": pa.array(window.targets.sessions[selected])})
    count = keys.num_rows
    matrices = change.matrices[selected].reshape(count, len(FACTOR_ETFS) ** 2)
    rows = keys.append_column("factors", pa.array([list(FACTOR_ETFS)] * count, pa.list_(pa.string())))
    rows = rows.append_column("covariance", pa.array(matrices.tolist(), pa.list_(pa.float64())))
    rows = rows.append_column("n_obs", pa.array(change.n_obs[selected].astype(np.int16)))
    rows = rows.append_column("fingerprint", pa.array(change.fingerprint[selected]))
    rows = rows.append_column("generation", pa.repeat(pa.scalar(generation, pa.int64()), count))
    transaction.replace(covariance_table, keys, rows)
