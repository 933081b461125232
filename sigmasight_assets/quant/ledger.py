"""The interval ledger: equity, P&L and position values of many portfolios, session after session, exact in int64.

Source: formulas.md section 5, for public lots, long and short. A lot's P&L is taken over the interval (s, t] from
the portfolio's previous snapshot s to the session t, however many sessions lie between, so the P&L of a lot always
adds up to what happened to it and no snapshot needs to know how many came before.

What goes in is in ``lots``, what comes out in ``snapshots``; prices are carried by ``carried_prices``, and
``ledger_identity`` checks the outcome.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.lots import CapitalFlows, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.money import require_representable
from sigmasight_assets.quant.segments import Segments
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus, PositionValues, Snapshots

# Days since 1970 as int64; NaT converts to the first.
_NEVER = np.iinfo(np.int64).min
_STILL_OPEN = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class _Book:
    """The lots with what every session needs of them, computed once."""

    lots: Lots
    segments: Segments
    entry_day: IntArray
    exit_day: IntArray
    # Signed money per unit of price; may wrap around, which ``_require_room`` finds out before it matters.
    exposure: IntArray
    absolute_exposure: FloatArray
    cost: IntArray
    is_long: BoolArray

    @classmethod
    def of(cls, lots: Lots, portfolios: int) -> "_Book":
        exposure = lots.quantity * lots.multiplier
        exit_day = _days(lots.exit_date)
        return cls(
            lots=lots,
            segments=Segments.of(lots.portfolio, portfolios),
            entry_day=_days(lots.entry_date),
            exit_day=np.where(exit_day == _NEVER, _STILL_OPEN, exit_day),
            exposure=exposure,
            absolute_exposure=np.abs(lots.quantity.astype(np.float64) * lots.multiplier),
            cost=exposure * lots.entry_price,
            is_long=lots.quantity > 0,
        )


@dataclass(frozen=True, eq=False)
class _Interval:
    """The interval (since, until] of each portfolio (P,), in days; empty where it has no previous snapshot."""

    exists: BoolArray
    is_first: BoolArray
    since: IntArray
    until: IntArray


@dataclass(eq=False)
class _Running:
    """What is carried from session to session; its arrays are its own."""

    since: IntArray
    equity: IntArray
    cumulative_pnl: IntArray
    # The price at which the lot enters the next interval: its last mark, or its entry price.
    mark: IntArray
    has_mark: BoolArray


def roll_forward(
    lots: Lots,
    portfolios: Portfolios,
    flows: CapitalFlows,
    state: LedgerState,
    *,
    sessions: DateArray,
    prices: IntArray,
    price_age: NDArray[np.int8],
) -> LedgerResult:
    """Snapshots and position values at ``sessions`` (T,), ascending and after every session of ``state``.

    ``prices`` (T, S) in units of 1e-4 are those in force at the sessions and ``price_age`` (T, S) their ages, as
    ``carried_prices`` gives them: 0 own close, 1 to 5 carried (stale), -1 none.

    A portfolio's first snapshot is at the first of the sessions on or after its start date: its equity is the stated
    one, its P&L is 0, the lots held are those entered on or before and not closed on or before that session, and
    flows dated on or before it count as part of the stated equity. At a later session t, with s the portfolio's
    previous snapshot, a lot's P&L is its quantity x multiplier x

    - (price at t - price used at s) when held through (s, t],
    - (price at t - entry price) when opened in (s, t],
    - (exit price - price used at s) when closed in (s, t], for which no price at t is needed,
    - (exit price - entry price) when opened and closed in (s, t].

    A held lot without a price in force adds 0, keeps the last price used for it (its entry price if there never was
    one) and is ``UNPRICED``; the catch-up is P&L of the session at which a price returns, or of its exit.
    Sessions left out are spanned by the next one. The result's ``state`` continues the range; a long range of many
    lots is best rolled in pieces, each from the state of the one before.

    Raises ``ValueError`` for arguments that do not belong together and ``OverflowError``, naming the portfolio, when
    an amount exceeds 9.2e18 units (92 billion).
    """
    _require_matching(lots, portfolios, flows, state, sessions)
    _require_prices(lots, sessions, prices, price_age)
    book = _Book.of(lots, len(portfolios))
    running = _start(book, state)
    start_day = _days(portfolios.start_date)
    snapshots = Snapshots.allocate(len(sessions), len(portfolios))
    values = PositionValues.allocate(len(sessions), len(lots))
    for t, day in enumerate(_days(sessions).tolist()):
        interval = _interval(running.since, start_day, day)
        row, lot_row = snapshots.at(t), values.at(t)
        row.capital_flow[:] = _flows_in(flows, interval)
        gone = _value_lots(book, running, interval, prices=prices[t], ages=price_age[t], row=lot_row)
        _add_up_lots(book, gone, lot_row, row)
        _close_accounts(portfolios, running, interval, row)
    return LedgerResult(sessions, snapshots, values, _state(running))


def _days(dates: DateArray) -> IntArray:
    return dates.astype("datetime64[D]").astype(np.int64)


def _require_matching(
    lots: Lots, portfolios: Portfolios, flows: CapitalFlows, state: LedgerState, sessions: DateArray
) -> None:
    if len(state.session) != len(portfolios) or len(state.mark) != len(lots):
        raise ValueError("the state is one of other portfolios or lots")
    if np.any((flows.portfolio < 0) | (flows.portfolio >= len(portfolios))):
        raise ValueError(f"a flow's portfolio lies outside 0 to {len(portfolios) - 1}")
    if np.any(np.diff(sessions) <= np.timedelta64(0, "D")):
        raise ValueError("the sessions must be ascending")
    if len(sessions) and (late := state.session >= sessions[0]).any():
        first = int(late.argmax())
        raise ValueError(f"portfolio {first}: its state is of {state.session[first]}, not before {sessions[0]}")


def _require_prices(lots: Lots, sessions: DateArray, prices: IntArray, price_age: NDArray[np.int8]) -> None:
    if prices.shape != price_age.shape or len(prices) != len(sessions):
        raise ValueError(f"prices {prices.shape} and ages {price_age.shape} do not fit {len(sessions)} sessions")
    if len(lots) and not 0 <= lots.symbol.min() <= lots.symbol.max() < prices.shape[1]:
        raise ValueError(f"a lot's symbol lies outside the {prices.shape[1]} columns of the prices")


def _start(book: _Book, state: LedgerState) -> _Running:
    since = _days(state.session)
    has_previous = since != _NEVER
    # A lot entered after the state's session has no price used at it, whatever an earlier version of the lot had.
    has_mark = state.has_mark & (book.entry_day <= book.segments.spread(since))
    return _Running(
        since=since,
        equity=np.where(has_previous, state.equity, 0),
        cumulative_pnl=np.where(has_previous, state.cumulative_pnl, 0),
        mark=np.where(has_mark, state.mark, book.lots.entry_price),
        has_mark=has_mark,
    )


def _state(running: _Running) -> LedgerState:
    return LedgerState(
        session=running.since.astype("datetime64[D]"),
        equity=running.equity,
        cumulative_pnl=running.cumulative_pnl,
        mark=running.mark,
        has_mark=running.has_mark,
    )


def _interval(since: IntArray, start_day: IntArray, day: int) -> _Interval:
    has_previous = since != _NEVER
    exists = has_previous | (start_day <= day)
    is_first = exists & ~has_previous
    return _Interval(
        exists=exists,
        is_first=is_first,
        since=np.where(is_first, day, since),
        until=np.where(exists, day, _NEVER),
    )


def _flows_in(flows: CapitalFlows, interval: _Interval) -> IntArray:
    day = _days(flows.flow_date)
    counted = (day > interval.since[flows.portfolio]) & (day <= interval.until[flows.portfolio])
    owner, amount = flows.portfolio[counted], flows.amount[counted]
    magnitudes = np.zeros(interval.since.size)
    np.add.at(magnitudes, owner, np.abs(amount.astype(np.float64)))
    require_representable(magnitudes, "portfolio")
    sums = np.zeros(interval.since.size, dtype=np.int64)
    np.add.at(sums, owner, amount)
    return sums


def _value_lots(
    book: _Book,
    running: _Running,
    interval: _Interval,
    *,
    prices: IntArray,
    ages: NDArray[np.int8],
    row: PositionValues,
) -> IntArray:
    """Fill ``row`` (L,), move the marks on and return the indices of the lots closed in the interval."""
    lots, spread, before = book.lots, book.segments.spread, running.mark
    until = spread(interval.until)
    held = (book.entry_day <= until) & (book.exit_day > until)
    gone = np.flatnonzero((book.exit_day > spread(interval.since)) & (book.exit_day <= until))
    np.multiply(_symbol_status(ages).take(lots.symbol), held, out=row.status)
    has_price = held & (row.status != int(LotStatus.UNPRICED))

    running.mark = np.where(has_price, prices.take(lots.symbol), before)
    np.logical_or(running.has_mark, has_price, out=running.has_mark)
    np.logical_and(running.has_mark, held, out=row.has_mark)
    np.multiply(running.mark, held, out=row.price)
    np.multiply(row.price, book.exposure, out=row.value)
    # A lot neither held nor closed enters and leaves the interval at the same price.
    np.subtract(running.mark, before, out=row.pnl)
    row.pnl[gone] = lots.exit_price[gone] - before[gone]
    np.multiply(row.pnl, book.exposure, out=row.pnl)
    if interval.is_first.any():
        row.pnl[spread(interval.is_first)] = 0
    _require_room(book, before, gone, row)
    return gone


def _symbol_status(ages: NDArray[np.int8]) -> NDArray[np.int8]:
    priced = np.where(ages == 0, LotStatus.PRICED, LotStatus.STALE)
    return np.where(ages < 0, LotStatus.UNPRICED, priced).astype(np.int8)


def _require_room(book: _Book, before: IntArray, gone: IntArray, row: PositionValues) -> None:
    """Raise ``OverflowError`` unless all lots of a portfolio fit in int64 at the highest price they passed through."""
    lots = book.lots
    highest = np.maximum(row.price, before)
    np.maximum(highest, lots.entry_price, out=highest)
    highest[gone] = np.maximum(highest[gone], lots.exit_price[gone])
    touched = row.held
    touched[gone] = True
    np.multiply(highest, touched, out=highest)
    require_representable(book.segments.magnitudes(book.absolute_exposure * highest), "portfolio")


def _add_up_lots(book: _Book, gone: IntArray, lot_row: PositionValues, row: Snapshots) -> None:
    """Fill the columns of ``row`` (P,) that are sums over lots."""
    totals, value, held = book.segments.totals, lot_row.value, lot_row.held
    stale = np.flatnonzero(lot_row.status == int(LotStatus.STALE))
    unpriced = np.flatnonzero(lot_row.status == int(LotStatus.UNPRICED))
    all_value, all_long = totals(value), totals(np.maximum(value, 0))
    all_short = all_value - all_long
    unpriced_long = _scattered(book, unpriced, np.maximum(value[unpriced], 0))

    row.unpriced_value[:] = _scattered(book, unpriced, value[unpriced])
    row.long_value[:] = all_long - unpriced_long
    row.short_value[:] = all_short - (row.unpriced_value - unpriced_long)
    row.gross[:] = row.long_value - row.short_value
    row.net[:] = row.long_value + row.short_value
    row.daily_pnl[:] = totals(lot_row.pnl)
    row.realized_pnl[:] = _scattered(book, gone, book.exposure[gone] * book.lots.exit_price[gone] - book.cost[gone])
    row.unrealized_pnl[:] = all_value - totals(book.cost * held)
    own_closes = row.gross - _scattered(book, stale, np.abs(value[stale]))
    row.priced_share[:] = _ratio(own_closes, all_long - all_short)

    row.positions[:] = totals(held)
    row.long_positions[:] = totals(held & book.is_long)
    row.short_positions[:] = row.positions - row.long_positions
    row.stale_positions[:] = _scattered(book, stale, 1)
    row.excluded_positions[:] = _scattered(book, unpriced, 1)
    row.is_partial[:] = row.stale_positions + row.excluded_positions > 0


def _close_accounts(portfolios: Portfolios, running: _Running, interval: _Interval, row: Snapshots) -> None:
    """Fill the columns of ``row`` (P,) that need the previous snapshot, and move the accounts on."""
    opening = np.where(interval.is_first, portfolios.stated_equity, running.equity)
    base = opening + row.capital_flow
    equity = base + row.daily_pnl
    cumulative_pnl = running.cumulative_pnl + row.daily_pnl
    # The same sums in floats: an integer that has wrapped around is far from its float.
    base_size = opening.astype(np.float64) + row.capital_flow
    equity_size = base_size + row.daily_pnl
    for size in (
        base_size,
        equity_size,
        equity_size - row.net - row.unpriced_value,
        running.cumulative_pnl.astype(np.float64) + row.daily_pnl,
    ):
        require_representable(np.abs(size), "portfolio")

    row.exists[:] = interval.exists
    row.equity[:] = equity
    row.cash[:] = equity - row.net - row.unpriced_value
    row.cumulative_pnl[:] = cumulative_pnl
    row.daily_return[:] = _ratio(row.daily_pnl, np.where(interval.is_first, 0, base))
    running.since = np.maximum(running.since, interval.until)
    running.equity = equity
    running.cumulative_pnl = cumulative_pnl


def _scattered(book: _Book, chosen: IntArray, values: IntArray | int) -> IntArray:
    """Sum of ``values`` of a few chosen lots per portfolio (P,)."""
    sums = np.zeros(book.segments.counts.size, dtype=np.int64)
    np.add.at(sums, book.lots.portfolio[chosen], values)
    return sums


def _ratio(numerator: IntArray, denominator: IntArray) -> FloatArray:
    """Quotient in floats, NaN where the denominator is not positive."""
    quotient: FloatArray = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
