"""One slice: what is computed and written of it, and which symbols it is about."""

import threading
from datetime import date

import pytest

from sigmasight_assets.orchestration.symbol_checks import FRESH
from sigmasight_assets.orchestration.symbol_slices import PublicationRun, publish_slice
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS, lock_layer
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    assert_same_figures,
    changed_keys,
    contents,
    execute,
    rows_of,
    wait_for_waiters,
)
from tests.orchestration.markets import FLAT, HALTED, LATE, LEVERED, UNKNOWN, YOUNG
from tests.orchestration.symbol_runs import FIGURE_TABLES, delete_bars, figures, mark, publish, restate, stocks

TRACKED = 74
# Symbols for some of whose exposures only a computation tells that there are none, at the last session.
UNDECIDED = (FLAT, LATE)
WITHOUT_DATA = f"tracked but without any data: {UNKNOWN}"


def without_awkward(database: Database) -> None:
    """Leave the symbols that have every bar."""
    awkward = [FLAT, LATE, YOUNG, HALTED, UNKNOWN]
    execute(database, "DELETE FROM symbol_universe WHERE symbol = ANY(:awkward)", awkward=awkward)


def test_what_is_fresh_is_not_computed(published: Database) -> None:
    without_awkward(published)
    outcome = publish(published)
    assert (outcome.cells_computed, outcome.generation, sum(outcome.rows_computed.values())) == (0, None, 0)
    assert outcome.published == TARGETS
    details = {item.check: item.detail for item in outcome.verdicts if item.detail == FRESH}
    assert set(details) == {"betas_finite", "market_beta_stable"}
    assert outcome.rows_present["symbol_daily_metrics"] == len(TARGETS) * (TRACKED - 5)
    assert not any(outcome.exclusions.values())


def test_symbols_that_may_have_exposures_after_all_are_looked_at_again(published: Database) -> None:
    assert publish(published, TARGETS[-1:]).cells_computed == len(UNDECIDED)


def test_one_changed_bar_costs_the_cells_that_rest_on_it(published: Database) -> None:
    without_awkward(published)
    restate(published, stocks(published, 1)[0], TARGETS[7], "adj_close_price = adj_close_price * 1.01")
    outcome = publish(published)
    assert outcome.cells_computed == 5
    assert set(outcome.rows_computed.values()) == {0, 5}
    assert outcome.rows_computed["market_beta"] == 5
    details = {item.session: item.detail for item in outcome.verdicts if item.check == "market_beta_stable"}
    assert {session for session, detail in details.items() if detail == FRESH} == set(TARGETS[:7])
    # Of all symbols, although one was computed.
    assert "1.0" in details[TARGETS[7]]
    finite = {item.session: item.detail for item in outcome.verdicts if item.check == "betas_finite"}
    assert finite[TARGETS[7]] == f"{TRACKED - 5} symbols"


def test_a_range_that_is_partly_fresh_becomes_what_it_is_in_one_go(request: pytest.FixtureRequest) -> None:
    whole = figures(request.getfixturevalue("published"))
    priced = request.getfixturevalue("priced")
    publish(priced, TARGETS[3:7])
    before = contents(priced, FIGURE_TABLES)
    outcome = publish(priced)
    assert outcome.generation == 2
    # All of eight sessions, and what is undecided of the four others.
    assert 8 * TRACKED < outcome.cells_computed < 8 * TRACKED + 4 * 4
    after = contents(priced, FIGURE_TABLES)
    for table in FIGURE_TABLES:
        assert not {key[0] for key in changed_keys(before, after, table)} & set(TARGETS[3:7])
    assert_same_figures(figures(priced), whole)


