"""Tests of the cache of the view: swapping, sharing one load, keeping the old view, and what readiness says."""

import threading
from collections.abc import Callable, Collection

import numpy as np
import pytest

from sigmasight_api.cache import ViewCache
from sigmasight_api.loader import ViewLoader
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import StorageError
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.database import Database
from tests.api.market import SESSIONS, add_covariance, publish, random_figures

SYMBOLS = ("AAA", "BBB")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class WatchedLoader(ViewLoader):
    """The real loader, with a hook before each load and a count of loads."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.before: Callable[[], None] = lambda: None
        self.loads = 0

    def load(self, *, previous: MarketView | None = None) -> MarketView:
        self.loads += 1
        self.before()
        return super().load(previous=previous)

    def load_symbols(self, symbols: Collection[str]) -> MarketView:
        self.before()
        return super().load_symbols(symbols)


def fail() -> None:
    raise StorageError("the database is away")


@pytest.fixture
def loader(database: Database) -> WatchedLoader:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    return WatchedLoader(database)


def test_before_the_first_load_views_are_read_for_the_symbols_asked_for(loader: WatchedLoader) -> None:
    cache = ViewCache(loader)
    assert cache.current is None
    assert cache.view_for(["BBB"]).symbols == ("BBB",)
    assert cache.current is None


def test_after_it_the_current_view_serves_whoever_does_not_need_a_newer_one(loader: WatchedLoader) -> None:
    cache = ViewCache(loader)
    view = cache.refresh()
    assert cache.view_for(["BBB"], at_least=view.generation) is view is cache.current
    assert loader.loads == 1


def test_a_newer_generation_is_loaded_on_demand(loader: WatchedLoader, database: Database) -> None:
    cache = ViewCache(loader)
    old = cache.refresh()
    generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    view = cache.view_for(["BBB"], at_least=generation)
    assert view.generation == generation
    assert view is cache.current is not old


def test_those_who_wait_for_a_generation_share_one_load(loader: WatchedLoader, database: Database) -> None:
    cache = ViewCache(loader)
    cache.refresh()
    generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    arrived = threading.Barrier(4)
    found: list[MarketView] = []

    def ask() -> None:
        arrived.wait()
        found.append(cache.view_for(SYMBOLS, at_least=generation))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loader.loads == 2
    assert all(view is cache.current for view in found)


@pytest.mark.fault(20)
def test_a_failed_load_keeps_the_old_view_and_is_told(loader: WatchedLoader) -> None:
    cache = ViewCache(loader)
    view = cache.refresh()
    loader.before = fail
    with pytest.raises(StorageError):
        cache.refresh()
    assert cache.current is view
    assert cache.readiness().mode == "cache"
    assert "failed" in (cache.readiness().reason or "")
    assert cache.status().last_error == "StorageError: the database is away"
    loader.before = lambda: None
    cache.refresh()
    assert cache.readiness().reason is None
    assert cache.status().last_error is None


@pytest.mark.fault(20)
def test_a_malformed_row_leaves_no_half_view(loader: WatchedLoader, database: Database) -> None:
    cache = ViewCache(loader)
    view = cache.refresh()
    add_covariance(database, SESSIONS[-1], np.eye(8)[:3], FACTOR_ETFS)
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    with pytest.raises(ValueError, match="reshape"):
        cache.refresh()
    assert cache.current is view
    assert (cache.readiness().mode, "failed" in (cache.readiness().reason or "")) == ("cache", True)


@pytest.mark.fault(20)
def test_a_load_without_enough_memory_leaves_the_old_view(loader: WatchedLoader, database: Database) -> None:
    def exhaust() -> None:
        raise MemoryError

    cache = ViewCache(loader)
    view = cache.refresh()
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    loader.before = exhaust
    with pytest.raises(MemoryError):
        cache.refresh()
    assert cache.current is view
    assert "failed" in (cache.readiness().reason or "")


@pytest.mark.fault(21)
def test_a_symbol_that_is_published_while_everything_is_loaded_is_there_afterwards(
    loader: WatchedLoader, database: Database
) -> None:
    cache, loading, published = ViewCache(loader), threading.Event(), threading.Event()
    cache.refresh()
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))

    def wait() -> None:
        loading.set()
        published.wait(10)

    loader.before = wait
    threads = [threading.Thread(target=cache.refresh) for _ in range(2)]
    threads[0].start()
    loading.wait(10)
    generation = publish(database, SESSIONS[-1], random_figures([*SYMBOLS, "NEW"], seed=2))
    threads[1].start()
    published.set()
    for thread in threads:
        thread.join()
    assert cache.current is not None
    assert (cache.current.generation, "NEW" in cache.current.rows) == (generation, True)


def test_readiness_while_the_first_load_is_slow(loader: WatchedLoader) -> None:
    clock = Clock()
    cache = ViewCache(loader, patience_seconds=30.0, monotonic=clock)
    assert cache.readiness().mode == "loading"
    clock.now = 29.9
    assert cache.readiness().mode == "loading"
    clock.now = 30.0
    assert cache.readiness().mode == "db_fallback"
    assert "30 s" in (cache.readiness().reason or "")
    cache.refresh()
    assert (cache.readiness().mode, cache.readiness().reason) == ("cache", None)


def test_a_failed_first_load_ends_the_wait(loader: WatchedLoader) -> None:
    cache = ViewCache(loader)
    loader.before = fail
    with pytest.raises(StorageError):
        cache.refresh()
    assert cache.readiness().mode == "db_fallback"
    with pytest.raises(StorageError):
        cache.view_for(SYMBOLS)


def test_the_status_tells_durations_and_ages(loader: WatchedLoader, database: Database) -> None:
    clock = Clock()
    cache = ViewCache(loader, monotonic=clock)
    assert cache.status().age_seconds is None

    def take_two_seconds() -> None:
        clock.now += 2.0

    loader.before = take_two_seconds
    cache.refresh()
    clock.now = 10.0
    cache.refresh()
    clock.now = 15.0
    status = cache.status()
    assert (status.load_seconds, status.age_seconds, status.checked_seconds_ago) == (2.0, 13.0, 3.0)
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    cache.refresh()
    assert cache.status().age_seconds == 0.0


def test_it_counts_how_requests_got_their_view(loader: WatchedLoader, database: Database) -> None:
    cache = ViewCache(loader)
    cache.view_for(["BBB"])
    view = cache.refresh()
    cache.view_for(["BBB"], at_least=view.generation)
    cache.count("hit")
    cache.view_for(["BBB"], at_least=publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2)))
    assert cache.status().uses == {"hit": 2, "wait": 1, "fallback": 1}


def test_whoever_wants_a_generation_is_known_to_wait_for_it(loader: WatchedLoader, database: Database) -> None:
    cache = ViewCache(loader)
    cache.refresh()
    awaited = list[bool]()

    def prepare(_: MarketView, is_awaited: Callable[[], bool]) -> Callable[[], None]:
        awaited.append(is_awaited())
        return lambda: None

    cache.before_swap(prepare)
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    cache.refresh()
    cache.reach(publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=3)))
    cache.view_for(SYMBOLS, at_least=publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=4)))
    assert awaited == [False, True, True]
