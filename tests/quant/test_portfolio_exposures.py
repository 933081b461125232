from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.portfolio_exposures import (
    BetaTable,
    PortfolioExposures,
    SymbolPositions,
    book_exposures,
    portfolio_exposures,
    symbol_positions,
)

NAN = float("nan")


def _positions(portfolio: list[int], symbol: list[int], market_value: list[float]) -> SymbolPositions:
    return SymbolPositions(
        np.array(portfolio, dtype=np.int64), np.array(symbol, dtype=np.int64), np.array(market_value, dtype=np.float64)
    )


def _one(market_value: list[float], betas: list[list[float]], equity: float) -> PortfolioExposures:
    """A portfolio that holds each symbol of the market once."""
    positions = _positions([0] * len(market_value), list(range(len(market_value))), market_value)
    return portfolio_exposures(positions, np.array(betas), equity=np.array([equity]))


def test_a_portfolio_worked_out_by_hand() -> None:
    found = _one([600.0, -200.0, 200.0], [[1.0, 0.5], [2.0, NAN], [NAN, NAN]], 500.0)
    assert found.dollars.tolist() == [[200.0, 300.0]]
    assert found.exposures.tolist() == [[0.4, 0.6]]
    assert found.per_invested.tolist() == [[0.25, 0.5]]
    assert found.factor_coverage.tolist() == [[0.8, 0.6]]
    assert found.coverage.tolist() == [0.6]


def test_cents_have_the_exposures_of_millions() -> None:
    large = _one([6e6, -2e6, 2e6], [[1.0, 0.5, NAN], [2.0, NAN, NAN], [NAN, NAN, NAN]], 5e6)
    small = _one([0.006, -0.002, 0.002], [[1.0, 0.5, NAN], [2.0, NAN, NAN], [NAN, NAN, NAN]], 0.005)
    for name in ("exposures", "per_invested", "factor_coverage", "coverage"):
        np.testing.assert_allclose(getattr(small, name), getattr(large, name), rtol=1e-12, err_msg=name)
    assert np.isnan(small.dollars).tolist() == [[False, False, True]]


def test_the_order_of_symbols_in_a_portfolio_does_not_matter() -> None:
    positions = _positions([0, 0, 0], [2, 0, 1], [1.0, 10.0, 100.0])
    found = portfolio_exposures(positions, np.array([[1.0], [2.0], [3.0]]), equity=np.array([1.0]))
    assert found.dollars.tolist() == [[213.0]]


@pytest.mark.parametrize("equity", [0.0, -1_000.0, NAN])
def test_without_positive_equity_only_the_exposure_is_missing(equity: float) -> None:
    found = _one([600.0, -200.0], [[1.0], [2.0]], equity)
    assert np.isnan(found.exposures).all()
    assert found.dollars.tolist() == [[200.0]]
    assert found.per_invested.tolist() == [[0.25]]
    assert found.coverage.tolist() == [1.0]


def test_a_factor_without_any_beta_has_no_number() -> None:
    found = _one([600.0, -200.0], [[1.0, NAN], [2.0, NAN]], 500.0)
    assert found.exposures[0, 0] == 0.4
    assert np.isnan([found.exposures[0, 1], found.dollars[0, 1], found.per_invested[0, 1]]).all()
    assert found.factor_coverage.tolist() == [[1.0, 0.0]]
    assert found.coverage.tolist() == [0.0]


def test_an_empty_portfolio_is_exposed_to_nothing() -> None:
    positions = _positions([1], [0], [100.0])
    found = portfolio_exposures(positions, np.array([[1.0], [1.0]]), equity=np.array([50.0, 50.0, 50.0]))
    assert found.exposures[:, 0].tolist() == [0.0, 2.0, 0.0]
    assert found.dollars[:, 0].tolist() == [0.0, 100.0, 0.0]
    np.testing.assert_array_equal(found.coverage, [NAN, 1.0, NAN])
    np.testing.assert_array_equal(found.per_invested[:, 0], [NAN, 1.0, NAN])
    alone = portfolio_exposures(_positions([], [], []), np.ones((3, 1)), equity=np.array([50.0]))
    assert alone.exposures.tolist() == [[0.0]]


