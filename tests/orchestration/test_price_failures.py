"""Calls that fail: who is asked again, what is kept, and when a source is believed that it knows a symbol no more."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow.compute as pc
import pytest

from sigmasight_assets.errors import RateLimitedError
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult, Outcome, SymbolOutcome
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from tests.orchestration.markets import ScriptedMarket, option
from tests.orchestration.price_runs import DAYS, HISTORY_START, TODAY, run, stored_closes, symbols, three_symbols, track

NOW = datetime(2025, 6, 28, 2, tzinfo=UTC)
TIMED_OUT = SymbolOutcome(Outcome.FAILED, "timeout: no answer within 10 s")


@dataclass
class OneByOne(ScriptedMarket):
    """A source that is asked about one symbol a call; ``answers`` has what it says first of a symbol."""

    symbols_per_call: int = 1
    answers: dict[str, list[SymbolOutcome | Exception]] = field(default_factory=dict)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        answer = super().fetch_bars(requests)
        for request in requests:
            if not self.answers.get(request.symbol):
                continue
            said = self.answers[request.symbol].pop(0)
            if isinstance(said, Exception):
                raise said
            answer.outcomes[request.symbol] = said
            kept = pc.not_equal(answer.bars.column("symbol"), request.symbol)
            answer = FetchResult(answer.bars.filter(kept), answer.outcomes, answer.actions)
        return answer

    def calls(self) -> list[str]:
        """The symbols asked for since the last look, in order."""
        found = [request.symbol for request in self.requests]
        self.requests.clear()
        return found


@pytest.fixture
def market() -> OneByOne:
    base = three_symbols()
    return OneByOne(base.bars, base.descriptions)


@pytest.fixture
def tracked(database: Database, market: OneByOne) -> Database:
    track(database, market)
    return database


def update_at(
    database: Database, market: OneByOne, now: datetime, session: date = TODAY, **options: object
) -> PriceUpdate:
    return update_prices(
        database,
        market,
        exchange_calendar(),
        sessions=[session],
        history_start=HISTORY_START,
        run_id="run-1",
        now=now,
        **options,  # type: ignore[arg-type]
    )


def test_a_failed_call_is_made_again_after_all_others(tracked: Database, market: OneByOne) -> None:
    market.answers = {"AAA": [TIMED_OUT]}
    update = run(tracked, market)
    assert market.calls() == ["AAA", "BBB", "NEW", "AAA"]
    assert (update.requested, update.repeated, update.problems, update.failed) == (3, 1, {}, set())
    assert len(stored_closes(tracked, "AAA")) == len(DAYS) - 1


def test_what_fails_again_is_named_and_counts_as_never_asked_for(tracked: Database, market: OneByOne) -> None:
    market.answers = {"AAA": [TIMED_OUT, TIMED_OUT]}
    update = run(tracked, market)
    assert update.problems == {"AAA": "failed: timeout: no answer within 10 s"}
    assert (update.requested, update.repeated, update.failed, update.silent) == (3, 1, {"AAA"}, {"AAA"})
    found = symbols(tracked)["AAA"]
    assert (found.status, found.status_reason, found.history_from, found.answered_at) == ("pending", None, None, None)
    market.calls()
    run(tracked, market)
    assert market.asked()["AAA"] == (HISTORY_START, TODAY)


def test_a_failed_call_for_older_history_leaves_no_hole(tracked: Database, market: OneByOne) -> None:
    run(tracked, market, TODAY, history_start=DAYS[20])
    assert symbols(tracked)["AAA"].history_from == DAYS[20]
    market.answers = {"AAA": [TIMED_OUT, TIMED_OUT]}
    run(tracked, market, TODAY)
    run(tracked, market, TODAY)
    assert len(stored_closes(tracked, "AAA")) == len(DAYS) - 1


def test_what_was_fetched_before_the_end_stays_and_is_not_asked_for_again(tracked: Database, market: OneByOne) -> None:
    market.answers = {"NEW": [RateLimitedError("429")]}
    with pytest.raises(RateLimitedError):
        update_at(tracked, market, NOW)
    assert market.calls() == ["AAA", "BBB", "NEW"]
    assert len(stored_closes(tracked, "BBB")) == len(DAYS) - 1
    update = update_at(tracked, market, NOW + timedelta(hours=1))
    assert market.calls() == ["NEW"]
    assert (update.requested, update.skipped) == (1, 2)
    # Another evening reads the newest sessions of all again, because vendors correct them.
    update_at(tracked, market, NOW + timedelta(days=1))
    assert market.calls() == ["AAA", "BBB", "NEW"]


def test_progress_is_told_from_the_plan_to_the_end(tracked: Database, market: OneByOne) -> None:
    told: list[tuple[int, int]] = []
    update_at(tracked, market, NOW, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    told.clear()
    update_at(tracked, market, NOW, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 0)]


class TestContracts:
    """Of contracts, only those that somebody still holds are worth a call."""

    HELD, SOLD, UNHELD = "AAA250718C00100000", "AAA250718P00100000", "AAA250718C00105000"

    def test_contracts_that_nobody_holds_are_not_asked_for(self, tracked: Database, market: OneByOne) -> None:
        market.descriptions += [option(symbol) for symbol in (self.HELD, self.SOLD, self.UNHELD)]
        track(tracked, market)
        bought = NewLot(
            symbol=self.HELD,
            investment_class="OPTIONS",
            quantity=Decimal(1),
            entry_price=Decimal(1),
            entry_date=DAYS[3],
        )
        sold = replace(bought, symbol=self.SOLD, exit_date=TODAY, exit_price=Decimal(2))
        with tracked.begin() as connection:
            create_portfolio(connection, user="ann", name="A", equity=Decimal(1000), as_of=DAYS[2], lots=[bought, sold])
        update_at(tracked, market, NOW, DAYS[20])
        assert set(market.calls()) == {"AAA", "BBB", "NEW", self.HELD, self.SOLD}
        update_at(tracked, market, NOW)
        assert set(market.calls()) == {"AAA", "BBB", "NEW", self.HELD}


class TestUnknownSymbols:
    """A vendor that says so once is not believed."""

    GONE = SymbolOutcome(Outcome.UNKNOWN, "No data found, symbol may be delisted")

    def states(self, database: Database, market: OneByOne, answers: list[SymbolOutcome | None]) -> list[str]:
        """The status of AAA after each of some sessions; None stands for an answer with bars."""
        run(database, market, DAYS[20])
        found = []
        for position, said in enumerate(answers, start=21):
            market.answers = {"AAA": [said] * 2} if said else {}
            run(database, market, DAYS[position])
            found.append(symbols(database)["AAA"].status)
        return found

    def test_the_third_session_of_the_same_answer_ends_it(self, tracked: Database, market: OneByOne) -> None:
        assert self.states(tracked, market, [self.GONE] * 3) == ["active", "active", "delisted"]
        found = symbols(tracked)["AAA"]
        assert found.status_reason == "unknown: No data found, symbol may be delisted"
        assert found.last_price_date == DAYS[20]

    def test_any_other_answer_begins_the_count_anew(self, tracked: Database, market: OneByOne) -> None:
        gone = self.GONE
        assert self.states(tracked, market, [gone, gone, None, gone, gone, gone]) == [*["active"] * 5, "delisted"]

    def test_a_failed_call_is_no_answer(self, tracked: Database, market: OneByOne) -> None:
        states = self.states(tracked, market, [self.GONE, TIMED_OUT, self.GONE, self.GONE])
        assert states == ["active", "active", "active", "delisted"]

    def test_the_same_session_counts_once(self, tracked: Database, market: OneByOne) -> None:
        run(tracked, market, DAYS[20])
        for _ in range(5):
            market.answers = {"AAA": [self.GONE]}
            run(tracked, market, DAYS[21])
        assert symbols(tracked)["AAA"].status == "active"

    def test_it_is_active_again_when_bars_come(self, tracked: Database, market: OneByOne) -> None:
        assert self.states(tracked, market, [self.GONE, self.GONE, self.GONE, None])[-1] == "active"
        assert symbols(tracked)["AAA"].status_reason is None
