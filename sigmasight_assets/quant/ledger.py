"""The interval ledger: equity, P&L and position values of many portfolios, session after session, exact in int64.

Source: formulas.md section 5. A lot's P&L is taken over the interval (s, t] from the portfolio's previous snapshot s
to the session t, however many sessions lie between: the value at t less the value at s, plus dividends. So the P&L
of a lot always adds up to what happened to it, no snapshot needs to know how many came before, and a split changes
the units of a price but no value.

What goes in is in ``lots``, what comes out in ``snapshots``; prices are carried by ``carried_prices``, ``dividends``
says which lots they pay, and ``ledger_identity`` checks the outcome.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.dividends import Claims, lot_product
from sigmasight_assets.quant.lots import CapitalFlows, Dividends, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.money import LARGEST_UNITS, AmountOverflowError, require_representable
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
    # Signed money per unit of price; not that of the lots ``with_fraction``, whose factor is no whole number.
    exposure: IntArray
    with_fraction: IntArray
    # The same of every lot, in floats.
    size: FloatArray
    largest_money: float
    is_long: BoolArray

    @classmethod
    def of(cls, lots: Lots, portfolios: int) -> "_Book":
        segments = Segments.of(lots.portfolio, portfolios)
        exit_day = _days(lots.exit_date)
        exposure = lots.quantity * lots.multiplier * lots.split_numerator
        if _largest(lots.quantity) * _largest(lots.multiplier) * _largest(lots.split_numerator) > LARGEST_UNITS:
            sizes = lots.quantity.astype(np.float64) * lots.multiplier * lots.split_numerator
            require_representable(segments.magnitudes(np.abs(sizes)), "portfolio")
        with_fraction = np.flatnonzero(lots.split_denominator > 1)
        size = exposure.astype(np.float64)
        size[with_fraction] /= lots.split_denominator[with_fraction]
        return cls(
            lots=lots,
            segments=segments,
            entry_day=_days(lots.entry_date),
            exit_day=np.where(exit_day == _NEVER, _STILL_OPEN, exit_day),
            exposure=exposure,
            with_fraction=with_fraction,
            size=size,
            largest_money=max(_largest(lots.cost), _largest(lots.proceeds)),
            is_long=lots.quantity > 0,
        )

    def values(self, prices: IntArray, has_price: BoolArray) -> IntArray:
        """Value (L,) at ``prices`` (L,); meaningless where there is no price, and it may wrap around."""
        values = self.exposure * prices
        chosen = self.with_fraction[has_price[self.with_fraction]]
        values[chosen] = lot_product(self.lots, chosen, prices[chosen])
        return values


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
    # The value at which the lot enters the next interval: the last one it was given, or its cost.
    value: IntArray
    price: IntArray
    has_mark: BoolArray


@dataclass(frozen=True, eq=False)
class _Events:
    """What happened to a few lots in the interval: those closed, and those paid (N,), perhaps twice, with the money."""

    gone: IntArray
    paid: IntArray
    payments: IntArray


def roll_forward(
    lots: Lots,
    portfolios: Portfolios,
    flows: CapitalFlows,
    state: LedgerState,
    *,
    dividends: Dividends,
    sessions: DateArray,
    prices: IntArray,
    price_age: NDArray[np.int8],
) -> LedgerResult:
    """Snapshots and position values at ``sessions`` (T,), ascending and after every session of ``state``.

    ``prices`` (T, S) in units of 1e-4 are those in force at the sessions and ``price_age`` (T, S) their ages, as
    ``carried_prices`` gives them: 0 own close, 1 to 5 carried (stale), -1 none. ``dividends`` may be more than needed.

    A portfolio's first snapshot is at the first of the sessions on or after its start date: its equity is the stated
    one, its P&L is 0, the lots held are those entered on or before and not closed on or before that session, and
    flows and dividends dated on or before it count as part of the stated equity. The value of a lot is its quantity x
    multiplier x split factor x price, rounded half-even to 1e-8. At a later session t, with s the portfolio's previous
    snapshot, a lot's P&L is its dividends in (s, t] plus

    - value at t - value at s when held through (s, t], or value at t - cost when opened in it,
    - proceeds - value at s when closed in (s, t], or proceeds - cost when also opened in it; no price is needed.

    A held lot without a price in force keeps the last value it was given (its cost if there never was one), earns
    nothing but dividends and is ``UNPRICED``; the catch-up is P&L of the session at which a price returns, or of its
    exit. Sessions left out are spanned by the next one. The result's ``state`` continues the range.

    Raises ``ValueError`` for arguments that do not belong together and ``AmountOverflowError``, naming the
    portfolio and the position of the first such session, when an amount exceeds 9.2e18 units (92 billion).
    """
    _require_matching(lots, portfolios, flows, state, sessions)
    _require_prices(lots, sessions, prices, price_age)
    book = _Book.of(lots, len(portfolios))
    running = _start(book, state)
    start_day = _days(portfolios.start_date)
    claims = _claims(lots, dividends, running, sessions)
    snapshots = Snapshots.allocate(len(sessions), len(portfolios))
    values = PositionValues.allocate(len(sessions), len(lots))
    for t, day in enumerate(_days(sessions).tolist()):
        interval = _interval(running.since, start_day, day)
        row, lot_row = snapshots.at(t), values.at(t)
        try:
            row.capital_flow[:] = _flows_in(flows, interval)
            events = _events(book, claims, interval)
            _value_lots(book, running, interval, events, prices=prices[t], ages=price_age[t], row=lot_row)
            _add_up_lots(book, events, lot_row, row)
            _close_accounts(portfolios, running, interval, row)
        except AmountOverflowError as error:
            error.row = t
            raise
    return LedgerResult(sessions, snapshots, values, _state(running))


def _largest(values: IntArray | FloatArray) -> float:
    """The largest magnitude, without a copy of the values."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def _days(dates: DateArray) -> IntArray:
    return dates.astype("datetime64[D]").astype(np.int64)


