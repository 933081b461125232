"""Facts that change behind published sessions: exactly the figures that rest on them are published again, once."""

import pytest

from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from tests.orchestration.conftest import TARGETS, store_prices
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    Contents,
    assert_same_figures,
    changed_keys,
    contents,
    rows_of,
)
from tests.orchestration.markets import HALTED, ScriptedMarket, stock
from tests.orchestration.states import States
from tests.orchestration.symbol_runs import (
    BETA_TABLES,
    FIGURE_TABLES,
    actions,
    altered,
    delete_bars,
    marks,
    product_rows,
    publish,
    refresh,
    split_exactly,
    stocks,
)

NEWEST = TARGETS[-1:]


def clean(states: States, calendar: SessionCalendar, market: ScriptedMarket) -> Contents:
    """What is there when the market had been like this from the beginning."""
    states.clear()
    store_prices(states.database, calendar, market)
    assert publish(states.database).failed == []
    return product_rows(states.database)


def test_restated_bar_changes_exactly_the_rows_that_rest_on_it(
    published: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar
) -> None:
    market, symbol = altered(awkward), stocks(published, 1)[0]
    market.restate(symbol, TARGETS[8], 1.01)
    before = contents(published, SYMBOL_TABLES)
    refresh(published, market)
    assert marks(published) == [symbol]
    outcome = publish(published, NEWEST)
    assert (outcome.generation, outcome.failures, marks(published)) == (2, [], [])
    assert (outcome.republished_sessions, outcome.republished_symbols) == (set(TARGETS[8:]), {symbol})
    # The newest session was asked for, and found fresh.
    assert (outcome.published, sum(outcome.rows_computed.values())) == (NEWEST, 0)
    # Four of the symbol, and at the asked session the two that have a bar and no exposures.
    assert outcome.cells_computed == 4 + 2
    after = contents(published, SYMBOL_TABLES)
    expected = {(day, symbol) for day in TARGETS[8:]}
    for table in FIGURE_TABLES:
        assert changed_keys(before, after, table) == expected
        assert outcome.rows_republished[table.removeprefix("symbol_")] in (0, 4)
    for table in ("factor_covariances", "symbol_exclusions"):
        assert after[table] == before[table]
    found = product_rows(published)
    assert_same_figures(found, clean(states, calendar, market))


def test_late_bar_fills_the_hole(published: Database, awkward: ScriptedMarket) -> None:
    market, symbol, day = altered(awkward), stocks(published, 1)[0], TARGETS[9]
    whole = product_rows(published)
    delete_bars(published, day, symbol)
    publish(published)
    holed = product_rows(published)
    assert (day, symbol) not in holed["symbol_daily_metrics"]
    assert {key[:2] for key in changed_keys(whole, holed, "symbol_exclusions")} == {(day, symbol)}
    refresh(published, market)
    assert marks(published) == [symbol]
    publish(published, NEWEST)
    assert_same_figures(product_rows(published), whole)


@pytest.mark.fault(12)
def test_split_restates_closes_and_publishes_itself_with_them(
    published: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar
) -> None:
    """Betas do not change, so their rows are not touched."""
    market, symbol = altered(awkward), stocks(published, 1)[0]
    split_exactly(market, symbol, TARGETS[8], 4)
    before = contents(published, SYMBOL_TABLES)
    sql = "SELECT metrics_date, close_price, high_52w FROM symbol_daily_metrics WHERE symbol = :symbol ORDER BY 1"
    closes = rows_of(published, sql, symbol=symbol)
    refresh(published, market)
    assert [row["generation"] for row in actions(published)] == [None]
    outcome = publish(published, NEWEST)
    assert (outcome.generation, outcome.failures, marks(published)) == (2, [], [])
    assert [(row["symbol"], row["ex_date"], row["generation"]) for row in actions(published)] == [
        (symbol, TARGETS[8], 2)
    ]
    after = contents(published, SYMBOL_TABLES)
    for table in (*BETA_TABLES, "factor_covariances", "symbol_exclusions"):
        assert after[table] == before[table]
    assert changed_keys(before, after, "symbol_daily_metrics") == {(day, symbol) for day in TARGETS}
    for old, new in zip(closes, rows_of(published, sql, symbol=symbol), strict=True):
        assert abs(old["close_price"] / 4 - new["close_price"]) <= 5e-5
        assert abs(old["high_52w"] / 4 - new["high_52w"]) <= 5e-5
    found = product_rows(published)
    assert_same_figures(found, clean(states, calendar, market))


