"""Covariances per session: those that are stale are computed, and a session without one is no reason to write."""

import numpy as np
import pytest

from sigmasight_assets.orchestration.symbol_covariances import CovarianceChange, covariance_change, write_covariances
from sigmasight_assets.orchestration.symbol_fingerprints import fingerprints
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import rows_of
from tests.orchestration.symbol_windows import HISTORY, TARGETS, symbol_window


@pytest.fixture
def window() -> SymbolWindow:
    return symbol_window()


def change(database: Database, window: SymbolWindow, *, force: bool = False) -> CovarianceChange:
    with database.bulk(read_only=True) as transaction:
        return covariance_change(transaction, window, fingerprints(window).covariance, force=force)


def write(database: Database, window: SymbolWindow, generation: int, *rows: int) -> None:
    selected = np.isin(np.arange(TARGETS), rows)
    with database.bulk() as transaction:
        found = covariance_change(transaction, window, fingerprints(window).covariance, force=True)
        write_covariances(transaction, window, found, selected, generation=generation)


def test_missing_matrices_are_computed(database: Database, window: SymbolWindow) -> None:
    write(database, window, 1, 1)
    found = change(database, window)
    assert found.written.tolist() == [True, False, True]
    assert found.present.all()
    expected, n_obs = factor_covariances(window.factor_returns, rows=window.rows)
    np.testing.assert_allclose(found.matrices[[0, 2]], expected[[0, 2]], rtol=1e-12)
    assert found.n_obs.tolist() == [n_obs[0], 0, n_obs[2]]
    assert change(database, window, force=True).written.all()


def test_stale_matrices_are_computed_and_replaced(database: Database, window: SymbolWindow) -> None:
    write(database, window, 1, 0, 1, 2)
    assert not change(database, window).written.any()
    window.factor_returns[HISTORY - 2, 3] += 0.01
    assert change(database, window).written.tolist() == [False, True, True]
    write(database, window, 2, 1)
    stored = rows_of(database, "SELECT * FROM factor_covariances ORDER BY session")
    assert [row["generation"] for row in stored] == [1, 2, 1]
    expected, _ = factor_covariances(window.factor_returns, rows=window.rows)
    np.testing.assert_allclose(np.reshape(stored[1]["covariance"], (8, 8)), expected[1], rtol=1e-12)


def test_a_session_with_too_few_returns_has_none(database: Database, window: SymbolWindow) -> None:
    write(database, window, 1, 0)
    window.factor_returns[: HISTORY - 59] = np.nan
    found = change(database, window)
    assert not found.written.any()
    # What was published stays.
    assert found.present.tolist() == [True, False, False]
