"""The status as people see it: the verdict first, then what is failed, the sessions, and everything else.

A terminal gets lines of its width, and a column for each product where they fit; a pipe gets whole lines, for ``grep``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigmasight_assets.commands.output import console, is_terminal, show_on
from sigmasight_assets.commands.status_services import ServicesStatus
from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.run_status import RunStatus
from sigmasight_assets.operations.status import SessionStatus, SystemStatus
from sigmasight_assets.operations.symbol_plan import local
from sigmasight_assets.operations.verdict import Verdict, judge
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS

LAST_RUNS = 3
# Warnings of one kind beyond so many are counted on a terminal, where they would push away what matters.
WARNINGS_OF_A_KIND = 2
BAR_CELLS = 10
SHORT_ID = 8
# From this width on each product has a column.
WIDE = 110
FEWEST_SESSIONS = 3
# The line of the next prompt, and the one above that the shell may have.
PROMPT_LINES = 2

STYLES = {"current": "green", "due": "yellow", "empty": "yellow", "late": "bold red", "failing": "bold red"}
STATES = {"published": "green", "due": "yellow", "failed": "red", "late": "red", "missed": "red"}
HEADINGS = ("mkt β", "rate β", "ridge", "spread", "cov", "metrics")


def show_status(
    found: SystemStatus,
    *,
    products: Mapping[date, frozenset[str]],
    services: ServicesStatus,
    sessions: int | None = None,
) -> None:
    """Print the status with so many sessions; None: as many as a screen has room for, else all.

    Where it has not even room for a few, the runs are left out: what they failed of is told above.
    """
    output = console()
    screen = _Screen(output)

    def draw(rows: int) -> None:
        _show(screen, replace(found, sessions=found.sessions[:rows]), found, products, services)

    def room() -> int:
        with output.capture() as others:
            draw(0)
        return output.height - others.get().count("\n") - PROMPT_LINES

    if sessions is None and is_terminal(output.file):
        sessions = room()
        if sessions < FEWEST_SESSIONS:
            screen.has_runs = False
            sessions = max(FEWEST_SESSIONS, room())
    rows = sessions or len(found.sessions)
    show_on(output, lambda _: draw(rows))


def _show(
    screen: "_Screen",
    shown: SystemStatus,
    found: SystemStatus,
    products: Mapping[date, frozenset[str]],
    services: ServicesStatus,
) -> None:
    """Print ``shown``, which is what was ``found`` with fewer sessions."""
    screen.verdict(judge(found))
    screen.failures(found.failures)
    screen.sessions(shown, products)
    screen.runs("Under way", found.running)
    if screen.has_runs:
        screen.runs("Last runs", [run for run in found.runs if run.status != "running"][:LAST_RUNS])
    screen.lines("Onboarding", [f"{item.symbol}: {item.sentence}" for item in found.onboarding])
    if found.alerts_undelivered:
        screen.fact("alerts", f"{found.alerts_undelivered} that the webhook has not taken")
    screen.fact("services", _services(services))
    screen.fact("next symbol run", screen.without_causes(found.next_symbols, found.failures))
    screen.fact("next snapshots", screen.without_causes(found.next_snapshots, found.failures))


class _Screen:
    """Prints the parts on one console."""

    def __init__(self, output: Console) -> None:
        self._output = output
        self._folds = is_terminal(output.file)
        self._marks = _Marks(output)
        self.has_runs = True

    def verdict(self, verdict: Verdict) -> None:
        """One line that says it all, and what comes next."""
        line = Text(verdict.state.upper(), style=STYLES[verdict.state])
        self._item(line.append(f"  {verdict.sentence}", style="not bold default"), indent=0)
        if verdict.next_step:
            self._item(Text(f"next: {verdict.next_step}"), indent=0)

    def failures(self, failures: Sequence[Failure]) -> None:
        """What is failed, each with its cause and, on a line of its own, what mends it."""
        self._output.print(Text("Failed right now:", style="bold"))
        if not failures:
            self._item(Text("nothing"))
        for severity, group in groupby(failures, key=lambda item: item.severity):
            for line, step in _folded(list(group), folds=self._folds and severity == "warning"):
                mark = self._marks.cross if severity == "critical" else self._marks.warning
                style = "red" if severity == "critical" else "yellow"
                self._item(Text(f"{mark} ", style=style).append(f"{severity}: {line}", style="default"))
                self._item(Text(f"{self._marks.arrow} {step}", style="cyan"), indent=4)

    def sessions(self, found: SystemStatus, products: Mapping[date, frozenset[str]]) -> None:
        """A row for each session; the reasons of those that are not told of above follow."""
        is_wide = self._output.width >= WIDE
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in ("Session", "Coverage"):
            table.add_column(name, no_wrap=True)
        for name in HEADINGS if is_wide else ("Figures",):
            table.add_column(name, no_wrap=True)
        for name in ("Gen.", "Snapshots", "State", "Published"):
            table.add_column(name, no_wrap=True)
        for item in found.sessions:
            table.add_row(*self._row(item, products.get(item.session, frozenset()), is_wide=is_wide))
        self._output.print(f"Sessions, at {local(found.clock)}:", style="bold")
        # Beyond its own width a console without wrapping cuts nothing.
        self._output.print(table, soft_wrap=False)
        told = {item.session for item in found.failures if item.kind == "session_not_published"}
        for item in found.sessions:
            words = _remark(item, is_told=item.session in told)
            if words:
                self._item(Text(f"{item.session}: {words}"))

    def runs(self, title: str, runs: Sequence[RunStatus]) -> None:
        """What runs did; a terminal gets as much of their ids as Dagster's UI shows."""
        self.lines(title, [_run_line(run, run.run_id[:SHORT_ID] if self._folds else run.run_id) for run in runs])

    def lines(self, title: str, lines: Sequence[str]) -> None:
        """A list under its title, nothing when it is empty."""
        if lines:
            self._output.print(Text(f"{title}:", style="bold"))
        for line in lines:
            self._item(Text(line))

    def without_causes(self, words: str, failures: Sequence[Failure]) -> str:
        """On a terminal words without the causes that stand above them."""
        for item in failures if self._folds else ():
            words = words.replace(f": {item.detail}", "")
        return words

    def fact(self, name: str, value: str) -> None:
        """A line of its own."""
        self._item(Text(f"{name}: ", style="bold").append(value, style="not bold"), indent=0)

    def _item(self, text: Text, *, indent: int = 2) -> None:
        """A line that goes on further right where it is broken; a pipe gets it whole."""
        if not self._folds:
            self._output.print(Text(" " * indent).append_text(text))
            return
        first, *rest = text.wrap(self._output, max(20, self._output.width - indent - 2))
        for line, further in ((first, 0), *((line, 2) for line in rest)):
            line.rstrip()
            self._output.print(Text(" " * (indent + further)).append_text(line))

    def _row(self, item: SessionStatus, products: frozenset[str], *, is_wide: bool) -> Iterator[Text]:
        yield Text(str(item.session))
        yield self._marks.bar(item.coverage)
        if is_wide:
            yield from (self._marks.is_there(name in products) for name in SYMBOL_PRODUCTS)
        else:
            count = len(products.intersection(SYMBOL_PRODUCTS))
            yield Text(f"{count} of {len(SYMBOL_PRODUCTS)}", style="green" if count == len(SYMBOL_PRODUCTS) else "dim")
        yield Text("" if item.symbol_generation is None else str(item.symbol_generation))
        yield Text(item.snapshots, style={"current": "green", "stale": "yellow"}.get(item.snapshots, "dim"))
        yield Text(item.state.replace("_", " "), style=STATES.get(item.state, "dim"))
        yield Text(f"{item.published_at.astimezone(NEW_YORK):%m-%d %H:%M}" if item.published_at else "")


