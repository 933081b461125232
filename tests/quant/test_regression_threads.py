"""Blocks are estimated by several threads at once: the results, the failures and the callers know nothing of it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from threading import Barrier, get_ident
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sigmasight_assets.quant import regression
from sigmasight_assets.quant.regression import SymbolExposures
from tests.quant.reference import Market, random_market

ROWS = list(range(195, 220))


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> Market:
    """A market in 4 x 6 blocks, on a machine with four cores."""
    monkeypatch.setattr(regression, "BLOCK_SYMBOLS", 7)
    monkeypatch.setattr(regression, "THREAD_PAIRS", 1)
    monkeypatch.setattr(regression, "_cores", lambda: 4)
    return random_market(seed=8, symbols=40)


def assert_identical(found: SymbolExposures, expected: SymbolExposures) -> None:
    for table, other in zip(found.tables, expected.tables, strict=True):
        for field in fields(table):
            assert_array_equal(getattr(table, field.name), getattr(other, field.name), err_msg=field.name)


def test_threads_give_the_same_bits_as_one(many_blocks: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    by_four = many_blocks.exposures(ROWS)
    monkeypatch.setattr(regression, "_cores", lambda: 1)

    assert_identical(by_four, many_blocks.exposures(ROWS))


def test_blocks_run_side_by_side(many_blocks: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = regression._block_exposures
    threads: set[int] = set()
    # Breaks, and fails the test, when no second thread arrives.
    both = Barrier(2, timeout=20)

    def meeting(*args: Any, **kwargs: Any) -> SymbolExposures:
        if len(threads) < 2:
            threads.add(get_ident())
            both.wait()
        return estimate(*args, **kwargs)

    monkeypatch.setattr(regression, "_cores", lambda: 2)
    monkeypatch.setattr(regression, "_block_exposures", meeting)
    many_blocks.exposures(ROWS)

    assert len(threads) == 2


@pytest.mark.parametrize("cores", [1, 4])
def test_a_failure_of_a_block_reaches_the_caller(
    many_blocks: Market, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    estimate = regression._block_exposures

    def failing(*args: Any, **kwargs: Any) -> SymbolExposures:
        if kwargs["rows"][0] > ROWS[0]:
            raise FloatingPointError("block")
        return estimate(*args, **kwargs)

    monkeypatch.setattr(regression, "_cores", lambda: cores)
    monkeypatch.setattr(regression, "_block_exposures", failing)
    with pytest.raises(FloatingPointError, match="block"):
        many_blocks.exposures(ROWS)


def test_little_work_and_a_single_core_start_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pool(_: int) -> None:
        pytest.fail("started threads")

    monkeypatch.setattr(regression, "ThreadPoolExecutor", no_pool)
    market = random_market(seed=9, symbols=5)
    monkeypatch.setattr(regression, "_cores", lambda: 4)
    assert market.exposures(ROWS).market.beta.shape == (25, 5)
    monkeypatch.setattr(regression, "THREAD_PAIRS", 1)
    assert market.exposures([219]).market.beta.shape == (1, 5)
    monkeypatch.setattr(regression, "_cores", lambda: 1)
    assert market.exposures(ROWS).market.beta.shape == (25, 5)


@pytest.mark.usefixtures("many_blocks")
def test_several_callers_at_once_get_their_own_results() -> None:
    markets = [random_market(seed=seed, symbols=30) for seed in range(6)]
    expected = [market.exposures(ROWS) for market in markets]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda market: market.exposures(ROWS), markets))

    for one, other in zip(found, expected, strict=True):
        assert_identical(one, other)


def test_cores_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 6}, raising=False)
    assert regression._cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert regression._cores() == 8
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert regression._cores() == 1


@pytest.mark.parametrize("symbols", [1, 7, 8, 20, 21, 22])
def test_blocks_are_of_like_widths_and_cover_everything_once(monkeypatch: pytest.MonkeyPatch, symbols: int) -> None:
    monkeypatch.setattr(regression, "BLOCK_SYMBOLS", 7)
    covered = np.zeros((2, symbols), dtype=np.int64)
    widths = []
    for sessions, part in regression._blocks(np.array([10, 30]), symbols):
        covered[sessions, part] += 1
        widths.append(covered[0, part].size)

    assert (covered == 1).all()
    assert max(widths) <= 7
    assert len(widths) == 2 * -(-symbols // 7)
    assert max(widths) - min(widths) <= 2