def _random_market(seed: int, portfolios: int, rows: int) -> tuple[SymbolPositions, FloatArray, FloatArray]:
    generator = np.random.default_rng(seed)
    cells = np.sort(generator.choice(portfolios * 40, rows, replace=False))
    betas = np.where(generator.random((40, 12)) < 0.1, NAN, generator.normal(size=(40, 12)))
    positions = SymbolPositions(cells // 40, cells % 40, generator.normal(scale=1e5, size=rows))
    return positions, betas, generator.normal(loc=2e5, scale=2e5, size=portfolios)


def test_many_portfolios_equal_pandas_group_sums() -> None:
    positions, betas, equity = _random_market(3, 60, 700)
    found = portfolio_exposures(positions, betas, equity=equity)
    frame = pd.DataFrame(betas[positions.symbol])
    size = pd.Series(np.abs(positions.market_value))
    owner = positions.portfolio
    dollars = frame.mul(positions.market_value, axis=0).groupby(owner).sum(min_count=1)
    with_beta = frame.notna().mul(size, axis=0).groupby(owner).sum()
    invested = size.groupby(owner).sum()
    complete = size.where(frame.notna().all(axis=1), 0.0).groupby(owner).sum()
    held = np.unique(owner)
    np.testing.assert_allclose(found.dollars[held], dollars, rtol=1e-12, atol=1e-7)
    np.testing.assert_allclose(found.per_invested[held], dollars / with_beta, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.factor_coverage[held], with_beta.div(invested, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.coverage[held], complete / invested, rtol=1e-12)
    base = np.where(equity > 0, equity, NAN)[held, None]
    np.testing.assert_allclose(found.exposures[held], dollars / base, rtol=1e-12, atol=1e-12)


def test_a_portfolio_alone_equals_itself_among_others() -> None:
    positions, betas, equity = _random_market(4, 30, 500)
    together = portfolio_exposures(positions, betas, equity=equity)
    bounds = np.searchsorted(positions.portfolio, np.arange(31))
    for p, (first, last) in enumerate(pairwise(bounds.tolist())):
        rows = slice(first, last)
        own = SymbolPositions(positions.portfolio[rows] - p, positions.symbol[rows], positions.market_value[rows])
        alone = portfolio_exposures(own, betas, equity=equity[p : p + 1])
        np.testing.assert_allclose(alone.dollars[0], together.dollars[p], rtol=1e-12, atol=1e-7)
        np.testing.assert_allclose(alone.factor_coverage[0], together.factor_coverage[p], rtol=1e-12)
        np.testing.assert_allclose(alone.coverage[0], together.coverage[p], rtol=1e-12)


def test_a_mirrored_portfolio_has_the_opposite_exposures() -> None:
    positions, betas, equity = _random_market(5, 20, 300)
    mirror = SymbolPositions(positions.portfolio, positions.symbol, -positions.market_value)
    one, other = (portfolio_exposures(book, betas, equity=equity) for book in (positions, mirror))
    np.testing.assert_array_equal(one.exposures, -other.exposures)
    np.testing.assert_array_equal(one.coverage, other.coverage)


@pytest.mark.parametrize("portfolio", [[1, 0], [0, 2]])
def test_positions_out_of_order_or_of_nobody_are_refused(portfolio: list[int]) -> None:
    with pytest.raises(ValueError, match="ascending and within 0 to 1"):
        portfolio_exposures(_positions(portfolio, [0, 1], [1.0, 1.0]), np.ones((2, 1)), equity=np.ones(2))


lot_rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-(10**16), 10**16)), min_size=0, max_size=20
)


def _column(rows: list[tuple[int, int, int]], index: int) -> IntArray:
    return np.array([row[index] for row in rows], dtype=np.int64)


@settings(deadline=None)
@given(rows=lot_rows)
def test_lots_of_one_symbol_are_summed_exactly_before_they_become_dollars(rows: list[tuple[int, int, int]]) -> None:
    found = symbol_positions(_column(rows, 0), _column(rows, 1), _column(rows, 2))
    expected: dict[tuple[int, int], int] = {}
    for portfolio, symbol, value in rows:
        expected[portfolio, symbol] = expected.get((portfolio, symbol), 0) + value
    keys = list(zip(found.portfolio.tolist(), found.symbol.tolist(), strict=True))
    assert keys == sorted(expected)
    dollars = [float(Decimal(expected[key]) / 10**8) for key in keys]
    assert found.market_value.tolist() == pytest.approx(dollars, rel=1e-15, abs=0.0)


def test_one_book_is_as_among_many() -> None:
    random = np.random.default_rng(4)
    betas = np.where(random.random((40, 3)) < 0.1, NAN, random.normal(size=(40, 3)))
    table = BetaTable.of(betas)
    for equity in (1_000.0, -5.0, NAN):
        rows = np.sort(random.choice(40, 15, replace=False))
        value = random.normal(size=15) * 100
        many = portfolio_exposures(
            SymbolPositions(np.zeros(15, dtype=np.int64), rows, value), betas, equity=np.array([equity])
        )
        one = book_exposures(rows, value, table, equity=equity)
        for name in ("exposures", "dollars", "per_invested", "factor_coverage", "coverage"):
            np.testing.assert_allclose(getattr(one, name), getattr(many, name), rtol=1e-12, err_msg=name)


def test_a_book_of_nothing_is_exposed_to_nothing() -> None:
    found = book_exposures(np.array([], dtype=np.int64), np.array([]), BetaTable.of(np.ones((2, 1))), equity=50.0)
    assert (found.exposures.tolist(), found.dollars.tolist()) == ([[0.0]], [[0.0]])
    assert np.isnan([found.coverage[0], found.per_invested[0, 0]]).all()