class _Marks:
    """Signs that read without colour, in the characters that the output can show."""

    def __init__(self, output: Console) -> None:
        is_rich = output.encoding.startswith("utf")
        self.cross, self.warning, self.arrow = ("✗", "!", "→") if is_rich else ("x", "!", "->")
        self._full, self._empty = ("█", "░") if is_rich else ("#", ".")
        self._yes, self._no = ("✓", "·") if is_rich else ("y", "-")

    def bar(self, share: float | None) -> Text:
        """A share as a bar and in percent; nothing known is an empty bar."""
        if share is None:
            return Text(self._empty * BAR_CELLS, style="dim").append(f" {self._no:>7}")
        # A bar is full only where nothing lacks.
        cells = BAR_CELLS if share >= 1 else min(BAR_CELLS - 1, int(share * BAR_CELLS))
        style = "green" if share >= 1 else "yellow"
        bar = Text(self._full * cells, style=style).append(self._empty * (BAR_CELLS - cells), style="dim")
        return bar.append(f" {share:7.2%}", style="default")

    def is_there(self, is_there: bool) -> Text:
        """Whether a product is published."""
        return Text(self._yes, style="green") if is_there else Text(self._no, style="dim")


def _folded(failures: Sequence[Failure], *, folds: bool) -> Iterator[tuple[str, str]]:
    """Lines on failures and what mends each.

    Where it ``folds``, many of a kind are one line with the way out of the first.
    """
    ordered = sorted(failures, key=lambda item: item.kind) if folds else failures
    for kind, group in groupby(ordered, key=lambda item: item.kind):
        items = list(group)
        if folds and len(items) > WARNINGS_OF_A_KIND:
            named = ", ".join(item.subject for item in items[:WARNINGS_OF_A_KIND])
            rest = len(items) - WARNINGS_OF_A_KIND
            yield f"{len(items)} {kind}: {named} and {rest} more", f"{items[0].next_step}; `--json` names all"
        else:
            yield from ((f"{item.kind} {item.subject}: {item.detail}", item.next_step) for item in items)


