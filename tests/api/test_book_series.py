"""Tests of the series that volatility and risk rest on: weights, what is left out, and what is said of it."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sigmasight_api.book_series import BookSeries, short_reason
from sigmasight_api.books import Holdings, holdings_of
from sigmasight_api.shared import answer_key
from sigmasight_api.valuation import valued_positions
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import FloatArray
from tests.api.handmade import AS_OF, EARLIER, TODAY, holdings, lot, market, private, with_returns
from tests.api.test_exposures import BOOK

CALL = "AAA250815C00150000"
NEW_BOOK = replace(BOOK, equity=None, equity_session=None, equity_generation=None, stated_equity=Decimal(500))


def view_of(returns: Mapping[str, FloatArray]) -> MarketView:
    """A view of these symbols, each with a close of 10 USD."""
    symbols = sorted(returns)
    view = market(dict.fromkeys(symbols, 1.0), dict.fromkeys(symbols, 100_000))
    return with_returns(view, np.array([returns[symbol] for symbol in symbols], dtype=np.float64))


RANDOM: FloatArray = np.random.default_rng(3).normal(0.0, 0.02, (3, 293))
VIEW = view_of({"AAA": RANDOM[0], "BBB": RANDOM[1], CALL: RANDOM[2]})


def test_weights_are_market_values_of_the_snapshots_equity() -> None:
    series = BookSeries.of(BOOK, holdings({"AAA": 30, "BBB": -5}), VIEW)
    assert (series.basis, series.equity, series.has_equity) == ("snapshot", Decimal("1000.005"), True)
    assert_allclose(series.gains, 300 * RANDOM[0] - 50 * RANDOM[1], rtol=1e-12)
    assert_allclose(series.returns, series.gains / 1000.005, rtol=1e-15)
    assert series.sessions.tolist() == VIEW.sessions.tolist()


def test_before_the_first_snapshot_they_are_what_was_paid_of_the_stated_equity() -> None:
    lots = [lot("AAA", 30, entry_price=Decimal(7)), lot("AAA", -10, entry_price=Decimal(11)), lot("BBB", 5)]
    series = BookSeries.of(NEW_BOOK, holdings_of(lots), VIEW)
    assert (series.basis, series.equity) == ("entry_prices", Decimal(500))
    assert_allclose(series.gains, (210 - 110) * RANDOM[0] + 50 * RANDOM[1], rtol=1e-12)
    assert series.surroundings(NEW_BOOK, holdings_of(lots), VIEW)["ratios_reason"] is None
    broke = replace(NEW_BOOK, stated_equity=Decimal(0))
    assert BookSeries.of(broke, holdings_of(lots), VIEW).surroundings(broke, holdings_of(lots), VIEW)[
        "ratios_reason"
    ] == ("equity_not_positive")


def test_what_was_paid_is_part_of_what_shared_answers_depend_on() -> None:
    keys = {
        answer_key("volatility", NEW_BOOK, holdings_of([lot("AAA", 30, **changes)]), 5)
        for changes in ({}, {"entry_price": Decimal(7)}, {"entry_date": AS_OF}, {"notes": "the same position"})
    }
    assert len(keys) == 3


def test_what_is_left_out_is_named_and_lowers_the_coverage() -> None:
    young = np.where(np.arange(293) < 231, np.nan, 0.01)
    view = view_of({"AAA": RANDOM[0], "NEW": young, CALL: RANDOM[2]})
    others = (lot(CALL, 2, "OPTIONS"), lot(CALL, 1, "OPTIONS"), private("AAA", on_2025_06_30="100"), private("BOAT"))
    held = holdings({"AAA": 10, "NEW": 30, "ZZZ": 1}, *others)
    series = BookSeries.of(BOOK, held, view)
    assert_allclose(series.gains, 100 * RANDOM[0], rtol=1e-12)
    found = series.surroundings(BOOK, held, view)
    assert found["coverage"] == 0.25
    assert [(item.symbol, item.reason) for item in found["excluded"]] == [
        ("AAA", "private"),
        (CALL, "options"),
        ("BOAT", "private"),
        ("NEW", "short_history"),
        ("ZZZ", "no_price"),
    ]
    assert (found["private_share"], found["incomplete"], found["carried"]) == (None, [], [])


def test_days_that_lack_much_of_the_book_are_dropped_and_said() -> None:
    gappy = RANDOM[1].copy()
    gappy[[0, 100, 200]] = np.nan
    view = view_of({"AAA": RANDOM[0], "BBB": gappy})
    series = BookSeries.of(BOOK, holdings({"AAA": 10, "BBB": 10}), view)
    assert series.gains.size == 290
    whole, last_year = series.described(290), series.described(252)
    # The first was dropped before the first return, and counts as time that the series does not reach.
    assert (whole.observations, whole.sessions_left_out) == (290, 2)
    assert (whole.first_session, whole.last_session) == (view.sessions[1].item(), AS_OF)
    assert (last_year.observations, last_year.sessions_left_out) == (252, 2)
    assert last_year.first_session == series.sessions[-252].item()
    assert (whole.weights_basis, whole.equity) == ("snapshot", "1000.00")


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (holdings({}), "no_positions"),
        (holdings({}, private("BOAT")), "no_positions"),
        (holdings({"ZZZ": 1}), "no_price"),
        (holdings({"AAA": 1, "ZZZ": 1}), "short_history"),
    ],
)
def test_why_there_is_no_series(held: Holdings, reason: str) -> None:
    view = view_of({"AAA": np.full(293, np.nan)})
    series = BookSeries.of(BOOK, held, view)
    assert (series.gains.size, series.reason) == (0, reason)
    assert short_reason(valued_positions(held.shares, view)) == reason
    described = series.described(0)
    assert (described.observations, described.first_session, described.last_session) == (0, None, None)
    assert described.sessions_left_out == 293


def test_an_empty_view_has_no_series() -> None:
    view = replace(market({}, {}), as_of=None)
    series = BookSeries.of(BOOK, holdings({"AAA": 1}), view)
    assert (series.gains.size, series.reason, series.described(0).sessions_left_out) == (0, "no_price", 0)


def test_a_carried_close_is_said() -> None:
    view = replace(VIEW, close_session=np.array([EARLIER, TODAY, TODAY]))
    held = holdings({"AAA": 1, "BBB": 1})
    (carried,) = BookSeries.of(BOOK, held, view).surroundings(BOOK, held, view)["carried"]
    assert (carried.symbol, carried.close_session) == ("AAA", EARLIER.item())