def test_a_changed_volume_leaves_the_betas_in_the_metrics_digit_by_digit(published: Database) -> None:
    symbol = stocks(published, 1)[0]
    restate(published, symbol, TARGETS[7], "volume = volume * 3")
    before = contents(published, SYMBOL_TABLES)
    publish(published)
    after = contents(published, SYMBOL_TABLES)
    assert changed_keys(before, after, "symbol_daily_metrics") == {(day, symbol) for day in TARGETS[7:]}
    assert after["symbol_market_beta"] == before["symbol_market_beta"]
    different = (
        "SELECT 1 FROM symbol_daily_metrics AS metrics "
        "JOIN symbol_market_beta AS market ON (market.session, market.symbol) = (metrics_date, metrics.symbol) "
        "JOIN symbol_ridge_factors AS ridge ON (ridge.session, ridge.symbol) = (metrics_date, metrics.symbol) "
        "JOIN symbol_spread_factors AS spread ON (spread.session, spread.symbol) = (metrics_date, metrics.symbol) "
        "WHERE metrics.market_beta <> market.beta OR metrics.size_beta <> ridge.size_beta "
        "OR metrics.quality_spread_beta <> spread.quality_spread_beta"
    )
    assert rows_of(published, different) == []


def test_options_have_closes_and_nothing_else(priced: Database) -> None:
    """Two that trade, one of them with a gap, and one that never did: nobody misses a bar of theirs."""
    traded, silent = ["OPT250620C00100000", "OPT250620P00100000"], "OPT250620C00200000"
    add = "INSERT INTO symbol_universe (symbol, name, asset_type, status) VALUES (:symbol, :symbol, 'option', :status)"
    for symbol, status in ((traded[0], "active"), (traded[1], "delisted"), (silent, "error")):
        execute(priced, add, symbol=symbol, status=status)
    model = stocks(priced, 1)[0]
    columns = "price_date, open_price, high_price, low_price, close_price, adj_close_price, volume, source"
    copy = (
        f"INSERT INTO symbol_prices_daily (symbol, {columns}) "
        f"SELECT :symbol, {columns} FROM symbol_prices_daily WHERE symbol = :model"
    )
    for symbol in traded:
        execute(priced, copy, symbol=symbol, model=model)
    delete_bars(priced, TARGETS[2], traded[0])
    outcome = publish(priced)
    assert outcome.failed == []
    options = [*traded, silent]
    for table in FIGURE_TABLES:
        found = rows_of(priced, f"SELECT * FROM {table} WHERE symbol = ANY(:options)", options=options)
        if table != "symbol_daily_metrics":
            assert found == []
            continue
        days = {symbol: [row["metrics_date"] for row in found if row["symbol"] == symbol] for symbol in options}
        assert days == {traded[0]: [*TARGETS[:2], *TARGETS[3:]], traded[1]: TARGETS, silent: []}
        shares = rows_of(priced, f"SELECT * FROM {table} WHERE symbol = :model", model=model)
        closes = {row["metrics_date"]: row["close_price"] for row in shares}
        for row in found:
            assert row["close_price"] == closes[row["metrics_date"]]
            assert {value for name, value in row.items() if name.endswith("_beta")} == {None}
            assert row["data_quality_score"] in (40, 60)
    assert rows_of(priced, "SELECT * FROM symbol_exclusions WHERE symbol = ANY(:options)", options=options) == []
    coverage = [item.detail for item in outcome.verdicts if item.check == "coverage"]
    assert coverage[2] == f"72 of 72 active symbols have a bar (100.00%), 98.00% needed; {WITHOUT_DATA}"
    # Other returns of funds do not make them stale.
    restate(priced, "TLT", TARGETS[-1], "adj_close_price = adj_close_price * 1.01")
    before = contents(priced, FIGURE_TABLES)
    assert publish(priced, TARGETS[-1:]).failed == []
    changed = changed_keys(before, contents(priced, FIGURE_TABLES), "symbol_daily_metrics")
    assert len(changed) > 60
    assert not {symbol for _, symbol in changed} & set(options)


