"""A run worker of its own process, which computes the night by the real job of the real code location.

A fork of a process that has imported everything, so that twenty of them can be killed in a minute.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dagster as dg

from sigmasight_assets.definitions import build_definitions
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.orchestration.resources import Pipeline
from tests.faults.night_world import SCRIPT, TONIGHT, market

STARTED, SUCCEEDED, FAILED = "started", "succeeded", "failed"


class NightPipeline(Pipeline):
    """The pipeline with the night's market."""

    def market(self, turns: TurnsOf = no_turns) -> MarketSource:  # noqa: ARG002
        """The market of the last complete session, disturbed as the file in the home says."""
        settings = self.settings
        return market(self.calendar.last_complete(settings.clock()), settings.home / SCRIPT)


class Worker:
    """The process while it runs; it says when its run begins and how it has ended."""

    def __init__(self, process: BaseProcess, words: Any) -> None:
        self.process = process
        self._words = words

    def word(self) -> str:
        """What it says next; a killed one says nothing and raises ``EOFError``."""
        assert self._words.poll(120), "the worker says nothing"
        said: str = self._words.recv()
        return said

    def kill(self) -> bool:
        """End it as the kernel does when memory runs out; whether there was anything to end."""
        was_alive = self.process.is_alive()
        self.process.kill()
        self.process.join()
        return was_alive

    def finish(self) -> str:
        """How its run has ended, once it has."""
        said = self.word()
        self.process.join()
        return said


def context() -> ForkServerContext:
    """Where workers come from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([__name__])
    return found


@contextmanager
def worker(environment: Mapping[str, str], log: Path) -> Iterator[Worker]:
    """A worker whose run of the night has just begun; nothing of it is left after the block."""
    told, telling = context().Pipe(duplex=False)
    process = context().Process(target=work, args=(dict(environment), str(log), telling))
    process.start()
    telling.close()
    started = Worker(process, told)
    try:
        assert started.word() == STARTED
        yield started
    finally:
        started.kill()
        told.close()


def work(environment: Mapping[str, str], log: str, telling: Any) -> None:
    """Run the symbol layer of the night, in the child."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(environment["SIGMASIGHT_HOME"])
    with Path(log).open("a", encoding="utf-8") as output:
        sys.stdout = sys.stderr = output
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        pipeline = NightPipeline(database_url=environment["SIGMASIGHT_DATABASE_URL"])
        job = build_definitions(resource_overrides={"pipeline": pipeline}).resolve_job_def(SYMBOL_LAYER)
        with dg.DagsterInstance.ephemeral() as instance:
            telling.send(STARTED)
            run = job.execute_in_process(
                instance=instance, tags={"dagster/partition": str(TONIGHT)}, raise_on_error=False
            )
        telling.send(SUCCEEDED if run.success else FAILED)
