"""The check that blocks a wrong ledger: which portfolios break an identity that must hold to the last unit.

Source: formulas.md section 5. The sums are taken anew from lots, flows and state, by other means than ``ledger``.
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray
from sigmasight_assets.quant.lots import CapitalFlows, Dividends, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.money import DIVIDEND_DIGITS, MONEY_DIGITS, QUANTITY_DIGITS
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus, PositionValues, Snapshots

# What a quantity times a dividend is stated in, per unit of money.
_PRODUCT_UNITS = 10 ** (QUANTITY_DIGITS + DIVIDEND_DIGITS - MONEY_DIGITS)


def identity_violations(
    lots: Lots,
    portfolios: Portfolios,
    flows: CapitalFlows,
    state: LedgerState,
    result: LedgerResult,
    *,
    dividends: Dividends,
) -> list[IntArray]:
    """Ascending indices of the portfolios that break an identity, one array per session of ``result``.

    ``state`` is the one that ``result`` was rolled from. At every snapshot, exactly:

    - equity = previous equity + daily P&L + flows dated in the interval (the stated equity at the first snapshot)
    - cumulative P&L = previous cumulative P&L + daily P&L
    - daily P&L = sum of the lots' P&L = realized P&L + change of unrealized P&L + dividends
    - unrealized P&L = sum of value - cost of the held lots; dividends = sum of what their lots were paid
    - net = sum of the values of the priced lots = long + short; gross = long - short
    - cash + net + unpriced value = equity
    """
    previous = _before(lots, len(portfolios), state)
    offenders = []
    for t, session in enumerate(result.sessions):
        row, lot_row = result.snapshots.at(t), result.position_values.at(t)
        broken = _breaks_sums(lots, lot_row, row) | _breaks_interval(portfolios, flows, previous, session, row)
        broken |= row.dividends != _dividends(lots, dividends, previous.session, session)
        offenders.append(np.flatnonzero(broken))
        previous = _Previous(
            session=np.where(row.exists, session, previous.session),
            equity=row.equity,
            cumulative_pnl=row.cumulative_pnl,
            unrealized_pnl=row.unrealized_pnl,
        )
    return offenders


@dataclass(frozen=True, eq=False)
class _Previous:
    """The previous snapshot of each portfolio (P,); ``session`` is NaT where there is none."""

    session: DateArray
    equity: IntArray
    cumulative_pnl: IntArray
    unrealized_pnl: IntArray


def _before(lots: Lots, portfolios: int, state: LedgerState) -> _Previous:
    session = state.session[lots.portfolio]
    held = (lots.entry_date <= session) & (np.isnat(lots.exit_date) | (lots.exit_date > session))
    gain = np.where(held & state.has_mark, state.value - lots.cost, 0)
    return _Previous(
        session=state.session,
        equity=state.equity,
        cumulative_pnl=state.cumulative_pnl,
        unrealized_pnl=_sums(gain, lots.portfolio, portfolios),
    )


def _breaks_sums(lots: Lots, lot_row: PositionValues, row: Snapshots) -> BoolArray:
    """Identities between the columns of one session (P,)."""
    count = row.exists.size
    has_price = (lot_row.status == LotStatus.PRICED) | (lot_row.status == LotStatus.STALE)
    broken: BoolArray = (
        (row.net != _sums(np.where(has_price, lot_row.value, 0), lots.portfolio, count))
        | (row.unpriced_value != _sums(np.where(has_price, 0, lot_row.value), lots.portfolio, count))
        | (row.daily_pnl != _sums(lot_row.pnl, lots.portfolio, count))
        | (row.unrealized_pnl != _sums(np.where(lot_row.held, lot_row.value - lots.cost, 0), lots.portfolio, count))
        | (row.net != row.long_value + row.short_value)
        | (row.gross != row.long_value - row.short_value)
        | (row.equity != row.cash + row.net + row.unpriced_value)
    )
    return broken


def _breaks_interval(
    portfolios: Portfolios, flows: CapitalFlows, previous: _Previous, session: np.datetime64, row: Snapshots
) -> BoolArray:
    """Identities between the columns of one session and those of the previous snapshot (P,)."""
    has_previous = ~np.isnat(previous.session)
    since = previous.session[flows.portfolio]
    counted = (flows.flow_date > since) & (flows.flow_date <= session)
    flow = _sums(flows.amount[counted], flows.portfolio[counted], len(portfolios))
    continued = (
        (row.capital_flow == flow)
        & (row.equity == previous.equity + row.daily_pnl + flow)
        & (row.cumulative_pnl == previous.cumulative_pnl + row.daily_pnl)
        & (row.daily_pnl == row.realized_pnl + row.unrealized_pnl - previous.unrealized_pnl + row.dividends)
    )
    opened = (
        (row.equity == portfolios.stated_equity)
        & (row.daily_pnl == 0)
        & (row.cumulative_pnl == 0)
        & (row.realized_pnl == 0)
        & (row.capital_flow == 0)
    )
    due = has_previous | (portfolios.start_date <= session)
    sound: BoolArray = np.where(has_previous, continued, opened | ~due) & (row.exists == due)
    return ~sound


def _dividends(lots: Lots, dividends: Dividends, since: DateArray, session: np.datetime64) -> IntArray:
    """Dividends paid in (since, session] of each portfolio (P,), lot by lot in fractions; 0 without ``since``."""
    sums = np.zeros(since.size, dtype=np.int64)
    known = since[~np.isnat(since)]
    if not known.size:
        return sums
    due = np.flatnonzero((dividends.ex_date > known.min()) & (dividends.ex_date <= session))
    by_symbol: dict[int, list[tuple[date, int]]] = {}
    for row in due.tolist():
        dividend = dividends.ex_date[row].item(), int(dividends.amount[row])
        by_symbol.setdefault(int(dividends.symbol[row]), []).append(dividend)
    for lot in np.flatnonzero(lots.pays_dividends & np.isin(lots.symbol, list(by_symbol))).tolist():
        start, entry, end = (
            day.item() for day in (since[lots.portfolio[lot]], lots.entry_date[lot], lots.exit_date[lot])
        )
        for ex_date, amount in by_symbol[int(lots.symbol[lot])]:
            if start is not None and max(start, entry) < ex_date and (end is None or end >= ex_date):
                sums[lots.portfolio[lot]] += _payment(lots, lot, amount)
    return sums


def _payment(lots: Lots, lot: int, amount: int) -> int:
    """What one lot is paid at ``amount`` a share, rounded half-even to units of money."""
    shares = int(lots.quantity[lot]) * int(lots.multiplier[lot]) * int(lots.split_numerator[lot])
    return round(Fraction(shares * amount, int(lots.split_denominator[lot]) * _PRODUCT_UNITS))


def _sums(values: IntArray, owner: IntArray, owners: int) -> IntArray:
    sums = np.zeros(owners, dtype=np.int64)
    np.add.at(sums, owner, values)
    return sums
