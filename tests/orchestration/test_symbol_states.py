"""Who is expected at a session, and the reasons of those who are not there."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.orchestration.symbol_states import EXCLUSION_LABELS, SymbolStates, symbol_states
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from tests.orchestration.symbol_windows import symbol_window, tracked

PLACE = 40
DAYS = symbol_window().targets.sessions.tolist()


def states(*, priced: tuple[bool, bool, bool] = (True, True, True), **columns: Any) -> SymbolStates:
    """States of the three targets where one symbol is like this."""
    window = symbol_window()
    symbols = list(window.symbols)
    symbols[PLACE] = tracked(symbols[PLACE].symbol, **columns)
    return symbol_states(replace(without_bars(window, priced), symbols=tuple(symbols)))


def without_bars(window: SymbolWindow, priced: tuple[bool, bool, bool]) -> SymbolWindow:
    close_units = window.close_units.copy()
    close_units[window.rows, PLACE] = np.where(priced, close_units[window.rows, PLACE], 0)
    return replace(window, close_units=close_units)


def absence(found: SymbolStates) -> list[str]:
    return [EXCLUSION_LABELS[code] for code in found.absence[:, PLACE].tolist()]


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    ("columns", "priced", "active", "reasons"),
    [
        ({}, (True, False, True), [True, True, True], ["none", "no_price", "none"]),
        (
            {"first_trade_date": DAYS[1]},
            (False, True, True),
            [False, True, True],
            ["not_listed_yet", "none", "none"],
        ),
        (
            {"status": "delisted", "last_price_date": DAYS[1]},
            (True, False, False),
            [True, True, False],
            ["none", "no_price", "delisted"],
        ),
        # It has ended before a price of it was ever seen.
        ({"status": "delisted", "first_trade_date": None}, (False,) * 3, [False] * 3, ["delisted"] * 3),
        ({"status": "error", "first_trade_date": None}, (False,) * 3, [False] * 3, ["no_data_from_source"] * 3),
        # The source's silence lowers the coverage.
        ({"status": "pending", "first_trade_date": None}, (False,) * 3, [True] * 3, ["no_price"] * 3),
        # Options are neither expected nor missed.
        ({"asset_type": "option"}, (True, False, True), [False] * 3, ["none"] * 3),
        ({"asset_type": "option", "status": "error"}, (False,) * 3, [False] * 3, ["none"] * 3),
        ({"asset_type": "option", "status": "delisted"}, (False,) * 3, [False] * 3, ["none"] * 3),
    ],
)
def test_states_of_a_symbol(
    columns: dict[str, Any], priced: tuple[bool, bool, bool], active: list[bool], reasons: list[str]
) -> None:
    found = states(priced=priced, **columns)
    assert found.priced[:, PLACE].tolist() == list(priced)
    assert found.active[:, PLACE].tolist() == active
    assert absence(found) == reasons
    is_option = columns.get("asset_type") == "option"
    assert found.counted[PLACE] == (not is_option)
    assert found.without_data[PLACE] == (columns.get("status") == "error" and not is_option)
    others = np.arange(100) != PLACE
    assert found.active[:, others].all()
    assert not found.absence[:, others].any()


def test_labels_are_words_of_their_own() -> None:
    assert EXCLUSION_LABELS == [
        "none",
        "no_price",
        "short_history",
        "constant",
        "not_listed_yet",
        "no_data_from_source",
        "delisted",
    ]