def test_delisted_symbols_are_expected_up_to_their_last_price(priced: Database) -> None:
    """Three that are missed bring the coverage below its bound."""
    gone = stocks(priced, 3)
    for day in TARGETS[6:]:
        delete_bars(priced, day, *gone)
    assert publish(priced, TARGETS[6:]).failed == TARGETS[6:]
    ended = "UPDATE symbol_universe SET status = 'delisted', last_price_date = :last WHERE symbol = ANY(:gone)"
    execute(priced, ended, gone=gone, last=TARGETS[5])
    outcome = publish(priced)
    assert outcome.failed == []
    sql = "SELECT session, product, reason FROM symbol_exclusions WHERE symbol = :symbol"
    reasons = {(row["session"], row["product"]): row["reason"] for row in rows_of(priced, sql, symbol=gone[0])}
    products = [name for name in SYMBOL_PRODUCTS if name != "factor_covariances"]
    assert reasons == {(day, product): "delisted" for day in TARGETS[6:] for product in products}
    held = rows_of(priced, "SELECT metrics_date FROM symbol_daily_metrics WHERE symbol = :symbol", symbol=gone[0])
    assert [row["metrics_date"] for row in held] == TARGETS[:6]
    coverage = {item.session: item.detail for item in outcome.verdicts if item.check == "coverage"}
    assert coverage[TARGETS[-1]].startswith("70 of 70 active symbols")


def test_pending_actions_come_with_the_closes(priced: Database) -> None:
    pending = (
        "INSERT INTO corporate_actions (symbol, ex_date, kind, ratio_numerator, ratio_denominator, source, run_id) "
        "VALUES (:symbol, :day, 'split', 4, 1, 'scripted', 'prices')"
    )
    symbol = stocks(priced, 1)[0]
    execute(priced, pending, symbol=symbol, day=date(2024, 5, 1))
    sql = "SELECT generation FROM corporate_actions"
    publish(priced, TARGETS[:2], products=("market_beta",))
    assert rows_of(priced, sql) == [{"generation": None}]
    publish(priced, TARGETS[:2])
    assert rows_of(priced, sql) == [{"generation": 2}]
    publish(priced, TARGETS[2:3])
    assert rows_of(priced, sql) == [{"generation": 2}]


def test_a_slice_gives_way_to_marks_it_does_not_know(published: Database, calendar: SessionCalendar) -> None:
    symbol, other = stocks(published, 2)
    run = PublicationRun(published, calendar, 0.98, "second")
    restate(published, symbol, TARGETS[-1], "volume = volume * 3")
    mark(published, symbol, TARGETS[-1])
    before = contents(published, SYMBOL_TABLES)

    def publish_newest(known: set[str] | None) -> bool:
        return publish_slice(run, TARGETS[-1:], products=SYMBOL_PRODUCTS, known_marks=known) is not None

    assert not publish_newest(set())
    assert not publish_newest({other})
    assert contents(published, SYMBOL_TABLES) == before
    assert rows_of(published, "SELECT * FROM data_quality_results WHERE run_id = 'second'") == []
    assert publish_newest({symbol, other})
    after = contents(published, SYMBOL_TABLES)
    assert changed_keys(before, after, "symbol_daily_metrics") == {(TARGETS[-1], symbol)}
    assert publish_newest(None)


def test_a_bar_that_is_confirmed_while_the_run_waits_is_not_suspect(
    published: Database, calendar: SessionCalendar
) -> None:
    """The universe is read under the lock of the prices, not when the run begins."""
    newest = "UPDATE symbol_universe SET last_price_date = :day WHERE symbol = :symbol"
    restate(published, LEVERED, TARGETS[-2], "close_price = 0.01, low_price = 0.01")
    execute(published, newest, day=TARGETS[-2], symbol=LEVERED)
    run = PublicationRun(published, calendar, 0.98, "second")
    quality = "SELECT quality FROM symbol_market_beta WHERE symbol = :symbol AND session = :day"
    publish_slice(run, TARGETS[-2:-1], products=SYMBOL_PRODUCTS)
    assert rows_of(published, quality, symbol=LEVERED, day=TARGETS[-2]) == [{"quality": "suspect"}]
    with published.bulk() as prices:
        lock_layer(prices, "prices")
        waiting = threading.Thread(target=publish, args=(published, TARGETS[-2:-1]))
        waiting.start()
        wait_for_waiters(published, 1)
        prices.execute(newest.replace(":day", "$1").replace(":symbol", "$2"), (TARGETS[-1], LEVERED))
    waiting.join()
    assert rows_of(published, quality, symbol=LEVERED, day=TARGETS[-2]) == [{"quality": "full"}]
