"""Tests of derived figures: what is stored, and that exactly the chosen cells are replaced."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sigmasight_assets.storage import figures
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import (
    PRODUCT_TABLES,
    FigureTable,
    StoredFigures,
    count_exclusions,
    figure_change,
    read_stored_figures,
    replace_exclusions,
    write_change,
)
from sigmasight_assets.storage.grid import Grid
from tests.contents import contents
from tests.storage.conftest import SESSIONS, SYMBOLS
from tests.storage.rows import ROWS, insert

Matrix = NDArray[Any]
GOOD = np.ones(5, dtype=np.bool_)
LABELS = ["none", "no_price", "short_history"]


def table(present: Matrix, fingerprint: Matrix) -> FigureTable:
    """Market betas whose value is the fingerprint's sine, so that a wrong cell shows."""
    beta = np.sin(fingerprint)
    shape = present.shape
    columns = {name: figures.floats(beta) for name in ("beta", "raw_beta")}
    columns |= {name: figures.floats(np.full(shape, 0.5)) for name in ("alpha", "r_squared", "std_err", "p_value")}
    columns["is_capped"] = figures.flags(np.zeros(shape, dtype=np.bool_))
    columns["n_obs"] = figures.whole_numbers(np.full(shape, 90))
    columns["quality"] = figures.labels_of(np.ones(shape, dtype=np.int8), ["none", "full"])
    return FigureTable("market_beta", present, fingerprint, columns)


def publish(database: Database, grid: Grid, figure: FigureTable, generation: int, cells: Matrix) -> list[int]:
    """Rows that differ, by session."""
    with database.bulk() as transaction:
        change = figure_change(figure, read_stored_figures(transaction, grid, "market_beta"), cells=cells)
        write_change(transaction, grid, change, generation=generation)
    counts: list[int] = change.by_session.tolist()
    return counts


def stored(database: Database) -> dict[tuple[date, str], tuple[int, float, int]]:
    """Fingerprint, beta and generation by session and symbol."""
    query = "SELECT session, symbol, fingerprint, beta, generation FROM symbol_market_beta"
    with database.begin() as connection:
        return {(row[0], row[1]): tuple(row[2:]) for row in connection.exec_driver_sql(query)}


def cells(selected: Matrix) -> set[tuple[date, str]]:
    return {(SESSIONS[row], SYMBOLS[column]) for row, column in zip(*np.nonzero(selected), strict=True)}


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


class TestChanges:
    def test_exactly_the_chosen_cells_are_replaced(
        self, database: Database, grid: Grid, random: np.random.Generator
    ) -> None:
        shape = grid.shape
        everywhere = np.ones(shape, dtype=np.bool_)
        limits = np.iinfo(np.int64)
        first = table(random.random(shape) < 0.7, random.integers(limits.min, limits.max, shape, endpoint=True))
        publish(database, grid, first, 1, everywhere)
        before = stored(database)
        assert before.keys() == cells(first.present)
        second = table(random.random(shape) < 0.5, first.fingerprint + 1)
        chosen = random.random(shape) < 0.7
        counts = publish(database, grid, second, 2, chosen)

        expected = {key: before[key] for key in cells(first.present & ~chosen)}
        written = cells(second.present & chosen)
        for day, symbol in written:
            place = SESSIONS.index(day), SYMBOLS.index(symbol)
            fingerprint = int(second.fingerprint[place])
            expected[day, symbol] = (fingerprint, float(np.sin(second.fingerprint)[place]), 2)
        assert stored(database) == expected
        gone = cells(first.present & ~second.present & chosen)
        assert counts == [sum(day == session for day, _ in written | gone) for session in SESSIONS]
        assert gone
        assert written

    def test_no_cell_is_no_change(self, database: Database, grid: Grid) -> None:
        figure = table(np.ones(grid.shape, dtype=np.bool_), np.arange(15).reshape(grid.shape))
        publish(database, grid, figure, 1, np.ones(grid.shape, dtype=np.bool_))
        before = contents(database)
        assert publish(database, grid, figure, 2, np.zeros(grid.shape, dtype=np.bool_)) == [0] * 5
        assert contents(database) == before

    def test_other_sessions_and_symbols_are_left_alone(self, database: Database, grid: Grid) -> None:
        whole = np.ones(grid.shape, dtype=np.bool_)
        publish(database, grid, table(whole, np.zeros(grid.shape, dtype=np.int64)), 1, whole)
        part = Grid(grid.sessions[1:3], SYMBOLS[1:])
        nothing = table(np.zeros(part.shape, dtype=np.bool_), np.zeros(part.shape, dtype=np.int64))
        publish(database, part, nothing, 2, np.ones(part.shape, dtype=np.bool_))
        kept = np.ones(grid.shape, dtype=np.bool_)
        kept[1:3, 1:] = False
        assert stored(database).keys() == cells(kept)


