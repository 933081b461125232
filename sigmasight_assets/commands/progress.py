"""How far a long command is, on standard error: one live line on a terminal, plain lines now and then elsewhere.

Commands say stages in words and counts of so many. How fast it goes tells how long the rest takes.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sigmasight_assets.commands.output import console, is_live, remark
from sigmasight_assets.durations import duration

if TYPE_CHECKING:
    from rich.progress import TaskID

EVERY_SECONDS = 10.0
# A faster guess at what is left would be one.
FIRST_GUESS_SECONDS = 2.0

Clock = Callable[[], float]


class Progress:
    """Plain lines: each stage at once, counts at most every ten seconds and at their end.

    It is called with the words of a stage, like any function that takes lines.
    """

    def __init__(self, write: Callable[[str], None], *, clock: Clock = time.monotonic) -> None:
        """``write`` gets whole lines."""
        self._write = write
        self._clock = clock
        self._counted: str | None = None
        self._began = self._said = 0.0
        self._first = 0

    def __call__(self, text: str) -> None:
        """Tell a stage, or anything else that people should know."""
        self._write(text)

    def count(self, what: str, done: int, total: int, unit: str) -> None:
        """Tell that ``done`` of ``total`` of something are done; ``what`` names it."""
        now = self._clock()
        if what != self._counted:
            self._counted, self._began, self._said, self._first = what, now, now, done
        is_end = done >= total and self._said > self._began
        if now - self._said >= EVERY_SECONDS or is_end:
            self._said = now
            self._write(f"{what}: {done:,} of {total:,} {unit}, {self._times(now, done, total)}")

    def close(self) -> None:
        """Leave the line that was alive; what comes later is written plainly."""

    def _times(self, now: float, done: int, total: int) -> str:
        elapsed = now - self._began
        words = duration(elapsed)
        if done > self._first and done < total and elapsed >= FIRST_GUESS_SECONDS:
            words += f", about {duration(elapsed / (done - self._first) * (total - done))} left"
        return words


class Silent(Progress):
    """Nothing, for programs and for commands that are done before one looks; counts of slow ones are still told."""

    def __call__(self, text: str) -> None:
        """Say nothing of stages."""


class Live(Progress):
    """One line that moves: the stage, a bar while something is counted, the time and what is left of it."""

    def __init__(self, *, keeps: bool) -> None:
        """``keeps`` leaves the stages on the screen once they are over."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        super().__init__(remark)
        self._keeps = keeps
        self._stage = ""
        self._is_counting = False
        self._console = console(sys.stderr)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        counters = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._columns = {False: columns, True: counters}
        self._bar: Bar | None = Bar(*columns, console=self._console, transient=True)
        self._task: TaskID = self._bar.add_task("", total=None, unit="")
        self._bar.start()

    def __call__(self, text: str) -> None:
        """Show the stage in place of the last one, which stays above it if stages are kept."""
        if self._bar is None:
            self._write(text)
            return
        if text == self._stage:
            return
        self._keep()
        self._stage = text
        self._show(counting=False)
        self._bar.reset(self._task, description=text, total=None, unit="")

    def count(self, what: str, done: int, total: int, unit: str) -> None:
        """Show a bar."""
        if self._bar is None:
            super().count(what, done, total, unit)
            return
        self._show(counting=True)
        if what != self._counted:
            self._counted = what
            self._bar.reset(self._task, description=what, total=total, unit=unit)
        self._bar.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take the line away."""
        if self._bar is not None:
            self._keep()
            self._bar.stop()
            self._bar = None

    def _keep(self) -> None:
        if self._keeps and self._stage:
            self._console.print(self._stage)
        self._stage = ""

    def _show(self, *, counting: bool) -> None:
        if self._bar is not None and counting != self._is_counting:
            self._bar.columns = self._columns[counting]
            self._is_counting = counting
            self._counted = None


@contextmanager
def progress(*, as_json: bool = False, stages: bool = False) -> Iterator[Progress]:
    """Where a command tells how far it is, until the end of the block.

    On a terminal a live line. Elsewhere plain lines: ``stages`` tells that those are worth a line each, as of commands
    that take minutes. With ``as_json`` there are none, lest a program take them for errors.
    """
    if is_live(sys.stderr):
        shown: Progress = Live(keeps=stages)
    elif as_json:
        shown = Silent(lambda _: None)
    else:
        shown = Progress(remark) if stages else Silent(remark)
    try:
        yield shown
    finally:
        shown.close()


def as_progress(report: Callable[[str], None]) -> Progress:
    """Something that takes lines, as something that takes counts too."""
    return report if isinstance(report, Progress) else Progress(report)
