from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, Quality, Reason
from sigmasight_assets.quant.regression import (
    BLOCK_PAIRS,
    SymbolExposures,
    estimate_exposures,
    mark_suspect,
    regression_on,
    suspect_windows,
)
from tests.quant.reference import Market, random_market

LAST = 219
properties = settings(deadline=None, max_examples=25, derandomize=True)


def assert_same(
    actual: SymbolExposures, expected: SymbolExposures, symbols: list[int], *, session: slice = slice(None)
) -> None:
    """``actual`` has, at ``session`` and in its order of symbols, the given symbols of ``expected``.

    Different batches agree to rounding, which p-values amplify by about the number of rows.
    """
    for actual_table, expected_table in zip(actual.tables, expected.tables, strict=True):
        for field in fields(expected_table):
            values = getattr(actual_table, field.name)[session]
            wanted = getattr(expected_table, field.name)[:, symbols]
            assert_allclose(values, wanted, rtol=1e-12, atol=1e-13, err_msg=field.name)


def batch(market: Market, symbols: list[int]) -> Market:
    return replace(
        market,
        returns=market.returns[:, symbols],
        priced=market.priced[:, symbols],
        own=market.own[symbols],
    )


@given(seed=st.integers(0, 1000), data=st.data())
@properties
def test_a_symbol_does_not_depend_on_its_batch(seed: int, data: st.DataObject) -> None:
    market = random_market(seed=seed, symbols=12, gaps=0.03)
    market.own[:2] = [0, 1]
    everything = market.exposures([150, LAST])
    chosen = data.draw(st.permutations(range(12)).flatmap(lambda order: st.integers(1, 12).map(lambda n: order[:n])))
    assert_same(batch(market, chosen).exposures([150, LAST]), everything, chosen)


def test_columns_have_the_types_they_are_stored_in() -> None:
    types = {"n_obs": np.int64, "quality": np.int8, "reason": np.int8, "is_capped": np.bool_}
    for table in random_market(seed=1, symbols=2).exposures([LAST]).tables:
        for field in fields(table):
            assert getattr(table, field.name).dtype == np.dtype(types.get(field.name, np.float64)), field.name


@given(seed=st.integers(0, 1000), exponent=st.integers(-8, 8), factor=st.floats(1.0, 9.9))
@properties
def test_scaling_the_returns_scales_the_coefficients(seed: int, exponent: int, factor: float) -> None:
    market = random_market(seed=seed, symbols=4)
    scale = factor * 10.0**exponent
    plain = market.exposures([LAST])
    scaled = replace(market, returns=market.returns * scale).exposures([LAST])
    for before, after in zip(plain.tables, scaled.tables, strict=True):
        assert_allclose(after.raw_beta, before.raw_beta * scale, rtol=1e-11, atol=1e-13 * scale)
        assert_allclose(after.r_squared, before.r_squared, rtol=1e-11, atol=1e-14)
        assert_array_equal(after.reason, before.reason)
    assert_allclose(scaled.market.std_err, plain.market.std_err * scale, rtol=1e-12)
    assert_allclose(scaled.market.p_value, plain.market.p_value, rtol=1e-11)


@given(seed=st.integers(0, 1000), shift=st.floats(-10.0, 10.0), fund_shift=st.floats(-10.0, 10.0))
@properties
def test_shifting_the_returns_moves_only_alpha(seed: int, shift: float, fund_shift: float) -> None:
    market = random_market(seed=seed, symbols=4)
    plain = market.exposures([LAST])
    moved = Market(market.returns + shift, market.factor_returns + fund_shift, market.priced, market.own)
    shifted = moved.exposures([LAST])
    # The sum with the shift itself is rounded, to 1e-16 of 10 against returns of 0.01.
    for before, after in zip(plain.tables, shifted.tables, strict=True):
        assert_allclose(after.raw_beta, before.raw_beta, atol=1e-12)
        assert_allclose(after.r_squared, before.r_squared, atol=1e-12)
    expected = plain.market.alpha + shift - plain.market.raw_beta * fund_shift
    assert_allclose(shifted.market.alpha, expected, atol=1e-11)


def test_a_range_equals_its_sessions_one_by_one() -> None:
    market = random_market(seed=1, symbols=7)
    rows = [0, 5, 95, *range(190, 213), LAST]
    together = market.exposures(rows)
    for position, row in enumerate(rows):
        assert_same(together, market.exposures([row]), list(range(7)), session=slice(position, position + 1))


