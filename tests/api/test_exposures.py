"""Tests of the factor-exposures answer on views made by hand: values, missing pieces, and what is said about them."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pytest

from sigmasight_api.books import Book, holdings_of
from sigmasight_api.exposure_schemas import FactorExposure
from sigmasight_api.exposures import FACTOR_NAMES, factor_exposures, slope_errors
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import FloatArray
from tests.api.handmade import AS_OF, EARLIER, TODAY, holdings, lot, market, private, split_units, with_returns

BOOK = Book(
    portfolio_id=1,
    public_id=uuid4(),
    name="Main",
    stated_equity=Decimal(1000),
    as_of=AS_OF,
    created_at=datetime(2025, 7, 31, tzinfo=UTC),
    book_version=1,
    stale_from=None,
    equity=Decimal("1000.005"),
    equity_session=AS_OF,
    equity_generation=1,
    daily_pnl=Decimal(5),
    daily_return=0.005,
    cumulative_pnl=Decimal(7),
    unrealized_pnl=Decimal(6),
    is_partial=False,
)


def market_beta(factors: list[FactorExposure]) -> FactorExposure:
    assert [factor.name for factor in factors] == list(FACTOR_NAMES)
    return factors[0]


CALL = "AAPL250815C00150000"
TWO = market({"AAA": 1.5, "BBB": -0.5}, {"AAA": 100_000, "BBB": 400_000})


def test_long_and_short_by_hand() -> None:
    answer = factor_exposures(BOOK, holdings({"AAA": 30, "BBB": -5}), TWO)
    # 300 long at 1.5 and 200 short at -0.5 are 550 dollars of beta on 1000.005 of equity and 500 of gross.
    found = market_beta(answer.data.factors)
    assert found.exposure == pytest.approx(550 / 1000.005, rel=1e-15)
    assert (found.dollars, found.per_invested) == ("550.00", 1.1)
    assert (answer.equity, answer.coverage, answer.private_share) == ("1000.00", 1.0, 0.0)
    assert (answer.excluded, answer.carried, answer.ratios_reason) == ([], [], None)


def test_values_beyond_64_bits_are_exact_before_they_are_floats() -> None:
    view = market({"AAA": 1.0}, {"AAA": 99_999_999_999_999})
    lots = [lot("AAA", "99999999999999.9999"), lot("AAA", "0.0001")]
    answer = factor_exposures(BOOK, holdings_of(lots), view)
    assert market_beta(answer.data.factors).dollars == f"{99_999_999_999_999 * 10**18 / 10**8:.2f}"


def test_a_mirror_portfolio_has_the_opposite_exposures() -> None:
    one = factor_exposures(BOOK, holdings({"AAA": 3, "BBB": 7}), TWO)
    other = factor_exposures(BOOK, holdings({"AAA": -3, "BBB": -7}), TWO)
    pairs = zip(one.data.factors, other.data.factors, strict=True)
    assert all(left.exposure == -(right.exposure or 0) for left, right in pairs)


def test_a_symbol_without_betas_lowers_coverage_and_is_named() -> None:
    view = market(
        {"AAA": 1.0, "NEW": np.nan},
        {"AAA": 100_000, "NEW": 100_000},
        reasons={("NEW", "market_beta"): "short_history"},
    )
    answer = factor_exposures(BOOK, holdings({"AAA": 3, "NEW": 1}), view)
    assert answer.coverage == 0.75
    assert market_beta(answer.data.factors).dollars == "30.00"
    assert [(item.symbol, item.reason) for item in answer.excluded] == [("NEW", "short_history")]
    assert answer.incomplete == []


def test_a_symbol_without_some_betas_lowers_coverage_and_is_named_with_the_factors() -> None:
    view = market(
        {"AAA": 1.0, "NEW": 1.0},
        {"AAA": 100_000, "NEW": 100_000},
        reasons={("NEW", "size_spread"): "constant", ("NEW", "ir_beta"): "short_history"},
    )
    betas = view.betas.copy()
    betas[1, [1, 10, 11]] = np.nan
    answer = factor_exposures(BOOK, holdings({"AAA": 3, "NEW": 1}), replace(view, betas=betas))
    assert answer.coverage == 0.75
    dollars = {factor.name: factor.dollars for factor in answer.data.factors}
    assert (dollars["Market Beta"], dollars["IR Beta"], dollars["Size Spread"]) == ("40.00", "30.00", "30.00")
    assert answer.excluded == []
    assert [(item.reason, item.factors) for item in answer.incomplete] == [
        ("short_history", ["IR Beta"]),
        ("constant", ["Size Spread"]),
        ("no_exposures", ["Quality Spread"]),
    ]


def test_a_symbol_without_a_price_is_named_and_the_rest_is_answered() -> None:
    view = market({"AAA": 1.0, "BBB": 1.0}, {"AAA": 100_000, "BBB": 0})
    answer = factor_exposures(BOOK, holdings({"AAA": 3, "BBB": 1, "UNHEARD": 1}), view)
    assert [(item.symbol, item.reason) for item in answer.excluded] == [("BBB", "no_price"), ("UNHEARD", "no_price")]
    assert answer.coverage == 1.0
    assert market_beta(answer.data.factors).dollars == "30.00"


def test_a_book_without_any_price_has_no_numbers_rather_than_zeros() -> None:
    answer = factor_exposures(BOOK, holdings({"UNHEARD": 1}), TWO)
    assert answer.coverage is None
    found = market_beta(answer.data.factors)
    assert (found.exposure, found.dollars, found.per_invested) == (None, None, None)


def test_an_empty_book_has_no_exposure() -> None:
    answer = factor_exposures(BOOK, holdings({}), TWO)
    found = market_beta(answer.data.factors)
    assert (found.exposure, found.dollars, found.per_invested, answer.coverage) == (0.0, "0.00", None, None)


@pytest.mark.parametrize(
    ("equity", "shown", "reason"),
    [
        (None, None, "no_snapshot"),
        (Decimal(0), "0.00", "equity_not_positive"),
        (Decimal(-5), "-5.00", "equity_not_positive"),
    ],
)
def test_without_positive_equity_ratios_are_null_with_the_reason_and_dollars_given(
    equity: Decimal | None, shown: str | None, reason: str
) -> None:
    answer = factor_exposures(replace(BOOK, equity=equity), holdings({"AAA": 1}), TWO)
    found = market_beta(answer.data.factors)
    assert (answer.equity, answer.ratios_reason) == (shown, reason)
    assert (found.exposure, found.dollars, found.per_invested) == (None, "15.00", 1.5)


SPY = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 100
ONE, OTHER = np.array([2.0, -1.0, -2.0, -1.0, 2.0]) / 100, np.array([-1.0, 2.0, 0.0, -2.0, 1.0]) / 100


def market_with_errors(**residuals: FloatArray) -> MarketView:
    """SPY, and symbols with beta 1.5, a standard error of 0.25 and these residuals, all worth 10 dollars a share."""
    betas = {"SPY": 1.0, **dict.fromkeys(residuals, 1.5)}
    view = market(betas, dict.fromkeys(betas, 100_000))
    returns = {"SPY": SPY, **{symbol: 1.5 * SPY + left for symbol, left in residuals.items()}}
    std_errors = np.full(view.betas.shape, np.nan)
    std_errors[:, [0, 1, *range(8, 12)]] = [[0.0 if symbol == "SPY" else 0.25] for symbol in view.symbols]
    view = replace(view, std_errors=std_errors)
    return with_returns(view, np.array([returns[symbol] for symbol in view.symbols]))


@pytest.mark.parametrize(
    ("aaa", "bbb", "expected"),
    [
        (ONE, 3 * ONE, 0.25 * (300 - 200)),
        (ONE, -ONE, 0.25 * (300 + 200)),
        (ONE, OTHER, 0.25 * np.hypot(300, 200)),
    ],
    ids=["alike", "opposed", "unrelated"],
)
def test_errors_of_long_and_short_add_up_as_their_residuals_move(
    aaa: FloatArray, bbb: FloatArray, expected: float
) -> None:
    answer = factor_exposures(BOOK, holdings({"AAA": 30, "BBB": -20, "SPY": 9}), market_with_errors(AAA=aaa, BBB=bbb))
    found = market_beta(answer.data.factors)
    assert found.std_err == pytest.approx(expected / 1000.005, rel=1e-12)
    assert found.std_err_reason is None


def test_a_factor_without_its_fund_has_no_error_and_ridge_factors_never_have() -> None:
    answer = factor_exposures(BOOK, holdings({"AAA": 30}), market_with_errors(AAA=ONE))
    reasons = [None, "short_history", *["ridge"] * 6, *["short_history"] * 4]
    assert [factor.std_err_reason for factor in answer.data.factors] == reasons
    assert [factor.std_err is None for factor in answer.data.factors] == [reason is not None for reason in reasons]


def test_a_position_without_the_beta_is_in_no_error_and_lowers_the_coverage_of_the_factor_alone() -> None:
    view = market_with_errors(AAA=ONE, BBB=OTHER)
    betas, std_errors = view.betas.copy(), view.std_errors.copy()
    betas[1, 0] = std_errors[1, 0] = np.nan
    found = factor_exposures(BOOK, holdings({"AAA": 30, "BBB": 10}), replace(view, betas=betas, std_errors=std_errors))
    assert [factor.coverage for factor in found.data.factors] == [0.75, *[1.0] * 11]
    assert market_beta(found.data.factors).std_err == pytest.approx(0.25 * 300 / 1000.005, rel=1e-12)


@pytest.mark.parametrize(
    ("equity", "held", "std_err", "coverage", "reason"),
    [
        (None, {"AAA": 1}, None, 1.0, "no_exposure"),
        (Decimal(0), {"AAA": 1}, None, 1.0, "no_exposure"),
        (Decimal(10), {"UNHEARD": 1}, None, None, "no_exposure"),
        (Decimal(10), {"NEW": 1}, None, 0.0, "no_exposure"),
        (Decimal(10), {"NEW": 1, "AAA": -3}, 0.75, 0.75, None),
        (Decimal(10), {"SPY": 1}, 0.0, 1.0, None),
        (Decimal(10), {}, 0.0, None, None),
    ],
)
def test_where_there_is_no_exposure_there_is_no_error(
    equity: Decimal | None, held: dict[str, int], std_err: float | None, coverage: float | None, reason: str | None
) -> None:
    view = market_with_errors(AAA=ONE, NEW=OTHER)
    betas = view.betas.copy()
    betas[view.rows["NEW"]] = np.nan
    answer = factor_exposures(replace(BOOK, equity=equity), holdings(held), replace(view, betas=betas))
    found = market_beta(answer.data.factors)
    assert found.std_err == (None if std_err is None else pytest.approx(std_err, rel=1e-12))
    assert (found.coverage, found.std_err_reason) == (coverage, reason)
    assert (found.exposure is None) == (reason is not None)


def test_a_book_and_its_mirror_have_no_error() -> None:
    view = market_with_errors(AAA=ONE, BBB=OTHER)
    both = [lot("AAA", "1.2345"), lot("BBB", -7), lot("BBB", 7), lot("AAA", "-1.2345")]
    assert market_beta(factor_exposures(BOOK, holdings_of(both), view).data.factors).std_err == 0.0
    one, mirror = (factor_exposures(BOOK, holdings({"AAA": sign * 3, "BBB": sign * 4}), view) for sign in (1, -1))
    assert market_beta(one.data.factors).std_err == market_beta(mirror.data.factors).std_err


def test_what_errors_are_made_of_is_prepared_once_a_view() -> None:
    view = market_with_errors(AAA=ONE)
    factor_exposures(BOOK, holdings({"AAA": 3}), view)
    prepared = slope_errors(view)
    factor_exposures(BOOK, holdings({"AAA": 4}), view)
    assert slope_errors(view) is prepared
    assert slope_errors(replace(view, generation=6)) is not prepared


def test_shares_count_in_the_units_of_the_closes() -> None:
    # 7 shares that became 10.5 at 10, and 3 sold short later, are 75 dollars.
    view = replace(TWO, share_units=split_units((0, "2025-07-10", 3, 2)))
    lots = [lot("AAA", 7), lot("AAA", -3, units_date=AS_OF)]
    found = market_beta(factor_exposures(BOOK, holdings_of(lots), view).data.factors)
    assert (found.dollars, found.per_invested) == ("112.50", 1.5)


def test_lots_that_cancel_after_a_split_are_no_position() -> None:
    view = market({"AAA": np.nan}, {"AAA": 100_000}, share_units=split_units((0, "2025-07-10", 2, 1)))
    answer = factor_exposures(BOOK, holdings_of([lot("AAA", 2), lot("AAA", -4, units_date=AS_OF)]), view)
    found = market_beta(answer.data.factors)
    assert (found.exposure, found.dollars, answer.coverage, answer.excluded) == (0.0, "0.00", None, [])


def test_a_book_and_its_mirror_are_zero() -> None:
    view = replace(TWO, provider_beta=np.array([1.1, 0.7]), share_units=split_units((1, "2025-07-10", 3, 2)))
    both = [lot("AAA", "1.2345"), lot("BBB", -7), lot("BBB", 7), lot("AAA", "-1.2345")]
    answer = factor_exposures(BOOK, holdings_of(both), view)
    assert {(item.exposure, item.dollars) for item in answer.data.factors} == {(0.0, "0.00")}
    assert (answer.data.provider_beta.exposure, answer.data.provider_beta.dollars) == (0.0, "0.00")
    assert (answer.excluded, answer.coverage) == ([], None)


def test_other_classes_are_named_and_in_no_exposure() -> None:
    others = [private("HOUSE", on_2025_06_30="700"), private("BARN", on_2025_06_30="0"), lot(CALL, 1, "OPTIONS")]
    view = market({"AAA": 1.5, CALL: np.nan}, {"AAA": 100_000, CALL: 20_000})
    alone = factor_exposures(BOOK, holdings({"AAA": 10}), view)
    answer = factor_exposures(BOOK, holdings({"AAA": 10}, *others), view)
    assert [(item.symbol, item.reason) for item in answer.excluded] == [
        (CALL, "options"),
        ("BARN", "private"),
        ("HOUSE", "private"),
    ]
    assert (answer.data, answer.coverage, answer.incomplete, answer.carried) == (alone.data, 1.0, [], [])
    # 100 in shares and 200 in the contract.
    assert (alone.private_share, answer.private_share) == (0.0, 0.7)


def test_an_option_that_has_ended_is_not_named() -> None:
    ended = lot("AAPL250718C00150000", 1, "OPTIONS")
    settled = lot(CALL, 1, "OPTIONS", settled_on=AS_OF)
    assert factor_exposures(BOOK, holdings({"AAA": 1}, ended, settled), TWO).excluded == []


def test_the_provider_beta_is_beside_ours_with_its_coverage() -> None:
    view = replace(TWO, provider_beta=np.array([0.8, np.nan]))
    found = factor_exposures(BOOK, holdings({"AAA": 30, "BBB": -5}), view).data.provider_beta
    # 300 of 500 have one.
    assert (found.dollars, found.coverage, found.reason) == ("240.00", 0.6, None)
    assert found.exposure == pytest.approx(240 / 1000.005, rel=1e-15)


@pytest.mark.parametrize(
    ("held", "dollars", "coverage", "reason"),
    [
        ({"AAA": 1}, None, 0.0, "no_provider_beta"),
        ({"UNHEARD": 1}, None, None, "no_price"),
        ({}, "0.00", None, None),
    ],
)
def test_without_a_provider_beta_the_reason_is_told(
    held: dict[str, int], dollars: str | None, coverage: float | None, reason: str | None
) -> None:
    found = factor_exposures(BOOK, holdings(held), TWO).data.provider_beta
    assert (found.dollars, found.coverage, found.reason) == (dollars, coverage, reason)
    assert (found.exposure is None) is (reason is not None)


@pytest.mark.parametrize("equity", [None, Decimal(0), Decimal(-5)])
def test_without_positive_equity_the_provider_beta_has_dollars_alone(equity: Decimal | None) -> None:
    view = replace(TWO, provider_beta=np.array([0.8, 0.8]))
    found = factor_exposures(replace(BOOK, equity=equity), holdings({"AAA": 1}), view).data.provider_beta
    assert (found.exposure, found.dollars, found.coverage) == (None, "8.00", 1.0)


def test_older_figures_are_told_per_position() -> None:
    factors_session = np.full((3, 4), TODAY)
    factors_session[1, 3] = EARLIER
    view = market(
        {"AAA": 1.0, "BBB": 1.0, "CCC": np.nan},
        dict.fromkeys(("AAA", "BBB", "CCC"), 10_000),
        factors_session=factors_session,
        close_session=np.array([TODAY, TODAY, EARLIER]),
    )
    answer = factor_exposures(BOOK, holdings({"AAA": 1, "BBB": 1, "CCC": 1}), view)
    told = [(item.symbol, item.close_session, item.factors_session) for item in answer.carried]
    assert told == [("BBB", AS_OF, EARLIER.item()), ("CCC", EARLIER.item(), None)]


def test_an_old_row_whose_betas_are_not_used_is_not_told() -> None:
    betas = np.ones((1, 12))
    betas[0, 8:] = np.nan
    factors_session = np.array([[TODAY, TODAY, TODAY, EARLIER]])
    view = replace(market({"AAA": 1.0}, {"AAA": 10_000}), betas=betas, factors_session=factors_session)
    assert factor_exposures(BOOK, holdings({"AAA": 1}), view).carried == []


def test_before_the_first_publication_everything_is_named() -> None:
    view = market({}, {}, as_of=None, generation=0)
    answer = factor_exposures(BOOK, holdings({"AAA": 1}), view)
    assert (answer.as_of, answer.generation, answer.coverage) == (None, 0, None)
    assert [item.reason for item in answer.excluded] == ["no_price"]
