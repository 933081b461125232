"""Tests of the onboarding queue as operators use it, and of what owners are told of symbols that wait in it."""

from decimal import Decimal

import pytest

from sigmasight_api.books import HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.loader import ViewLoader
from sigmasight_api.onboarding import OnboardingQueue
from sigmasight_api.onboarding_schemas import NewOnboarding
from sigmasight_api.repository import Page, Repository
from sigmasight_api.service import Reads
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot
from tests.api.market import SESSIONS, add_portfolio, publish, random_figures, track
from tests.storage.onboarding_queue import ask, claimed, failed, requests, statuses

ALL = Page(limit=100, offset=0)


@pytest.fixture
def queue(database: Database) -> OnboardingQueue:
    return OnboardingQueue(Repository(database), database)


@pytest.fixture
def reads(database: Database) -> Reads:
    repository = Repository(database)
    return Reads(repository, ViewCache(ViewLoader(database)), HoldingsCache(repository.read_holdings))


def test_asking_makes_an_open_request(database: Database, queue: OnboardingQueue) -> None:
    made = queue.ask(NewOnboarding(symbol="NEW", priority=7), user="root")
    assert (made.symbol, made.status, made.priority, made.attempts) == ("NEW", "pending", 7, 0)
    assert made.requested_by == "operator root"
    assert requests(database)["NEW"].request_id == made.request_id


def test_asking_again_gives_the_same_request_with_the_larger_priority(queue: OnboardingQueue) -> None:
    first = queue.ask(NewOnboarding(symbol="NEW", priority=7), user="root")
    again = queue.ask(NewOnboarding(symbol="NEW", priority=9), user="else")
    assert again == first.model_copy(update={"priority": 9})
    assert queue.ask(NewOnboarding(symbol="NEW"), user="else") == again


def test_requests_are_listed_newest_first_in_pages(database: Database, queue: OnboardingQueue) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        ask(database, symbol)
    listed = queue.requests(ALL)
    assert ([item.symbol for item in listed.items], listed.total) == (["CCC", "BBB", "AAA"], 3)
    page = queue.requests(Page(limit=1, offset=1))
    assert ([item.symbol for item in page.items], page.total) == (["BBB"], 3)


def test_a_failed_request_is_listed_with_its_reason(database: Database, queue: OnboardingQueue) -> None:
    ask(database, "NEW")
    claimed(database, run_id="r1")
    failed(database, "r1", is_final=True, NEW="unknown: no such ticker")
    (item,) = queue.requests(ALL).items
    assert (item.status, item.error, item.run_id, item.attempts) == ("failed", "unknown: no such ticker", "r1", 1)
    assert item.started_at is not None
    assert item.finished_at is not None
    assert item.generation is None


def test_the_status_of_a_symbol_follows_its_request(database: Database, reads: Reads) -> None:
    told = [reads.symbol_status("NEW")]
    ask(database, "NEW")
    told.append(reads.symbol_status("NEW"))
    claimed(database, run_id="r1")
    told.append(reads.symbol_status("NEW"))
    failed(database, "r1", is_final=True, NEW="unknown: no such ticker")
    told.append(reads.symbol_status("NEW"))
    assert [(item.status, item.reason) for item in told] == [
        ("unknown", "not tracked"),
        ("pending", "waiting to be onboarded"),
        ("processing", "being onboarded"),
        ("error", "unknown: no such ticker"),
    ]


def test_positions_on_symbols_that_wait_or_were_refused_say_so(database: Database, reads: Reads) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    track(database, "AAA")
    track(database, "BAD", status="error", status_reason="unknown: no such ticker")
    lots = [NewLot(symbol, Decimal(1), Decimal(10), SESSIONS[0]) for symbol in ("AAA", "BAD", "NEW")]
    record = add_portfolio(database, "ann", lots)
    assert statuses(database) == {"NEW": "pending"}
    listing, _ = reads.positions(record.user_id, str(record.public_id), with_closed=False, page=ALL)
    assert [(item.symbol, item.status, item.status_reason) for item in listing.items] == [
        ("AAA", "priced", None),
        ("BAD", "unpriced", "error: unknown: no such ticker"),
        ("NEW", "unpriced", "pending: waiting to be onboarded"),
    ]
