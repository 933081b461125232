"""The risk answer on views made by hand: a year and no more, dollars without equity, and too few returns."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_api.risk import risk
from sigmasight_api.risk_schemas import Loss
from tests.api.handmade import holdings
from tests.api.test_book_series import NEW_BOOK, RANDOM, VIEW, view_of
from tests.api.test_exposures import BOOK

NAMES = ("value_at_risk_95", "expected_shortfall_95", "value_at_risk_99", "expected_shortfall_99")


def test_a_year_of_returns_by_hand() -> None:
    # Of 252 returns of -251 to 0 tenths of a percent the 5 % quantile is -251 + 12.55, the mean below it -245 tenths.
    ladder = np.concatenate((np.full(41, -0.9), -np.arange(252)[::-1] / 1000))
    found = risk(replace(BOOK, equity=Decimal(2000)), holdings({"AAA": 100}), view_of({"AAA": ladder})).data
    assert found.value_at_risk_95 is not None
    assert found.expected_shortfall_95 is not None
    assert found.value_at_risk_95.share_of_equity == pytest.approx(0.5 * 0.23845, rel=1e-12)
    assert found.expected_shortfall_95.share_of_equity == pytest.approx(0.5 * 0.245, rel=1e-12)
    assert (found.value_at_risk_95.dollars, found.expected_shortfall_95.dollars) == ("238.45", "245.00")
    assert (found.missing, found.series.observations) == ([], 252)


def test_a_mirror_book_loses_what_the_other_gains() -> None:
    view = view_of({"AAA": RANDOM[0], "BBB": -RANDOM[0]})
    assert risk(BOOK, holdings({"AAA": -9}), view).data == risk(BOOK, holdings({"BBB": 9}), view).data


def test_without_equity_the_dollars_stand() -> None:
    answer = risk(replace(BOOK, equity=Decimal(0)), holdings({"AAA": 30}), VIEW)
    losses = [getattr(answer.data, name) for name in NAMES]
    assert [loss.share_of_equity for loss in losses] == [None] * 4
    assert losses[0] == Loss(share_of_equity=None, dollars=f"{-np.quantile(300 * RANDOM[0, -252:], 0.05):.2f}")
    assert (answer.ratios_reason, answer.data.missing) == ("equity_not_positive", [])


@pytest.mark.parametrize("count", [99, 100])
def test_a_hundred_returns_are_needed(count: int) -> None:
    returns = np.where(np.arange(293) < 293 - count, np.nan, RANDOM[0])
    found = risk(NEW_BOOK, holdings({"AAA": 30}), view_of({"AAA": returns})).data
    missing = [(item.name, item.reason, item.observations, item.needed) for item in found.missing]
    assert missing == ([(name, "short_history", 99, 100) for name in NAMES] if count == 99 else [])
    assert all((getattr(found, name) is None) == (count == 99) for name in NAMES)
    assert found.series.weights_basis == "entry_prices"


def test_an_empty_book_says_so() -> None:
    assert {item.reason for item in risk(BOOK, holdings({}), VIEW).data.missing} == {"no_positions"}
