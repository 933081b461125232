"""Stress tests on views made by hand: dollars, what moves, what is floored, and what is left out."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from sigmasight_api.scenarios import read_scenarios
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.stress import StressTests
from sigmasight_api.stress_schemas import CustomScenario, ScenarioImpact, StressTest
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.stress import RateModel
from tests.api.handmade import AS_OF, EARLIER, TODAY, holdings, lot, market, private
from tests.api.test_exposures import BOOK
from tests.quant.stress_oracle import SCENARIOS

TESTS = StressTests(read_scenarios(), RateModel())
CALL = "AAA250815C00150000"
SYMBOLS = ("AAA", CALL, "BBB", "SPY", "TLT")
# Market, rates, value, growth, momentum, quality, size, low volatility; the spreads are not used.
BETAS = {
    "AAA": [2.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.25, 0.0],
    "BBB": [0.5, -0.25, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    "SPY": [1.0, -0.1, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0],
    "TLT": [-0.2, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
}


def covariance() -> FloatArray:
    """Market betas of 1 but for TLT's of -0.5; value and growth are correlated by -0.5 beside it, no others."""
    own = np.eye(6) * 1e-4
    own[0, 1] = own[1, 0] = -0.5e-4
    slopes = np.array([1.0, -0.5, *[1.0] * 6])
    matrix: FloatArray = 4e-4 * np.outer(slopes, slopes)
    matrix[2:, 2:] += own
    matrix[1, 1] += 1e-4
    return matrix


def made_view() -> MarketView:
    """Prices of 10 and 20 USD; a contract of 2."""
    closes = {"AAA": 100_000, "BBB": 200_000, "SPY": 100_000, "TLT": 100_000, CALL: 20_000}
    betas = np.array([[*BETAS.get(symbol, [np.nan] * 8), *[np.nan] * 4] for symbol in SYMBOLS])
    made = market(dict.fromkeys(SYMBOLS, 1.0), closes)
    return replace(made, betas=betas, covariance=covariance(), covariance_session=AS_OF)


VIEW = made_view()


def asked(held: Mapping[str, int], *others: Any, view: MarketView = VIEW, book: Any = BOOK) -> dict[str, Any]:
    """The answers to all scenarios by id."""
    answer = TESTS.stress_test(book, holdings(held, *others), view)
    return {item.id: item for item in answer.data.scenarios}


def custom(
    held: Mapping[str, int], body: Mapping[str, Any], *, view: MarketView = VIEW, book: Any = BOOK
) -> ScenarioImpact:
    (found,) = custom_answer(held, body, view=view, book=book).data.scenarios
    return found


def custom_answer(
    held: Mapping[str, int], body: Mapping[str, Any], *, view: MarketView = VIEW, book: Any = BOOK
) -> AnalyticsAnswer[StressTest]:
    return TESTS.custom(CustomScenario.model_validate(body))(book, holdings(held), view)


def test_a_market_shock_by_hand() -> None:
    # 300 long at 2 and 100 short at 0.5 lose 10 % of 550.
    found = asked({"AAA": 30, "BBB": -5})["market_down_10"]
    assert (found.correlated, found.direct, found.floored_dollars) == ("-55.00", "-55.00", "0.00")
    assert found.share_of_equity == pytest.approx(-55 / 1000.005, rel=1e-12)
    assert (found.category, found.severity, found.rates_bp, found.reason) == ("market", "moderate", None, None)
    (effect,) = found.effects
    assert (effect.factor, effect.shock, effect.source, effect.dollars) == ("Market Beta", -0.1, "given", "-55.00")


def test_a_shock_of_yields_by_hand() -> None:
    found = asked({"AAA": 30, "BBB": -5})["rates_up_100bp"]
    # -14.65 % of 300 x 0.5 - 100 x -0.25.
    assert (found.correlated, found.rates_bp) == ("-25.64", 100.0)
    (effect,) = found.effects
    assert (effect.factor, effect.source, effect.dollars) == ("IR Beta", "given", "-25.64")
    assert effect.shock == pytest.approx(-0.1465)


def test_a_style_shock_and_what_it_implies_by_hand() -> None:
    # Beside the market AAA has value 0 and growth -0.5, BBB value -0.125 and growth 0.875; the correlation of -0.5
    # kept at 0.7 makes growth fall by 0.35 of what value gains.
    found = custom({"AAA": 30, "BBB": -5}, {"shocks": {"Value": 0.4}, "name": "Value wins"})
    value, growth = -100 * -0.125, 300 * -0.5 - 100 * 0.875
    assert (found.id, found.name, found.category, found.severity) == ("custom", "Value wins", "custom", "extreme")
    assert found.direct == f"{0.4 * value:.2f}" == "5.00"
    assert found.correlated == f"{0.4 * value - 0.14 * growth:.2f}" == "38.25"
    assert [(item.factor, item.source) for item in found.effects] == [
        ("Value", "given"),
        ("Growth", "implied"),
        ("Momentum", "implied"),
        ("Quality", "implied"),
        ("Size", "implied"),
        ("Low Volatility", "implied"),
    ]
    assert [item.shock for item in found.effects] == pytest.approx([0.4, -0.14, 0, 0, 0, 0])
    assert [item.dollars for item in found.effects] == ["5.00", "33.25", "0.00", "0.00", "0.00", "0.00"]