def _require_matching(
    lots: Lots, portfolios: Portfolios, flows: CapitalFlows, state: LedgerState, sessions: DateArray
) -> None:
    if len(state.session) != len(portfolios) or len(state.value) != len(lots):
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
    if (wrong := has_mark & book.lots.has_other_sign(state.value)).any():
        raise ValueError(f"lot {int(wrong.argmax())}: its value in the state has not the sign of its quantity")
    return _Running(
        since=since,
        equity=np.where(has_previous, state.equity, 0),
        cumulative_pnl=np.where(has_previous, state.cumulative_pnl, 0),
        value=np.where(has_mark, state.value, book.lots.cost),
        price=np.where(has_mark, state.price, 0),
        has_mark=has_mark,
    )


def _state(running: _Running) -> LedgerState:
    return LedgerState(
        session=running.since.astype("datetime64[D]"),
        equity=running.equity,
        cumulative_pnl=running.cumulative_pnl,
        value=running.value,
        price=running.price,
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


def _claims(lots: Lots, dividends: Dividends, running: _Running, sessions: DateArray) -> Claims:
    days = _days(sessions)
    # What was paid until the first session counts only for portfolios that have a snapshot before it.
    known = running.since[running.since != _NEVER]
    after = int(min(known.min(initial=_STILL_OPEN), days.min(initial=_STILL_OPEN)))
    return Claims.of(lots, dividends, after=after, until=int(days.max(initial=_NEVER)))


def _events(book: _Book, claims: Claims, interval: _Interval) -> _Events:
    spread = book.segments.spread
    gone = np.flatnonzero((book.exit_day > spread(interval.since)) & (book.exit_day <= spread(interval.until)))
    return _Events(gone, *claims.payments(book.lots, interval.since, interval.until))


def _value_lots(
    book: _Book,
    running: _Running,
    interval: _Interval,
    events: _Events,
    *,
    prices: IntArray,
    ages: NDArray[np.int8],
    row: PositionValues,
) -> None:
    """Fill ``row`` (L,) and move the values on."""
    lots, before = book.lots, running.value
    until = book.segments.spread(interval.until)
    held = (book.entry_day <= until) & (book.exit_day > until)
    np.multiply(_symbol_status(ages).take(lots.symbol), held, out=row.status)
    has_price = held & (row.status != int(LotStatus.UNPRICED))
    lot_prices = prices.take(lots.symbol)

    values = book.values(lot_prices, has_price)
    _require_room(book, events, held=held, before=before, prices=np.where(has_price, lot_prices, 0))

    np.subtract(values, before, out=row.pnl)
    # A lot that is not held or has no price enters and leaves the interval at the same value.
    np.multiply(row.pnl, has_price, out=row.pnl)
    row.pnl[events.gone] = lots.proceeds[events.gone] - before[events.gone]
    if interval.is_first.any():
        row.pnl[book.segments.spread(interval.is_first)] = 0
    np.add.at(row.pnl, events.paid, events.payments)
    np.copyto(running.value, values, where=has_price)
    np.copyto(running.price, lot_prices, where=has_price)
    np.logical_or(running.has_mark, has_price, out=running.has_mark)
    np.logical_and(running.has_mark, held, out=row.has_mark)
    np.multiply(running.price, held, out=row.price)
    np.multiply(running.value, held, out=row.value)


def _symbol_status(ages: NDArray[np.int8]) -> NDArray[np.int8]:
    priced = np.where(ages == 0, LotStatus.PRICED, LotStatus.STALE)
    return np.where(ages < 0, LotStatus.UNPRICED, priced).astype(np.int8)


def _require_room(book: _Book, events: _Events, *, held: BoolArray, before: IntArray, prices: IntArray) -> None:
    """Raise ``AmountOverflowError`` unless all lots of a portfolio fit in int64 at the highest value they had."""
    sizes = book.size * prices
    largest = max(_largest(sizes), _largest(before), book.largest_money)
    paid = np.abs(events.payments.astype(np.float64))
    if largest * int(book.segments.counts.max(initial=0)) + paid.sum() <= LARGEST_UNITS:
        # As many lots as any portfolio has, each as large as the largest of all, would fit.
        return
    highest = np.abs(sizes)
    for money in (before, book.lots.cost):
        np.maximum(highest, np.abs(money.astype(np.float64)), out=highest)
    gone = events.gone
    highest[gone] = np.maximum(highest[gone], np.abs(book.lots.proceeds[gone].astype(np.float64)))
    touched = held.copy()
    touched[gone] = True
    np.multiply(highest, touched, out=highest)
    np.add.at(highest, events.paid, paid)
    require_representable(book.segments.magnitudes(highest), "portfolio")


def _add_up_lots(book: _Book, events: _Events, lot_row: PositionValues, row: Snapshots) -> None:
    """Fill the columns of ``row`` (P,) that are sums over lots."""
    totals, lots, value, held = book.segments.totals, book.lots, lot_row.value, lot_row.held
    gone = events.gone
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
    row.realized_pnl[:] = _scattered(book, gone, lots.proceeds[gone] - lots.cost[gone])
    row.unrealized_pnl[:] = all_value - totals(lots.cost * held)
    row.dividends[:] = _scattered(book, events.paid, events.payments)
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
