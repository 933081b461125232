"""Option contracts of the simulated market: daily bars by Black and Scholes from the underlying as it traded.

A contract lives from 250 days before its expiry until then, and ends early when its underlying splits or ceases to
trade. Source of the prices: Black and Scholes (1973), European exercise, a fixed rate, the model's own volatility.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import OptionContract, parse_occ_symbol
from sigmasight_assets.market_data.protocol import BAR_SCHEMA, BarRequest, FetchResult, Outcome, SymbolOutcome
from sigmasight_assets.market_data.simulated_lives import Mask
from sigmasight_assets.market_data.simulated_model import SESSIONS_PER_YEAR, Floats
from sigmasight_assets.market_data.simulated_world import View

LISTED_DAYS = 250
RATE = 0.04
DAYS_PER_YEAR = 365
SMALLEST_PRICE = 0.01
# Share of the sessions without a trade, and how much is added to it as the delta goes from this size to zero.
QUIET_SHARE, FAR_QUIET_SHARE, FAR_DELTA = 0.10, 0.50, 0.10
LARGEST_VOLUME = 500

# Contracts computed at a time.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class _Life:
    """A contract with the row of its underlying and the sessions from ``start`` to before ``stop`` of its life."""

    contract: OptionContract
    row: int
    start: int
    stop: int
    end: str


def fetch_option_bars(view: View, requests: Sequence[BarRequest]) -> FetchResult:
    """Bars and outcomes of contracts that are asked for by OCC symbols."""
    outcomes: dict[str, SymbolOutcome] = {}
    alive: list[tuple[BarRequest, _Life]] = []
    for request in requests:
        try:
            alive.append((request, _life(view, parse_occ_symbol(request.symbol))))
        except MarketDataError as error:
            outcomes[request.symbol] = SymbolOutcome(Outcome.UNKNOWN, str(error))
    tables = [BAR_SCHEMA.empty_table()]
    for at in range(0, len(alive), _BLOCK):
        for (request, life), table in zip(block := alive[at : at + _BLOCK], _bars(view, block), strict=True):
            tables.append(table)
            outcomes[request.symbol] = _outcome(view, request, life, has_bars=table.num_rows > 0)
    return FetchResult(pa.concat_tables(tables), outcomes)


def option_price(contract: OptionContract, underlying: Floats, *, years: Floats, volatility: float) -> Floats:
    """Value in USD a share at each price of the underlying with ``years`` to go, not rounded; at expiry the gain."""
    strike, sign = float(contract.strike), 1.0 if contract.right == "call" else -1.0
    first = _first_argument(contract, underlying, years=years, volatility=volatility)
    second = first - volatility * np.sqrt(years)
    value = sign * (underlying * _normal(sign * first) - strike * np.exp(-RATE * years) * _normal(sign * second))
    return np.where(years > 0, value, np.maximum(sign * (underlying - strike), 0.0))


def option_delta(contract: OptionContract, underlying: Floats, *, years: Floats, volatility: float) -> Floats:
    """Change of the value, without its sign, per change of the underlying."""
    first = _first_argument(contract, underlying, years=years, volatility=volatility)
    delta: Floats = _normal(first if contract.right == "call" else -first)
    return delta


def _normal(values: Floats) -> Floats:
    """The normal distribution function."""
    # This import takes 0.15 s, which runs that ask no market need not pay.
    from scipy.special import ndtr  # noqa: PLC0415

    cumulative: Floats = ndtr(values)
    return cumulative


def _first_argument(contract: OptionContract, underlying: Floats, *, years: Floats, volatility: float) -> Floats:
    """d1 of the formula; at expiry that of one minute before."""
    time = np.maximum(years, 1 / (DAYS_PER_YEAR * 24 * 60))
    first: Floats = (np.log(underlying / float(contract.strike)) + (RATE + volatility**2 / 2) * time) / (
        volatility * np.sqrt(time)
    )
    return first


def _life(view: View, contract: OptionContract) -> _Life:
    """When a contract trades; ``MarketDataError`` with the reason when the market has no such contract."""
    if contract.is_adjusted:
        raise MarketDataError(f"{contract.root} is the root of adjusted contracts; the simulated market has none")
    row = view.row(contract.underlying)
    if row is None:
        raise MarketDataError(f"the simulated market has no {contract.underlying} to have options on")
    if contract.expiry.weekday() >= 5:
        raise MarketDataError(f"no option expires on {contract.expiry}, a {contract.expiry:%A}")
    lives, splits = view.world.lives, view.world.splits
    start = max(view.start(contract.expiry - timedelta(days=LISTED_DAYS)), int(lives.first[row]))
    stop, end = view.end(contract.expiry), f"expired on {contract.expiry}"
    if lives.last[row] < stop - 1:
        stop, end = int(lives.last[row]) + 1, f"{contract.underlying} ceased to trade"
    for split in splits.position[row].tolist():
        if start < split < stop:
            stop, end = split, f"{contract.underlying} split on {view.day(split)}; an adjusted contract took its place"
    return _Life(contract, row, start, stop, end)


def _window(view: View, request: BarRequest, life: _Life) -> tuple[int, int]:
    """The known sessions of a contract's life that were asked for, from the first to before the last."""
    first = max(view.start(request.first), life.start)
    return first, max(first, min(view.end(request.last), view.known, life.stop))