def _remark(item: SessionStatus, *, is_told: bool) -> str:
    """Why a session is as it is and what happens next, empty where nothing is to be said or it ``is_told`` above."""
    if is_told:
        return ""
    stale = f"figures of {item.stale_symbols} symbols are older than their prices" if item.stale_symbols else None
    reasons = [item.failed, item.waived and f"waived: {item.waived}", item.closed and f"closed: {item.closed}", stale]
    return "; ".join(dict.fromkeys(text for text in (*reasons, item.next_step) if text))


def _run_line(run: RunStatus, run_id: str) -> str:
    sessions = (
        f"{run.first_session} to {run.last_session}" if run.first_session < run.last_session else run.last_session
    )
    counted = {"computed": run.computed, "fresh": run.fresh, "failed": run.failed, "vendor calls": run.vendor_calls}
    counts = ", ".join(f"{name} {count}" for name, count in counted.items() if count is not None)
    error = f": {run.error}" if run.error else ""
    return (
        f"{run_id} {run.layer} {sessions} {run.status}, {run.seconds:.1f} s, by {run.started_by}"
        f"{f' ({counts})' if counts else ''}{error}"
    )


def _services(services: ServicesStatus) -> str:
    api = (
        "the API is down"
        if services.api is None
        else f"the API answers from {_SOURCES.get(services.api, services.api)}"
    )
    if services.reason:
        api += f" ({services.reason})"
    if services.dagster is None:
        return f"Dagster of this home is down, so nothing runs by itself until `make run`; {api}"
    return f"Dagster {services.dagster}; {api}"


_SOURCES = {"cache": "its cache", "db_fallback": "the database", "loading": "nothing yet, it loads"}
