"""Tests of batches: one query for all who ask while another runs, never an answer older than the question."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from sigmasight_api.batches import LARGEST_BATCH, Batches


class Source:
    """Counts how often it was asked, and answers when it is let go."""

    def __init__(self) -> None:
        self.queries: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def fetch(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.queries.append(list(keys))
        number = len(self.queries)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {key: number for key in keys if key != "unknown"}


async def started(source: Source, *keys: str) -> tuple[Batches[str, int], list[asyncio.Task[int | None]]]:
    """Questions of which the first is being looked up and the others wait."""
    batches: Batches[str, int] = Batches(source.fetch)
    tasks = []
    for key in keys:
        tasks.append(asyncio.create_task(batches.get(key)))
        for _ in range(3):
            await asyncio.sleep(0)
    return batches, tasks


def test_whoever_asks_while_a_query_runs_is_in_the_next_one() -> None:
    async def scenario() -> None:
        source = Source()
        _, tasks = await started(source, "a", "b", "c", "b", "unknown")
        source.gate.set()
        assert await asyncio.gather(*tasks) == [1, 2, 2, 2, None]
        assert source.queries == [["a"], ["b", "c", "unknown"]]

    asyncio.run(scenario())


def test_a_question_is_never_answered_by_a_query_that_began_before_it() -> None:
    async def scenario() -> None:
        source = Source()
        _, tasks = await started(source, "a", "a")
        source.gate.set()
        assert await asyncio.gather(*tasks) == [1, 2]

    asyncio.run(scenario())


def test_an_error_is_told_to_those_who_were_in_the_query_and_to_nobody_else() -> None:
    async def scenario() -> None:
        source = Source()
        batches, tasks = await started(source, "a")
        source.error = OSError("away")
        source.gate.set()
        with pytest.raises(OSError, match="away"):
            await tasks[0]
        source.error = None
        assert await batches.get("a") == 2

    asyncio.run(scenario())


def test_one_who_goes_away_takes_nobody_along() -> None:
    async def scenario() -> None:
        source = Source()
        _, tasks = await started(source, "a", "b", "b")
        tasks[0].cancel()
        tasks[1].cancel()
        source.gate.set()
        assert await tasks[2] == 2

    asyncio.run(scenario())


def test_a_query_has_a_largest_size() -> None:
    async def scenario() -> None:
        source = Source()
        _, tasks = await started(source, *(str(number) for number in range(LARGEST_BATCH + 10)))
        source.gate.set()
        await asyncio.gather(*tasks)
        assert [len(query) for query in source.queries] == [1, LARGEST_BATCH, 9]

    asyncio.run(scenario())


def test_closing_cancels_who_waits() -> None:
    async def scenario() -> None:
        source = Source()
        batches, tasks = await started(source, "a", "b")
        await batches.close()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2

    asyncio.run(scenario())