class TestStored:
    def test_rows_lie_at_their_cells_and_the_rest_is_empty(self, database: Database, grid: Grid) -> None:
        whole = np.ones(grid.shape, dtype=np.bool_)
        figure = table(whole, 1 + np.arange(15).reshape(grid.shape))
        publish(database, grid, figure, 1, whole)
        wider = Grid(grid.sessions[1:4], ("AAAA", *reversed(SYMBOLS)))
        with database.bulk(read_only=True) as transaction:
            found = read_stored_figures(transaction, wider, "market_beta")
        expected = figure.fingerprint[1:4, ::-1]
        assert found.present.tolist() == [[False, True, True, True]] * 3
        np.testing.assert_array_equal(found.fingerprint, np.column_stack([np.zeros(3), expected]))
        np.testing.assert_array_equal(found.betas[:, 1:, 0], np.sin(expected))
        assert np.isnan(found.betas[:, 0]).all()
        part = found.part((np.array([[2]]), np.array([[1, 3]])))
        assert (part.present.shape, part.fingerprint.tolist()) == ((1, 2), [[expected[2, 0], expected[2, 2]]])
        assert part.betas.shape == (1, 2, 1)

    @pytest.mark.parametrize("product", PRODUCT_TABLES)
    def test_every_product_is_read_with_its_betas(self, database: Database, product: str) -> None:
        """As many as the product publishes, in the order of its columns; one that is null is NaN."""
        source = PRODUCT_TABLES[product]
        row = dict(ROWS[source.table])
        numbers = [0.125 * (place + 1) for place in range(len(source.betas))]
        row |= dict(zip(source.betas, numbers, strict=True))
        if product == "spread_factors":
            row |= {name: None for name in row if name.startswith("size_spread_")}
            numbers[2] = np.nan
        insert(database, source.table, row)
        grid = Grid(np.array([row[source.date_column]], dtype="datetime64[D]"), (row["symbol"], "BBB"))
        with database.bulk(read_only=True) as transaction:
            found = read_stored_figures(transaction, grid, product)
        assert (found.present.tolist(), found.fingerprint.tolist()) == ([[True, False]], [[1, 0]])
        np.testing.assert_array_equal(found.betas[0, 0], numbers)

    def test_nothing_stored(self) -> None:
        nothing = StoredFigures.none((2, 3), "ridge_factors")
        assert not nothing.present.any()
        assert not nothing.fingerprint.any()
        assert nothing.betas.shape == (2, 3, 6)
        assert np.isnan(nothing.betas).all()


class TestColumns:
    SELECTED = np.array([[True, False], [True, True]])

    @pytest.mark.parametrize(
        ("builder", "expected"),
        [
            (figures.floats(np.array([[1.5, 9.0], [np.nan, -2.0]])), [1.5, None, -2.0]),
            (figures.whole_numbers(np.array([[1, 9], [2, 3]])), [1, 2, 3]),
            (figures.whole_numbers(np.array([[1, 9], [2, 3]]), null=np.eye(2, dtype=np.bool_)), [None, 2, None]),
            (figures.flags(np.array([[True, False], [False, True]])), [True, False, True]),
            (figures.flags(np.array([[True, False], [False, True]]), null=SELECTED), [None, None, None]),
            (figures.labels_of(np.array([[1, 2], [0, 2]], dtype=np.int8), LABELS), ["no_price", None, "short_history"]),
            (figures.texts(["Energy", None], np.array([[0, 0], [1, -1]])), ["Energy", None, None]),
            (figures.prices(np.array([[1, 2], [10**14 - 1, 0]])), [Decimal("0.0001"), Decimal("9999999999.9999"), 0]),
        ],
    )
    def test_they_hold_the_selected_cells_in_order(self, builder: Callable[[Matrix], Any], expected: list[Any]) -> None:
        assert builder(self.SELECTED).to_pylist() == expected
        assert len(builder(np.zeros((2, 2), dtype=np.bool_))) == 0