@pytest.mark.fault(12)
def test_betas_of_a_split_symbol_equal_those_of_its_never_split_twin(
    database: Database, awkward: ScriptedMarket
) -> None:
    market = altered(awkward)
    symbol = next(item.symbol for item in market.descriptions if item.asset_type == "equity")
    market.descriptions.append(stock("TWIN"))
    market.bars |= {("TWIN", day): values for (name, day), values in market.bars.items() if name == symbol}
    refresh(database, market, until=TARGETS[7])
    publish(database, TARGETS[:8])
    split_exactly(market, symbol, TARGETS[8], 4)
    refresh(database, market)
    assert marks(database) == [symbol]
    assert publish(database, TARGETS[8:]).failed == []
    for table in BETA_TABLES:
        found = rows_of(database, f"SELECT * FROM {table} WHERE symbol IN (:split, 'TWIN')", split=symbol)
        each = {(row["session"], row["symbol"]): row for row in found}
        assert len(each) == 2 * len(TARGETS)
        for day in TARGETS:
            split, twin = each[day, symbol], each[day, "TWIN"]
            names = [name for name in split if name not in ("symbol", "fingerprint", "generation")]
            assert [split[name] for name in names] == [
                pytest.approx(twin[name], rel=1e-9, abs=1e-12) if isinstance(twin[name], float) else twin[name]
                for name in names
            ]
    closes = rows_of(database, "SELECT symbol, metrics_date, close_price FROM symbol_daily_metrics")
    by_key = {(row["symbol"], row["metrics_date"]): row["close_price"] for row in closes}
    assert all(abs(by_key["TWIN", day] / 4 - by_key[symbol, day]) <= 5e-5 for day in TARGETS)


def test_dividend_learnt_late_changes_the_returns_since(
    published: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar
) -> None:
    market, symbol = altered(awkward), stocks(published, 1)[0]
    market.pay(symbol, TARGETS[8], 0.5)
    before = contents(published, SYMBOL_TABLES)
    refresh(published, market)
    publish(published, NEWEST)
    after = contents(published, SYMBOL_TABLES)
    for table in BETA_TABLES:
        assert changed_keys(before, after, table) == {(day, symbol) for day in TARGETS[8:]}
    assert [(row["kind"], row["generation"]) for row in actions(published)] == [("dividend", 2)]
    found = product_rows(published)
    assert_same_figures(found, clean(states, calendar, market))


def test_restated_factor_fund_is_followed_by_the_whole_universe(
    published: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar
) -> None:
    market = altered(awkward)
    market.restate("TLT", TARGETS[9], 1.005)
    before = product_rows(published)
    refresh(published, market)
    assert marks(published) == ["TLT"]
    outcome = publish(published, NEWEST)
    assert (outcome.failures, marks(published), outcome.unsettled) == ([], [], set())
    assert (outcome.republished_sessions, outcome.republished_symbols) == (set(TARGETS[9:]), {"TLT"})
    found = product_rows(published)
    late = {key for key in before["symbol_ir_beta"] if key[0] >= TARGETS[9]}
    assert changed_keys(before, found, "symbol_ir_beta") == late
    assert changed_keys(before, found, "symbol_market_beta") == {(day, "TLT") for day in TARGETS[9:]}
    assert changed_keys(before, found, "factor_covariances") == {(day,) for day in TARGETS[9:]}
    judged = rows_of(published, "SELECT DISTINCT session FROM data_quality_results WHERE run_id = 'second' ORDER BY 1")
    assert [row["session"] for row in judged] == TARGETS[9:]
    assert_same_figures(found, clean(states, calendar, market))


