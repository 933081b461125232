"""Which portfolios have to be computed because of the symbols that changed.

A portfolio's numbers depend on the closes, betas and corporate actions of the symbols of its lots while it holds them,
and on those of an option's underlying at the settlement session. What its owner edits is marked in ``stale_from``.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.option_expiry import settlement_sessions
from sigmasight_assets.orchestration.portfolio_inputs import Inputs
from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.holders import HeldWindow, find_holders, mark_later_starts, read_contracts


@dataclass(frozen=True)
class Selection:
    """The portfolios (P,) that changed symbols concern, ascending, None for all.

    ``settled`` are the contracts whose settlement may have changed.
    """

    portfolio_ids: IntArray | None
    settled: Sequence[HeldWindow]


def select_portfolios(transaction: BulkTransaction, calendar: SessionCalendar, inputs: Inputs) -> Selection:
    """The portfolios that the sessions have to compute, apart from those whose owners edited them."""
    changed = inputs.changed_symbols
    if changed == {}:
        return Selection(np.zeros(0, dtype=np.int64), [])
    if changed is None and inputs.newest_after(inputs.sessions[-1]) is None:
        return Selection(None, [])
    contracts = settlement_sessions(calendar, read_contracts(transaction), last=inputs.sessions[-1])
    if changed is None:
        days = set(inputs.sessions)
        return Selection(None, [_settled(name, day) for name, (_, day) in contracts.items() if day in days])
    held = held_windows(changed, {day: inputs.before(day) for day in changed})
    settled = settled_windows(changed, contracts)
    return Selection(find_holders(transaction, [*held, *settled]), settled)


def held_windows(changed: Mapping[date, AbstractSet[str]], before: Mapping[date, date | None]) -> list[HeldWindow]:
    """When lots of each changed symbol must have been held, by session at which it changed.

    From the first of these sessions to the last, each with the session of the snapshots ``before`` it: a lot closed
    since those is still part of what the session tells, and paid the dividends until its exit.
    """
    days: dict[str, list[date]] = {}
    for day in sorted(changed):
        for symbol in changed[day]:
            days.setdefault(symbol, []).append(day)
    return [HeldWindow(symbol, before[each[0]], each[-1]) for symbol, each in sorted(days.items())]


def settled_windows(
    changed: Mapping[date, AbstractSet[str]], contracts: Mapping[str, tuple[str, date]]
) -> list[HeldWindow]:
    """The contracts, by underlying and settlement session, whose underlying changed there: open at that session."""
    return [
        _settled(contract, day)
        for contract, (underlying, day) in sorted(contracts.items())
        if underlying in changed.get(day, set())
    ]


def _settled(contract: str, day: date) -> HeldWindow:
    """A portfolio that begins later tells of the settlement in its first snapshot."""
    return HeldWindow(contract, after=day, until=day, begun_by=date.max)


def mark_later(transaction: BulkTransaction, selection: Selection, inputs: Inputs, *, last: date) -> None:
    """Mark what a changed settlement concerns after the session ``last``: portfolios that begin when it is over.

    Everything else that changed is told of at the sessions that it concerns.
    """
    newest = inputs.newest_after(last)
    if newest is not None and selection.settled:
        mark_later_starts(transaction, selection.settled, after=last, until=newest)
