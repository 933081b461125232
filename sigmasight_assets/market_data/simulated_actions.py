"""Splits and dividends of the simulated market: when they happen, and what they do to prices.

Sessions are positions, counted from the first one of the market; amounts here are in US dollars per never-split share.
"""

import math
from dataclasses import dataclass

import numpy as np

from sigmasight_assets.market_data.simulated_lives import NEVER, Integers, Lives, spread
from sigmasight_assets.market_data.simulated_model import SESSIONS_PER_YEAR, Floats, Parameters
from sigmasight_assets.quant.factors import FACTOR_ETFS

# A stock splits twice in fifty years: two dates, each spread evenly over the stocks.
SPLIT_DATES = 2
SPLITS_PER_YEAR = 0.04
# Neither sooner after the listing nor after the split before.
SESSIONS_BEFORE_SPLIT = 63

PAYING_SHARE = 0.6
YIELD_RANGE = (0.005, 0.04)
# Dividends a year of the funds, in the order of FACTOR_ETFS, as fractions of the price.
ETF_YIELD = (0.013, 0.036, 0.024, 0.006, 0.009, 0.012, 0.012, 0.018)
DIVIDEND_SPACING = 63
DIVIDENDS_PER_YEAR = 4

_STRIDES = (math.sqrt(3) % 1.0, math.sqrt(7) % 1.0)


@dataclass(frozen=True)
class _Level:
    """Ratios of the splits at expected prices below ``below``, with the probability of each."""

    below: float
    ratios: tuple[tuple[int, int], ...]
    shares: tuple[float, ...]


_LEVELS = (
    _Level(30.0, ((1, 5), (1, 10)), (0.5, 0.5)),
    _Level(60.0, ((3, 2), (2, 1)), (0.5, 0.5)),
    _Level(250.0, ((3, 2), (2, 1), (3, 1)), (0.15, 0.65, 0.2)),
    _Level(np.inf, ((2, 1), (3, 1), (4, 1), (10, 1)), (0.2, 0.3, 0.35, 0.15)),
)


@dataclass(frozen=True, slots=True)
class Payouts:
    """What each of S symbols pays: ``yearly_yield`` (S,) of the price, 0 without dividends, a quarter of it every 63
    sessions from session ``offset`` (S,) on.
    """

    yearly_yield: Floats
    offset: Integers


@dataclass(frozen=True, slots=True)
class Splits:
    """Up to two splits of each of S symbols in order of their dates, (S, 2) each: ``position`` of the ex-date, NEVER
    without one, and new shares (``numerator``) per old share (``denominator``).
    """

    position: Integers
    numerator: Integers
    denominator: Integers

    def ratio(self, rows: Integers, at: int | Integers) -> tuple[Integers, Integers]:
        """Numerators and denominators (R,) of the product of the splits with an ex-date up to session ``at``."""
        happened = self.position[rows] <= np.reshape(at, (-1, 1))
        numerator, denominator = (
            np.where(happened, part[rows], 1).prod(axis=1) for part in (self.numerator, self.denominator)
        )
        return numerator, denominator


@dataclass(frozen=True, slots=True)
class Dividends:
    """The dividends of S symbols up to the last known session, the k-th of each in column k.

    ``position`` (S, K) of the ex-dates, ``amount`` (S, K), 0 where nothing is paid. ``kept`` (S, K + 1): the price as a
    share of the total-return index after the first k dividends. ``ahead`` (S, K + 1): the factor that adjusts a close
    for the dividends from the k-th on, made of closes in cents as vendors make it.
    """

    position: Integers
    amount: Floats
    kept: Floats
    ahead: Floats

    def paid(self, start: int, stop: int) -> Integers:
        """How many columns have an ex-date up to each session from ``start`` to ``stop`` (exclusive), (S, T)."""
        sessions = np.arange(start, stop)
        paid = (sessions - self.position[:, :1]) // DIVIDEND_SPACING + 1
        columns: Integers = np.clip(paid, 0, self.position.shape[1])
        return columns


def draw_payouts(generator: np.random.Generator, stocks: int) -> Payouts:
    """Payouts of the eight funds and of the stocks; a stock's depend on its position only."""
    draws = generator.random((len(FACTOR_ETFS) + stocks, 3))
    low, high = YIELD_RANGE
    yearly_yield = np.where(draws[:, 0] < PAYING_SHARE, low + (high - low) * draws[:, 1], 0.0)
    yearly_yield[: len(FACTOR_ETFS)] = ETF_YIELD
    return Payouts(yearly_yield, offset=(draws[:, 2] * DIVIDEND_SPACING).astype(np.int64))


