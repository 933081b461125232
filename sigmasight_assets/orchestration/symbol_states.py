"""Which symbols a session is expected to hold, and why the others have no figures: known before any is computed."""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.quant.arrays import BoolArray, CodeArray
from sigmasight_assets.quant.factors import Reason

# Reasons of the regressions, followed by those that concern the symbol as such.
EXCLUSION_LABELS = [*(item.label for item in Reason), "not_listed_yet", "no_data_from_source", "delisted"]
# Of these symbols no figure is expected.
NOT_TRADED = ("not_listed_yet", "delisted")
NOT_LISTED_YET, NO_DATA, DELISTED = range(len(Reason), len(EXCLUSION_LABELS))


@dataclass(frozen=True)
class SymbolStates:
    """Of T target sessions x S symbols.

    ``priced`` (T, S): there is a bar at the session. ``active`` (T, S): the session is expected to hold the symbol.
    ``without_data`` (S,): the source has never had a price of it. ``counted`` (S,): coverage and exclusions are about
    it; option contracts trade too seldom for that. ``absence`` (T, S) is the code in ``EXCLUSION_LABELS`` of why
    there can be no figures, 0 where there is a bar and for symbols that are not counted.
    """

    priced: BoolArray
    active: BoolArray
    without_data: BoolArray
    counted: BoolArray
    absence: CodeArray


def symbol_states(window: SymbolWindow) -> SymbolStates:
    """States of the window's targets.

    A symbol that never had a price counts as listed: a vendor's silence must lower the coverage, not hide in it. A
    delisted one is active up to its last price.
    """
    sessions = window.targets.sessions[:, None]
    first = np.array([item.first_trade_date or "1900-01-01" for item in window.symbols], dtype="datetime64[D]")
    last = np.array([_last_session(item.status, item.last_price_date) for item in window.symbols], "datetime64[D]")
    priced = window.has_bar[window.rows]
    counted = window.is_regressed
    without_data = np.array([item.status == "error" for item in window.symbols], dtype=np.bool_) & counted
    absence = np.where(priced, np.int8(0), np.int8(Reason.NO_PRICE))
    absence = np.where(first <= sessions, absence, np.int8(NOT_LISTED_YET))
    absence = np.where(sessions <= last, absence, np.int8(DELISTED))
    absence = np.where(without_data, np.int8(NO_DATA), absence)
    return SymbolStates(
        priced=priced,
        active=(first <= sessions) & (sessions <= last) & ~without_data & counted,
        without_data=without_data,
        counted=counted,
        absence=np.where(counted & ~priced, absence, np.int8(0)),
    )


def _last_session(status: str, last_price_date: object) -> object:
    """The last date at which a symbol may trade: without an end unless it is delisted."""
    if status != "delisted":
        return "2999-12-31"
    return last_price_date or "1900-01-01"
