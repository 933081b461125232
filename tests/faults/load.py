"""Requests at a steady rate against a real API process, every answer kept and judged afterwards by its generation."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

RATE = 50.0
GENERATION = "X-Data-Generation"
TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True)
class Answer:
    """One answer; ``problem`` instead of a status when there was none. ``ended`` is of the monotonic clock."""

    path: str
    status: int
    generation: int
    body: bytes
    retry_after: str | None
    ended: float
    problem: str = ""

    @property
    def is_refusal(self) -> bool:
        """Whether it says that the database is away, and when to ask again."""
        return self.status == httpx.codes.SERVICE_UNAVAILABLE and self.retry_after is not None


@dataclass
class Load:
    """Asks for the paths in turn until the end."""

    client: httpx.AsyncClient
    paths: Sequence[str]
    answers: list[Answer] = field(default_factory=list)
    begun: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        """Begin a request every 20 ms, however long earlier ones take."""
        async with self.client, asyncio.TaskGroup() as requests:
            began = time.monotonic()
            while not self._ended.is_set():
                requests.create_task(self._ask(self.paths[self.begun % len(self.paths)]))
                self.begun += 1
                await asyncio.sleep(max(0.0, began + self.begun / RATE - time.monotonic()))

    def end(self) -> None:
        """Begin no further request."""
        self._ended.set()

    def serves_since(self, moment: float) -> bool:
        """Whether after an instant every path has been answered with 200 once more, since the last refusal."""
        served = set()
        # From the newest back; others may come meanwhile.
        for place in range(len(self.answers) - 1, -1, -1):
            item = self.answers[place]
            if item.ended <= moment or item.status != httpx.codes.OK:
                break
            served.add(item.path)
        return served == set(self.paths)

    async def _ask(self, path: str) -> None:
        try:
            got = await self.client.get(path)
        except httpx.HTTPError as error:
            self.answers.append(Answer(path, 0, 0, b"", None, time.monotonic(), repr(error)))
            return
        generation = int(got.headers.get(GENERATION, 0))
        retry_after = got.headers.get("Retry-After")
        self.answers.append(Answer(path, got.status_code, generation, got.content, retry_after, time.monotonic()))


@contextmanager
def loaded(client: httpx.AsyncClient, paths: Sequence[str]) -> Iterator[Load]:
    """Ask for the paths at 50 requests a second during the block."""
    load = Load(client, paths)
    thread = threading.Thread(target=lambda: asyncio.run(load.run()), daemon=True)
    thread.start()
    try:
        yield load
    finally:
        load.end()
        thread.join(2 * TIMEOUT_SECONDS)
        assert not thread.is_alive()


def wrong_answers(answers: Sequence[Answer], known: dict[tuple[str, int], bytes]) -> list[str]:
    """Answers that are neither a refusal with its pause nor, to the byte, that of their generation.

    Of a generation that is not ``known``, all answers to one path must be the same.
    """
    bodies = defaultdict(set)
    wrong = []
    for item in answers:
        if item.status == httpx.codes.OK:
            bodies[item.path, item.generation].add(item.body)
        elif not item.is_refusal:
            wrong.append(f"{item.path}: {item.problem or item.status} {item.body[:200]!r}")
    for key, found in bodies.items():
        if found != {known.get(key, next(iter(found)))}:
            wrong.append(f"{key}: {len(found)} bodies, known: {key in known}")
    return wrong
