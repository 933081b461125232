"""Onboarding that fails: for the one symbol that is at fault, for a market that is away, until it is given up."""

import pytest

from sigmasight_assets.errors import StorageError
from sigmasight_assets.orchestration import symbol_checks
from sigmasight_assets.orchestration.onboarding import NO_VALID_BAR, onboard_requests
from sigmasight_assets.storage.database import Database
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import rows_of
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.onboarding_market import (
    ENDED,
    LEAPING,
    LISTED,
    NONE_SUCH,
    OLD,
    SHORT,
    SILENT,
    FailingMarket,
    enter_before,
    extended,
    onboard,
    onboarding_run,
    results,
    universe,
)
from tests.orchestration.states import States
from tests.orchestration.symbol_runs import marks
from tests.storage.onboarding_queue import let_pass, requests, statuses

AN_HOUR = 3600


@pytest.fixture
def market(awkward: ScriptedMarket) -> FailingMarket:
    return extended(awkward)


@pytest.fixture
def before(states: States, awkward: ScriptedMarket, market: FailingMarket) -> Database:
    """Every target session published, the symbols that are asked for untracked."""
    database = enter_before(states, awkward, market)
    market.asked()
    market.attempts = 0
    return database


def test_a_market_that_is_away_is_asked_again_later(before: Database, market: FailingMarket) -> None:
    earlier = results(before)
    market.is_away = True
    outcome = onboard(before, market, [OLD, SHORT])
    assert outcome.failed == dict.fromkeys((OLD, SHORT), "the vendor is away")
    assert (outcome.given_up, results(before)) == ([], earlier)
    found = requests(before)[OLD]
    assert (found.status, found.attempts, found.error) == ("pending", 1, "the vendor is away")
    market.is_away = False
    assert onboard(before, market).symbols == []
    let_pass(before, AN_HOUR)
    assert onboard(before, market).completed == [OLD, SHORT]


def test_after_three_attempts_it_is_given_up_with_the_reason(before: Database, market: FailingMarket) -> None:
    market.failing = frozenset([OLD])
    given_up = []
    for number in range(3):
        given_up += onboard(before, market, [] if number else [OLD], run_id=f"r{number}").given_up
        let_pass(before, AN_HOUR)
    found = requests(before)[OLD]
    assert (given_up, found.status, found.error) == ([OLD], "failed", "the vendor cannot answer")
    assert universe(before)[OLD] == ("pending", None)


def test_a_source_that_fails_for_every_symbol_alone_is_not_asked_for_all(
    before: Database, market: FailingMarket
) -> None:
    market.failing = frozenset((OLD, SHORT, LISTED, ENDED))
    outcome = onboard(before, market, [OLD, SHORT, LISTED, ENDED])
    assert set(outcome.failed) == {OLD, SHORT, LISTED, ENDED}
    assert market.attempts == 3


def test_one_that_the_source_cannot_answer_for_fails_alone(before: Database, market: FailingMarket) -> None:
    market.failing = frozenset([SHORT])
    outcome = onboard(before, market, [OLD, SHORT, LISTED])
    assert (outcome.completed, outcome.failed) == ([LISTED, OLD], {SHORT: "the vendor cannot answer"})
    assert statuses(before) == {OLD: "completed", SHORT: "pending", LISTED: "completed"}


def test_one_whose_figures_fail_a_check_fails_alone(
    before: Database, market: FailingMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(symbol_checks, "BETA_CAP", 4.0)
    outcome = onboard(before, market, [OLD, LEAPING, SHORT])
    assert outcome.completed == [OLD, SHORT]
    assert f"betas_finite: not finite or beyond +-4: {LEAPING}" in outcome.failed[LEAPING]
    assert marks(before) == [LEAPING]
    assert rows_of(before, "SELECT 1 FROM symbol_market_beta WHERE symbol = :name", name=LEAPING) == []
    monkeypatch.undo()
    let_pass(before, AN_HOUR)
    assert onboard(before, market).completed == [LEAPING]


def test_a_known_ticker_without_a_bar_is_tried_again(before: Database, market: FailingMarket) -> None:
    outcome = onboard(before, market, [SILENT])
    assert (outcome.silent, outcome.given_up) == ({SILENT: "empty"}, [])
    assert statuses(before) == {SILENT: "pending"}
    for day in TARGETS:
        market.bars[SILENT, day] = market.bars[OLD, day]
    let_pass(before, AN_HOUR)
    assert onboard(before, market).completed == [SILENT]


def test_bars_that_are_all_rejected_are_none(before: Database, market: FailingMarket) -> None:
    for day in TARGETS:
        market.bars[SILENT, day] = (10.0, 9.0, 8.0, 9.5, 9.5, 100.0)
    assert onboard(before, market, [SILENT]).silent == {SILENT: NO_VALID_BAR}


def test_a_definite_answer_is_not_asked_for_again(before: Database, market: FailingMarket) -> None:
    onboard(before, market, [NONE_SUCH])
    market.asked()
    let_pass(before, AN_HOUR)
    assert (onboard(before, market).symbols, market.asked()) == ([], {})


def test_a_database_that_is_away_is_the_steps_own_failure(market: FailingMarket) -> None:
    nowhere = Database("postgresql+psycopg2://nobody@127.0.0.1:9/nothing")
    with pytest.raises(StorageError, match="does not answer"):
        onboard_requests(onboarding_run(nowhere, market))
