"""Tests of the published closes and betas on a grid, and of closes asked for one by one."""

from datetime import date, timedelta

import numpy as np

from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.published import (
    BETA_COLUMNS,
    read_published_closes_at,
    read_published_figures,
)
from sigmasight_assets.storage.tables import symbol_daily_metrics
from tests.storage.conftest import SESSIONS
from tests.storage.rows import ROWS, insert

FIRST, LAST = SESSIONS[0], SESSIONS[-1]


class TestPublishedFigures:
    def test_they_are_laid_out_on_the_grid(self, database: Database, grid: Grid) -> None:
        betas = {name: place / 8 for place, name in enumerate(BETA_COLUMNS)}
        published = ((FIRST, "BBB"), (LAST, "AAA"), (LAST, "ZZZ"), (LAST + timedelta(30), "AAA"))
        for number, (day, symbol) in enumerate(published, start=1):
            row = {**ROWS[symbol_daily_metrics], "metrics_date": day, "symbol": symbol, "close_price": f"{number}.0001"}
            insert(database, symbol_daily_metrics, {**row, **betas, "market_beta": None if number == 2 else 1.5})
        with database.bulk(read_only=True) as transaction:
            closes, found = read_published_figures(transaction, grid)
        expected = np.zeros(grid.shape, dtype=np.int64)
        expected[0, 1], expected[4, 0] = 10_001, 20_001
        np.testing.assert_array_equal(closes, expected)
        rest = [place / 8 for place in range(1, 13)]
        assert found.shape == (5, 3, 13)
        np.testing.assert_array_equal(found[0, 1], [1.5, *rest])
        np.testing.assert_array_equal(found[4, 0], [np.nan, *rest])
        assert np.isnan(found).all(axis=2).sum() == 13

    def test_no_symbols_are_an_empty_grid(self, database: Database, grid: Grid) -> None:
        empty = Grid(grid.sessions, ())
        with database.bulk(read_only=True) as transaction:
            closes, betas = read_published_figures(transaction, empty)
        assert (closes.shape, betas.shape) == ((5, 0), (5, 0, 13))


def test_the_vendors_own_beta_comes_after_those_of_the_factors() -> None:
    assert BETA_COLUMNS[0] == "market_beta"
    assert BETA_COLUMNS[len(FACTORS) :] == ("provider_beta",)


class TestClosesAt:
    def read(self, database: Database, asked: list[tuple[str, date]]) -> list[int]:
        symbols, days = [symbol for symbol, _ in asked], np.array([day for _, day in asked], dtype="datetime64[D]")
        with database.bulk() as transaction:
            closes = read_published_closes_at(transaction, symbols, days)
        return [int(close) for close in closes]

    def test_each_is_of_its_own_session(self, database: Database) -> None:
        for number, (symbol, day) in enumerate([("AAA", FIRST), ("AAA", LAST), ("BBB", FIRST)], start=1):
            row = {**ROWS[symbol_daily_metrics], "metrics_date": day, "symbol": symbol, "close_price": f"{number}.0001"}
            insert(database, symbol_daily_metrics, row)
        asked = [("BBB", FIRST), ("AAA", LAST), ("BBB", LAST), ("ZZZ", FIRST), ("AAA", LAST)]
        assert self.read(database, asked) == [30_001, 20_001, 0, 0, 20_001]

    def test_nothing_asked_is_nothing_found(self, database: Database) -> None:
        assert self.read(database, []) == []
