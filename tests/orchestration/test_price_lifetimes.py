"""Prices of what ceases to trade: delisted shares, option contracts that expire and those that nobody can price."""

from datetime import date

from sigmasight_assets.storage.database import Database
from tests.orchestration.markets import ScriptedMarket, bar, option
from tests.orchestration.price_runs import DAYS, HISTORY_START, run, stored_closes, symbols, track


def test_delisted_symbol_is_no_problem_and_is_soon_left_alone(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market, DAYS[20])
    market.bars = {key: value for key, value in market.bars.items() if key[0] != "AAA" or key[1] <= DAYS[22]}
    market.delisted["AAA"] = "merged into BBB"
    update = run(tracked, market, DAYS[24])
    assert (update.problems, update.delisted, update.skipped) == ({}, {"AAA": "merged into BBB"}, 0)
    found = symbols(tracked)["AAA"]
    assert (found.status, found.status_reason, found.last_price_date) == ("delisted", "merged into BBB", DAYS[22])
    market.asked()
    run(tracked, market, DAYS[31])
    assert market.asked()["AAA"] == (DAYS[19], DAYS[31])
    update = run(tracked, market, DAYS[32])
    assert "AAA" not in market.asked()
    assert (update.requested, update.skipped, update.delisted) == (2, 1, {})
    assert symbols(tracked)["AAA"] == found


def test_delisted_symbol_that_trades_again_is_active(tracked: Database, market: ScriptedMarket) -> None:
    later = {key: market.bars.pop(key) for key in list(market.bars) if key[0] == "AAA" and key[1] > DAYS[22]}
    market.delisted["AAA"] = "merged into BBB"
    run(tracked, market, DAYS[24])
    assert symbols(tracked)["AAA"].status == "delisted"
    market.delisted.clear()
    run(tracked, market, DAYS[25])
    assert symbols(tracked)["AAA"].status == "delisted"
    market.bars |= later
    run(tracked, market, DAYS[26])
    found = symbols(tracked)["AAA"]
    assert (found.status, found.status_reason, found.last_price_date) == ("active", None, DAYS[26])
    assert len(stored_closes(tracked, "AAA")) == 27


def test_nothing_is_asked_when_there_is_nothing_to_ask(database: Database, market: ScriptedMarket) -> None:
    market.descriptions = [option("AAA1250620C00100000"), option("AAA250321C00100000")]
    track(database, market)
    update = run(database, market)
    assert market.requests == []
    assert (update.requested, update.skipped, update.inserted) == (0, 2, 0)
    found = symbols(database)
    assert [(item.status, item.status_reason) for item in found.values()] == [
        ("error", "adjusted contract: its deliverable is not known"),
        ("delisted", "expired on 2025-03-21"),
    ]
    assert update.problems == {"AAA1250620C00100000": "adjusted contract: its deliverable is not known"}


def test_contract_is_priced_until_it_expires(tracked: Database, market: ScriptedMarket) -> None:
    contract, expiry = "AAA250620C00100000", date(2025, 6, 20)
    market.descriptions.append(option(contract))
    market.bars |= {(contract, day): bar(3.0) for day in DAYS[5:30] if day <= expiry}
    track(tracked, market)
    run(tracked, market, DAYS[25])
    assert market.asked()[contract] == (HISTORY_START, DAYS[25])
    assert symbols(tracked)[contract].status == "active"
    run(tracked, market, DAYS[-6])
    assert market.asked()[contract] == (DAYS[22], expiry)
    found = symbols(tracked)[contract]
    assert (found.status, found.status_reason, found.last_price_date) == ("delisted", "expired on 2025-06-20", DAYS[29])
    assert sorted(stored_closes(tracked, contract)) == DAYS[5:30]
