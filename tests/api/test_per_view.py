"""Tests of what is remembered for each view: computed once, shared by threads, gone with the view."""

import gc
import threading
import time
import weakref
from dataclasses import replace

import pytest

from sigmasight_api.per_view import PerView
from sigmasight_api.view import MarketView
from tests.api.handmade import market

THREADS = 8


def new_view() -> MarketView:
    return market({"AAA": 1.0}, {"AAA": 10_000})


def test_each_view_has_its_own_value_made_once() -> None:
    asked: list[int] = []

    def close(view: MarketView) -> int:
        asked.append(view.generation)
        return int(view.close[0])

    first = new_view()
    second = replace(first, generation=6, close=first.close * 2)
    remembered = PerView(close)
    assert [remembered.of(view) for view in (first, second, first, second)] == [10_000, 20_000, 10_000, 20_000]
    assert asked == [5, 6]


def test_threads_that_ask_together_share_one_computation() -> None:
    together = threading.Barrier(THREADS)
    found: list[object] = []

    def slow(_: MarketView) -> object:
        time.sleep(0.05)
        return object()

    remembered, view = PerView(slow), new_view()

    def ask() -> None:
        together.wait()
        found.append(remembered.of(view))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == THREADS
    assert len(set(map(id, found))) == 1


def test_a_value_goes_with_its_view() -> None:
    remembered, view = PerView(lambda view: view.close), new_view()
    column = weakref.ref(view)
    remembered.of(view)
    del view
    gc.collect()
    assert column() is None


def test_an_error_is_raised_and_not_remembered() -> None:
    failures = [ZeroDivisionError()]

    def fail_first(view: MarketView) -> int:
        if failures:
            raise failures.pop()
        return view.generation

    remembered, view = PerView(fail_first), new_view()
    with pytest.raises(ZeroDivisionError):
        remembered.of(view)
    assert remembered.of(view) == 5