@pytest.mark.fault(11)
@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_suspect_bar_is_named_until_a_later_bar_confirms_it(
    database: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar, factor: float
) -> None:
    market = altered(awkward)
    symbol = next(item.symbol for item in market.descriptions if item.asset_type == "equity")
    for day in TARGETS[10:]:
        market.restate(symbol, day, factor)
    refresh(database, market, until=TARGETS[10])
    publish(database, TARGETS[:11])
    quality = (
        "SELECT session, symbol FROM symbol_market_beta WHERE quality = 'suspect' UNION "
        "SELECT session, symbol FROM symbol_ridge_factors WHERE quality = 'suspect' UNION "
        "SELECT session, symbol FROM symbol_spread_factors WHERE size_spread_quality = 'suspect'"
    )
    assert rows_of(database, quality) == [{"session": TARGETS[10], "symbol": symbol}]
    before = contents(database, SYMBOL_TABLES)
    refresh(database, market)
    assert marks(database) == [symbol]
    publish(database, NEWEST)
    assert rows_of(database, quality) == []
    after = contents(database, SYMBOL_TABLES)
    for table in BETA_TABLES:
        changed = {key for key in changed_keys(before, after, table) if key[0] <= TARGETS[10]}
        assert changed == {(TARGETS[10], symbol)}
    # Metrics repeat values, and these do not change.
    assert {key[0] for key in changed_keys(before, after, "symbol_daily_metrics")} == set(NEWEST)
    found = product_rows(database)
    assert_same_figures(found, clean(states, calendar, market))


@pytest.mark.fault(11)
@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_suspect_bar_that_a_later_answer_takes_back_leaves_no_trace(
    database: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar, factor: float
) -> None:
    market = altered(awkward)
    symbol = next(item.symbol for item in market.descriptions if item.asset_type == "equity")
    right = market.bars[symbol, TARGETS[10]]
    market.restate(symbol, TARGETS[10], factor)
    refresh(database, market, until=TARGETS[10])
    publish(database, TARGETS[:11])
    quality = "SELECT session, symbol FROM symbol_market_beta WHERE quality = 'suspect'"
    assert rows_of(database, quality) == [{"session": TARGETS[10], "symbol": symbol}]
    market.bars[symbol, TARGETS[10]] = right
    refresh(database, market)
    publish(database, NEWEST)
    assert (rows_of(database, quality), marks(database)) == ([], [])
    assert_same_figures(product_rows(database), clean(states, calendar, altered(awkward)))


@pytest.mark.fault(11)
def test_a_price_that_stands_still_for_ten_sessions_is_in_no_doubt_and_touches_nobody(
    database: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar
) -> None:
    market = altered(awkward)
    symbol = next(item.symbol for item in market.descriptions if item.asset_type == "equity")
    for day in TARGETS[-10:]:
        market.bars[symbol, day] = market.bars[symbol, TARGETS[-11]]
    refresh(database, market)
    assert publish(database, TARGETS).failed == []
    assert rows_of(database, "SELECT symbol FROM symbol_market_beta WHERE quality = 'suspect'") == []
    found, others = product_rows(database), clean(states, calendar, altered(awkward))
    for table in (*BETA_TABLES, "symbol_daily_metrics"):
        assert {name for _, name in changed_keys(others, found, table)} == {symbol}
        assert {day for day, name in found[table] if name == symbol} == set(TARGETS)


@pytest.mark.fault(11)
def test_yesterdays_bar_under_todays_date_is_in_no_doubt_and_gives_way_to_the_right_one(
    database: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar
) -> None:
    market = altered(awkward)
    symbol = next(item.symbol for item in market.descriptions if item.asset_type == "equity")
    right, market.bars[symbol, TARGETS[10]] = market.bars[symbol, TARGETS[10]], market.bars[symbol, TARGETS[9]]
    refresh(database, market, until=TARGETS[10])
    assert publish(database, TARGETS[:11]).failed == []
    assert rows_of(database, "SELECT symbol FROM symbol_market_beta WHERE quality = 'suspect'") == []
    market.bars[symbol, TARGETS[10]] = right
    refresh(database, market)
    found = rows_of(database, "SELECT symbol, price_date FROM restatements WHERE kind = 'bar'")
    assert found == [{"symbol": symbol, "price_date": TARGETS[10]}]
    publish(database, NEWEST)
    assert marks(database) == []
    assert_same_figures(product_rows(database), clean(states, calendar, altered(awkward)))


