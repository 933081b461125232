"""Tests of derived figures: only what is new, changed or gone is written, in good sessions only."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from sigmasight_assets.storage import figures
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import (
    FigureTable,
    count_exclusions,
    find_changes,
    replace_exclusions,
    write_changes,
)
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.tables import symbol_market_beta
from tests.contents import contents
from tests.storage.conftest import SESSIONS, SYMBOLS

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
    return FigureTable("market_beta", symbol_market_beta, "session", present, fingerprint, columns)


def publish(
    database: Database, grid: Grid, figure: FigureTable, generation: int, good: Matrix = GOOD, *, force: bool = False
) -> list[int]:
    """Rows that differ, by session."""
    with database.bulk() as transaction:
        change = find_changes(transaction, grid, figure, good=good, force=force)
        write_changes(transaction, grid, change, generation=generation)
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
    def test_only_what_differs_is_written_and_only_in_good_sessions(
        self, database: Database, grid: Grid, random: np.random.Generator
    ) -> None:
        shape = grid.shape
        limits = np.iinfo(np.int64)
        first = table(random.random(shape) < 0.7, random.integers(limits.min, limits.max, shape, endpoint=True))
        publish(database, grid, first, generation=1)
        before = stored(database)
        assert before.keys() == cells(first.present)
        second = table(
            random.random(shape) < 0.7, np.where(random.random(shape) < 0.5, first.fingerprint, first.fingerprint + 1)
        )
        good = np.array([True, False, True, True, False])
        counts = publish(database, grid, second, generation=2, good=good)
        after = stored(database)

        stay = ~good[:, None] | (second.present & first.present & (second.fingerprint == first.fingerprint))
        expected = {key: before[key] for key in cells(first.present & stay)}
        written = cells(second.present & good[:, None] & ~(stay & first.present))
        for day, symbol in written:
            place = SESSIONS.index(day), SYMBOLS.index(symbol)
            fingerprint = int(second.fingerprint[place])
            expected[day, symbol] = (fingerprint, float(np.sin(second.fingerprint)[place]), 2)
        assert after == expected
        gone = cells(first.present & ~second.present & good[:, None])
        assert counts == [sum(day == session for day, _ in written | gone) for session in SESSIONS]
        assert gone
        assert written

    def test_the_same_again_is_no_change(self, database: Database, grid: Grid) -> None:
        figure = table(np.ones(grid.shape, dtype=np.bool_), np.arange(15).reshape(grid.shape))
        publish(database, grid, figure, generation=1)
        before = contents(database)
        assert publish(database, grid, figure, generation=2) == [0] * 5
        assert contents(database) == before

    def test_force_writes_all_of_it(self, database: Database, grid: Grid) -> None:
        present = np.ones(grid.shape, dtype=np.bool_)
        present[0, 0] = False
        figure = table(present, np.arange(15).reshape(grid.shape))
        publish(database, grid, figure, generation=1)
        assert publish(database, grid, figure, generation=2, force=True) == [2, 3, 3, 3, 3]
        assert {row[2] for row in stored(database).values()} == {2}

    def test_other_sessions_and_symbols_are_left_alone(self, database: Database, grid: Grid) -> None:
        everywhere = table(np.ones(grid.shape, dtype=np.bool_), np.zeros(grid.shape, dtype=np.int64))
        publish(database, grid, everywhere, generation=1)
        part = Grid(grid.sessions[1:3], SYMBOLS[1:])
        nothing = table(np.zeros(part.shape, dtype=np.bool_), np.zeros(part.shape, dtype=np.int64))
        publish(database, part, nothing, generation=2, good=np.ones(2, dtype=np.bool_))
        kept = np.ones(grid.shape, dtype=np.bool_)
        kept[1:3, 1:] = False
        assert stored(database).keys() == cells(kept)


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
            (figures.texts(["Energy", None], (2, 2)), ["Energy", "Energy", None]),
            (figures.prices(np.array([[1, 2], [10**14 - 1, 0]])), [Decimal("0.0001"), Decimal("9999999999.9999"), 0]),
            (figures.nulls(pa.float64()), [None, None, None]),
        ],
    )
    def test_they_hold_the_selected_cells_in_order(self, builder: Callable[[Matrix], Any], expected: list[Any]) -> None:
        assert builder(self.SELECTED).to_pylist() == expected
        assert len(builder(np.zeros((2, 2), dtype=np.bool_))) == 0


class TestExclusions:
    def replace(self, database: Database, grid: Grid, good: Matrix = GOOD, **codes: Matrix) -> None:
        with database.bulk() as transaction:
            replace_exclusions(transaction, grid, codes, labels=LABELS, good=good)

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
