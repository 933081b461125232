"""What is written of a piece of work: the stale cells of the sessions that may change, each in its place."""

import numpy as np
import pytest

from sigmasight_assets.orchestration.symbol_changes import find_changes, write_changes, write_exclusions
from sigmasight_assets.orchestration.symbol_work import SymbolWork, build_work
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.symbol_windows import SYMBOLS, first_work, stored_after, symbol_window

EVERY = dict.fromkeys(PRODUCT_TABLES, np.ones(3, dtype=np.bool_))


def track(database: Database) -> None:
    sql = (
        "INSERT INTO symbol_universe (symbol, name, asset_type) SELECT each, each, 'equity' FROM unnest(:names) AS each"
    )
    execute(database, sql, names=list(SYMBOLS))


@pytest.fixture
def work() -> SymbolWork:
    """One stale symbol in the first session, all of them in the second, and one lost bar in the third."""
    window = symbol_window()
    stored = stored_after(first_work(window))
    stored["ir_beta"].fingerprint[0, 40] += 1
    stored["ir_beta"].fingerprint[1] += 1
    window.close_units[window.rows[2], 41] = 0
    return build_work(window, stored, products=SYMBOL_PRODUCTS)


def test_counts_by_product_and_session(work: SymbolWork) -> None:
    found = find_changes(work, EVERY)
    assert found.differing["ir_beta"].tolist() == [1, 100, 1]
    assert found.computed["ir_beta"].tolist() == [1, 100, 0]
    assert found.differing["market_beta"].tolist() == [0, 0, 1]
    assert found.computed["market_beta"].tolist() == [0, 0, 0]


def test_changed_cells_of_some_or_all_products(work: SymbolWork) -> None:
    found = find_changes(work, EVERY)
    # The lost bar takes the rows of every product with it.
    assert np.argwhere(found.cells(work.shape, "market_beta")).tolist() == [[2, 41]]
    of_rates = found.cells(work.shape, "ir_beta")
    assert of_rates.sum(axis=1).tolist() == [1, 100, 1]
    assert (found.cells(work.shape, "market_beta", "ir_beta") == of_rates).all()
    every = np.logical_or.reduce([found.cells(work.shape, name) for name in EVERY])
    assert (found.cells(work.shape) == every).all()


def test_sessions_that_may_not_change_do_not(work: SymbolWork) -> None:
    good = {"ir_beta": np.array([True, False, False]), "market_beta": np.array([True, True, False])}
    found = find_changes(work, good)
    assert {name: counts.tolist() for name, counts in found.differing.items()} == {
        "ir_beta": [1, 0, 0],
        "market_beta": [0, 0, 0],
    }


def test_rows_go_where_they_belong(database: Database, work: SymbolWork) -> None:
    track(database)
    with database.bulk() as transaction:
        changes = find_changes(work, EVERY)
        write_changes(transaction, work, changes, generation=7)
        write_exclusions(transaction, work, EVERY)
    first, second, third = work.window.targets.sessions.tolist()
    stored = rows_of(database, "SELECT session, symbol, beta, fingerprint FROM symbol_ir_beta WHERE generation = 7")
    assert {(row["session"], row["symbol"]) for row in stored} == {
        (first, SYMBOLS[40]),
        *((second, symbol) for symbol in SYMBOLS),
    }
    expected = {
        (work.window.targets.sessions[part.block.rows[row]].item(), SYMBOLS[part.block.columns[column]]): beta
        for part in work.parts
        for (row, column), beta in np.ndenumerate(part.figures.betas[:, :, 1])
    }
    prints = work.prints.products["ir_beta"]
    for row in stored:
        assert row["beta"] == expected[row["session"], row["symbol"]]
        place = [first, second].index(row["session"]), SYMBOLS.index(row["symbol"])
        assert row["fingerprint"] == prints[place]
    reasons = rows_of(database, "SELECT DISTINCT session, symbol, reason FROM symbol_exclusions")
    assert reasons == [{"session": third, "symbol": SYMBOLS[41], "reason": "no_price"}]
    # No Market Beta was written, so nobody's newest session with exposures has moved.
    assert rows_of(database, "SELECT DISTINCT last_factor_date FROM symbol_universe") == [{"last_factor_date": None}]


def test_newest_session_with_exposures_is_remembered(database: Database) -> None:
    window = symbol_window()
    window.close_units[window.rows[2], 41] = 0
    window.close_units[window.rows, 42] = 0
    work = first_work(window)
    track(database)
    with database.bulk() as transaction:
        write_changes(transaction, work, find_changes(work, EVERY), generation=1)
    dates = {row["symbol"]: row["last_factor_date"] for row in rows_of(database, "SELECT * FROM symbol_universe")}
    _, second, third = window.targets.sessions.tolist()
    assert (dates[SYMBOLS[40]], dates[SYMBOLS[41]], dates[SYMBOLS[42]]) == (third, second, None)


def test_newest_session_goes_back_when_its_exposures_are_lost(database: Database) -> None:
    window = symbol_window()
    before = first_work(window)
    stored = stored_after(before)
    track(database)
    # One loses its newest bar, one an older bar, and one all three.
    window.close_units[window.rows[2], 41] = 0
    window.close_units[window.rows[1], 42] = 0
    window.close_units[window.rows, 43] = 0
    after = build_work(window, stored, products=SYMBOL_PRODUCTS)
    with database.bulk() as transaction:
        write_changes(transaction, before, find_changes(before, EVERY), generation=1)
        write_changes(transaction, after, find_changes(after, EVERY), generation=2)
    dates = {row["symbol"]: row["last_factor_date"] for row in rows_of(database, "SELECT * FROM symbol_universe")}
    _, second, third = window.targets.sessions.tolist()
    assert [dates[SYMBOLS[column]] for column in (40, 41, 42, 43)] == [third, second, third, None]
