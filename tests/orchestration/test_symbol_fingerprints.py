"""What each fingerprint depends on, input by input, and what it does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.orchestration.symbol_fingerprints import Fingerprints, fingerprints, fresh_profiles
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.storage.profiles import ProfileWindow
from sigmasight_assets.storage.tables import PROFILE_FIGURES
from tests.orchestration.symbol_windows import HISTORY, SYMBOLS, TARGETS, symbol_window, tracked

PLACE = 40
EXPOSURES = ("market_beta", "ir_beta", "ridge_factors", "spread_factors")
METRICS = "symbol_daily_metrics"
ALL = (*EXPOSURES, METRICS)
Change = Callable[[SymbolWindow], SymbolWindow]


def with_prices(window: SymbolWindow, column: int, factor: float, rows: slice | int = slice(None)) -> SymbolWindow:
    """Other total-return closes of a symbol, and of the fund if it is one."""
    adj_close = window.adj_close.copy()
    adj_close[rows, column] *= factor
    returns = simple_returns(adj_close)
    return replace(window, adj_close=adj_close, returns=returns, factor_returns=returns[:, : len(FACTOR_ETFS)])


def with_cell(name: str, row: int, column: int, value: Any) -> Change:
    """Another value in one cell of an array."""

    def change(window: SymbolWindow) -> SymbolWindow:
        values = getattr(window, name).copy()
        values[row, column] = value
        return replace(window, **{name: values})

    return change


def changed(before: Fingerprints, after: Fingerprints) -> dict[str, list[tuple[int, ...]]]:
    """Target cells with another fingerprint, by product that has any."""
    cells = {name: np.argwhere(before.products[name] != after.products[name]) for name in before.products}
    cells["factor_covariances"] = np.argwhere(before.covariance != after.covariance)
    return {name: [tuple(cell) for cell in found.tolist()] for name, found in cells.items() if len(found)}


@pytest.mark.parametrize(
    ("change", "products"),
    [
        (lambda window: with_prices(window, PLACE, 0.37), ()),
        (lambda window: with_prices(window, PLACE, 1.01, HISTORY - 1), ALL),
        (lambda window: with_prices(window, PLACE, 1.01, HISTORY - 100), ("spread_factors", METRICS)),
        # Before the 180 returns, but a price that the return of a year starts from.
        (lambda window: with_prices(window, PLACE, 1.01, int(window.anchors[0, 4])), (METRICS,)),
        (lambda window: with_prices(window, PLACE, 1.01, int(window.anchors[0, 4]) - 1), ()),
        (with_cell("close_units", HISTORY - 252, PLACE, 1), (METRICS,)),
        (with_cell("close_units", HISTORY - 253, PLACE, 1), ()),
        (with_cell("volume", HISTORY - 21, PLACE, 1.0), (METRICS,)),
        (with_cell("volume", HISTORY - 22, PLACE, 1.0), ()),
        # The values stay, and metrics repeat values.
        # A window's first return rests on the bar before it too.
        (with_cell("suspect", HISTORY - 91, PLACE, True), EXPOSURES),
        (with_cell("suspect", HISTORY - 92, PLACE, True), ("spread_factors",)),
        (with_cell("suspect", HISTORY - 181, PLACE, True), ("spread_factors",)),
        (with_cell("suspect", HISTORY - 182, PLACE, True), ()),
    ],
)
def test_inputs_of_a_symbol_change_its_own_fingerprints_of_the_newest_session(
    change: Change, products: tuple[str, ...]
) -> None:
    window = symbol_window()
    newest = window.part(np.array([TARGETS - 1]), np.arange(len(SYMBOLS)))
    found = changed(fingerprints(newest), fingerprints(change(newest)))
    assert found == {name: [(0, PLACE)] for name in products}


@pytest.mark.parametrize(
    ("fund", "products"),
    [
        ("SPY", {"market_beta", "spread_factors"}),
        ("TLT", {"ir_beta"}),
        ("VUG", {"ridge_factors", "spread_factors"}),
        ("USMV", {"ridge_factors"}),
    ],
)
def test_a_fund_changes_whatever_is_regressed_on_it(fund: str, products: set[str]) -> None:
    window, column = symbol_window(), FACTOR_ETFS.index(fund)
    before = fingerprints(window)
    found = changed(before, fingerprints(with_prices(window, column, 1.01, HISTORY - 1)))
    everyone = [(TARGETS - 1, place) for place in range(len(SYMBOLS))]
    # Metrics repeat the betas; the fund itself has returns of its own in all products.
    assert found.pop("factor_covariances") == [(TARGETS - 1,)]
    assert found.pop(METRICS) == everyone
    assert {name for name, cells in found.items() if cells == everyone} == products
    assert all(cells == [(TARGETS - 1, column)] for name, cells in found.items() if name not in products)
    # A suspect bar changes qualities, neither values nor covariances.
    suspect = replace(
        window,
        factor_suspect=with_cell("factor_suspect", HISTORY - 1, column, True)(window).factor_suspect,
        suspect=with_cell("suspect", HISTORY - 1, column, True)(window).suspect,
    )
    found = changed(before, fingerprints(suspect))
    assert {name for name, cells in found.items() if cells == everyone} == products
    assert set(found) == set(EXPOSURES)


def test_a_symbol_that_becomes_the_fund_itself_is_estimated_otherwise() -> None:
    window = symbol_window()
    found = changed(fingerprints(window), fingerprints(with_cell_of_own(window, PLACE, 0)))
    assert set(found) == {"market_beta", "ir_beta", METRICS}


def with_cell_of_own(window: SymbolWindow, column: int, fund: int) -> SymbolWindow:
    own = window.own.copy()
    own[column] = fund
    return replace(window, own=own)


def test_options_have_no_exposures_to_become_stale() -> None:
    window = symbol_window()
    symbols = [*window.symbols[:PLACE], tracked("S32", asset_type="option"), *window.symbols[PLACE + 1 :]]
    window = replace(window, symbols=tuple(symbols))
    before = fingerprints(window)
    found = changed(before, fingerprints(with_prices(window, 0, 1.01, HISTORY - 1)))
    assert all((TARGETS - 1, PLACE) not in cells for cells in found.values())
    assert METRICS in changed(before, fingerprints(with_prices(window, PLACE, 1.01, HISTORY - 1)))


def profiles(window: SymbolWindow, *captures: tuple[int, dict[str, Any]]) -> SymbolWindow:
    """One symbol with profiles captured so many days before the newest target, each with what differs from usual."""
    days = [window.targets.sessions[-1] - np.timedelta64(age, "D") for age, _ in captures]
    described = [
        {"sector": "Energy", "industry": None, **dict.fromkeys(PROFILE_FIGURES, 1.5)} | own for _, own in captures
    ]
    row = np.full(window.targets.shape, -1)
    for number, day in enumerate(days):
        row[window.targets.sessions >= day, PLACE] = number
    return replace(
        window,
        profiles=ProfileWindow(
            row=row,
            captured_on=np.array(days, dtype="datetime64[D]"),
            figures={name: np.array([item[name] for item in described]) for name in PROFILE_FIGURES},
            sector=[item["sector"] for item in described],
            industry=[item["industry"] for item in described],
        ),
    )


@pytest.mark.parametrize(
    "other",
    [{"sector": "Utilities"}, {"sector": None}, {"industry": "Oil"}, *({name: 2.0} for name in PROFILE_FIGURES)],
)
def test_every_part_of_a_profile_counts_from_its_session_on(other: dict[str, Any]) -> None:
    window = symbol_window()
    plain = fingerprints(profiles(window, (200, {})))
    assert changed(fingerprints(window), plain) == {METRICS: [(row, PLACE) for row in range(TARGETS)]}
    assert changed(plain, fingerprints(profiles(window, (200, {}), (100, {})))) == {}
    assert changed(plain, fingerprints(profiles(window, (200, other)))) == {
        METRICS: [(row, PLACE) for row in range(TARGETS)]
    }
    later = fingerprints(profiles(window, (200, {}), (0, other)))
    assert changed(plain, later) == {METRICS: [(TARGETS - 1, PLACE)]}


def test_missing_figures_of_profiles_are_all_the_same() -> None:
    window = symbol_window()
    usual = fingerprints(profiles(window, (200, {"pe_ratio": np.nan})))
    signalling = np.array([0x7FF0000000000001], dtype=np.uint64).view(np.float64)[0]
    assert changed(usual, fingerprints(profiles(window, (200, {"pe_ratio": signalling})))) == {}


def test_words_do_not_run_together() -> None:
    window = symbol_window()
    one = fingerprints(profiles(window, (200, {"sector": "Energy", "industry": None})))
    two = fingerprints(profiles(window, (200, {"sector": None, "industry": "Energy"})))
    assert METRICS in changed(one, two)


def test_a_profile_is_fresh_for_seven_days() -> None:
    window = symbol_window()
    sessions = window.targets.sessions
    ages = (sessions[-1] - sessions).astype(int).tolist()
    for age in range(12):
        found = fresh_profiles(profiles(window, (age, {})))
        assert found[:, PLACE].tolist() == [0 <= age - before < 7 for before in ages]
        assert found.sum() == found[:, PLACE].sum()
    assert not fresh_profiles(window).any()
    # That it ages changes the score, so it changes the fingerprint.
    first, second = fingerprints(profiles(window, (6, {}))), fingerprints(profiles(window, (7, {})))
    assert (TARGETS - 1, PLACE) in changed(first, second)[METRICS]


def test_a_part_is_that_of_its_cells() -> None:
    window = symbol_window()
    rows, columns = np.array([0, 2]), np.array([PLACE, 7])
    whole = fingerprints(window)
    part, alone = whole.part(rows, columns), fingerprints(window.part(rows, columns))
    assert changed(part, alone) == {}
    np.testing.assert_array_equal(part.products[METRICS], whole.products[METRICS][np.ix_(rows, columns)])
