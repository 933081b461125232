"""Many clients of the API in a process of their own: ``python -m tests.faults.http_readers``.

Standard input is a line of JSON (port, tokens, paths, clients, pause); what was answered goes to standard
output as JSON. Each client keeps its connection and asks again after a pause, until the input ends.
"""

import asyncio
import hashlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

# Connections are made and first answers computed by then; how long that takes is not kept.
WARM_SECONDS = 4.0


@dataclass
class Told:
    """What the clients were told: how long each answer took, and how often which status and which answer."""

    began: float = field(default_factory=time.perf_counter)
    # When each was asked for, by the machine's monotonic clock, and how long it took.
    seconds: list[tuple[float, float]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    # By path, generation of the header, and digest; a body of each.
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    bodies: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def keep(self, path: str, status: int, generation: str, body: bytes, seconds: float) -> None:
        """Count an answer."""
        key = path, generation, hashlib.sha256(body).hexdigest()
        if time.perf_counter() - self.began > WARM_SECONDS:
            self.seconds.append((time.monotonic() - seconds, seconds))
        self.statuses[status] += 1
        self.counts[key] += 1
        self.bodies.setdefault(key, body)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        answers = [[*key, self.counts[key], body.decode()] for key, body in self.bodies.items()]
        return {"seconds": self.seconds, "statuses": dict(self.statuses), "answers": answers}


class Client:
    """One reader with one connection."""

    def __init__(self, plan: dict[str, Any], told: Told, number: int) -> None:
        self._plan, self._told, self._chance = plan, told, random.Random(number)
        self._token = plan["tokens"][number % len(plan["tokens"])]
        self._paths = plan["paths"][number % len(plan["paths"])]

    async def read(self, end: asyncio.Event) -> None:
        """Ask until the end."""
        await asyncio.sleep(self._chance.uniform(0.0, self._plan["pause"]))
        reader, writer = await asyncio.open_connection("127.0.0.1", self._plan["port"])
        while not end.is_set():
            path = self._chance.choice(self._paths)
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n\r\n"
            began = time.perf_counter()
            writer.write(head.encode())
            status, generation, body = await _answer(reader)
            took = time.perf_counter() - began
            self._told.keep(path, status, generation, body, took)
            await asyncio.sleep(max(0.0, self._plan["pause"] - took))
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    body = await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers.get("x-data-generation", ""), body


async def _run(plan: dict[str, Any]) -> Told:
    told, end = Told(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, sys.stdin.read).add_done_callback(lambda _: end.set())
    async with asyncio.TaskGroup() as group:
        for number in range(plan["clients"]):
            group.create_task(Client(plan, told, number).read(end))
    return told


@contextmanager
def readers(
    port: int, tokens: Sequence[str], paths: Sequence[Sequence[str]], *, clients: int, pause: float
) -> Iterator[dict[str, Any]]:
    """Clients that read while the block runs; after it the dictionary has what they were told."""
    plan = {"port": port, "tokens": list(tokens), "paths": list(map(list, paths)), "clients": clients, "pause": pause}
    command = [sys.executable, "-m", "tests.faults.http_readers"]
    told: dict[str, Any] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
        try:
            yield told
        except BaseException:
            process.kill()
            raise
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        told.update(json.loads(output))


def main() -> None:
    """Read as standard input says."""
    plan = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps(asyncio.run(_run(plan)).document()))


if __name__ == "__main__":
    main()