def test_a_batch_of_several_blocks_equals_its_parts() -> None:
    market = random_market(seed=2, symbols=BLOCK_PAIRS // 4 + 1)
    few = [0, 1, BLOCK_PAIRS // 8, BLOCK_PAIRS // 4]
    rows = list(range(LAST - 10, LAST + 1))
    assert_same(batch(market, few).exposures(rows), market.exposures(rows), few)


def test_a_market_without_symbols_has_empty_tables() -> None:
    market = batch(random_market(seed=3), [])
    exposures = market.exposures([LAST])
    assert exposures.market.beta.shape == (1, 0)
    assert exposures.ridge.beta.shape == (1, 0, 6)


def test_a_bad_value_leaves_no_trace_once_it_is_out_of_the_window() -> None:
    market = random_market(seed=4, symbols=3, gaps=0.0)
    clean = market.exposures([LAST])
    # The 180 rows that end at the session begin at row 40.
    market.returns[39] = 1e9
    market.factor_returns[39] = -1e9
    assert_same(market.exposures([LAST]), clean, [0, 1, 2])
    assert_same(market.exposures(list(range(LAST - 7, LAST + 1))), clean, [0, 1, 2], session=slice(-1, None))


@pytest.mark.parametrize(
    ("fund", "changed"),
    [
        ("SPY", [True, False, False, False, True, True, True]),
        ("TLT", [False, True, False, False, False, False, False]),
        ("VUG", [False, False, True, True, False, False, False]),
        ("USMV", [False, False, True, False, False, False, False]),
    ],
)
def test_a_missing_fund_return_drops_rows_only_from_its_own_regressions(fund: str, changed: list[bool]) -> None:
    market = random_market(seed=5, symbols=4, gaps=0.0)
    before = market.exposures([LAST])
    market.factor_returns[LAST - 10, FACTOR_ETFS.index(fund)] = np.nan
    after = market.exposures([LAST])
    for old, new, has_changed in zip(before.tables, after.tables, changed, strict=True):
        assert_array_equal(old.n_obs - new.n_obs, np.full((1, 4), int(has_changed)))
        if not has_changed:
            assert_array_equal(new.raw_beta, old.raw_beta)


def test_missing_values_are_named_by_the_first_reason_that_applies() -> None:
    market = random_market(seed=6, symbols=5, gaps=0.0)
    market.returns[:] = np.random.default_rng(7).normal(0.0, 0.01, (220, 5))
    market.returns[:, 0] = np.nan
    market.priced[LAST, 0] = False
    market.returns[: LAST - 20, 1] = np.nan
    market.returns[:, 2] = 0.1
    market.returns[: LAST - 20, 3] = np.nan
    market.returns[LAST - 20 :, 3] = 0.0
    exposures = market.exposures([LAST])
    expected = [Reason.NO_PRICE, Reason.SHORT_HISTORY, Reason.CONSTANT, Reason.SHORT_HISTORY, Reason.NONE]
    for table in exposures.tables:
        assert_array_equal(table.reason[0], expected)
        assert_array_equal(table.quality[0], [Quality.NONE] * 4 + [Quality.FULL])
        for name in {"beta", "raw_beta", "alpha", "r_squared", "std_err", "p_value"} & {f.name for f in fields(table)}:
            values = getattr(table, name)[0]
            assert np.all(np.isnan(values[:4])), name
            assert np.all(np.isfinite(values[4])), name
        assert not table.is_capped[0, :4].any()
    assert_array_equal(exposures.market.n_obs[0], [0, 21, 90, 21, 90])


def test_a_session_without_a_bar_has_no_estimate_although_the_window_has_returns() -> None:
    market = random_market(seed=8, symbols=2, gaps=0.0)
    market.priced[LAST, 0] = False
    table = market.exposures([LAST - 1, LAST]).market
    assert_array_equal(table.reason[:, 0], [Reason.NONE, Reason.NO_PRICE])
    assert table.n_obs[1, 0] == 90


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0 / 3.0, -7e-5, 1234.5678])
def test_a_constant_return_is_found_whatever_its_value(value: float) -> None:
    market = random_market(seed=9, symbols=3, gaps=0.02)
    market.returns[:, 0] = np.where(np.isfinite(market.returns[:, 0]), value, np.nan)
    # Constant in the windows only: other values before must not hide it.
    market.returns[40:, 1] = value
    for table in market.exposures([LAST]).tables:
        assert_array_equal(table.reason[0], [Reason.CONSTANT, Reason.CONSTANT, Reason.NONE])


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0 / 3.0, -7e-5])
def test_a_constant_fund_leaves_the_regressions_on_others_alone(value: float) -> None:
    market = random_market(seed=10, symbols=3, gaps=0.02)
    before = market.exposures([LAST])
    market.factor_returns[:, FACTOR_ETFS.index("MTUM")] = value
    exposures = market.exposures([LAST])
    assert np.all(exposures.ridge.reason == Reason.CONSTANT)
    # The spread of a constant over SPY still varies.
    assert np.all(exposures.spreads[1].reason == Reason.NONE)
    assert_array_equal(exposures.market.beta, before.market.beta)
    assert_array_equal(exposures.spreads[0].beta, before.spreads[0].beta)