class TestExclusions:
    def replace(self, database: Database, grid: Grid, good: Matrix = GOOD, **codes: Matrix) -> None:
        with database.bulk() as transaction:
            replace_exclusions(transaction, grid, codes, labels=LABELS, good=dict.fromkeys(codes, good))

    def held(self, database: Database) -> set[tuple[Any, ...]]:
        with database.begin() as connection:
            rows = connection.exec_driver_sql("SELECT session, symbol, product, reason FROM symbol_exclusions")
            return {tuple(row) for row in rows}

    @staticmethod
    def expected(product: str, codes: Matrix) -> set[tuple[Any, ...]]:
        return {
            (SESSIONS[row], SYMBOLS[column], product, LABELS[codes[row, column]])
            for row, column in zip(*np.nonzero(codes), strict=True)
        }

    def test_reasons_are_kept_per_product(self, database: Database, grid: Grid, random: np.random.Generator) -> None:
        beta, metrics = (random.integers(0, 3, grid.shape).astype(np.int8) for _ in range(2))
        self.replace(database, grid, market_beta=beta, symbol_daily_metrics=metrics)
        both = self.expected("market_beta", beta) | self.expected("symbol_daily_metrics", metrics)
        assert self.held(database) == both
        with database.begin() as connection:
            counted = count_exclusions(connection, first=SESSIONS[1], last=SESSIONS[3])
        inside = [row for row in both if SESSIONS[1] <= row[0] <= SESSIONS[3]]
        assert counted == [
            {
                "product": product,
                "reason": reason,
                "symbol_sessions": sum(row[2:] == (product, reason) for row in inside),
                "symbols": sorted({row[1] for row in inside if row[2:] == (product, reason)}),
            }
            for product, reason in sorted({row[2:] for row in inside})
        ]

    def test_a_failed_session_and_another_product_keep_theirs(
        self, database: Database, grid: Grid, random: np.random.Generator
    ) -> None:
        before, after, other = (random.integers(0, 3, grid.shape).astype(np.int8) for _ in range(3))
        self.replace(database, grid, market_beta=before, ir_beta=other)
        good = np.array([True, False, True, False, True])
        self.replace(database, grid, good=good, market_beta=after)
        kept = np.where(good[:, None], after, before)
        assert self.held(database) == self.expected("market_beta", kept) | self.expected("ir_beta", other)

    def test_other_symbols_and_sessions_keep_theirs(
        self, database: Database, grid: Grid, random: np.random.Generator
    ) -> None:
        before = random.integers(1, 3, grid.shape).astype(np.int8)
        self.replace(database, grid, market_beta=before)
        part = Grid(grid.sessions[1:3], SYMBOLS[1:2])
        self.replace(database, part, GOOD[1:3], market_beta=np.array([[0], [3 - before[2, 1]]], dtype=np.int8))
        expected = before.copy()
        expected[1, 1], expected[2, 1] = 0, 3 - before[2, 1]
        assert self.held(database) == self.expected("market_beta", expected)

    def test_each_product_has_good_sessions_of_its_own(self, database: Database, grid: Grid) -> None:
        codes = np.ones(grid.shape, dtype=np.int8)
        good = {"market_beta": np.arange(5) == 1, "ir_beta": np.arange(5) == 3}
        with database.bulk() as transaction:
            replace_exclusions(transaction, grid, dict.fromkeys(good, codes), labels=LABELS, good=good)
        found = {(session, product) for session, _, product, _ in self.held(database)}
        assert found == {(SESSIONS[1], "market_beta"), (SESSIONS[3], "ir_beta")}

    def test_the_same_again_writes_no_row(self, database: Database, grid: Grid, random: np.random.Generator) -> None:
        codes = random.integers(0, 3, grid.shape).astype(np.int8)
        versions = []
        for _ in range(2):
            self.replace(database, grid, market_beta=codes)
            with database.begin() as connection:
                query = "SELECT session, symbol, xmin::text FROM symbol_exclusions ORDER BY 1, 2"
                versions.append(connection.exec_driver_sql(query).all())
        assert versions[0] == versions[1]
        self.replace(database, grid, market_beta=np.zeros_like(codes))
        assert self.held(database) == set()
