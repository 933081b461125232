"""Company profiles of the simulated market as its vendor states them at a session."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from sigmasight_assets.market_data.options import OCC_SYMBOL
from sigmasight_assets.market_data.protocol import PROFILE_SCHEMA, ProfileResult
from sigmasight_assets.market_data.simulated_lives import Integers, Mask
from sigmasight_assets.market_data.simulated_model import SESSIONS_PER_YEAR, Floats, population_betas
from sigmasight_assets.market_data.simulated_random import PROFILES, SYMBOLS, VENDOR
from sigmasight_assets.market_data.simulated_world import View
from sigmasight_assets.quant.factors import FACTOR_ETFS

MISSING_SHARE = 0.01
LOSS_MAKING_SHARE = 0.15
# Of the loss makers, those that are expected to make no profit soon either.
HOPELESS_SHARE = 0.5
PRICE_EARNINGS_RANGE = (8.0, 40.0)
EXPECTED_GROWTH_RANGE = (0.8, 1.05)
# Shares outstanding for each share that is typically traded in a session.
TURNOVER_SESSIONS = 200
VENDOR_BETA_NOISE = 0.08

# Symbols computed at a time.
_BLOCK = 256


def describe(view: View, symbols: Sequence[str]) -> ProfileResult:
    """The profiles of the symbols at the last known session, and why others have none."""
    problems: dict[str, str] = {}
    described: dict[str, int] = {}
    missing = _has_no_profile(view)
    for symbol in symbols:
        row = view.row(symbol)
        problem = _problem(view, symbol, row, missing)
        if row is None or problem:
            problems[symbol] = problem
        else:
            described[symbol] = row
    rows = np.array(list(described.values()), dtype=np.int64)
    tables = [_profiles(view, rows[at : at + _BLOCK]) for at in range(0, len(rows), _BLOCK)]
    return ProfileResult(pa.concat_tables([PROFILE_SCHEMA.empty_table(), *tables]), problems)


def _problem(view: View, symbol: str, row: int | None, missing: Mask) -> str:
    if row is None:
        kind = "option contracts have no profile" if OCC_SYMBOL.fullmatch(symbol) else "there is no such symbol"
        return f"{kind} in the simulated market" if view.known else "the simulated market has not begun"
    if view.has_ended(row):
        return f"ceased to trade; the last session was {view.day(int(view.world.lives.last[row]))}"
    return "the simulated vendor has no profile of this symbol" if missing[row] else ""


def _profiles(view: View, rows: Integers) -> pa.Table:
    """Profiles of listed symbols; null where the vendor is silent."""
    world, known = view.world, view.known
    listings = [world.listing(row, known - 1) for row in rows.tolist()]
    price, dividends = world.last_closes(rows, known)
    is_fund = rows < len(FACTOR_ETFS)
    price_earnings, forward = _price_earnings(view, rows, price)
    last_year = dividends.position >= known - SESSIONS_PER_YEAR
    figures = (
        price * np.rint(TURNOVER_SESSIONS * world.parameters.shares[rows]),
        price_earnings,
        forward,
        np.round(np.where(last_year, dividends.amount, 0.0).sum(axis=1) / price, 4),
    )
    texts = [[getattr(item, name) for item in listings] for name in ("symbol", "name", "sector", "industry")]
    numbers = [pa.array(figure, mask=is_fund | np.isnan(figure)) for figure in figures]
    return pa.table([*texts, *numbers, _vendor_betas(view, rows)], schema=PROFILE_SCHEMA)


def _price_earnings(view: View, rows: Integers, price: Floats) -> tuple[Floats, Floats]:
    """Price per yearly profit, that of the last year and that expected (S,); NaN where there is none.

    Profits grow on the trend of the price, so the ratio moves with the deviation of the price from its trend.
    """
    _, loses, hopeless, level, expected = _draws(view)[rows].T
    world = view.world
    growth = world.parameters.growth[rows] - world.payouts.yearly_yield[rows]
    trend = world.parameters.start_price[rows] * np.exp(growth * view.known / SESSIONS_PER_YEAR)
    (low, high), (slow, fast) = PRICE_EARNINGS_RANGE, EXPECTED_GROWTH_RANGE
    ratio = (low + (high - low) * level) * price / trend
    makes_loss = loses < LOSS_MAKING_SHARE
    keeps_losing = makes_loss & (hopeless < HOPELESS_SHARE)
    forward = ratio * (slow + (fast - slow) * expected)
    return np.where(makes_loss, np.nan, np.round(ratio, 2)), np.where(keeps_losing, np.nan, np.round(forward, 2))


def _vendor_betas(view: View, rows: Integers) -> Floats:
    """True market betas with the vendor's noise, new each month (S,)."""
    day = view.day(view.known - 1)
    month = day.year * 12 + day.month
    generators = (view.world.streams.generator(SYMBOLS + row, VENDOR, block=month) for row in rows.tolist())
    noise = VENDOR_BETA_NOISE * np.array([generator.standard_normal() for generator in generators])
    betas: Floats = np.round(population_betas(view.world.parameters)[rows, 0] + noise, 2)
    return betas


def _has_no_profile(view: View) -> Mask:
    """Whether the vendor knows nothing of a symbol (S,), never of a fund."""
    missing: Mask = _draws(view)[:, 0] < MISSING_SHARE
    missing[: len(FACTOR_ETFS)] = False
    return missing


def _draws(view: View) -> Floats:
    """Five uniform numbers for each symbol of the world."""
    draws: Floats = view.world.streams.generator(PROFILES).random((len(view.rows), 5))
    return draws