def draw_splits(generator: np.random.Generator, parameters: Parameters, payouts: Payouts, lives: Lives) -> Splits:
    """Splits of all symbols; the funds have none. The ratio follows from the price to be expected at the date."""
    funds, symbols = len(FACTOR_ETFS), len(lives.first)
    offsets = generator.random(SPLIT_DATES)
    draws = generator.random((symbols - funds, SPLIT_DATES))
    every = SPLIT_DATES / SPLITS_PER_YEAR * SESSIONS_PER_YEAR
    dates = [spread(stride, offset, symbols - funds) for stride, offset in zip(_STRIDES, offsets, strict=True)]
    stocks = slice(funds, symbols)

    position = np.full((symbols, SPLIT_DATES), NEVER)
    position[stocks] = np.sort((np.column_stack(dates) * every).astype(np.int64), axis=1)
    numerator, denominator = np.ones_like(position), np.ones_like(position)
    earliest = lives.first + SESSIONS_BEFORE_SPLIT
    for date in range(SPLIT_DATES):
        at = position[:, date]
        happens = (at >= earliest) & (at <= lives.last) & (at < NEVER)
        level = _expected_price(parameters, payouts, at) * denominator.prod(axis=1) / numerator.prod(axis=1)
        ratios = np.ones((symbols, 2), dtype=np.int64)
        ratios[stocks] = _ratios(level[stocks], draws[:, date])
        numerator[happens, date], denominator[happens, date] = ratios[happens].T
        position[~happens, date] = NEVER
        earliest = np.where(happens, at + SESSIONS_BEFORE_SPLIT, earliest)
    order = np.argsort(position, axis=1, kind="stable")
    return Splits(*(np.take_along_axis(part, order, axis=1) for part in (position, numerator, denominator)))


def pay_dividends(total: Floats, payouts: Payouts, rows: Integers, *, first: Integers, last: Integers) -> Dividends:
    """The dividends of the symbols ``rows`` (S,) on the way of their total-return indices.

    ``total`` (S, N + 1) starts with the price before the first session; nothing is paid after session N - 1, outside
    the sessions ``first`` + 1 to ``last`` (S,). An amount is a quarter of the yearly yield on the price of the session
    before, in whole cents and a cent at least.
    """
    known = total.shape[1] - 1
    columns = -(-known // DIVIDEND_SPACING)
    position = payouts.offset[rows, None] + DIVIDEND_SPACING * np.arange(columns)
    quarterly = payouts.yearly_yield[rows] / DIVIDENDS_PER_YEAR
    is_paid = (quarterly[:, None] > 0) & (position > first[:, None]) & (position <= last[:, None]) & (position < known)
    before = np.take_along_axis(total, np.minimum(position, known), axis=1)
    amount, factor, kept = np.zeros(position.shape), np.ones(position.shape), np.ones((len(rows), columns + 1))
    for column in range(columns):
        price = before[:, column] * kept[:, column]
        cents = np.maximum(np.round(quarterly * price, 2), 0.01)
        amount[:, column] = np.where(is_paid[:, column], cents, 0.0)
        factor[:, column] = 1 - amount[:, column] / np.round(price, 2)
        kept[:, column + 1] = kept[:, column] * (1 - amount[:, column] / price)
    ahead = np.ones_like(kept)
    ahead[:, :-1] = np.cumprod(factor[:, ::-1], axis=1)[:, ::-1]
    return Dividends(position, amount, kept, ahead)


def _expected_price(parameters: Parameters, payouts: Payouts, at: Integers) -> Floats:
    """The never-split price (S,) on its trend, 0 where there is no date."""
    years = np.where(at < NEVER, at, 0) / SESSIONS_PER_YEAR
    price: Floats = parameters.start_price * np.exp((parameters.growth - payouts.yearly_yield) * years)
    return price


def _ratios(level: Floats, draws: Floats) -> Integers:
    """The ratio (N, 2) at each expected price by one uniform number."""
    which = np.searchsorted([item.below for item in _LEVELS], level, side="right")
    ratios = np.ones((len(level), 2), dtype=np.int64)
    for position, item in enumerate(_LEVELS):
        here = which == position
        ratios[here] = np.array(item.ratios)[np.searchsorted(np.cumsum(item.shares)[:-1], draws[here], side="right")]
    return ratios
