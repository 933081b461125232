"""What a market offers the demo in its window of sessions: which stocks trade how, and prices as people paid them."""

import itertools
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.action_validation import validate_actions
from sigmasight_assets.market_data.protocol import SPLIT, BarRequest, FetchResult, MarketSource, Outcome
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS
from sigmasight_assets.quant.money import PRICE_DIGITS, from_units
from sigmasight_assets.sessions import SessionCalendar

FUNDS = ("SPY", "TLT")
# How many stocks with a bar at every session the books are made of, and among how many of the market's they are sought.
STOCKS = 38
SOUGHT_AMONG = 500
# A delisted stock is to be held for a while before it ceases to trade, and to be excluded at the end.
SESSIONS_BEFORE_DELISTING = 3

Closes = dict[tuple[str, date], Decimal]
Splits = dict[str, list[tuple[date, Fraction]]]


@dataclass(frozen=True)
class DemoMarket:
    """The market in the window ``sessions``; all lists are in the market's own order.

    ``stocks`` have a bar at every session and no split, ``splitting`` have a bar at every session and a split after the
    first. ``halted`` are stocks without a bar at some sessions, never for longer than a price is carried; ``delisted``
    cease to trade early enough to be excluded at the end. ``closes`` are in the units after the last of ``splits``.
    """

    name: str
    sessions: list[date]
    stocks: list[str]
    splitting: list[str]
    halted: list[str]
    delisted: list[str]
    closes: Closes
    splits: Splits

    def trade_price(self, symbol: str, day: date) -> Decimal:
        """The close of a day as it was on that day, in the share units of then, USD."""
        factor = Fraction(1)
        for ex_date, ratio in self.splits.get(symbol, []):
            if ex_date > day:
                factor *= ratio
        exact = Decimal(factor.numerator) * self.closes[symbol, day] / factor.denominator
        return exact.quantize(Decimal(1).scaleb(-PRICE_DIGITS), rounding=ROUND_HALF_EVEN)

    def first_session(self, symbol: str) -> date:
        """The first session at which a symbol has a bar."""
        return next(day for day in self.sessions if (symbol, day) in self.closes)


def read_demo_market(source: MarketSource, calendar: SessionCalendar, sessions: list[date]) -> DemoMarket:
    """Look at the first 500 stocks of the market; ``MarketDataError`` when it is too small for a demo."""
    listed = [item.symbol for item in source.listings() if item.asset_type == "equity"][:SOUGHT_AMONG]
    requests = [BarRequest(symbol, first=sessions[0], last=sessions[-1]) for symbol in (*listed, *FUNDS)]
    result = source.fetch_bars(requests)
    closes, splits = valid_closes(result, requests, calendar), _splits(result, requests, calendar)
    complete = [request.symbol for request in requests if all((request.symbol, day) in closes for day in sessions)]
    stocks = [symbol for symbol in complete if symbol not in FUNDS]
    if len(stocks) < STOCKS or len(complete) < len(stocks) + len(FUNDS):
        raise MarketDataError(
            f"The {source.name} market has {len(stocks)} stocks with a bar at every session from {sessions[0]} to "
            f"{sessions[-1]}; the demo needs {STOCKS} of them, SPY and TLT: check SIGMASIGHT_MARKET_FILES"
        )
    others = [symbol for symbol in listed if symbol not in complete]
    gone = {symbol for symbol in others if result.outcomes[symbol].outcome is Outcome.DELISTED}
    return DemoMarket(
        name=source.name,
        sessions=sessions,
        stocks=[symbol for symbol in stocks if symbol not in splits],
        splitting=[symbol for symbol in stocks if symbol in splits],
        halted=[symbol for symbol in others if symbol not in gone and _is_halted(closes, symbol, sessions)],
        delisted=[symbol for symbol in others if symbol in gone and _has_ceased(closes, symbol, sessions)],
        closes=closes,
        splits=splits,
    )


def valid_closes(result: FetchResult, requests: list[BarRequest], calendar: SessionCalendar) -> Closes:
    """Closes of the bars that would be stored."""
    bars = validate_bars(result.bars, requests, calendar).valid
    columns = (bars.column(name).to_pylist() for name in ("symbol", "price_date", "close_price"))
    return {(symbol, day): from_units(close, PRICE_DIGITS) for symbol, day, close in zip(*columns, strict=True)}


def _splits(result: FetchResult, requests: list[BarRequest], calendar: SessionCalendar) -> Splits:
    """The splits that would be stored and that happen after the first session."""
    splits: Splits = {}
    for action in validate_actions(result.actions, requests, calendar).valid.to_pylist():
        if action["kind"] == SPLIT and action["ex_date"] > requests[0].first:
            ratio = Fraction(action["ratio_numerator"], action["ratio_denominator"])
            splits.setdefault(action["symbol"], []).append((action["ex_date"], ratio))
    return splits


def _is_halted(closes: Closes, symbol: str, sessions: list[date]) -> bool:
    """Whether a stock that lacks bars never does so for longer than a price is carried."""
    traded = [position for position, day in enumerate(sessions) if (symbol, day) in closes]
    bounds = [-1, *traded, len(sessions)]
    return max(after - before - 1 for before, after in itertools.pairwise(bounds)) <= CARRIED_SESSIONS


def _has_ceased(closes: Closes, symbol: str, sessions: list[date]) -> bool:
    """Whether the last bar is neither too early to be held nor so late that its price is carried to the end."""
    last_position = max((place for place, day in enumerate(sessions) if (symbol, day) in closes), default=-1)
    return SESSIONS_BEFORE_DELISTING <= last_position < len(sessions) - 1 - CARRIED_SESSIONS
