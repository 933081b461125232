"""Marks of changed facts: in what order, in what portions and under what generation they are settled."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sigmasight_assets.orchestration import symbol_checks, symbol_publication, symbol_slices
from sigmasight_assets.orchestration.symbol_invalidations import affected_sessions, settle_invalidations
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_slices import PublicationRun
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invalidations import Invalidation
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.conftest import HISTORY_START, TARGETS
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    assert_same_figures,
    changed_keys,
    contents,
    execute,
    rows_of,
)
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.symbol_runs import (
    FIGURE_TABLES,
    actions,
    altered,
    delete_bars,
    generations,
    ledger,
    mark,
    marks,
    product_rows,
    publish,
    refresh,
    restate,
    stocks,
)

NEWEST = TARGETS[-1:]
BAD = TARGETS[10]
MARKED = datetime(2025, 7, 1, tzinfo=UTC)


def test_ledger_of_a_republication(published: Database, awkward: ScriptedMarket) -> None:
    market, symbol = altered(awkward), stocks(published, 1)[0]
    market.restate(symbol, TARGETS[7], 1.01)
    refresh(published, market)
    earlier = {row["session"]: row for row in ledger(published, 1)}
    publish(published, NEWEST, run_id="again")
    again = ledger(published, 2)
    assert [row["session"] for row in again] == TARGETS[7:]
    assert {row["run_id"] for row in again} == {"again"}
    for row in again:
        assert row["products"] == list(SYMBOL_PRODUCTS)
        assert row["coverage"] == earlier[row["session"]]["coverage"]
        assert row["rows_written"] == sum(row["counts"].values()) == 5
    assert again[0]["coverage"] < again[1]["coverage"] == 1.0
    assert generations(published) == {day: 2 if day in TARGETS[7:] else 1 for day in TARGETS}


def test_fund_whose_session_fails_stays_marked_until_it_passes(published: Database) -> None:
    restate(published, "TLT", TARGETS[9], "adj_close_price = adj_close_price * 1.005")
    mark(published, "TLT", TARGETS[9], has_new_returns=True)
    bar = rows_of(published, "SELECT * FROM symbol_prices_daily WHERE symbol = 'VTV' AND price_date = :day", day=BAD)
    delete_bars(published, BAD, "VTV")
    outcome = publish(published, TARGETS[:1])
    assert (outcome.published, outcome.failed) == (TARGETS[:1], [])
    assert (outcome.unsettled, marks(published)) == ({"TLT"}, ["TLT"])
    assert [(item.session, item.check) for item in outcome.failures] == [(BAD, "factor_etfs_priced")]
    assert {day for day, number in generations(published).items() if number > 1} == set(TARGETS[9:])
    names = ", ".join(bar[0])
    values = ", ".join(f":{name}" for name in bar[0])
    execute(published, f"INSERT INTO symbol_prices_daily ({names}) VALUES ({values})", **bar[0])
    outcome = publish(published, TARGETS[:1])
    assert (outcome.unsettled, marks(published), outcome.failures) == (set(), [], [])
    assert BAD in outcome.republished_sessions
    found = product_rows(published)
    publish(published, force=True)
    assert_same_figures(found, product_rows(published))


def test_nothing_that_changed_takes_no_generation(published: Database) -> None:
    symbol = stocks(published, 1)[0]
    before = contents(published, SYMBOL_TABLES)
    # The action that this one tells of is published already, or was withdrawn before it was.
    mark(published, symbol, HISTORY_START, TARGETS[-1], actions_from=TARGETS[3])
    mark(published, "SPY", HISTORY_START, TARGETS[-1], has_new_returns=True)
    mark(published, "GONE", HISTORY_START, TARGETS[-1])
    outcome = publish(published, NEWEST)
    assert (outcome.generation, outcome.republished_sessions, marks(published)) == (None, set(), [])
    assert contents(published, SYMBOL_TABLES) == before


@pytest.mark.parametrize(
    ("ex_date", "republished"),
    [
        (TARGETS[4], [TARGETS[4]]),
        # A Saturday: the next published session is a Tuesday, after a holiday.
        (date(2025, 5, 24), [date(2025, 5, 27)]),
        (HISTORY_START, TARGETS[:1]),
        (TARGETS[-1] + timedelta(days=1), []),
    ],
)
def test_action_without_changed_figures_reaches_the_snapshots_from_its_day_on(
    published: Database, ex_date: date, republished: list[date]
) -> None:
    symbol = stocks(published, 1)[0]
    pending = (
        "INSERT INTO corporate_actions (symbol, ex_date, kind, amount, source, run_id) "
        "VALUES (:symbol, :ex_date, 'dividend', 0.1, 'scripted', 'prices')"
    )
    execute(published, pending, symbol=symbol, ex_date=ex_date)
    before = contents(published, FIGURE_TABLES)
    mark(published, symbol, min(ex_date, TARGETS[-1]), actions_from=ex_date)
    outcome = publish(published, NEWEST)
    assert outcome.republished_sessions == set(republished)
    generation = 2 if republished else None
    assert (outcome.generation, [row["generation"] for row in actions(published)]) == (generation, [generation])
    assert [row["session"] for row in ledger(published, 2)] == republished
    assert contents(published, FIGURE_TABLES) == before
    assert marks(published) == []
    # What is pending comes with the next publication.
    publish(published, NEWEST, force=True)
    assert [row["generation"] for row in actions(published)] == [2]


def test_pending_actions_of_marked_symbols_wait_for_their_own_republication(
    published: Database, awkward: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no beta within its bound the group fails; the asked session needs none computed."""
    market, (failing, other) = altered(awkward), stocks(published, 2)
    market.pay(failing, TARGETS[8], 0.5)
    refresh(published, market)
    execute(
        published,
        "INSERT INTO corporate_actions (symbol, ex_date, kind, amount, source, run_id) "
        "VALUES (:symbol, '2025-07-01', 'dividend', 0.1, 'scripted', 'prices')",
        symbol=other,
    )
    execute(published, "DELETE FROM factor_covariances WHERE session = :day", day=TARGETS[6])
    monkeypatch.setattr(symbol_checks, "BETA_CAP", 0.0)
    before = contents(published, FIGURE_TABLES)
    outcome = publish(published, TARGETS[6:7])
    assert (outcome.unsettled, marks(published)) == ({failing}, [failing])
    assert {(item.session, item.check) for item in outcome.failures} == {(day, "betas_finite") for day in TARGETS[8:]}
    assert (outcome.published, outcome.generation) == (TARGETS[6:7], 2)
    assert contents(published, FIGURE_TABLES) == before
    assert {row["symbol"]: row["generation"] for row in actions(published)} == {failing: None, other: 2}
    monkeypatch.undo()
    assert publish(published, TARGETS[6:7]).unsettled == set()
    assert {row["symbol"]: row["generation"] for row in actions(published)} == {failing: 3, other: 2}


