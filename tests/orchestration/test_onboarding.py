"""Onboarding on a real database: what it leaves, for whom it fails, and that nobody else is touched."""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from sigmasight_assets.errors import MarketDataError, StorageError
from sigmasight_assets.orchestration.onboarding import (
    claims_of,
    claims_tag,
    leases_kept,
    onboard_requests,
    one_by_one,
    sessions_to_publish,
)
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding_claims import LEASE_SECONDS, Claim
from sigmasight_assets.storage.operations import start_batch
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    assert_same_figures,
    changed_keys,
    contents,
    execute,
    published_generations,
    rows_of,
)
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.onboarding_market import (
    CONTRACT,
    ENDED,
    LISTED,
    LONG_GONE,
    NONE_SUCH,
    OLD,
    SHARE,
    SHORT,
    SILENT,
    FailingMarket,
    backfill,
    descriptions,
    enter_before,
    extended,
    fetch,
    onboard,
    onboarding_run,
    results,
    universe,
)
from tests.orchestration.states import States
from tests.orchestration.symbol_runs import marks, publish
from tests.storage.onboarding_queue import ask, claimed, let_pass, requests, statuses

ALL = (OLD, LISTED, SHORT, ENDED, LONG_GONE, CONTRACT, NONE_SUCH)
AN_HOUR = 3600


@pytest.fixture
def market(awkward: ScriptedMarket) -> FailingMarket:
    return extended(awkward)


@pytest.fixture
def before(states: States, awkward: ScriptedMarket, market: FailingMarket) -> Database:
    """Every target session published, the symbols that are asked for untracked, the market not asked for anything."""
    database = enter_before(states, awkward, market)
    market.asked()
    market.attempts = 0
    return database


class TestOutcome:
    def test_tables_are_those_of_symbols_that_were_tracked_from_the_start(
        self, before: Database, states: States, awkward: ScriptedMarket, market: FailingMarket
    ) -> None:
        onboard(before, market, ALL)
        found = results(before)
        states.clear()
        backfill(before, market, [*awkward.descriptions, *descriptions(market, *ALL, SHARE)])
        assert_same_figures(found, results(before))

    def test_whatever_their_order_and_number_of_runs(
        self, before: Database, states: States, awkward: ScriptedMarket, market: FailingMarket
    ) -> None:
        for symbol in (CONTRACT, LISTED, NONE_SUCH, OLD):
            onboard(before, market, [symbol], run_id=f"for {symbol}")
        found = results(before)
        states.clear()
        tracked = descriptions(market, CONTRACT, LISTED, NONE_SUCH, OLD, SHARE)
        backfill(before, market, [*awkward.descriptions, *tracked])
        assert_same_figures(found, results(before))

    def test_every_request_says_what_became_of_it(self, before: Database, market: FailingMarket) -> None:
        outcome = onboard(before, market, ALL)
        found = requests(before)
        assert {symbol: item.status for symbol, item in found.items()} == {
            **dict.fromkeys((OLD, LISTED, SHORT, ENDED, CONTRACT), "completed"),
            **dict.fromkeys((LONG_GONE, NONE_SUCH), "failed"),
        }
        assert {(item.attempts, item.run_id) for item in found.values()} == {(1, "onboarding")}
        assert (found[NONE_SUCH].error, found[LONG_GONE].error) == ("unknown: no such ticker", "bankrupt")
        assert universe(before)[NONE_SUCH] == ("error", "unknown: no such ticker")
        assert sorted(outcome.completed) == sorted((OLD, LISTED, SHORT, ENDED, CONTRACT))
        assert outcome.refused == {LONG_GONE: "bankrupt", NONE_SUCH: "unknown: no such ticker"}
        assert (sorted(outcome.given_up), outcome.failed, outcome.silent) == ([LONG_GONE, NONE_SUCH], {}, {})

    def test_all_of_a_run_comes_under_one_generation(self, before: Database, market: FailingMarket) -> None:
        assert onboard(before, market, ALL).generation == 2
        assert published_generations(before, "symbol") == dict.fromkeys(TARGETS, 2)
        sql = "SELECT DISTINCT generation, run_id FROM publications WHERE generation > 1"
        assert rows_of(before, sql) == [{"generation": 2, "run_id": "onboarding"}]
        # One that was delisted among the sessions has figures of a session before the newest.
        assert {requests(before)[symbol].generation for symbol in (OLD, LISTED, SHORT, ENDED, CONTRACT)} == {2}
        assert marks(before) == []

    def test_nobody_else_is_touched_or_asked_for(self, before: Database, market: FailingMarket) -> None:
        tables = {name: key for name, key in SYMBOL_TABLES.items() if name != "publications"}
        earlier = contents(before, tables)
        onboard(before, market, ALL)
        later = contents(before, tables)
        own = {*ALL, SHARE}
        assert {symbol for (symbol,) in changed_keys(earlier, later, "symbol_universe")} == own
        changed = {key[1] for table in tables for key in changed_keys(earlier, later, table) if len(key) > 1}
        assert changed == own
        assert changed_keys(earlier, later, "factor_covariances") == set()
        assert set(market.asked()) == own

    def test_the_ledger_names_the_symbols_whose_holders_are_concerned(
        self, before: Database, market: FailingMarket
    ) -> None:
        onboard(before, market, [SHORT, NONE_SUCH])
        sql = "SELECT DISTINCT symbols FROM publications WHERE generation = 2"
        assert rows_of(before, sql) == [{"symbols": [SHORT]}]

    def test_figures_are_those_that_a_short_history_allows(self, before: Database, market: FailingMarket) -> None:
        onboard(before, market, [SHORT, LISTED])
        betas = "SELECT symbol, count(*) AS rows FROM symbol_market_beta WHERE symbol = ANY(:names) GROUP BY symbol"
        assert rows_of(before, betas, names=[SHORT, LISTED]) == [{"symbol": SHORT, "rows": len(TARGETS)}]
        why = "SELECT DISTINCT reason FROM symbol_exclusions WHERE symbol = :symbol AND product = 'market_beta'"
        reasons = {row["reason"] for row in rows_of(before, why, symbol=LISTED)}
        assert reasons == {"not_listed_yet", "short_history"}
        assert {requests(before)[symbol].status for symbol in (SHORT, LISTED)} == {"completed"}

    def test_fifteen_positions_of_which_ten_are_known_cost_five(self, before: Database, market: FailingMarket) -> None:
        known = [item.symbol for item in market.descriptions if item.asset_type == "equity"][:10]
        held = [*known, OLD, LISTED, SHORT, ENDED, SHARE]
        lots = [NewLot(symbol, Decimal(1), Decimal(10), TARGETS[0]) for symbol in held]
        with before.begin() as connection:
            create_portfolio(connection, user="ann", name="Main", equity=Decimal(9000), as_of=TARGETS[0], lots=lots)
        onboard_requests(onboarding_run(before, market))
        assert set(market.asked()) == {OLD, LISTED, SHORT, ENDED, SHARE}
        assert statuses(before) == dict.fromkeys((OLD, LISTED, SHORT, ENDED, SHARE), "completed")


