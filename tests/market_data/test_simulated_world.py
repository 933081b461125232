from datetime import date

import numpy as np
import pytest

from sigmasight_assets.market_data.simulated_lives import NEVER
from sigmasight_assets.market_data.simulated_world import View, World, draw_world
from sigmasight_assets.sessions import SessionCalendar

SESSIONS = 1_500
ROWS = np.arange(128)


def draw(*, with_splits: bool = True, with_dividends: bool = True, stocks: int = 120) -> World:
    return draw_world(5, stocks=stocks, sessions=SESSIONS, with_splits=with_splits, with_dividends=with_dividends)


@pytest.fixture(scope="module")
def world() -> World:
    return draw()


@pytest.fixture(scope="module")
def view(world: World, calendar: SessionCalendar) -> View:
    sessions = calendar.sessions[calendar.sessions >= np.datetime64("2015-01-01")][:SESSIONS]
    return View(world, sessions, SESSIONS, {listing.symbol: row for row, listing in enumerate(world.listings)})


def test_price_falls_by_the_dividend_before_it_moves(world: World) -> None:
    total = world.total_return_index(ROWS, SESSIONS)
    returns = total[:, 1:] / total[:, :-1] - 1
    bars = world.bars(ROWS, 0, SESSIONS, known=SESSIONS)
    for row in (0, 1, 8, 30, 50):
        price = total[row, 0]
        dividends = {
            int(position): float(amount)
            for position, amount in zip(bars.dividends.position[row], bars.dividends.amount[row], strict=True)
        }
        for session in range(SESSIONS):
            price = (price - dividends.get(session, 0.0)) * (1 + returns[row, session])
            assert bars.close[row, session] == pytest.approx(price, abs=0.005001)


def test_dividends_add_up_to_the_yield(world: World) -> None:
    bars = world.bars(ROWS, 0, SESSIONS, known=SESSIONS)
    always = np.flatnonzero((world.lives.first == 0) & (world.lives.last == NEVER))
    paid = bars.dividends.amount.sum(axis=1) / bars.close.mean(axis=1) / (SESSIONS / 252)
    np.testing.assert_allclose(paid[always], world.payouts.yearly_yield[always], rtol=0.1)


def test_opens_lie_between_the_price_less_the_dividend_and_the_close(world: World) -> None:
    bars = world.bars(ROWS, 0, SESSIONS, known=SESSIONS)
    dividend = np.zeros_like(bars.close)
    inside = bars.dividends.position < SESSIONS
    which, column = np.nonzero(inside)
    dividend[which, bars.dividends.position[inside]] = bars.dividends.amount[which, column]
    before = bars.close[:, :-1] - dividend[:, 1:]
    assert (bars.opened[:, 1:] >= np.minimum(before, bars.close[:, 1:]) - 0.0101).all()
    assert (bars.opened[:, 1:] <= np.maximum(before, bars.close[:, 1:]) + 0.0101).all()
    assert (bars.high >= np.maximum(bars.opened, bars.close)).all()
    assert (bars.low <= np.minimum(bars.opened, bars.close)).all()


def test_prices_are_whole_cents(world: World) -> None:
    bars = world.bars(ROWS, 0, SESSIONS, known=SESSIONS)
    for price in (bars.opened, bars.high, bars.low, bars.close):
        assert np.array_equal(price, np.round(price * 100) / 100)


def test_what_is_known_later_changes_only_the_adjustment(world: World) -> None:
    early, late = (world.bars(ROWS, 300, 400, known=known) for known in (400, 900))
    for name in ("opened", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(early, name), getattr(late, name)), name
    ratio = late.adj_close / early.adj_close
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-14)
    listed = (world.lives.first < 800) & (world.lives.last > 900)
    assert np.array_equal(ratio[listed, 0] < 1, world.payouts.yearly_yield[listed] > 0)
    assert np.array_equal(early.close[:, -1], world.last_closes(ROWS, 400)[0])


def test_controls_share_prices_and_total_returns(world: World) -> None:
    never_split, without_dividends = draw(with_splits=False), draw(with_dividends=False)
    assert (never_split.splits.position == NEVER).all()
    bars = world.bars(ROWS, 0, SESSIONS, known=SESSIONS)
    assert np.array_equal(never_split.bars(ROWS, 0, SESSIONS, known=SESSIONS).close, bars.close)
    assert np.array_equal(without_dividends.splits.position, world.splits.position)
    assert np.array_equal(without_dividends.splits.numerator, world.splits.numerator)
    control = without_dividends.bars(ROWS, 0, SESSIONS, known=SESSIONS)
    assert np.array_equal(control.adj_close, control.close)
    assert not control.dividends.amount.any()
    returns, expected = (values[:, 1:] / values[:, :-1] for values in (bars.adj_close, control.close))
    # A cent of rounding at each end, on closes of ten dollars and more.
    assert np.abs(returns - expected).max() < 0.01 / bars.close.min() * 2


def test_industry_changes_at_its_session(world: World) -> None:
    row = int(np.flatnonzero(world.lives.reclassified < SESSIONS)[0])
    at = int(world.lives.reclassified[row])
    before, after = world.listing(row, at - 1), world.listing(row, at)
    assert before == world.listings[row]
    assert (before.symbol, before.name) == (after.symbol, after.name)
    assert (after.sector, after.industry) == world.second_industries[row]
    assert before.industry != after.industry


def test_view_places_dates(view: View) -> None:
    friday, sunday, monday = date(2015, 1, 2), date(2015, 1, 4), date(2015, 1, 5)
    assert [view.start(day) for day in (date(2014, 1, 1), friday, sunday, monday)] == [0, 0, 1, 1]
    assert [view.end(day) for day in (date(2014, 1, 1), friday, sunday, monday)] == [0, 1, 1, 2]
    assert view.day(1) == monday
    assert view.at(sunday).known == 1
    assert view.at(date(2030, 1, 2)).known == SESSIONS
    assert view.at(sunday).at(date(2030, 1, 2)).known == 1


def test_view_knows_a_symbol_from_its_listing_on(view: View) -> None:
    lives = view.world.lives
    row = int(np.flatnonzero((lives.first > 0) & (lives.first < SESSIONS))[0])
    symbol, first = view.world.listings[row].symbol, int(lives.first[row])
    assert view.at(view.day(first - 1)).row(symbol) is None
    assert view.at(view.day(first)).row(symbol) == row
    assert view.row("NOSUCH") is None


def test_view_knows_of_an_end_after_the_last_session(view: View) -> None:
    lives = view.world.lives
    row = int(np.flatnonzero(lives.last < SESSIONS - 1)[0])
    last = view.day(int(lives.last[row]))
    assert not view.at(last).has_ended(row)
    assert view.at(view.day(int(lives.last[row]) + 1)).has_ended(row)