def _bars(view: View, block: Sequence[tuple[BarRequest, _Life]]) -> list[pa.Table]:
    """The bars of some contracts, a table each."""
    windows = [_window(view, request, life) for request, life in block]
    filled = [window for window in windows if window[0] < window[1]]
    if not filled:
        return [BAR_SCHEMA.empty_table()] * len(block)
    start, stop = min(first for first, _ in filled), max(last for _, last in filled)
    rows = np.unique([life.row for _, life in block])
    bars = view.world.bars(rows, start, stop, known=view.known)
    never_split = np.stack([bars.opened, bars.high, bars.low, bars.close])
    trades = view.world.lives.trades(rows, start, stop)
    tables = []
    for (request, life), (first, last) in zip(block, windows, strict=True):
        at, sessions = int(np.searchsorted(rows, life.row)), slice(first - start, last - start)
        new, old = view.world.splits.ratio(np.array([life.row]), life.start)
        as_traded = np.round(never_split[:, at, sessions] * old / new, 4)
        has_market = trades[at, sessions]
        tables.append(_contract_bars(view, request.symbol, life, as_traded, has_market, first=first))
    return tables


def _contract_bars(
    view: View, symbol: str, life: _Life, underlying: Floats, has_market: Mask, *, first: int
) -> pa.Table:
    """Bars of a contract from session ``first`` on, from open, high, low and close (4, T) of its underlying."""
    days = view.sessions[first : first + len(has_market)]
    years = (np.datetime64(life.contract.expiry, "D") - days).astype(np.int64) / DAYS_PER_YEAR
    volatility = float(np.sqrt(view.world.parameters.variance[life.row] * SESSIONS_PER_YEAR))
    value = option_price(life.contract, underlying, years=years, volatility=volatility)
    opened, at_high, at_low, close = np.maximum(np.round(value, 2), SMALLEST_PRICE)
    delta = option_delta(life.contract, underlying[3], years=years, volatility=volatility)
    draws = view.world.streams.generator(_stream(life.contract), block=first).random((len(days), 4))
    quiet = QUIET_SHARE + FAR_QUIET_SHARE * np.maximum(1 - delta / FAR_DELTA, 0)
    traded = has_market & (draws[:, 0] >= quiet)
    volume = 1 + np.floor(LARGEST_VOLUME * draws[:, 1] ** 3)
    # A put is dearest when its underlying is cheapest.
    numbers = (opened, np.maximum(at_high, at_low), np.minimum(at_high, at_low), close, close, volume)
    symbols = pa.array([symbol] * int(traded.sum()), pa.string())
    return pa.table(
        [symbols, pa.array(days[traded]), *(pa.array(number[traded]) for number in numbers)], schema=BAR_SCHEMA
    )


def _stream(contract: OptionContract) -> int:
    """The stream of random numbers of a contract; by its size none of those of the market."""
    return int.from_bytes(hashlib.blake2b(contract.symbol.encode(), digest_size=7).digest(), "big")


def _outcome(view: View, request: BarRequest, life: _Life, *, has_bars: bool) -> SymbolOutcome:
    if life.stop < view.known and view.end(request.last) > life.stop:
        return SymbolOutcome(Outcome.DELISTED, life.end)
    if has_bars:
        return SymbolOutcome(Outcome.OK)
    window = f"from {request.first} to {request.last}"
    if view.start(request.first) >= min(view.end(request.last), view.known):
        return SymbolOutcome(Outcome.EMPTY, f"no session {window}; {view.extent()}")
    if life.start >= min(view.end(request.last), view.known):
        listed = life.contract.expiry - timedelta(days=LISTED_DAYS)
        return SymbolOutcome(Outcome.EMPTY, f"no bar {window}: the contract is listed from {listed} on")
    return SymbolOutcome(Outcome.EMPTY, f"no trade {window}")
