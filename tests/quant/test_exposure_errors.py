"""Tests of standard errors of exposures: statsmodels on the weighted returns, simulated truth, what is missing."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.exposure_errors import OLS_COLUMNS, OLS_FACTORS, SlopeErrors, book_std_errors
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS
from tests.quant.reference import (
    REAL_SYMBOLS,
    Market,
    aligned,
    fit_least_squares,
    ols_tables,
    random_market,
    real_market,
    regressor,
)

NAN = float("nan")
EVERYTHING = np.arange(40)


@dataclass(frozen=True)
class Published:
    """A market, and what is published of its symbols (S, 12) at its session ``row``."""

    market: Market
    row: int
    betas: FloatArray
    std_errors: FloatArray

    @classmethod
    def of(cls, market: Market, row: int = -1) -> "Published":
        row %= len(market.returns)
        betas, std_errors = np.full((2, market.returns.shape[1], len(FACTORS)), NAN)
        for factor, table in ols_tables(market.exposures([row])).items():
            place = FACTORS.index(factor)
            betas[:, place], std_errors[:, place] = table.beta[0], table.std_err[0]
        return cls(market, row, betas, std_errors)

    def errors(self, **changes: Any) -> SlopeErrors:
        market, published = self.market, replace(self, **changes)
        newest = slice(None, self.row + 1)
        return SlopeErrors.of(
            market.returns[newest],
            market.factor_returns[newest],
            betas=published.betas,
            std_errors=published.std_errors,
        )

    def of_book(self, rows: IntArray, weights: FloatArray, **changes: Any) -> FloatArray:
        return book_std_errors(rows, weights, self.errors(**changes), equity=1.0)


def pairwise(published: Published, rows: IntArray, weights: FloatArray) -> FloatArray:
    """The errors from the covariance of each two slopes, on the residuals that statsmodels leaves."""
    found = []
    for factor in OLS_FACTORS:
        residuals = []
        std_errors = published.std_errors[rows, FACTORS.index(factor)]
        for symbol in rows:
            x, y = aligned(published.market, (factor,), row=published.row, symbol=symbol)
            window = slice(max(0, published.row + 1 - factor.window), published.row + 1)
            present = np.isfinite(published.market.returns[window, symbol])
            present &= np.isfinite(regressor(published.market, factor)[window])
            placed = np.zeros(present.size)
            placed[present] = fit_least_squares(x, y).resid
            residuals.append(placed)
        variance = 0.0
        for one, (w, se, e) in enumerate(zip(weights, std_errors, residuals, strict=True)):
            for other, (v, te, f) in enumerate(zip(weights, std_errors, residuals, strict=True)):
                alike = 1.0 if one == other else e @ f / np.sqrt((e @ e) * (f @ f)) if se and te else 0.0
                variance += w * v * se * te * alike
        found.append(np.sqrt(variance))
    return np.array(found)


def weighted_regression(published: Published, rows: IntArray, weights: FloatArray) -> FloatArray:
    """The errors of the slopes of the weighted returns, by statsmodels."""
    series = published.market.returns[:, rows] @ weights
    one = replace(published.market, returns=series[:, None])
    fits = (fit_least_squares(*aligned(one, (factor,), row=published.row, symbol=0)) for factor in OLS_FACTORS)
    return np.array([fit.bse[1] for fit in fits])


def whole_market(seed: int = 1, *, sessions: int = 220) -> Published:
    """Every symbol with every return."""
    market = random_market(seed=seed, gaps=0.0, sessions=sessions)
    filled = np.where(np.isfinite(market.returns), market.returns, np.random.default_rng(seed).normal(0, 0.01))
    noise = np.random.default_rng(seed + 1).normal(0.0, 0.005, filled.shape)
    return Published.of(replace(market, returns=filled + noise))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sessions", [220, 120, 70])
def test_it_is_the_error_of_the_regression_of_the_weighted_returns(seed: int, sessions: int) -> None:
    published = whole_market(seed, sessions=sessions)
    random = np.random.default_rng(seed)
    rows, weights = random.permutation(40)[:25], random.normal(0.0, 0.1, 25)
    np.testing.assert_allclose(
        published.of_book(rows, weights), weighted_regression(published, rows, weights), rtol=1e-11
    )


@pytest.mark.parametrize("seed", range(5))
def test_with_gaps_and_short_histories_it_is_the_sum_over_all_pairs(seed: int) -> None:
    published = Published.of(random_market(seed=seed, gaps=0.02))
    assert (np.isnan(published.market.returns).sum(axis=0) > 100).any()
    weights = np.random.default_rng(seed).normal(0.0, 0.1, 40)
    np.testing.assert_allclose(
        published.of_book(EVERYTHING, weights), pairwise(published, EVERYTHING, weights), rtol=1e-10
    )


@pytest.mark.parametrize("weight", [0.25, -1.5])
def test_a_single_position_has_the_published_error_times_its_weight(weight: float) -> None:
    published = Published.of(random_market(seed=3, gaps=0.05))
    for symbol in EVERYTHING:
        np.testing.assert_allclose(
            published.of_book(np.array([symbol]), np.array([weight])),
            abs(weight) * published.std_errors[symbol, OLS_COLUMNS],
            rtol=1e-12,
        )


def test_what_is_published_counts_where_the_returns_have_changed_since() -> None:
    # As of betas that are carried from an older session, those at the cap, and bars that were restated.
    published = whole_market()
    other = published.std_errors * np.linspace(0.5, 2.0, 40)[:, None]
    weights = np.linspace(-0.2, 0.3, 40)
    found = published.of_book(EVERYTHING, weights, std_errors=other)
    expected = pairwise(replace(published, std_errors=other), EVERYTHING, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    capped = np.where(published.betas > 0, 5.0, published.betas)
    np.testing.assert_array_equal(
        published.of_book(EVERYTHING, weights, betas=capped), published.of_book(EVERYTHING, weights)
    )


def test_the_same_returns_long_and_short_have_no_error() -> None:
    market = random_market(seed=4)
    twins = replace(market, returns=np.where(EVERYTHING == 1, market.returns[:, :1], market.returns))
    published = Published.of(twins)
    found = published.of_book(np.array([0, 1]), np.array([0.7, -0.7]))
    assert (found <= 1e-13 * published.std_errors[0, OLS_COLUMNS]).all()
    twice = published.of_book(np.array([0, 1]), np.array([0.7, 0.7]))
    np.testing.assert_allclose(twice, 1.4 * published.std_errors[0, OLS_COLUMNS], rtol=1e-12)


PUBLISHED = Published.of(random_market(seed=6, gaps=0.02))
ERRORS = PUBLISHED.errors()


@given(
    held=st.dictionaries(st.integers(0, 39), st.floats(-1e6, 1e6), min_size=1, max_size=12),
    factor=st.sampled_from([-2.0, 0.001, 3e5]),
)
def test_it_scales_mirrors_and_is_at_most_the_sum_of_its_parts(held: dict[int, float], factor: float) -> None:
    rows, values = np.array(list(held)), np.array(list(held.values()))
    found = book_std_errors(rows, values, ERRORS, equity=1000.0)
    size = np.abs(values) @ PUBLISHED.std_errors[rows][:, OLS_COLUMNS] / 1000.0
    assert (found >= 0).all()
    assert (found <= size * (1 + 1e-12)).all()
    tolerance = 1e-12 * size
    scaled = book_std_errors(rows, values * factor, ERRORS, equity=1000.0)
    assert (np.abs(scaled - abs(factor) * found) <= tolerance * abs(factor)).all()
    richer = book_std_errors(rows, values, ERRORS, equity=4000.0)
    assert (np.abs(richer - found / 4) <= tolerance).all()
    shuffled = book_std_errors(rows[::-1], values[::-1], ERRORS, equity=1000.0)
    assert (np.abs(shuffled - found) <= tolerance).all()


@pytest.mark.parametrize("short", [0, 45], ids=["whole histories", "short histories"])
def test_it_is_the_scatter_of_exposures_over_many_markets(short: int) -> None:
    # The residuals of the symbols share a common part, as those of a sector do: errors add up instead of cancelling.
    random = np.random.default_rng(8)
    draws, symbols, days = 2000, 12, 90
    spy = random.normal(0.0, 0.01, days)
    weights = np.full(symbols, 1 / symbols)
    factor_returns = np.full((days, len(FACTOR_ETFS)), NAN)
    factor_returns[:, 0] = spy
    exposures, found, independent = np.empty(draws), np.empty(draws), np.empty(draws)
    for draw in range(draws):
        noise = random.normal(0.0, 0.01, (days, 1)) + random.normal(0.0, 0.01, (days, symbols))
        returns = spy[:, None] + noise
        returns[:short, ::2] = NAN
        betas, std_errors = np.full((2, symbols, len(FACTORS)), NAN)
        for symbol in range(symbols):
            known = np.isfinite(returns[:, symbol])
            x, y = spy[known] - spy[known].mean(), returns[known, symbol] - returns[known, symbol].mean()
            slope = betas[symbol, 0] = x @ y / (x @ x)
            std_errors[symbol, 0] = np.sqrt(((y - slope * x) ** 2).sum() / (known.sum() - 2) / (x @ x))
        errors = SlopeErrors.of(returns, factor_returns, betas=betas, std_errors=std_errors)
        exposures[draw] = weights @ betas[:, 0]
        found[draw] = book_std_errors(np.arange(symbols), weights, errors, equity=1.0)[0]
        independent[draw] = np.sqrt((weights**2) @ (std_errors[:, 0] ** 2))
    scatter = exposures.std()
    assert np.sqrt((found**2).mean()) == pytest.approx(scatter, rel=0.05)
    assert np.sqrt((independent**2).mean()) < 0.5 * scatter


def test_a_position_without_the_beta_is_in_no_error() -> None:
    published = whole_market()
    betas, std_errors = published.betas.copy(), published.std_errors.copy()
    betas[3, 8:] = std_errors[3, 8:] = NAN
    rows = np.array([2, 3])
    found = published.of_book(rows, np.array([0.5, 0.5]), betas=betas, std_errors=std_errors)
    both, alone = published.of_book(rows, np.array([0.5, 0.5])), published.of_book(rows[:1], np.array([0.5]))
    np.testing.assert_allclose(found, [*both[:2], *alone[2:]], rtol=1e-12)


def test_a_fund_on_itself_adds_no_error() -> None:
    published = whole_market()
    returns = published.market.returns.copy()
    returns[:, 5] = published.market.factor_returns[:, 0]
    own = published.market.own.copy()
    own[5] = 0
    with_spy = Published.of(replace(published.market, returns=returns, own=own))
    assert with_spy.std_errors[5, 0] == 0.0
    found = with_spy.of_book(np.array([5]), np.array([2.0]))
    assert found[0] == 0.0
    assert (found[1:] > 0).all()
    hedged = with_spy.of_book(np.array([2, 5]), np.array([0.5, -0.5]))
    assert hedged[0] == with_spy.of_book(np.array([2]), np.array([0.5]))[0]


@pytest.mark.parametrize("returns", [0, 2])
def test_a_beta_without_enough_returns_leaves_the_error_unknown(returns: int) -> None:
    published = whole_market()
    kept = published.market.returns.copy()
    kept[: len(kept) - returns, 7] = NAN
    gone = replace(published, market=replace(published.market, returns=kept))
    assert np.isnan(gone.of_book(np.array([6, 7]), np.array([0.1, 0.1]))).all()
    assert np.isfinite(gone.of_book(np.array([6]), np.array([0.1]))).all()


def test_three_returns_place_a_published_error() -> None:
    published = whole_market()
    kept = published.market.returns.copy()
    kept[:-3, 7] = NAN
    three = replace(published, market=replace(published.market, returns=kept))
    np.testing.assert_allclose(
        three.of_book(np.array([7]), np.array([0.5])), 0.5 * published.std_errors[7, OLS_COLUMNS], rtol=1e-9
    )


def test_a_symbol_that_does_not_move_leaves_the_error_unknown() -> None:
    published = whole_market()
    still = published.market.returns.copy()
    still[:, 7] = 0.0
    found = replace(published, market=replace(published.market, returns=still)).of_book(np.array([7]), np.array([1.0]))
    assert np.isnan(found).all()


def test_an_error_that_is_not_published_leaves_that_of_its_factor_unknown() -> None:
    published = whole_market()
    std_errors = published.std_errors.copy()
    std_errors[7, FACTORS.index(OLS_FACTORS[1])] = NAN
    found = published.of_book(np.array([6, 7]), np.array([0.1, 0.1]), std_errors=std_errors)
    assert np.isnan(found).tolist() == [False, True, False, False, False, False]


def test_without_a_fund_the_errors_of_its_factors_are_unknown() -> None:
    published = whole_market()
    funds = published.market.factor_returns.copy()
    funds[:, FACTOR_ETFS.index("SPY")] = NAN
    found = replace(published, market=replace(published.market, factor_returns=funds)).of_book(
        np.array([6]), np.array([0.1])
    )
    assert [factor.proxies for factor, value in zip(OLS_FACTORS, found, strict=True) if not np.isnan(value)] == [
        ("TLT",),
        ("VUG", "VTV"),
    ]


def test_one_missing_return_is_left_out_of_its_own_line_only() -> None:
    market = whole_market().market
    returns = market.returns.copy()
    returns[200, 3] = NAN
    published = Published.of(replace(market, returns=returns))
    rows, weights = np.array([3, 8]), np.array([0.5, 0.5])
    np.testing.assert_allclose(published.of_book(rows, weights), pairwise(published, rows, weights), rtol=1e-10)


def test_a_symbol_on_its_line_leaves_the_error_unknown() -> None:
    published = whole_market()
    returns, funds = published.market.returns.copy(), published.market.factor_returns.copy()
    # Binary fractions, whose residuals are 0 and not nearly so.
    funds[:, 0] = np.resize([0.25, -0.25], len(funds))
    returns[:, 7] = 2.0 * funds[:, 0]
    exact = replace(published, market=replace(published.market, returns=returns, factor_returns=funds))
    assert np.isnan(exact.of_book(np.array([7]), np.array([1.0]))[0])
    assert np.isfinite(exact.of_book(np.array([6]), np.array([1.0]))[0])


def test_a_position_without_betas_and_returns_adds_no_error() -> None:
    published = whole_market()
    returns, betas = published.market.returns.copy(), published.betas.copy()
    returns[:, 7] = betas[7] = NAN
    gone = replace(published, market=replace(published.market, returns=returns), betas=betas)
    found = gone.of_book(np.array([6, 7]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, published.of_book(np.array([6]), np.array([0.5])), rtol=1e-12)


def test_values_count_by_their_share_of_the_equity() -> None:
    rows, weights = np.array([1, 4]), np.array([0.25, -0.5])
    found = book_std_errors(rows, 4096.0 * weights, ERRORS, equity=4096.0)
    np.testing.assert_array_equal(found, book_std_errors(rows, weights, ERRORS, equity=1.0))


@pytest.mark.parametrize("equity", [0.0, -5.0, NAN])
def test_without_a_positive_equity_there_is_no_error(equity: float) -> None:
    assert np.isnan(book_std_errors(np.array([1]), np.array([1.0]), ERRORS, equity=equity)).all()


@pytest.mark.parametrize("sessions", [0, 5, 400])
def test_a_book_of_nothing_has_no_error(sessions: int) -> None:
    random = np.random.default_rng(1)
    returns, funds = random.normal(size=(sessions, 3)), random.normal(size=(sessions, len(FACTOR_ETFS)))
    betas = np.ones((3, len(FACTORS)))
    for symbols in (0, 3):
        errors = SlopeErrors.of(returns[:, :symbols], funds, betas=betas[:symbols], std_errors=betas[:symbols])
        assert errors.lines.shape == (symbols, 18)
        nothing = book_std_errors(np.array([], dtype=np.int64), np.array([]), errors, equity=1.0)
        assert nothing.tolist() == [0.0] * 6


def test_without_any_session_the_errors_are_unknown() -> None:
    ones = np.ones((1, len(FACTORS)))
    errors = SlopeErrors.of(np.empty((0, 1)), np.empty((0, len(FACTOR_ETFS))), betas=ones, std_errors=ones)
    assert np.isnan(book_std_errors(np.array([0]), np.array([1.0]), errors, equity=1.0)).all()


def test_symbols_do_not_depend_on_how_many_are_prepared_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigmasight_assets.quant.exposure_errors.BLOCK_SYMBOLS", 7)
    np.testing.assert_allclose(PUBLISHED.errors().lines, ERRORS.lines, rtol=1e-10)


@pytest.mark.parametrize("back", [1, 60, 250])
def test_real_prices_give_what_statsmodels_gives_of_the_weighted_returns(back: int) -> None:
    market, sessions = real_market()
    published = Published.of(market, len(sessions) - back)
    known = np.isfinite(published.betas[:, OLS_COLUMNS]).all(axis=1)
    window = market.returns[published.row - 179 : published.row + 1]
    rows = np.flatnonzero(known & np.isfinite(window).all(axis=0))
    weights = np.random.default_rng(back).normal(0.0, 0.3, rows.size)
    assert rows.size >= 8
    expected = weighted_regression(published, rows, weights)
    np.testing.assert_allclose(published.of_book(rows, weights), expected, rtol=1e-9)


def test_real_prices_with_short_histories_give_the_sum_over_all_pairs() -> None:
    market, sessions = real_market()
    # 100 sessions after it was listed.
    row = int(np.flatnonzero(market.priced[:, REAL_SYMBOLS.index("GEV")])[100])
    published = Published.of(market, row)
    rows = np.flatnonzero(np.isfinite(published.betas[:, OLS_COLUMNS]).all(axis=1))
    assert np.isnan(market.returns[row - 179 : row + 1, rows]).any(), sessions[row]
    weights = np.random.default_rng(2).normal(0.0, 0.3, rows.size)
    expected = pairwise(published, rows, weights)
    np.testing.assert_allclose(published.of_book(rows, weights), expected, rtol=1e-9)


def test_a_symbol_has_gaps_where_one_of_its_own_returns_is_missing() -> None:
    market = random_market(seed=21, symbols=4, gaps=0.0)
    market.returns[:] = np.random.default_rng(22).normal(0.0, 0.01, market.returns.shape)
    market.returns[-3, 2] = np.nan
    # Before the longest window.
    market.returns[-181, 1] = np.nan
    assert Published.of(market).errors().has_gaps.tolist() == [False, False, True, False]
