"""P-values against closed forms in long decimals, a printed table and scipy, over all degrees and the whole range."""

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.student_t import CHUNK, FEWEST_DEGREES, MOST_DEGREES, _coefficients, two_sided_p_values

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: critical values, exceeded with these probabilities.
EXCEEDED = (0.05, 0.025, 0.01, 0.005)
NIST = {
    1: (6.314, 12.706, 31.821, 63.657),
    2: (2.920, 4.303, 6.965, 9.925),
    10: (1.812, 2.228, 2.764, 3.169),
    20: (1.725, 2.086, 2.528, 2.845),
    30: (1.697, 2.042, 2.457, 2.750),
    60: (1.671, 2.000, 2.390, 2.660),
    100: (1.660, 1.984, 2.364, 2.626),
}
# More than the smallest normal float has zeros after its point: the closed forms are differences from one.
DIGITS = 345


def p_values(statistics: list[float], degrees: int) -> FloatArray:
    return two_sided_p_values(np.array(statistics), np.full(len(statistics), float(degrees)))


def arc_tangent(value: Decimal) -> Decimal:
    """By halving the angle until the series needs few terms."""
    halvings = 40
    for _ in range(halvings):
        value /= 1 + (1 + value * value).sqrt()
    total, power, order = Decimal(0), value, 1
    while abs(power) > Decimal(10) ** -(DIGITS + 20):
        total += power / order
        power, order = -power * value * value, order + 2
    whole: Decimal = total * 2**halvings
    return whole


@cache
def pi() -> Decimal:
    return 4 * arc_tangent(Decimal(1))


def closed_form(statistic: float, degrees: int) -> float:
    """Abramowitz and Stegun 26.7.3 and 26.7.4: a finite sum over the angle whose tangent is t / sqrt(df)."""
    with localcontext() as context:
        context.prec = DIGITS + 30
        t, df = Decimal(statistic), Decimal(degrees)
        squared_cosine = df / (df + t * t)
        sine = (1 - squared_cosine).sqrt()
        odd = degrees % 2
        term = total = Decimal(1 if degrees > 1 else 0)
        for order in range(2 + odd, degrees - 1, 2):
            term *= squared_cosine * (order - 1) / order
            total += term
        if not odd:
            return float(1 - sine * total)
        angle = arc_tangent(t / df.sqrt())
        return float(1 - 2 / pi() * (angle + sine * squared_cosine.sqrt() * total))


@pytest.mark.parametrize("first", range(1, 401, 50))
def test_all_digits_of_the_closed_form_at_all_degrees(first: int) -> None:
    statistics = [1e-5, 0.3, 1.0, 2.5, 7.0, 30.0]
    for degrees in range(first, first + 50):
        expected = [closed_form(statistic, degrees) for statistic in statistics]
        np.testing.assert_allclose(p_values(statistics, degrees), expected, rtol=4e-13, atol=0, err_msg=f"{degrees}")


@pytest.mark.parametrize("degrees", [FEWEST_DEGREES, 4, 28, 61, 118, 178, MOST_DEGREES])
def test_digits_hold_down_to_the_smallest_floats(degrees: int) -> None:
    # Statistics whose p-values run from one to 1e-300 in even steps of their logarithm.
    exponent = np.linspace(1e-3, 690.0, 80)
    statistics = np.sqrt(degrees * np.expm1(2.0 * exponent / degrees)).tolist()
    expected = np.array([closed_form(statistic, degrees) for statistic in statistics])

    assert expected[-1] < 1e-290
    np.testing.assert_allclose(p_values(statistics, degrees), expected, rtol=4e-13, atol=0)
    usual = expected > 1e-16
    np.testing.assert_allclose(p_values(statistics, degrees)[usual], expected[usual], rtol=5e-14, atol=0)


@pytest.mark.parametrize("degrees", NIST)
def test_printed_critical_values(degrees: int) -> None:
    # The third decimal is rounded.
    critical = np.array(NIST[degrees])
    above, below = p_values((critical - 5.1e-4).tolist(), degrees), p_values((critical + 5.1e-4).tolist(), degrees)
    both_sides = 2.0 * np.array(EXCEEDED)

    assert (below < both_sides).all()
    assert (both_sides < above).all()


@given(statistic=st.floats(-1e3, 1e3), degrees=st.integers(1, 400))
def test_agrees_with_scipy(statistic: float, degrees: int) -> None:
    expected = 2.0 * stats.t.sf(abs(statistic), degrees)

    assert p_values([statistic], degrees)[0] == pytest.approx(expected, rel=1e-12, abs=1e-305)


@given(
    statistics=st.lists(st.floats(allow_nan=False), min_size=2, max_size=20),
    degrees=st.integers(FEWEST_DEGREES, MOST_DEGREES),
)
def test_falls_from_one_to_zero_alike_on_both_sides(statistics: list[float], degrees: int) -> None:
    ordered = sorted(statistics, key=abs)
    found = p_values(ordered, degrees)

    assert ((found >= 0.0) & (found <= 1.0)).all()
    # Neighbours differ by less than rounding.
    assert (found[1:] <= found[:-1] * (1.0 + 1e-12)).all()
    np.testing.assert_array_equal(p_values([-statistic for statistic in ordered], degrees), found)


def test_ends_of_the_range() -> None:
    for degrees in range(1, 401):
        found = p_values([0.0, -0.0, np.inf, -np.inf, np.nan, 1e200], degrees)

        np.testing.assert_array_equal(found[:5], [1.0, 1.0, 0.0, 0.0, np.nan])
        assert 0.0 <= found[5] < 1e-190


def test_missing_statistics_have_any_degrees() -> None:
    found = two_sided_p_values(np.full(4, np.nan), np.array([-2.0, 0.0, 1.0, 1000.0]))

    assert np.isnan(found).all()


def test_no_degrees_give_no_value() -> None:
    assert np.isnan(two_sided_p_values(np.array([1.0, 0.5]), np.array([0.0, -1.0]))).all()


def test_an_element_depends_on_no_other_and_keeps_its_place() -> None:
    random = np.random.default_rng(3)
    shape = (3, 5, CHUNK // 7)
    statistic = random.standard_t(20, shape) * 3.0
    degrees = random.integers(1, 400, shape).astype(np.float64)
    # As the engine passes them: not contiguous.
    statistic, degrees = statistic[:, ::2], degrees[:, ::2]
    found = two_sided_p_values(statistic, degrees)

    assert found.shape == statistic.shape
    for place in [(0, 0, 0), (1, 2, 77), (2, 2, CHUNK // 7 - 1)]:
        alone = two_sided_p_values(np.array([statistic[place]]), np.array([degrees[place]]))
        assert alone[0] == found[place]
    np.testing.assert_allclose(found, 2.0 * stats.t.sf(np.abs(statistic), degrees), rtol=1e-12)


def test_what_all_calls_share_cannot_be_changed() -> None:
    assert _coefficients() is _coefficients()
    with pytest.raises(ValueError, match="read-only"):
        _coefficients()[0] = 0.0