def test_rates_beside_the_market_lose_what_the_market_brings_them() -> None:
    found = custom({"TLT": 10}, {"shocks": {"Market": -0.1}, "rates_bp": 100})
    # TLT itself: -0.2 x -10 %, and -14.65 % less 5 % that go with the market.
    assert found.effects[1].shock == pytest.approx(-0.1465 - 0.05)
    assert found.correlated == found.direct == f"{100 * (0.02 - 0.1965):.2f}"


def test_a_book_of_spy_makes_the_market_shock_of_every_scenario() -> None:
    for name, found in asked({"SPY": 100}).items():
        shocked = SCENARIOS[name]
        if "Rates" not in shocked:
            expected = f"{1000 * shocked.get('Market', 0.0):.2f}"
            assert (found.correlated, found.direct) == (expected, expected)


def test_a_book_of_tlt_makes_the_return_of_its_yields() -> None:
    found = asked({"TLT": 100})
    assert (found["rates_up_100bp"].correlated, found["rates_down_100bp"].correlated) == ("-146.50", "183.50")


def test_mirror_books_cancel() -> None:
    held = {"AAA": 31, "BBB": -7, "SPY": 3, "TLT": -19}
    one, other = asked(held), asked({symbol: -quantity for symbol, quantity in held.items()})
    for name, found in one.items():
        for field in ("correlated", "direct", "floored_dollars"):
            assert Decimal(getattr(found, field)) + Decimal(getattr(other[name], field)) == 0


def test_a_zero_shock_costs_nothing() -> None:
    found = custom({"AAA": 30, "BBB": -5}, {"shocks": {"Market": 0, "Value": 0.0}, "rates_bp": 0})
    assert {found.correlated, found.direct, *(item.dollars for item in found.effects)} == {"0.00"}
    assert (found.severity, found.share_of_equity, found.is_beyond_equity) == ("mild", 0.0, False)


def test_what_would_fall_below_zero_is_floored_and_named() -> None:
    found = custom({"AAA": 10, "SPY": 10, "BBB": -10}, {"shocks": {"Market": -0.75}})
    # AAA would lose 150 of 100, SPY loses 75, the short of 200 in BBB gains 75.
    assert (found.correlated, found.direct, found.floored_dollars) == ("-100.00", "-100.00", "50.00")
    assert (found.floored_count, found.floored_symbols) == (1, ["AAA"])
    assert found.effects[0].dollars == "-150.00"
    short = custom({"AAA": -10}, {"shocks": {"Market": -0.75}})
    assert (short.correlated, short.floored_dollars, short.floored_symbols) == ("100.00", "-50.00", ["AAA"])


def test_losses_beyond_the_equity_are_flagged_and_not_cut() -> None:
    broke, even = replace(BOOK, equity=Decimal(-50)), replace(BOOK, equity=Decimal(1000))
    for held, book, expected in (
        ({"SPY": 200}, even, False),
        ({"SPY": 200}, BOOK, False),
        ({"SPY": 201}, BOOK, True),
        ({"SPY": -500}, BOOK, False),
        ({"SPY": 1}, broke, True),
        ({"SPY": -1}, broke, False),
        ({"SPY": 500}, replace(BOOK, equity=None), None),
    ):
        found = custom(held, {"shocks": {"Market": -0.5}}, book=book)
        assert found.is_beyond_equity is expected
        assert found.correlated == f"{held['SPY'] * -5.0:.2f}"


def test_without_equity_dollars_are_given_and_shares_are_not() -> None:
    for equity in (None, Decimal("-0.01"), Decimal(0)):
        answer = TESTS.stress_test(replace(BOOK, equity=equity), holdings({"SPY": 1}), VIEW)
        assert answer.ratios_reason is not None
        assert {item.share_of_equity for item in answer.data.scenarios} == {None}
        assert answer.data.scenarios[0].correlated == "0.50"


def test_who_lacks_a_beta_is_left_out_of_every_scenario_and_named() -> None:
    betas = VIEW.betas.copy()
    betas[SYMBOLS.index("BBB"), 7] = np.nan
    view = replace(VIEW, betas=betas, reasons={("BBB", "ridge_factors"): "short_history"})
    others = (lot(CALL, 1, "OPTIONS"), private("HOUSE", on_2025_06_30="180"))
    answer = TESTS.stress_test(BOOK, holdings({"AAA": 30, "BBB": -5, "ZZZ": 1}, *others), view)
    assert [(item.symbol, item.reason) for item in answer.excluded] == [
        (CALL, "options"),
        ("BBB", "short_history"),
        ("HOUSE", "private"),
        ("ZZZ", "no_price"),
    ]
    assert answer.coverage == pytest.approx(300 / 400)
    assert answer.private_share == pytest.approx(180 / (300 + 100 + 200 + 180))
    assert [item.correlated for item in answer.data.scenarios if item.id == "market_down_5"] == ["-30.00"]


