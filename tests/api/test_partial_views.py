"""Tests of views of some symbols: one load for all who ask at once, remembered for one generation, never older."""

import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import pytest

from sigmasight_api.loader import ViewLoader
from sigmasight_api.partial_views import PartialViews
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.database import Database
from tests.api.market import SESSIONS, publish, random_figures

SYMBOLS = ("AAA", "BBB", "CCC")


class WatchedLoader(ViewLoader):
    """The real loader, with a hook before each load of some symbols and a count of them."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.before: Callable[[], None] = lambda: None
        self.loads = 0

    def load_symbols(self, symbols: Collection[str]) -> MarketView:
        self.loads += 1
        self.before()
        return super().load_symbols(symbols)


@pytest.fixture
def loader(database: Database) -> WatchedLoader:
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    return WatchedLoader(database)


def test_a_view_is_remembered_until_something_is_published(loader: WatchedLoader, database: Database) -> None:
    views = PartialViews(loader)
    first = views.get(["AAA", "BBB"])
    assert views.get(["BBB", "AAA"]) is first
    generation = publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=2))
    second = views.get(["AAA", "BBB"])
    assert (second.generation, loader.loads) == (generation, 2)
    assert second.betas.tolist() != first.betas.tolist()


def test_other_symbols_are_another_view(loader: WatchedLoader) -> None:
    views = PartialViews(loader)
    assert views.get(["AAA"]).symbols == ("AAA",)
    assert views.get(["AAA", "CCC"]).symbols == ("AAA", "CCC")


def test_those_who_ask_at_once_share_one_load(loader: WatchedLoader) -> None:
    views, all_asked = PartialViews(loader), threading.Event()

    def wait() -> None:
        all_asked.wait(10)

    loader.before = wait
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(views.get, SYMBOLS) for _ in range(8)]
        while len(views._loading) == 0 or sum(future.running() for future in asked) < 8:
            threading.Event().wait(0.01)
        all_asked.set()
        found = {id(future.result()) for future in asked}
    assert (len(found), loader.loads) == (1, 1)


def test_a_failed_load_is_told_to_whoever_waits_and_tried_again(loader: WatchedLoader) -> None:
    def fail() -> None:
        raise StorageError("the database is away")

    views, loader.before = PartialViews(loader), fail
    with pytest.raises(StorageError, match="away"):
        views.get(SYMBOLS)
    loader.before = lambda: None
    assert views.get(SYMBOLS).symbols == SYMBOLS


def test_memory_is_bounded_in_bytes_too(loader: WatchedLoader) -> None:
    size = loader.load_symbols(["AAA"]).nbytes
    views, loader.loads = PartialViews(loader, capacity_bytes=2 * size), 0
    for symbol in (*SYMBOLS, "CCC", "AAA"):
        views.get([symbol])
    assert loader.loads == 4
    assert PartialViews(loader, capacity_bytes=size - 1).get(["AAA"]).symbols == ("AAA",)


def test_memory_is_bounded_and_can_be_cleared(loader: WatchedLoader) -> None:
    views = PartialViews(loader, capacity=2)
    for symbol in SYMBOLS:
        views.get([symbol])
    views.get(["CCC"])
    assert loader.loads == 3
    views.get(["AAA"])
    assert loader.loads == 4
    views.clear()
    views.get(["AAA"])
    assert loader.loads == 5
