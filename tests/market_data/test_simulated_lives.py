import numpy as np
import pytest

from sigmasight_assets.market_data.simulated_lives import (
    HALTING_PERIOD,
    HALTING_STOCK,
    LARGEST_ERROR,
    LATE_SHARE,
    MISSING_SHARE,
    NEVER,
    QUIET_STOCKS,
    RESTATED_SHARE,
    SHORTEST_LIFE,
    SMALLEST_ERROR,
    YEARS,
    Lives,
    defects,
    draw_lives,
    spread,
)
from sigmasight_assets.market_data.simulated_model import SESSIONS_PER_YEAR
from sigmasight_assets.quant.factors import FACTOR_ETFS

FUNDS = len(FACTOR_ETFS)
SESSIONS = YEARS * SESSIONS_PER_YEAR
ORDINARY = FUNDS + HALTING_STOCK + 1
WINDOW = 60
# The first session of 2020, about.
FIFTH_YEAR = 5 * SESSIONS_PER_YEAR


@pytest.fixture(scope="module")
def lives() -> Lives:
    return draw_lives(np.random.default_rng(1), 500)


def rows(lives: Lives) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.arange(len(lives.first))


def largest_gap(positions: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> int:
    """Sessions without an event at most, from the fifth year on."""
    inside = np.unique(positions[(positions >= FIFTH_YEAR) & (positions < SESSIONS)])
    return int(np.diff(np.concatenate([[FIFTH_YEAR], inside, [SESSIONS]])).max())


def test_numbers_are_spread_without_gaps() -> None:
    numbers = np.sort(spread(5**0.5 % 1, 0.3, 500))
    assert 0 <= numbers[0] < numbers[-1] < 1
    assert np.diff(numbers).max() < 2 / 500


@pytest.mark.parametrize("stocks", [0, 1, HALTING_STOCK, HALTING_STOCK + 1, HALTING_STOCK + 2, 300])
def test_a_stock_does_not_depend_on_how_many_follow(stocks: int) -> None:
    few, many = (draw_lives(np.random.default_rng(1), count) for count in (stocks, 500))
    for name in Lives.__slots__:
        assert np.array_equal(getattr(few, name), getattr(many, name)[: FUNDS + stocks]), name


def test_quiet_symbols_always_trade(lives: Lives) -> None:
    quiet = rows(lives)[: FUNDS + QUIET_STOCKS]
    assert np.array_equal(np.flatnonzero(lives.is_quiet), quiet)
    assert lives.trades(quiet, 0, SESSIONS).all()
    assert not lives.trades(rows(lives)[ORDINARY:], 0, SESSIONS).all(axis=1).any()


def test_one_stock_is_halted_every_month(lives: Lives) -> None:
    halted = lives.halted(np.array([FUNDS + HALTING_STOCK]), 0, SESSIONS)[0]
    windows = np.lib.stride_tricks.sliding_window_view(halted, HALTING_PERIOD)
    assert set(windows.sum(axis=1)[1:].tolist()) == {2}
    assert (lives.first[FUNDS + HALTING_STOCK], lives.last[FUNDS + HALTING_STOCK]) == (0, NEVER)


def test_listings_and_delistings_have_their_rates(lives: Lives) -> None:
    first, last = lives.first[ORDINARY:], lives.last[ORDINARY:]
    assert 0.07 < (first > 0).mean() < 0.10
    assert 0.013 < (last < SESSIONS).mean() / YEARS < 0.016
    assert (last - first).min() >= SHORTEST_LIFE
    assert set(last[last >= NEVER].tolist()) <= {NEVER}


def test_sixty_sessions_have_a_delisting_and_a_halt(lives: Lives) -> None:
    assert largest_gap(lives.last) < WINDOW
    halts = np.flatnonzero(lives.halted(rows(lives)[ORDINARY:], 0, SESSIONS).any(axis=0))
    assert largest_gap(halts) < WINDOW


def test_halts_are_of_two_to_eight_sessions_and_never_at_an_end(lives: Lives) -> None:
    stocks = rows(lives)[ORDINARY:]
    trades, halted = lives.trades(stocks, 0, SESSIONS), lives.halted(stocks, 0, SESSIONS)
    assert not (trades & halted).any()
    for row, (first, last) in enumerate(zip(lives.first[stocks], lives.last[stocks], strict=True)):
        assert trades[row, first]
        assert last >= SESSIONS or trades[row, last]
        steps = np.flatnonzero(np.diff(halted[row].astype(int), prepend=0, append=0))
        assert set(np.diff(steps)[::2].tolist()) <= set(range(1, 9))
    a_year = halted.sum() / 5 / (trades | halted).sum() * SESSIONS_PER_YEAR
    assert 0.045 < a_year < 0.055


def test_a_halt_leaves_out_the_first_and_the_last_session() -> None:
    def one(phase: int, length: int) -> Lives:
        first, last, start, period, size, never = (np.array([value]) for value in (10, 20, phase, 50, length, NEVER))
        return Lives(first, last, start, period, size, never, np.array([False]))

    for phase, length, expected in ((9, 3, [11]), (13, 2, [13, 14]), (19, 4, [19]), (20, 2, []), (5, 6, [])):
        assert np.flatnonzero(one(phase, length).halted(np.array([0]), 0, 30)[0]).tolist() == expected
        traded = np.flatnonzero(one(phase, length).trades(np.array([0]), 0, 30)[0]).tolist()
        assert traded == [session for session in range(10, 21) if session not in expected]


def test_trading_does_not_depend_on_the_window(lives: Lives) -> None:
    stocks = rows(lives)[::7]
    whole = lives.trades(stocks, 0, SESSIONS)
    assert np.array_equal(lives.trades(stocks, 1_000, 1_300), whole[:, 1_000:1_300])


def test_some_stocks_change_their_industry_and_no_fund(lives: Lives) -> None:
    assert (lives.reclassified[:FUNDS] == NEVER).all()
    assert 0.08 < (lives.reclassified < SESSIONS).mean() < 0.12


def test_defects_have_their_rates_and_spare_quiet_symbols() -> None:
    numbers = np.random.default_rng(2).random((2, 2_000_000))
    found = defects(numbers, np.array([True, False]))
    assert not (found.missing[0] | found.late[0] | (found.error[0] != 0)).any()
    wrong = found.error[1] != 0
    for share, where in ((MISSING_SHARE, found.missing[1]), (LATE_SHARE, found.late[1]), (RESTATED_SHARE, wrong)):
        assert where.mean() == pytest.approx(share, rel=0.15)
    assert not (found.missing & found.late).any()
    errors = found.error[1][wrong]
    assert SMALLEST_ERROR <= np.abs(errors).min() < np.abs(errors).max() <= LARGEST_ERROR
    assert 0.4 < (errors > 0).mean() < 0.6
