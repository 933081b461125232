"""Tests of the rules of the tables of results, publications and operations."""

from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import (
    LOT_LISTS,
    batch_runs,
    data_quality_results,
    portfolio_exposures,
    portfolio_lot_values,
    portfolio_snapshots,
    publications,
)
from tests.storage.rows import ROWS, refused_by


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("table", "changes", "constraint"),
    [
        (portfolio_snapshots, {"gross": "700.00000001"}, "values_add_up"),
        (portfolio_snapshots, {"net": 499, "cash": 491}, "values_add_up"),
        (portfolio_snapshots, {"cash": "490.00000001"}, "cash_adds_up"),
        (portfolio_snapshots, {"unpriced_value": 0}, "cash_adds_up"),
        (portfolio_snapshots, {"equity": "NaN"}, "cash_adds_up"),
        (portfolio_snapshots, {"equity": "Infinity"}, "numeric field overflow"),
        (portfolio_snapshots, {"missing_symbols": None}, "missing_symbols"),
        (portfolio_lot_values, {"statuses": [0]}, "statuses"),
        (portfolio_lot_values, {"statuses": [4]}, "statuses"),
        (portfolio_lot_values, {name: [] for name in LOT_LISTS}, "as_long_as_each_other"),
        *((portfolio_lot_values, {name: [1, 1]}, "as_long_as_each_other") for name in LOT_LISTS),
        *((portfolio_lot_values, {name: [None]}, "only_prices_missing") for name in LOT_LISTS if name != "prices_used"),
        (portfolio_lot_values, {"prices_used": [10**14]}, "prices_fit"),
        *((portfolio_lot_values, {name: None}, name) for name in LOT_LISTS),
        (portfolio_exposures, {"market_dollars": "NaN"}, "figures_finite"),
        (portfolio_exposures, {"low_volatility_exposure": "Infinity"}, "figures_finite"),
        (portfolio_exposures, {"ir_per_invested": "-Infinity"}, "figures_finite"),
        (portfolio_exposures, {"quality_spread_coverage": "NaN"}, "figures_finite"),
        (portfolio_exposures, {"generation": None}, "generation"),
        (publications, {"layer": "prices"}, "layer"),
        (data_quality_results, {"layer": "prices"}, "layer"),
        (batch_runs, {"status": "done"}, "status"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(
    database: Database, table: sa.Table, changes: dict[str, Any], constraint: str
) -> None:
    assert refused_by(database, table, {**ROWS[table], **changes}) == constraint