class TestRepetition:
    def test_what_was_onboarded_already_is_not_published_again(self, before: Database, market: FailingMarket) -> None:
        onboard(before, market, [OLD])
        earlier = results(before)
        again = onboard(before, market, [OLD], run_id="again")
        assert (again.completed, again.generation) == ([OLD], None)
        assert requests(before)[OLD].generation == 2
        assert results(before) == earlier

    def test_a_worker_that_is_lost_anywhere_leaves_nothing_half_done(
        self, before: Database, market: FailingMarket
    ) -> None:
        """Its prices are stored and marked, its request is not completed: the next one goes on from there."""
        ask(before, OLD)
        (lost,) = claimed(before)
        fetch(before, market, OLD)
        assert marks(before) == [OLD]
        let_pass(before, LEASE_SECONDS)
        outcome = onboard(before, market)
        assert (outcome.completed, requests(before)[OLD].attempts) == ([OLD], 2)
        late = onboard_requests(onboarding_run(before, market, run_id="late"), {lost.request_id: lost.attempt})
        assert late.symbols == []

    def test_without_requests_nothing_is_done(self, before: Database, market: FailingMarket) -> None:
        assert onboard(before, market).symbols == []
        assert (market.asked(), market.attempts) == ({}, 0)

    def test_a_run_works_on_its_own_claims_alone(self, before: Database, market: FailingMarket) -> None:
        ask(before, OLD, SHORT)
        (first, _) = claimed(before)
        outcome = onboard_requests(onboarding_run(before, market), {first.request_id: first.attempt})
        assert outcome.completed == [OLD]
        assert statuses(before) == {OLD: "completed", SHORT: "processing"}


class TestUnpublished:
    def test_before_the_first_publication_prices_alone_are_brought(
        self, priced: Database, market: FailingMarket
    ) -> None:
        assert sessions_to_publish(priced, TARGETS[-1]) == [TARGETS[-1]]
        outcome = onboard(priced, market, [SHORT, NONE_SUCH])
        assert (outcome.completed, outcome.generation) == ([SHORT], None)
        assert requests(priced)[SHORT].generation is None
        assert rows_of(priced, "SELECT 1 FROM publications") == []

    def test_published_sessions_are_those_to_publish(self, before: Database) -> None:
        assert sessions_to_publish(before, TARGETS[-1]) == TARGETS