def test_a_fund_that_is_constant_in_a_symbols_own_rows_is_found() -> None:
    market = random_market(seed=11, symbols=2, gaps=0.0)
    market.returns[: LAST - 34, 0] = np.nan
    market.factor_returns[LAST - 34 :, 0] = 0.1
    table = market.exposures([LAST]).market
    assert_array_equal(table.reason[0], [Reason.CONSTANT, Reason.NONE])


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("count", "single", "spread"),
    [
        (5, Quality.NONE, Quality.NONE),
        (29, Quality.NONE, Quality.NONE),
        (30, Quality.LIMITED, Quality.NONE),
        (59, Quality.LIMITED, Quality.NONE),
        (60, Quality.FULL, Quality.LIMITED),
        (89, Quality.FULL, Quality.LIMITED),
        (90, Quality.FULL, Quality.LIMITED),
        (119, Quality.FULL, Quality.LIMITED),
        (120, Quality.FULL, Quality.FULL),
        (200, Quality.FULL, Quality.FULL),
    ],
)
def test_quality_follows_the_number_of_observations(count: int, single: Quality, spread: Quality) -> None:
    market = random_market(seed=12, symbols=1, gaps=0.0)
    market.returns[:] = np.random.default_rng(13).normal(0.0, 0.01, market.returns.shape)
    market.returns[: LAST + 1 - count] = np.nan
    market_beta, rates, ridge, *spreads = market.exposures([LAST]).tables
    assert [table.quality[0, 0] for table in (market_beta, rates, ridge)] == [single] * 3
    assert [table.quality[0, 0] for table in spreads] == [spread] * 4
    assert [market_beta.n_obs[0, 0], spreads[0].n_obs[0, 0]] == [min(count, 90), min(count, 180)]


def suspect_qualities(
    *, symbol_bar: int | None = None, fund_bar: tuple[str, int] | None = None
) -> tuple[list[str], list[str]]:
    """Labels of the seven regressions of two symbols; the first one's bar, or a fund's, waits for a confirmation."""
    market = random_market(seed=15, symbols=2, gaps=0.0)
    market.returns[:] = np.random.default_rng(16).normal(0.0, 0.01, market.returns.shape)
    market.priced[LAST, 1] = symbol_bar is None
    suspect, factor_suspect = np.zeros((220, 2), dtype=np.bool_), np.zeros((220, 8), dtype=np.bool_)
    if symbol_bar is not None:
        suspect[symbol_bar, :] = True
    if fund_bar is not None:
        factor_suspect[fund_bar[1], FACTOR_ETFS.index(fund_bar[0])] = True
    exposures = market.exposures([LAST])
    mark_suspect(exposures, suspect, factor_suspect, rows=np.array([LAST]))
    first, second = ([Quality(table.quality[0, column]).label for table in exposures.tables] for column in range(2))
    return first, second