def test_groups_that_fit_the_memory_come_one_after_the_other(
    published: Database, awkward: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, symbols = altered(awkward), stocks(published, 3)
    for symbol in symbols:
        market.restate(symbol, TARGETS[9], 1.01)
    refresh(published, market)
    # Three sessions times two symbols.
    monkeypatch.setattr(symbol_slices, "SLICE_CELLS", 6)
    monkeypatch.setattr(symbol_slices, "SLICE_SESSIONS", 1)
    before = contents(published, FIGURE_TABLES)
    assert publish(published, NEWEST).generation == 3
    after = contents(published, FIGURE_TABLES)
    expected = {(day, symbol) for day in TARGETS[9:] for symbol in symbols}
    assert changed_keys(before, after, "symbol_market_beta") == expected
    assert marks(published) == []


def test_marks_set_while_a_slice_waits_are_settled_before_it(
    published: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A price update that commits between the two transactions."""
    symbol = stocks(published, 1)[0]
    times = iter(range(100))

    def settle_and_change(*arguments: Any) -> None:
        settle_invalidations(*arguments)
        if next(times) == 0:
            restate(published, symbol, TARGETS[4], "adj_close_price = adj_close_price * 1.01")
            mark(published, symbol, TARGETS[4], has_new_returns=True)

    monkeypatch.setattr(symbol_publication, "settle_invalidations", settle_and_change)
    before = contents(published, FIGURE_TABLES)
    outcome = publish(published, NEWEST)
    assert (outcome.published, marks(published)) == (NEWEST, [])
    changed = changed_keys(before, contents(published, FIGURE_TABLES), "symbol_market_beta")
    assert changed == {(day, symbol) for day in TARGETS[4:]}
    assert next(times) == 2


def test_marks_wait_for_a_run_that_publishes_closes(published: Database) -> None:
    symbol = stocks(published, 1)[0]
    restate(published, symbol, TARGETS[8], "close_price = close_price * 1.01, high_price = high_price * 1.01")
    mark(published, symbol, TARGETS[8])
    before = contents(published, FIGURE_TABLES)
    publish(published, NEWEST, products=("ir_beta",))
    assert (contents(published, FIGURE_TABLES), marks(published)) == (before, [symbol])
    publish(published, TARGETS[:1], products=("symbol_daily_metrics",))
    after = contents(published, FIGURE_TABLES)
    assert changed_keys(before, after, "symbol_daily_metrics") == {(day, symbol) for day in TARGETS[8:]}
    assert marks(published) == []


def test_only_products_that_a_session_has_published_are_republished(priced: Database) -> None:
    publish(priced, TARGETS[:2])
    publish(priced, TARGETS[2:3], products=("market_beta", "symbol_daily_metrics"))
    symbol = stocks(priced, 1)[0]
    restate(priced, symbol, TARGETS[0], "adj_close_price = adj_close_price * 1.01")
    mark(priced, symbol, TARGETS[0], has_new_returns=True)
    before = product_rows(priced)
    outcome = publish(priced, TARGETS[:1])
    changed = {table: {key[0] for key in changed_keys(before, product_rows(priced), table)} for table in FIGURE_TABLES}
    assert changed["symbol_ir_beta"] == changed["symbol_ridge_factors"] == set(TARGETS[:2])
    assert changed["symbol_market_beta"] == changed["symbol_daily_metrics"] == set(TARGETS[:3])
    assert changed_keys(before, product_rows(priced), "symbol_exclusions") == set()
    assert outcome.generation is not None
    products = {row["session"]: row["products"] for row in ledger(priced, outcome.generation)}
    assert products == {
        TARGETS[0]: list(SYMBOL_PRODUCTS),
        TARGETS[1]: list(SYMBOL_PRODUCTS),
        TARGETS[2]: ["market_beta", "symbol_daily_metrics"],
    }


def test_affected_sessions_reach_as_far_as_the_longest_window(calendar: SessionCalendar) -> None:
    days = calendar.between(date(2023, 1, 3), date(2025, 6, 30))
    published = {day: {"market_beta"} for day in days[::2]}
    item = Invalidation("AAA", days[10], days[20], True, None, MARKED)
    found = affected_sessions(item, published, calendar)
    assert found == [day for day in days[10 : 20 + 262 + 1] if day in published]
    last = calendar.sessions[-3].item()
    late = Invalidation("AAA", last, last, True, None, MARKED)
    assert affected_sessions(late, {last: {"market_beta"}}, calendar) == [last]


def test_settling_some_symbols_leaves_the_marks_of_others(published: Database) -> None:
    first, other = stocks(published, 2)
    for symbol in (first, other):
        restate(published, symbol, TARGETS[5], "volume = volume + 1")
        mark(published, symbol, TARGETS[5])
    outcome = SymbolPublication()
    run = PublicationRun(published, exchange_calendar(), min_coverage=0.98, run_id="second")
    settle_invalidations(run, outcome, only=frozenset([first, "UNTRACKED"]))
    assert (outcome.republished_symbols, marks(published)) == ({first}, [other])