class TestNight:
    def test_what_a_night_brings_in_needs_no_run_of_its_own(self, before: Database, market: FailingMarket) -> None:
        ask(before, OLD, NONE_SUCH, SILENT, LISTED)
        with before.begin() as connection:
            start_batch(connection, run_id="night", kind="symbol_prices", sessions=TARGETS)
        backfill(before, market, descriptions(market, OLD, NONE_SUCH, SILENT), run_id="night")
        found = requests(before)
        assert {symbol: item.status for symbol, item in found.items()} == {
            OLD: "completed",
            NONE_SUCH: "failed",
            SILENT: "failed",
            LISTED: "pending",
        }
        assert (found[OLD].generation, found[NONE_SUCH].error) == (2, "unknown: no such ticker")
        assert found[OLD].attempts == 0

    def test_an_onboarding_that_a_night_has_overtaken_brings_the_rest(
        self, before: Database, states: States, awkward: ScriptedMarket, market: FailingMarket
    ) -> None:
        """A night takes profiles of its own sessions alone, and gives no reasons for sessions before the first bar."""
        ask(before, OLD, LISTED)
        claims = {item.request_id: item.attempt for item in claimed(before)}
        fetch(before, market, OLD, LISTED)
        publish(before, TARGETS[-1:], run_id="night")
        assert statuses(before) == dict.fromkeys((OLD, LISTED), "processing")
        onboard_requests(onboarding_run(before, market), claims)
        assert statuses(before) == dict.fromkeys((OLD, LISTED), "completed")
        found = results(before)
        states.clear()
        backfill(before, market, [*awkward.descriptions, *descriptions(market, OLD, LISTED)])
        assert_same_figures(found, results(before))


def test_a_night_that_has_asked_for_its_prices_finds_those_of_new_symbols(
    before: Database, market: FailingMarket
) -> None:
    tonight = TARGETS[-1]
    execute(before, "DELETE FROM publications WHERE session = :day", day=tonight)
    assert onboard(before, market, [OLD]).completed == [OLD]
    figures = "SELECT 1 FROM symbol_daily_metrics WHERE symbol = :symbol AND metrics_date = :day"
    assert rows_of(before, figures, symbol=OLD, day=tonight) == []
    publish(before, [tonight], run_id="night")
    assert len(rows_of(before, figures, symbol=OLD, day=tonight)) == 1


def test_leases_are_extended_while_the_work_lasts(before: Database) -> None:
    ask(before, OLD)
    claimed(before, run_id="r1")
    let_pass(before, LEASE_SECONDS - 5)
    with leases_kept(before, "r1", every_seconds=0.02):
        deadline = time.monotonic() + 30
        while not rows_of(before, "SELECT 1 FROM symbol_onboarding_queue WHERE lease_until > now() + interval '30 s'"):
            assert time.monotonic() < deadline, "the lease was not extended"
    let_pass(before, LEASE_SECONDS)
    assert [item.symbol for item in claimed(before)] == [OLD]


def test_claims_travel_as_a_tag() -> None:
    claims = [Claim(7, 1, "AAA"), Claim(12, 3, "BBB")]
    assert claims_tag(claims) == "7:1 12:3"
    assert claims_of({"sigmasight/onboarding": claims_tag(claims), "other": "x"}) == {7: 1, 12: 3}
    assert claims_of({"sigmasight/onboarding": ""}) == {}
    assert claims_of({"other": "x"}) is None


Work = Callable[[Sequence[str]], None]


def failing_for(bad: str, error: Exception) -> tuple[Work, list[str]]:
    """Work that fails whenever one of the bad symbols is among them, and what it was called with."""
    calls: list[str] = []

    def work(symbols: Sequence[str]) -> None:
        calls.append("".join(symbols))
        if set(bad) & set(symbols):
            raise error

    return work, calls


@pytest.mark.parametrize(
    ("bad", "error", "failed", "calls"),
    [
        ("", MarketDataError("away"), "", ["abcd"]),
        ("c", MarketDataError("away"), "c", ["abcd", "a", "b", "c", "d"]),
        ("a", MarketDataError("away"), "a", ["abcd", "a", "b", "c", "d"]),
        ("bc", MarketDataError("away"), "bc", ["abcd", "a", "b", "c", "d"]),
        ("ab", MarketDataError("away"), "abcd", ["abcd", "a", "b"]),
        ("ab", StorageError("refused"), "ab", ["abcd", "a", "b", "c", "d"]),
        ("ab", ZeroDivisionError(), "ab", ["abcd", "a", "b", "c", "d"]),
        ("abcd", StorageError("refused"), "abcd", ["abcd", "a", "b", "c", "d"]),
    ],
)
def test_who_fails_alone(bad: str, error: Exception, failed: str, calls: list[str]) -> None:
    work, made = failing_for(bad, error)
    failures = one_by_one("abcd", work)
    assert (sorted(failures), made) == (sorted(failed), calls)
    assert {id(item) for item in failures.values()} <= {id(error)}


def test_a_single_one_is_not_tried_twice() -> None:
    work, made = failing_for("a", MarketDataError("away"))
    assert list(one_by_one("a", work)) == ["a"]
    assert made == ["a"]