def test_suspect_bar_of_a_fund_makes_everything_suspect_that_rests_on_it(
    database: Database, awkward: ScriptedMarket
) -> None:
    market = altered(awkward)
    for day in TARGETS[10:]:
        market.restate("TLT", day, 1.6)
    refresh(database, market, until=TARGETS[10])
    publish(database, TARGETS[9:11])
    quality = "SELECT session, quality, count(*) AS rows FROM {} GROUP BY 1, 2 ORDER BY 1, 2"
    rates = rows_of(database, quality.format("symbol_ir_beta"))
    assert {(row["session"], row["quality"]) for row in rates} == {
        (TARGETS[9], "full"),
        (TARGETS[10], "suspect"),
    }
    suspect = rows_of(database, "SELECT symbol FROM symbol_market_beta WHERE quality = 'suspect'")
    assert suspect == [{"symbol": "TLT"}]
    refresh(database, market)
    assert marks(database) == ["TLT"]
    assert publish(database, NEWEST).failed == []
    assert {row["quality"] for row in rows_of(database, quality.format("symbol_ir_beta"))} == {"full"}
    assert marks(database) == []


def test_a_move_that_a_corporate_action_explains_is_not_suspect(database: Database, awkward: ScriptedMarket) -> None:
    market = altered(awkward)
    symbol = next(item.symbol for item in market.descriptions if item.asset_type == "equity")
    market.restate(symbol, TARGETS[10], 0.25)
    # A special dividend that its adjusted close tells of.
    market.actions[symbol, TARGETS[10], "dividend"] = (None, None, 1.5)
    refresh(database, market, until=TARGETS[10])
    publish(database, [TARGETS[10]])
    assert {row["quality"] for row in rows_of(database, "SELECT quality FROM symbol_market_beta")} <= {
        "full",
        "limited",
    }
    assert [row["generation"] for row in actions(database)] == [1]


def test_symbol_added_later_is_filled_into_published_sessions(
    published: Database, awkward: ScriptedMarket, states: States, calendar: SessionCalendar
) -> None:
    market = altered(awkward)
    model = stocks(published, 1)[0]
    market.descriptions.append(stock("ADDED"))
    market.bars |= {("ADDED", day): values for (name, day), values in market.bars.items() if name == model}
    before = product_rows(published)
    refresh(published, market)
    assert marks(published) == ["ADDED"]
    outcome = publish(published, NEWEST)
    assert outcome.republished_sessions == set(TARGETS)
    found = product_rows(published)
    for table in FIGURE_TABLES:
        assert changed_keys(before, found, table) == {(day, "ADDED") for day in TARGETS}
    assert found["symbol_exclusions"] == before["symbol_exclusions"]
    (added,) = rows_of(published, "SELECT last_factor_date FROM symbol_universe WHERE symbol = 'ADDED'")
    assert added == {"last_factor_date": TARGETS[-1]}
    assert_same_figures(found, clean(states, calendar, market))


def test_withdrawn_action_is_disregarded_from_the_republication_on(
    published: Database, awkward: ScriptedMarket
) -> None:
    market, symbol = altered(awkward), stocks(published, 1)[0]
    plain = product_rows(published)
    market.pay(symbol, TARGETS[8], 0.5)
    refresh(published, market)
    publish(published, NEWEST)
    refresh(published, altered(awkward))
    assert marks(published) == [symbol]
    publish(published, NEWEST)
    assert [(row["generation"], row["withdrawn_generation"]) for row in actions(published)] == [(2, 3)]
    assert_same_figures(product_rows(published), plain)


@pytest.mark.fault(32)
def test_halt_that_ends_changes_reasons_too(published: Database, awkward: ScriptedMarket) -> None:
    """The bar of a session without one comes late: its reasons go with it."""
    market = altered(awkward)
    market.bars[HALTED, TARGETS[7]] = market.bars[HALTED, TARGETS[6]]
    refresh(published, market)
    before = product_rows(published)
    publish(published, NEWEST)
    gone = changed_keys(before, product_rows(published), "symbol_exclusions")
    assert {key[:2] for key in gone} == {(TARGETS[7], HALTED)}
    assert product_rows(published)["symbol_exclusions"].keys() == before["symbol_exclusions"].keys() - gone
