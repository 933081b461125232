"""Only what is stale is computed, and it comes out as if everything had been."""

from dataclasses import replace

import numpy as np
import pytest

from sigmasight_assets.orchestration.symbol_fingerprints import REGRESSIONS
from sigmasight_assets.orchestration.symbol_states import EXCLUSION_LABELS
from sigmasight_assets.orchestration.symbol_work import SymbolWork, build_work
from sigmasight_assets.storage.figures import StoredFigures
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.symbol_windows import (
    HISTORY,
    PLACES,
    SYMBOLS,
    first_work,
    nothing_stored,
    stored_after,
    symbol_window,
    tracked,
)

METRICS = "symbol_daily_metrics"


@pytest.fixture(scope="module")
def first() -> SymbolWork:
    return first_work(symbol_window())


@pytest.fixture
def stored(first: SymbolWork) -> dict[str, StoredFigures]:
    """What is stored once the first work is published, to be changed."""
    return stored_after(first)


def again(first: SymbolWork, stored: dict[str, StoredFigures], *, force: bool = False) -> SymbolWork:
    return build_work(first.window, stored, products=SYMBOL_PRODUCTS, force=force)


def rectangles(work: SymbolWork) -> list[tuple[list[int], list[int]]]:
    return [(part.block.rows.tolist(), part.block.columns.tolist()) for part in work.parts]


def test_everything_is_computed_at_first_and_nothing_after(first: SymbolWork, stored: dict[str, StoredFigures]) -> None:
    assert rectangles(first) == [([0, 1, 2], list(range(100)))]
    assert first.cells_computed == 300
    assert first.is_computed.all()
    rerun = again(first, stored)
    assert (rerun.parts, rerun.cells_computed) == ([], 0)
    assert not rerun.is_computed.any()
    np.testing.assert_array_equal(rerun.market_betas, first.market_betas)
    for product in stored:
        np.testing.assert_array_equal(rerun.present(product), first.present(product))
        np.testing.assert_array_equal(rerun.exclusions(product), first.exclusions(product))


def test_force_computes_everything(first: SymbolWork, stored: dict[str, StoredFigures]) -> None:
    assert rectangles(again(first, stored, force=True)) == [([0, 1, 2], list(range(100)))]


@pytest.mark.parametrize("product", [*REGRESSIONS, METRICS])
def test_a_stale_cell_alone_is_computed_as_in_the_whole(
    first: SymbolWork, stored: dict[str, StoredFigures], product: str
) -> None:
    stored[product].fingerprint[1, 40] += 1
    work = again(first, stored)
    assert rectangles(work) == [([1], [40])]
    assert [name for name, cells in work.stale.items() if cells.any()] == [product]
    (part,) = work.parts
    np.testing.assert_allclose(part.figures.betas[0, 0], first.parts[0].figures.betas[1, 40], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(work.market_betas, first.market_betas, rtol=0, atol=1e-12)


def test_metrics_take_over_the_betas_that_are_fresh(first: SymbolWork, stored: dict[str, StoredFigures]) -> None:
    """Stored betas are other ones here, so that it shows which are taken."""
    for product in REGRESSIONS:
        stored[product].betas[:] = 0.125
    stored[METRICS].fingerprint[1, 40] += 1
    stored["ir_beta"].fingerprint[1, 40] += 1
    (part,) = again(first, stored).parts
    expected = np.full(12, 0.125)
    expected[PLACES["ir_beta"]] = first.parts[0].figures.betas[1, 40, PLACES["ir_beta"]]
    np.testing.assert_allclose(part.figures.betas[0, 0], expected, rtol=1e-12)


def test_a_fresh_cell_inside_a_rectangle_stays_as_it_is(first: SymbolWork, stored: dict[str, StoredFigures]) -> None:
    stored["ir_beta"].fingerprint[0, 40] += 1
    stored["ir_beta"].fingerprint[2, 41] += 1
    # No computation would say so.
    stored["market_beta"].betas[0, 41] = 0.75
    work = again(first, stored)
    assert rectangles(work) == [([0, 2], [40, 41])]
    assert work.stale["ir_beta"].sum() == 2
    assert not work.stale["market_beta"].any()
    assert work.market_betas[0, 41] == 0.75


def test_a_fresh_row_inside_a_rectangle_stays_whatever_a_computation_says() -> None:
    window = symbol_window()
    window.returns[:, 41] = 0.0
    before = first_work(window)
    stored = stored_after(before)
    stored["market_beta"].present[0, 41] = True
    stored["market_beta"].fingerprint[0, 41] = before.prints.products["market_beta"][0, 41]
    work = again(before, stored)
    assert rectangles(work) == [([0, 1, 2], [41])]
    assert work.present("market_beta")[:, 41].tolist() == [True, False, False]


def test_chosen_products_alone_decide_what_is_due(first: SymbolWork, stored: dict[str, StoredFigures]) -> None:
    stored["market_beta"].fingerprint[1, 40] += 1
    work = build_work(first.window, stored, products=("ir_beta", METRICS))
    assert (set(work.stale), work.parts) == ({"ir_beta", METRICS}, [])
    assert build_work(first.window, nothing_stored(first.window), products=("factor_covariances",)).parts == []


def test_reasons_come_from_the_inputs_or_from_the_computation(first: SymbolWork) -> None:
    """One symbol without a bar, one that never moves, one that is young, an option, and one without a bar any more."""
    window = first.window
    close_units, returns = window.close_units.copy(), window.returns.copy()
    close_units[HISTORY - 1, [40, 44]] = 0
    returns[HISTORY - 1, [40, 44]] = np.nan
    returns[:, 41] = 0.0
    returns[: HISTORY - 50, 42] = np.nan
    symbols = list(window.symbols)
    symbols[43] = tracked(SYMBOLS[43], asset_type="option")
    changed = replace(window, close_units=close_units, returns=returns, symbols=tuple(symbols))
    work = build_work(changed, nothing_stored(window), products=SYMBOL_PRODUCTS)
    newest = {
        product: [EXCLUSION_LABELS[code] for code in work.exclusions(product)[2, 39:45].tolist()]
        for product in (*REGRESSIONS, METRICS)
    }
    short = ["none", "no_price", "constant", "none", "none", "no_price"]
    assert newest["market_beta"] == newest["ir_beta"] == newest["ridge_factors"] == short
    assert newest["spread_factors"] == ["none", "no_price", "constant", "short_history", "none", "no_price"]
    # No exposures of an option are ever looked for.
    assert not any(work.stale[product][:, 43].any() for product in REGRESSIONS)
    assert newest[METRICS] == ["none", "no_price", "none", "none", "none", "no_price"]
    for product in (*REGRESSIONS, METRICS):
        has_row = [True, False, product == METRICS, product != "spread_factors", product == METRICS, False]
        assert work.present(product)[2, 39:45].tolist() == has_row

    # Published before those bars were lost: their rows have to go.
    work = build_work(changed, stored_after(first), products=SYMBOL_PRODUCTS)
    for product in (*REGRESSIONS, METRICS):
        assert work.stale[product][2, [40, 44]].all()
        assert not work.present(product)[2, [40, 44]].any()
