"""Waived and closed sessions: what is refused, what is audited, and that windows are those of the true calendar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.errors import DecisionError, SessionError
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.session_decisions import (
    close_session,
    list_session_decisions,
    reopen_session,
    unwaive_session,
    waive_session,
)
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.night_contents import differences, results
from tests.orchestration.contents import rows_of
from tests.orchestration.markets import ScriptedMarket, copied, option, traded_throughout

# A Friday on which the exchange does not open.
DAYS = exchange_calendar().between(date(2025, 5, 19), date(2025, 5, 30))
SHUT = DAYS[4]
HISTORY_START = exchange_calendar().offset(DAYS[0], -200)
LAST = datetime(2025, 5, 30, 22, 0, tzinfo=NEW_YORK)
WHY = {"actor": "pat", "reason": "day of mourning"}


def whole_market() -> ScriptedMarket:
    """The funds and twelve stocks, all with a bar at every session."""
    calendar = exchange_calendar()
    whole = copied(SimulatedMarket(calendar, stocks=30), first=HISTORY_START, last=DAYS[-1])
    return traded_throughout(whole, calendar.between(HISTORY_START, DAYS[-1]), stocks=12)


def stocks_of(market: ScriptedMarket) -> list[str]:
    return [item.symbol for item in market.descriptions if item.asset_type == "equity"]


@pytest.fixture(scope="module")
def shut_market() -> ScriptedMarket:
    """On the day without trading the vendor sends two stray bars, pays a dividend, splits a stock and ends an option.

    Of one stock it learns the profile on this day.
    """
    market = whole_market()
    paying, splitting, *_ = stocks_of(market)
    market.supplies_corporate_actions = True
    market.pay(paying, SHUT, 0.75)
    market.split(splitting, SHUT, 2)
    strays = [item.symbol for item in market.descriptions[:9:8]]
    market.bars = {key: bar for key, bar in market.bars.items() if key[1] != SHUT or key[0] in strays}
    sell_calls(market, SHUT, DAYS[:4])
    return market


def sell_calls(market: ScriptedMarket, expiry: date, days: Sequence[date]) -> None:
    """List a contract on the first stock, in the money, with a bar on these days."""
    contract = f"{stocks_of(market)[0]}{expiry:%y%m%d}C00001000"
    market.descriptions.append(option(contract))
    market.bars |= {(contract, day): (3.0, 3.5, 2.5, 3.0, 3.0, 10.0) for day in days}


@pytest.fixture
def fresh(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    """A database that numbers its rows from 1, as the one it is compared with."""
    with new_database(schema_template) as url, closing(Database(url)) as database:
        yield database


def enter(database: Database, market: ScriptedMarket) -> None:
    """Trades, a valuation, a payment and the beginning of a portfolio on the very day."""
    first, second, third, *_ = stocks_of(market)
    lots = [NewLot(symbol, Decimal(10), Decimal(50), DAYS[0]) for symbol in (first, second, third)]
    lots.append(NewLot(first, Decimal(5), Decimal(50), SHUT))
    lots.append(NewLot(third, Decimal(-4), Decimal(50), DAYS[1], Decimal(51), SHUT))
    contract = market.descriptions[-1].symbol
    lots.append(NewLot(contract, Decimal(2), Decimal(3), DAYS[0], investment_class="OPTIONS"))
    house = NewLot(
        "House",
        Decimal(1),
        None,
        DAYS[2],
        investment_class="PRIVATE",
        market_value=Decimal(900),
        valued_on=SHUT,
    )
    later = [NewLot(second, Decimal(3), Decimal(60), DAYS[2]), house]
    with database.begin() as connection:
        import_listings(connection, market.listings())
        for name, as_of, held in (("Book", DAYS[0], lots), ("Late", SHUT, later)):
            book = create_portfolio(connection, user="owner", name=name, equity=Decimal(10_000), as_of=as_of, lots=held)
            add_capital_flow(connection, book.portfolio_id, flow_date=SHUT, amount=Decimal(250))


def run_symbols(database: Database, market: ScriptedMarket, sessions: Sequence[date]) -> list[date]:
    """The symbol layer on the evening of the last session; the sessions that were not published."""
    market.profiles = profiles(market) if sessions[-1] >= SHUT else {}
    with database.begin() as connection:
        calendar = read_calendar(connection)
    days = [day for day in sessions if calendar.is_session(day)]
    update_profiles(database, market, exchange_calendar(), sessions=days, newest_session=days[-1])
    update_prices(database, market, calendar, sessions=days, history_start=HISTORY_START, run_id="prices")
    outcome = publish_symbol_products(database, calendar, sessions=days, min_coverage=0.98, run_id="symbols")
    assert not outcome.unsettled
    return outcome.failed


def profiles(market: ScriptedMarket) -> dict[str, dict[str, Any]]:
    return {stocks_of(market)[0]: {"sector": "Energy", "provider_beta": 1.25, "market_cap": 5e9}}


def run_snapshots(database: Database) -> date:
    """The range that the gate chooses; its first session."""
    with database.begin() as connection:
        calendar = read_calendar(connection)
    chosen = plan(read_gate_state(database, now=LAST)).range
    assert chosen is not None
    sessions = calendar.between(chosen.first, chosen.last)
    outcome = publish_portfolio_products(database, calendar, sessions=sessions, run_id=chosen.run_key)
    assert not outcome.failed
    assert plan(read_gate_state(database, now=LAST)).range is None
    return chosen.first


def actions(database: Database) -> list[tuple[str, str, str, date]]:
    rows = rows_of(database, "SELECT kind, actor, reason, session FROM operator_actions ORDER BY action_id")
    return [(row["kind"], row["actor"], row["reason"], row["session"]) for row in rows]


def test_a_closed_session_leaves_what_a_calendar_without_it_gives(
    fresh: Database, shut_market: ScriptedMarket, new_database: NewDatabase, schema_template: str
) -> None:
    enter(fresh, shut_market)
    assert run_symbols(fresh, shut_market, DAYS[:4]) == []
    run_snapshots(fresh)
    # The night of the day itself and those after it, before anybody decides: the later sessions are published.
    assert run_symbols(fresh, shut_market, [SHUT]) == [SHUT]
    assert run_symbols(fresh, shut_market, DAYS[4:6]) == [SHUT]
    assert run_symbols(fresh, shut_market, DAYS[6:8]) == []
    assert str(SHUT) in plan(read_gate_state(fresh, now=LAST)).reasons[0]
    done = close_session(fresh, SHUT, **WHY)
    assert done.effect == "2 bars are in quarantine; the next symbol run publishes the sessions after it again"
    (action,) = rows_of(fresh, "SELECT details FROM operator_actions")
    assert action["details"] == {
        "bars_quarantined": 2,
        "profiles_moved": 1,
        "profiles_deleted": 0,
        "exclusions_deleted": 0,
        "portfolios_to_settle_anew": 1,
    }
    assert run_symbols(fresh, shut_market, DAYS[8:]) == []
    # The option is settled at the session before.
    assert run_snapshots(fresh) == DAYS[3]
    with new_database(schema_template) as url, closing(Database(url)) as other:
        close_session(other, SHUT, **WHY)
        enter(other, shut_market)
        for days in (DAYS[:4], DAYS[5:6], DAYS[6:8], DAYS[8:]):
            assert run_symbols(other, shut_market, days) == []
        run_snapshots(other)
        assert differences(results(fresh), results(other)) == []
    (settled,) = rows_of(fresh, "SELECT session FROM option_expiries")
    assert settled["session"] == DAYS[3]
    quarantine = rows_of(fresh, "SELECT DISTINCT price_date, reason FROM price_quarantine ORDER BY reason")
    # Those that were stored, and the same two when the vendor sends them again.
    assert [(row["price_date"], row["reason"]) for row in quarantine] == [
        (SHUT, "no session: closed by an operator (day of mourning)"),
        (SHUT, "not_a_session"),
    ]


def test_a_reopened_session_leaves_what_was_before(
    fresh: Database, new_database: NewDatabase, schema_template: str
) -> None:
    """The exchange did trade: the bars come, and everything is as if nobody had closed it."""
    # Older than what a night reads again.
    day = DAYS[1]
    market = whole_market()
    sell_calls(market, day, DAYS[:2])
    enter(fresh, market)
    close_session(fresh, day, **WHY)
    assert run_symbols(fresh, market, DAYS) == []
    run_snapshots(fresh)
    done = reopen_session(fresh, day, actor="pat", reason="it did trade")
    assert done.effect.endswith("; the next symbol run publishes the sessions after it again")
    assert run_symbols(fresh, market, DAYS) == []
    # The option is settled on the day after all.
    assert run_snapshots(fresh) == DAYS[0]
    with new_database(schema_template) as url, closing(Database(url)) as other:
        enter(other, market)
        assert run_symbols(other, market, DAYS) == []
        run_snapshots(other)
        assert differences(results(fresh), results(other)) == []
    assert [kind for kind, *_ in actions(fresh)] == ["close_session", "reopen_session"]


def test_later_sessions_span_a_waived_one(database: Database, shut_market: ScriptedMarket) -> None:
    enter(database, shut_market)
    assert run_symbols(database, shut_market, DAYS) == [SHUT]
    run_snapshots(database)
    assert snapshots(database) == DAYS[:4]
    waive_session(database, SHUT, now=LAST, **WHY)
    run_snapshots(database)
    assert snapshots(database) == [day for day in DAYS if day != SHUT]
    assert actions(database) == [("waive_session", "pat", "day of mourning", SHUT)]
    unwaive_session(database, SHUT, actor="pat", reason="wrong day")
    assert list_session_decisions(database) == []
    assert [kind for kind, *_ in actions(database)] == ["waive_session", "unwaive_session"]


def snapshots(database: Database) -> list[date]:
    rows = rows_of(database, "SELECT DISTINCT session FROM portfolio_snapshots ORDER BY session")
    return [row["session"] for row in rows]


def refused(
    decide: Callable[[], object], match: str, database: Database, error: type[Exception] = DecisionError
) -> None:
    before = actions(database)
    with pytest.raises(error, match=match):
        decide()
    assert actions(database) == before


def test_what_cannot_be_decided_is_refused_and_not_recorded(database: Database, shut_market: ScriptedMarket) -> None:
    enter(database, shut_market)
    run_symbols(database, shut_market, DAYS[:5])
    sunday, first = date(2025, 5, 25), DAYS[0]
    refused(lambda: waive_session(database, first, now=LAST, **WHY), "is published: later sessions", database)
    refused(lambda: waive_session(database, sunday, now=LAST, **WHY), "is not a session", database, SessionError)
    refused(
        lambda: waive_session(database, date(2025, 6, 2), now=LAST, **WHY), "is not complete", database, SessionError
    )
    refused(lambda: unwaive_session(database, SHUT, **WHY), "is not waived; `sigmasight session list`", database)
    refused(lambda: close_session(database, first, **WHY), "are published, so the exchange traded", database)
    refused(lambda: close_session(database, sunday, **WHY), "is not a session", database, SessionError)
    refused(lambda: reopen_session(database, SHUT, **WHY), "is not closed", database)
    refused(lambda: waive_session(database, SHUT, actor="pat", reason="  ", now=LAST), "needs a reason", database)
    waive_session(database, SHUT, now=LAST, **WHY)
    refused(lambda: waive_session(database, SHUT, now=LAST, **WHY), "is already waived by pat on", database)
    # Whoever knows better may close what was waived.
    close_session(database, SHUT, **WHY)
    assert [(item.session, item.kind) for item in list_session_decisions(database)] == [(SHUT, "closed")]
    refused(lambda: close_session(database, SHUT, **WHY), "is already closed by pat on", database)
    refused(
        lambda: waive_session(database, SHUT, now=LAST, **WHY),
        "is no session: closed by pat on .* .day of mourning.",
        database,
        SessionError,
    )


def test_an_announced_closure_may_lie_ahead(database: Database) -> None:
    ahead = date(2026, 3, 3)
    close_session(database, ahead, **WHY)
    with database.begin() as connection:
        calendar = read_calendar(connection)
    assert not calendar.is_session(ahead)
    assert calendar.offset(date(2026, 3, 2), 1) == date(2026, 3, 4)
    assert exchange_calendar().is_session(ahead)
