"""Tests of the market view: it cannot be changed, and it knows what it does not hold."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from sigmasight_api.view import NO_EXPOSURES, MarketView
from sigmasight_assets.quant.factors import FACTORS
from tests.api.handmade import split_units

NAMES = [factor.name for factor in FACTORS]


@pytest.fixture
def view() -> MarketView:
    return MarketView(
        generation=7,
        symbol_generation=6,
        as_of=date(2025, 7, 31),
        symbols=("AAA", "BBB"),
        close=np.array([10_000, 0]),
        close_session=np.array(["2025-07-31", "NaT"], dtype="datetime64[D]"),
        share_units=split_units((0, "2025-07-01", 3, 2)),
        provider_beta=np.array([1.1, np.nan]),
        betas=np.ones((2, 12)),
        quality=np.ones((2, 12), dtype=np.int8),
        factors_session=np.full((2, 4), np.datetime64("2025-07-31", "D")),
        reasons={("BBB", "market_beta"): "no_price", ("BBB", "size_spread"): "constant"},
    )


def test_columns_cannot_be_written(view: MarketView) -> None:
    with pytest.raises(ValueError, match="read-only"):
        view.betas[0, 0] = 2.0
    with pytest.raises(ValueError, match="read-only"):
        view.close[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        view.share_units.numerators[0] = 1


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
    assert view.nbytes == 2 * 8 + 2 * 8 + 2 * 8 + 3 * 8 + 2 * 12 * 8 + 2 * 12 + 2 * 4 * 8
