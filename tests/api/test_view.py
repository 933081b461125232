"""Tests of the market view: it cannot be changed, and it knows what it does not hold."""

from dataclasses import replace

import numpy as np
import pytest

from sigmasight_api.view import NO_EXPOSURES, MarketView
from sigmasight_assets.quant.factors import FACTORS
from tests.api.handmade import market, split_units

NAMES = [factor.name for factor in FACTORS]


@pytest.fixture
def view() -> MarketView:
    return market(
        {"AAA": 1.0, "BBB": 1.0},
        {"AAA": 10_000, "BBB": 0},
        share_units=split_units((0, "2025-07-01", 3, 2)),
        returns=np.zeros((2, 3)),
        sessions=np.array(["2025-07-29", "2025-07-30", "2025-07-31"], dtype="datetime64[D]"),
        covariance=np.eye(8),
        reasons={("BBB", "market_beta"): "no_price", ("BBB", "size_spread"): "constant"},
    )


def test_columns_cannot_be_written(view: MarketView) -> None:
    with pytest.raises(ValueError, match="read-only"):
        view.betas[0, 0] = 2.0
    with pytest.raises(ValueError, match="read-only"):
        view.close[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        view.share_units.numerators[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        view.returns[0, 0] = 1.0


def test_rows_are_found_by_symbol(view: MarketView) -> None:
    assert view.rows == {"AAA": 0, "BBB": 1}
    assert view.rows.get("CCC") is None


def test_a_full_view_covers_every_symbol_and_a_partial_one_those_asked_for(view: MarketView) -> None:
    assert view.covers(["AAA", "UNHEARD"])
    partial = replace(view, scope=frozenset({"AAA", "CCC"}))
    assert partial.covers(["CCC"])
    assert not partial.covers(["AAA", "BBB"])


def test_the_reason_is_that_of_the_factor_or_of_its_product(view: MarketView) -> None:
    assert view.missing_reason("BBB", NAMES.index("Market Beta")) == "no_price"
    assert view.missing_reason("BBB", NAMES.index("Size Spread")) == "constant"
    assert view.missing_reason("BBB", NAMES.index("Quality Spread")) == NO_EXPOSURES
    assert view.missing_reason("AAA", NAMES.index("Market Beta")) == NO_EXPOSURES


def test_memory_is_that_of_the_columns(view: MarketView) -> None:
    closes, splits, factors = 2 * (8 + 8 + 8 + 1), 3 * 8, 2 * 12 * (8 + 1 + 8) + 2 * 4 * 8
    assert view.nbytes == closes + splits + factors + 3 * 8 + 2 * 3 * 8 + 8 * 8 * 8
