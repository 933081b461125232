"""Tests of the factor-exposures answer on views made by hand: values, missing pieces, and what is said about them."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from sigmasight_api.books import Book, Holdings
from sigmasight_api.exposures import FACTOR_NAMES, factor_exposures
from sigmasight_api.schemas import FactorExposure
from sigmasight_api.view import MarketView

AS_OF = date(2025, 7, 31)
TODAY = np.datetime64(AS_OF, "D")
EARLIER = np.datetime64("2025-07-29", "D")
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
)


def market(betas: dict[str, float], closes: dict[str, int], **changes: Any) -> MarketView:
    """A view in which every factor of a symbol has the same beta; closes in units of 1e-4."""
    symbols = tuple(sorted(betas))
    view = MarketView(
        generation=5,
        symbol_generation=5,
        as_of=AS_OF,
        symbols=symbols,
        close=np.array([closes[symbol] for symbol in symbols], dtype=np.int64),
        close_session=np.full(len(symbols), TODAY),
        betas=np.array([[betas[symbol]] * 12 for symbol in symbols]).reshape(-1, 12),
        quality=np.ones((len(symbols), 12), dtype=np.int8),
        factors_session=np.full((len(symbols), 4), TODAY),
        reasons={},
    )
    return replace(view, **changes)


def holdings(quantities: dict[str, int], *others: tuple[str, str]) -> Holdings:
    """Holdings in whole shares."""
    return Holdings(tuple(quantities), tuple(10_000 * shares for shares in quantities.values()), others)


def market_beta(factors: list[FactorExposure]) -> FactorExposure:
    assert [factor.name for factor in factors] == list(FACTOR_NAMES)
    return factors[0]


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
    answer = factor_exposures(BOOK, Holdings(("AAA",), (10**18,), ()), view)
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


def test_other_classes_are_named_and_private_value_is_unknown() -> None:
    answer = factor_exposures(BOOK, holdings({"AAA": 1}, ("HOUSE", "PRIVATE"), ("CALLS", "OPTIONS")), TWO)
    assert [(item.symbol, item.reason) for item in answer.excluded] == [("CALLS", "options"), ("HOUSE", "private")]
    assert answer.private_share is None


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
