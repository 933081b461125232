"""Stored bars that the market sends otherwise: noticed, stored, logged, back to the first of them."""

from decimal import Decimal

import pytest

from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import PRICE_TABLES, changed_keys, contents, rows_of
from tests.orchestration.markets import ScriptedMarket, bar
from tests.orchestration.price_runs import (
    DAYS,
    HISTORY_START,
    TODAY,
    TOMORROW,
    run,
    stored_closes,
)


@pytest.mark.fault(15)
def test_restated_close_is_stored_and_logged(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market)
    before = contents(tracked, PRICE_TABLES)
    market.restate("AAA", TODAY, 1.01)
    market.bars["BBB", DAYS[-3]] = bar(stored_close := 500.0)
    update = run(tracked, market)
    assert (update.restated, update.inserted, update.changed_symbols) == (2, 0, 2)
    assert update.restated_sessions == {TODAY, DAYS[-3]}
    after = contents(tracked, PRICE_TABLES)
    assert changed_keys(before, after, "symbol_prices_daily") == {("AAA", TODAY), ("BBB", DAYS[-3])}
    old = Decimal(100 + len(DAYS) - 2)
    log = rows_of(tracked, "SELECT * FROM restatements ORDER BY symbol")
    assert [
        (row["symbol"], row["price_date"], row["old_close_price"], row["new_close_price"], row["run_id"]) for row in log
    ] == [
        ("AAA", TODAY, old, old * Decimal("1.01"), "run-1"),
        ("BBB", DAYS[-3], old, Decimal(stored_close), "run-1"),
    ]
    assert log[0]["old_adj_close_price"] == float(old)
    assert log[0]["new_adj_close_price"] == pytest.approx(float(old) * 1.01, abs=1e-9)
    assert log[0]["reason"] == "re-read of stored sessions"
    assert log[0]["detected_at"].tzinfo is not None


def test_restated_volume_and_adjusted_close_count_but_not_rounding_noise(
    tracked: Database, market: ScriptedMarket
) -> None:
    run(tracked, market)
    before = contents(tracked, PRICE_TABLES)
    for symbol, change in (("AAA", 1 + 1e-12), ("BBB", 1 + 1e-6)):
        opened, high, low, close, adjusted, volume = market.bars[symbol, TODAY]
        assert adjusted is not None
        market.bars[symbol, TODAY] = (opened, high, low, close, adjusted * change, volume)
    *prices, _ = market.bars["NEW", TODAY]
    market.bars["NEW", TODAY] = (*prices, 2000.0)  # type: ignore[assignment]
    run(tracked, market)
    after = contents(tracked, PRICE_TABLES)
    assert changed_keys(before, after, "symbol_prices_daily") == {("BBB", TODAY), ("NEW", TODAY)}


def test_bar_that_the_source_no_longer_sends_stays(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market)
    before = contents(tracked, PRICE_TABLES)
    del market.bars["AAA", TODAY]
    run(tracked, market)
    assert contents(tracked, PRICE_TABLES) == before


def test_restatement_brings_the_history_from_before_the_window_of_the_update(
    tracked: Database, market: ScriptedMarket
) -> None:
    """A split is seen in the re-read sessions and changes every earlier one; other symbols are asked for no more."""
    run(tracked, market)
    market.asked()
    for day in DAYS[:-1]:
        market.restate("AAA", day, 0.5)
    update = run(tracked, market, TOMORROW, history_start=DAYS[15])
    assert [(item.symbol, item.first, item.last) for item in market.requests] == [
        *((symbol, DAYS[-5], TOMORROW) for symbol in ("AAA", "BBB", "NEW")),
        ("AAA", HISTORY_START, TOMORROW),
    ]
    assert stored_closes(tracked, "AAA") == {day: Decimal(str(market.bars["AAA", day][3])) for day in DAYS}
    assert (update.inserted, update.restated) == (3, len(DAYS) - 1)
    assert len(rows_of(tracked, "SELECT * FROM restatements")) == len(DAYS) - 1
    settled = contents(tracked, PRICE_TABLES)
    run(tracked, market, TOMORROW, history_start=DAYS[15])
    assert contents(tracked, PRICE_TABLES) == settled


def test_a_rebased_history_is_taken_over_whole(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market)
    for (symbol, day), values in list(market.bars.items()):
        if symbol == "AAA":
            opened, high, low, close, adjusted, volume = (float(value or 0.0) for value in values)
            market.bars[symbol, day] = (opened / 4, high / 4, low / 4, close / 4, adjusted / 4, volume * 4)
    before = contents(tracked, PRICE_TABLES)
    update = run(tracked, market)
    after = contents(tracked, PRICE_TABLES)
    stored = {key for key in before["symbol_prices_daily"] if key[0] == "AAA"}
    assert len(stored) > 5
    assert changed_keys(before, after, "symbol_prices_daily") == stored
    assert (update.restated, update.inserted, update.changed_symbols) == (len(stored), 0, 1)
    assert update.restated_sessions == {day for _, day in stored}