def test_a_suspect_bar_makes_every_regression_suspect_whose_window_holds_it() -> None:
    """The second symbol has no bar at the session: without a value there is nothing to doubt."""
    nothing = ["none"] * 7
    assert suspect_qualities(symbol_bar=LAST) == (["suspect"] * 7, nothing)
    # The first of 90 returns is from the bar before it.
    assert suspect_qualities(symbol_bar=LAST - 90) == (["suspect"] * 7, nothing)
    assert suspect_qualities(symbol_bar=LAST - 91) == (["full"] * 3 + ["suspect"] * 4, nothing)
    assert suspect_qualities(symbol_bar=LAST - 180) == (["full"] * 3 + ["suspect"] * 4, nothing)
    assert suspect_qualities(symbol_bar=LAST - 181) == (["full"] * 7, nothing)


@pytest.mark.parametrize(
    ("fund", "touched"),
    [
        ("SPY", [True, False, False, False, True, True, True]),
        ("TLT", [False, True, False, False, False, False, False]),
        ("VTV", [False, False, True, True, False, False, False]),
        ("IWM", [False, False, True, False, False, True, False]),
    ],
)
def test_a_suspect_fund_makes_every_symbol_suspect_that_is_regressed_on_it(fund: str, touched: list[bool]) -> None:
    expected = ["suspect" if is_touched else "full" for is_touched in touched]
    assert suspect_qualities(fund_bar=(fund, LAST)) == (expected, expected)


def test_a_suspect_fund_touches_only_the_sessions_whose_window_holds_its_bar() -> None:
    nothing = np.zeros((220, 3), dtype=np.bool_)
    market = [factor for factor in FACTORS if factor.name == "Market Beta"]
    held = suspect_windows(market, nothing, np.arange(220)[:, None] == np.full(8, 100), rows=np.array([150, LAST]))
    assert held.tolist() == [[True] * 3, [False] * 3]


def test_a_spread_is_the_return_of_its_first_fund_less_that_of_its_second() -> None:
    funds = random_market(seed=19, symbols=1).factor_returns
    spreads = regression_on(funds, [(factor,) for factor in FACTORS[8:]]).values[0]
    pairs = [("VUG", "VTV"), ("MTUM", "SPY"), ("IWM", "SPY"), ("QUAL", "SPY")]
    expected = [funds[:, FACTOR_ETFS.index(long)] - funds[:, FACTOR_ETFS.index(short)] for long, short in pairs]
    assert_array_equal(spreads, expected)


def test_limited_estimates_become_suspect_too() -> None:
    market = random_market(seed=17, symbols=1, gaps=0.0)
    market.returns[: LAST - 39] = np.nan
    market.returns[LAST - 39 :, 0] = np.random.default_rng(18).normal(0.0, 0.01, 40)
    exposures = market.exposures([LAST])
    assert Quality(exposures.market.quality[0, 0]) is Quality.LIMITED
    mark_suspect(
        exposures,
        np.arange(220)[:, None] == LAST,
        np.zeros((220, 8), dtype=np.bool_),
        rows=np.array([LAST]),
    )
    assert Quality(exposures.market.quality[0, 0]) is Quality.SUSPECT


def test_windows_begin_with_the_first_session_and_end_with_their_own() -> None:
    market = random_market(seed=15, symbols=4, gaps=0.0)
    market.returns[:70] = np.random.default_rng(16).normal(0.0, 0.01, (70, 4))
    early = market.exposures([0, 69])
    for table in early.tables:
        assert_array_equal(table.n_obs, [[1] * 4, [70] * 4])
        assert_array_equal(table.reason, [[Reason.SHORT_HISTORY] * 4, [Reason.NONE] * 4])
    # What comes after has not happened.
    past = Market(market.returns[:70], market.factor_returns[:70], market.priced[:70], market.own)
    assert_same(early, past.exposures([0, 69]), [0, 1, 2, 3])


def test_inputs_that_do_not_fit_are_refused() -> None:
    market = random_market(seed=14, symbols=2)
    with pytest.raises(ValueError, match=r"shapes do not fit: returns \(220, 2\), factor_returns \(220, 7\)"):
        replace(market, factor_returns=market.factor_returns[:, :7]).exposures([LAST])
    with pytest.raises(ValueError, match=r"own \(1,\)"):
        replace(market, own=market.own[:1]).exposures([LAST])
    for rows in ([], [220], [-1, 5], [7, 7], [8, 7]):
        with pytest.raises(ValueError, match="ascending positions within the 220 sessions"):
            estimate_exposures(
                market.returns,
                market.factor_returns,
                rows=np.array(rows, dtype=np.int64),
                priced=market.priced,
                own=market.own,
            )
