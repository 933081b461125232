"""Tests of the rules of the symbol layer's tables: what is not a figure is refused by the database itself."""

from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage import tables
from sigmasight_assets.storage.database import Database
from tests.storage.rows import ROWS, insert, refused_by

NOT_NUMBERS = ("NaN", "Infinity", "-Infinity")
SINGLES = (tables.symbol_market_beta, tables.symbol_ir_beta)
# Each regression with its table and the prefix of its columns.
REGRESSIONS = [(table, "") for table in SINGLES] + [
    (tables.symbol_spread_factors, f"{name}_") for name in tables.SPREAD_COLUMNS
]


def refusal(database: Database, table: sa.Table, **changes: Any) -> str:
    return refused_by(database, table, {**ROWS[table], **changes})


@pytest.mark.parametrize("table", ROWS, ids=lambda table: table.name)
def test_the_row_that_is_changed_is_itself_accepted(database: Database, table: sa.Table) -> None:
    insert(database, table, ROWS[table])


class TestBars:
    @pytest.mark.parametrize(
        ("changes", "constraint"),
        [
            ({"low_price": "0"}, "low_positive"),
            ({"low_price": "-1"}, "low_positive"),
            ({"high_price": "10.4999"}, "high_low"),
            ({"high_price": "9.9999", "close_price": "9.5"}, "high_low"),
            ({"low_price": "10.0001"}, "high_low"),
            ({"low_price": "9.6", "close_price": "9.5"}, "high_low"),
            ({"adj_close_price": 0.0}, "adj_close_finite"),
            *(({"adj_close_price": value}, "adj_close_finite") for value in NOT_NUMBERS),
            *(({name: "NaN"}, "high_low") for name in ("open_price", "high_price", "low_price", "close_price")),
            (dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), "NaN"), "high_low"),
            ({"high_price": "Infinity"}, "numeric field overflow"),
            ({"high_price": "10000000000"}, "numeric field overflow"),
            ({"volume": -1}, "volume_not_negative"),
            ({"source": None}, "source"),
        ],
    )
    def test_impossible_ones_are_refused(self, database: Database, changes: dict[str, Any], constraint: str) -> None:
        assert refusal(database, tables.symbol_prices_daily, **changes) == constraint

    def test_one_session_has_one_bar(self, database: Database) -> None:
        insert(database, tables.symbol_prices_daily, ROWS[tables.symbol_prices_daily])
        assert "pk" in refusal(database, tables.symbol_prices_daily)


class TestComparisons:
    @pytest.mark.parametrize("column", ["close_price", "second_close_price"])
    @pytest.mark.parametrize("value", ["0", "-1", "NaN"])
    def test_impossible_closes_are_refused(self, database: Database, column: str, value: str) -> None:
        assert refusal(database, tables.bar_comparisons, **{column: value}) == "closes_positive"


class TestUniverse:
    @pytest.mark.parametrize("column", ["asset_type", "status"])
    def test_words_outside_the_lists_are_refused(self, database: Database, column: str) -> None:
        assert refusal(database, tables.symbol_universe, **{column: "other"}) == column


@pytest.mark.fault(10)
class TestRegressions:
    @pytest.mark.parametrize(
        ("column", "values", "constraint"),
        [
            ("beta", (*NOT_NUMBERS, 5.001, -5.001), "beta_range"),
            ("raw_beta", NOT_NUMBERS, "estimates_finite"),
            ("alpha", NOT_NUMBERS, "estimates_finite"),
            ("r_squared", (*NOT_NUMBERS, 1.001, -0.001), "r_squared_range"),
            ("std_err", (*NOT_NUMBERS, -0.001), "std_err_finite"),
            ("p_value", (*NOT_NUMBERS, 1.001, -0.001), "p_value_range"),
            ("quality", ("good", ""), "quality"),
        ],
    )
    def test_what_is_no_estimate_is_refused(
        self, database: Database, column: str, values: tuple[Any, ...], constraint: str
    ) -> None:
        for table, prefix in REGRESSIONS:
            found = {value: refusal(database, table, **{prefix + column: value}) for value in values}
            assert found == dict.fromkeys(values, prefix + constraint)

    @pytest.mark.parametrize("value", [*NOT_NUMBERS, 5.001, -5.001])
    def test_ridge_slopes_too(self, database: Database, value: Any) -> None:
        table = tables.symbol_ridge_factors
        for name in tables.RIDGE_COLUMNS:
            assert refusal(database, table, **{f"{name}_beta": value}) == f"{name}_beta_range"
            if value in NOT_NUMBERS:
                assert refusal(database, table, **{f"{name}_raw_beta": value}) == f"{name}_estimates_finite"
        if value in NOT_NUMBERS:
            assert refusal(database, table, r_squared=value) == "r_squared_range"
        assert refusal(database, table, quality="good") == "quality"

    def test_bounds_belong_to_the_ranges(self, database: Database) -> None:
        for number, values in enumerate(
            ({"beta": 5.0, "r_squared": 1.0, "p_value": 0.0}, {"beta": -5.0, "std_err": 0.0})
        ):
            for table in SINGLES:
                insert(database, table, {**ROWS[table], **values, "symbol": f"S{number}", "raw_beta": 1e9})

    def test_a_spread_may_have_no_value(self, database: Database) -> None:
        table = tables.symbol_spread_factors
        names = [item.name for item in table.columns if item.name.startswith("size_spread_")]
        insert(database, table, {**ROWS[table], **dict.fromkeys(names), "size_spread_reason": "constant"})


class TestMetrics:
    @pytest.mark.parametrize(
        ("changes", "constraint"),
        [
            ({"close_price": "0"}, "close_positive"),
            ({"close_price": "NaN"}, "close_positive"),
            *(({name: value}, "figures_finite") for name in tables.METRIC_COLUMNS for value in NOT_NUMBERS),
            ({"data_quality_score": 101}, "score_range"),
            ({"data_quality_score": -1}, "score_range"),
            ({"high_52w": None}, "high_52w"),
        ],
    )
    def test_what_is_no_figure_is_refused(self, database: Database, changes: dict[str, Any], constraint: str) -> None:
        assert refusal(database, tables.symbol_daily_metrics, **changes) == constraint