@pytest.mark.parametrize("betas_of_spy", [np.nan, None])
def test_without_the_betas_of_spy_nothing_is_known(betas_of_spy: float | None) -> None:
    if betas_of_spy is None:
        view = replace(VIEW, symbols=(*SYMBOLS[:3], "SQQ", "TLT"))
    else:
        betas = VIEW.betas.copy()
        betas[SYMBOLS.index("SPY"), 4] = betas_of_spy
        view = replace(VIEW, betas=betas)
    answer = TESTS.stress_test(BOOK, holdings({"AAA": 30}), view)
    assert [(item.symbol, item.reason) for item in answer.excluded] == [("AAA", "no_spy_betas")]
    assert answer.coverage == 0.0
    for item in answer.data.scenarios:
        assert (item.correlated, item.direct, item.share_of_equity, item.is_beyond_equity) == (None,) * 4
        assert (item.reason, item.floored_dollars) == ("no_sensitivities", None)
        assert {effect.dollars for effect in item.effects} == {None}


def test_a_book_without_prices_has_no_numbers_and_an_empty_one_has_zeros() -> None:
    unpriced, empty = asked({"ZZZ": 1})["market_down_10"], asked({})["dotcom_crash_2000"]
    for found in (unpriced, asked({}, lot(CALL, 1, "OPTIONS"))["market_down_10"]):
        assert (found.correlated, found.direct, found.reason) == (None, None, "no_sensitivities")
    assert (empty.correlated, empty.direct, empty.floored_dollars, empty.reason) == ("0.00", "0.00", "0.00", None)
    assert TESTS.stress_test(BOOK, holdings({}), VIEW).coverage is None


def test_without_a_covariance_only_what_needs_none_is_known() -> None:
    view = replace(VIEW, covariance=None, covariance_session=None)
    for held, known in (({"AAA": 30}, "-30.00"), ({}, "0.00")):
        found = asked(held, view=view)
        assert (found["market_down_5"].correlated, found["market_down_5"].reason) == (known, None)
        value = found["value_rotation_20"]
        assert (value.correlated, value.floored_dollars, value.reason) == (None, None, "no_covariance")
        assert value.direct == ("15.00" if held else "0.00")
        assert [item.shock is None for item in value.effects] == [False, False, True, True, True, True]
    both = custom({"AAA": 30}, {"shocks": {"Market": 0.1}, "rates_bp": 10}, view=view)
    assert (both.direct, both.correlated, both.reason) == (None, None, "no_covariance")


def test_a_degenerate_covariance_is_none() -> None:
    found = asked({"AAA": 30}, view=replace(VIEW, covariance=np.ones((8, 8))))
    assert (found["covid_crash_2020"].correlated, found["covid_crash_2020"].reason) == (None, "no_covariance")


def test_the_answer_states_what_it_rests_on() -> None:
    data = StressTests(read_scenarios(), RateModel(10.0, 50.0)).stress_test(BOOK, holdings({"TLT": 100}), VIEW).data
    assert (data.duration, data.convexity, data.covariance_session) == (10.0, 50.0, AS_OF)
    found = {item.id: item for item in data.scenarios}
    assert (found["rates_up_100bp"].correlated, found["rates_up_100bp"].severity) == ("-97.50", "mild")
    own = custom_answer({}, {"rates_bp": 1}).data
    assert (own.duration, own.convexity, own.covariance_session) == (16.5, 370.0, AS_OF)


def test_older_closes_and_exposures_are_said() -> None:
    sessions = np.full((5, 4), TODAY)
    sessions[0, 2], sessions[2, 3] = EARLIER, EARLIER
    view = replace(VIEW, factors_session=sessions, close_session=np.array([*[TODAY] * 4, EARLIER]))
    carried = TESTS.stress_test(BOOK, holdings({"AAA": 1, "BBB": 1, "TLT": 1}), view).carried
    # The spreads of BBB, of an older session, are not used.
    assert [(item.symbol, item.close_session, item.factors_session) for item in carried] == [
        ("AAA", AS_OF, EARLIER.item()),
        ("TLT", EARLIER.item(), AS_OF),
    ]


def test_the_table_of_a_view_is_made_once() -> None:
    assert TESTS.table(VIEW) is TESTS.table(VIEW)
    assert TESTS.table(VIEW) is not TESTS.table(replace(VIEW))
    assert TESTS.table(VIEW).correlated.shape == (5, 22)
