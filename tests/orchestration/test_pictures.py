"""What the pictures say in words, with and without a session before, and that the UI shows each at once."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import unquote

import numpy as np
import pytest

from sigmasight_assets.orchestration import pictures
from sigmasight_assets.orchestration.pictures import NO_PREVIOUS, Named
from sigmasight_assets.orchestration.svg import SHOWN_AT_ONCE
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.tables import FACTOR_COLUMNS, RIDGE_COLUMNS, SPREAD_COLUMNS
from tests.orchestration.test_svg import parsed

DAY, BEFORE = date(2025, 7, 31), date(2025, 7, 30)
NOTHING = Named(DAY, ["A", "B"], np.full((2, 1), np.nan))


def named(day: date, **values: float) -> Named:
    return Named(day, list(values), np.array([[value] for value in values.values()]))


def alt(picture: str | None) -> str:
    found = re.match(r"!\[(.*?)]\(<data:image/svg\+xml,(.*?)>\)", picture or "")
    assert found is not None
    parsed(unquote(found[2]))
    return found[1]


def caption(picture: str | None) -> str:
    return (picture or "").partition("\n\n")[2]


class TestBetas:
    def test_are_told_with_those_of_before_and_the_largest_move(self) -> None:
        now = named(DAY, A=1.0, B=2.0, NEW=3.0, NONE=np.nan)
        before = named(BEFORE, A=1.1, B=1.5, GONE=1.3)
        picture = pictures.beta_histogram(now, before)
        assert alt(picture) == (
            "3 betas at 2025-07-31, median 2.00, middle half 1.50 to 2.50, all 1.00 to 3.00; "
            "median of 2025-07-30 1.30; median move 0.300, largest B +0.50"
        )
        assert caption(picture) == "median 2.00. Area 2025-07-31, line 2025-07-30"

    @pytest.mark.parametrize("before", [None, Named(BEFORE, ["A"], np.array([[np.nan]]))])
    def test_without_before_say_so(self, before: Named | None) -> None:
        picture = pictures.beta_histogram(named(DAY, A=1.0), before)
        assert alt(picture).endswith(NO_PREVIOUS)
        assert caption(picture).endswith(NO_PREVIOUS)
        assert "darkorange" not in str(picture)

    def test_without_any_there_is_no_picture(self) -> None:
        assert pictures.beta_histogram(NOTHING, None) is None


class TestFactors:
    def test_are_told_by_their_medians(self) -> None:
        values = np.array([[1.0, -1.0], [3.0, np.nan]])
        now, before = Named(DAY, ["A", "B"], values), Named(BEFORE, ["A"], np.array([[1.0, 2.0]]))
        picture = pictures.factor_ranges("symbols", ["x", "y"], now, before)
        assert alt(picture) == "Medians of 2 symbols at 2025-07-31: x 2.00, y -1.00"
        assert caption(picture) == "5-95 %, middle half, median; orange 2025-07-30"
        second = pictures.factor_ranges("symbols", ["y"], now, None, columns=slice(1, 2), sampled=3)
        assert alt(second) == "Medians of 2 symbols (one in 3) at 2025-07-31: y -1.00"
        assert caption(second).endswith(NO_PREVIOUS)

    def test_without_any_there_is_no_picture(self) -> None:
        assert pictures.factor_ranges("symbols", ["x"], NOTHING, None) is None


class TestPrices:
    NOW, BEFORE, EARLIER = named(DAY, A=11.0, B=9.0, C=5.0), named(BEFORE, A=10.0, B=10.0, C=5.0), named(BEFORE, A=8.0)

    def test_moves_are_counted_and_the_largest_named(self) -> None:
        picture = pictures.price_moves(self.NOW, self.BEFORE, self.EARLIER)
        counts = "1 up, 1 down, 1 unchanged"
        assert alt(picture) == f"Moves of 3 prices to 2025-07-31: {counts}, median +0.00%; median before +25.00%"
        assert caption(picture).startswith(f"{counts}; A +10.0%, B -10.0%. Area 2025-07-31, line 2025-07-30")

    def test_the_moves_before_may_be_unknown(self) -> None:
        assert alt(pictures.price_moves(self.NOW, self.BEFORE, None)).endswith(NO_PREVIOUS)

    def test_without_prices_before_there_are_no_moves(self) -> None:
        assert pictures.price_moves(self.NOW, None, None) is None
        assert pictures.price_moves(self.NOW, named(BEFORE, OTHER=1.0), None) is None


class TestPortfolios:
    NOW = Named(DAY, ["7", "8", "9"], np.array([[0.01, 100.0], [-0.02, -5000.0], [np.nan, 0.0]]))

    def test_returns_are_counted(self) -> None:
        picture = pictures.portfolio_returns(self.NOW, self.NOW)
        assert alt(picture) == (
            "Daily returns of 2 portfolios at 2025-07-31: 1 up, 1 down, median -0.50%; median before -0.50%"
        )
        assert pictures.portfolio_returns(NOTHING, None) is None

    def test_best_and_worst_are_named_with_their_pnl(self) -> None:
        picture = pictures.best_and_worst(self.NOW, sampled=50)
        assert alt(picture) == "Portfolios by daily return at 2025-07-31: 7 +1.00%, 8 -2.00%"
        assert caption(picture).endswith("the best and worst of 2 portfolios (one in 50)")
        assert "7: +1.00% +100" in unquote(str(picture))
        assert pictures.best_and_worst(NOTHING) is None

    def test_of_many_three_of_either_end_are_shown(self) -> None:
        values = np.array([[share / 100, share] for share in range(-10, 10)], dtype=np.float64)
        many = Named(DAY, [str(number) for number in range(20)], values)
        assert re.findall(r"(\d+) [+-]", alt(pictures.best_and_worst(many))) == ["19", "18", "17", "2", "1", "0"]


def test_coverage_counts_rows_of_active_symbols() -> None:
    picture = pictures.coverage_bars(DAY, 10, {"market_beta": 9, "ir_beta": 10})
    assert alt(picture) == "Of 10 symbols active at 2025-07-31 have a value: market_beta 9, ir_beta 10"


def test_strip_tells_the_lowest_of_each_product() -> None:
    days = {BEFORE: {"market_beta": 0.5, "ir_beta": 1.0}, DAY: {"market_beta": 1.0}}
    picture = pictures.coverage_strip(days, 0.98)
    assert alt(picture) == (
        "Lowest coverage of 2 sessions from 2025-07-30 to 2025-07-31: market_beta 50.0%, ir_beta 100.0%"
    )


def test_correlations_tell_volatilities_a_year() -> None:
    covariance = np.array([[1.0, -0.5], [-0.5, 4.0]]) * 1e-4
    picture = pictures.correlations(DAY, ["SPY", "TLT"], covariance, None)
    assert alt(picture) == (f"Volatility a year at 2025-07-31: SPY 15.9%, TLT 31.7%; {NO_PREVIOUS}; TLT with SPY -0.25")
    assert "SPY 31.7% before" in alt(pictures.correlations(DAY, ["SPY", "TLT"], covariance, covariance * 4))


def large() -> Iterator[str | None]:
    """Every picture of a large universe, with noisy values of both signs."""
    noise = np.random.default_rng(8)
    names = [f"LONG.{number:05d}-X" for number in range(5_000)]
    now = Named(DAY, names, noise.normal(-1, 2, (5_000, 12)))
    before = Named(BEFORE, names, now.values + noise.normal(0, 0.5, (5_000, 12)))
    prices = Named(DAY, names, np.exp(noise.normal(0, 1, (5_000, 1))))
    owned = Named(
        DAY, [str(number) for number in range(900_000, 902_000)], noise.normal(0, 1e9, (2_000, 2)) * [1e-10, 1]
    )
    products = ("market_beta", "ir_beta", "ridge_factors", "spread_factors", "symbol_daily_metrics")
    sessions = [DAY + timedelta(days=offset) for offset in range(60)]
    for past in (before, None):
        yield pictures.beta_histogram(now, past)
        yield pictures.factor_ranges("symbols", RIDGE_COLUMNS, now, past, columns=slice(0, 6))
        yield pictures.factor_ranges("symbols", SPREAD_COLUMNS, now, past, columns=slice(0, 4))
        yield pictures.factor_ranges("portfolios", FACTOR_COLUMNS[4:8], now, past, columns=slice(4, 8), sampled=500)
        yield pictures.price_moves(prices, Named(BEFORE, names, np.ones((5_000, 1))), past and prices)
        yield pictures.portfolio_returns(owned, past and owned, sampled=500)
    yield pictures.coverage_bars(DAY, 5_000, dict.fromkeys(products, 4_999))
    yield pictures.coverage_strip({day: dict.fromkeys(products, 1.0) for day in sessions}, 0.98)
    yield pictures.best_and_worst(owned, sampled=500)
    returns = noise.normal(0, 0.02, (8, 300))
    yield pictures.correlations(DAY, FACTOR_ETFS, np.cov(returns), np.cov(returns))


@pytest.mark.parametrize("picture", list(large()))
def test_every_picture_is_short_enough_to_be_shown_at_once(picture: str | None) -> None:
    assert picture is not None
    assert alt(picture)
    assert len(picture) < SHOWN_AT_ONCE
