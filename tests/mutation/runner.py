"""Tries mutants: a plugin that collects tests once and runs, for each mutant, those that call what was changed.

Each mutant lives in a child process forked after collection, so nothing is imported twice: a changed function gets its
code where it is. Only for constants, defaults and class bodies the child imports the project anew. The first test that
fails kills the mutant, and so does a run far longer than that of the unchanged code. What goes wrong before or between
tests kills nothing: that mutant was not tried. Nothing is tried unless the unchanged code survives by both ways.
"""

import gc
import importlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest

from tests.mutation.children import Child, Ended, start
from tests.mutation.mutants import Mutant
from tests.mutation.recording import Called, Record, Recorder
from tests.mutation.switching import caches_of, forget, functions_of, import_as, switch_function

OURS = ("sigmasight_assets", "sigmasight_api", "tests")
# Without assertion rewriting and long tracebacks a failing test costs little.
OPTIONS = ("-q", "-p", "no:cacheprovider", "--capture=no", "--assert=plain", "--tb=native")
# Fixtures that take long to make and call nothing that is mutated: made once, for all children.
SHARED = ("postgres_url", "schema_template")
# A child may take this many times what its tests take with the unchanged code, and the runner's patience more.
TIMES = 4


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: how many tests it was shown to and which one failed, "" when it survived.

    With an ``error`` nothing is known of it: the tests could not be run.
    """

    tests: int = 0
    killer: str = ""
    error: str = ""

    @classmethod
    def of(cls, tests: int, ended: Ended) -> "Outcome":
        """What the end of a child that was to run so many tests says."""
        return cls(tests, ended.limit or ended.result or "", ended.error)


def settings() -> None:
    """The same examples each time, none kept, and no search for the smallest one that fails."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    # A busy machine is no fault of a mutant's.
    checks = (hypothesis.HealthCheck.too_slow,)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=phases, suppress_health_check=checks
    )
    hypothesis.settings.load_profile("mutants")


class Failures:
    """A plugin that notes the first failure, also of a file of tests that cannot be imported."""

    def __init__(self) -> None:
        self.first = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.first = self.first or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.first = self.first or report.nodeid


@dataclass(eq=False)
class Choice:
    """A plugin that leaves the chosen tests, in their order, and before them those that nobody ``known`` had.

    A test is called by its parameters too, and these may come from the constant that was changed.
    """

    chosen: Sequence[str]
    known: Collection[str]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {name: place for place, name in enumerate(self.chosen)}
        kept = [item for item in items if item.nodeid in order or item.nodeid not in self.known]
        items[:] = sorted(kept, key=lambda item: order.get(item.nodeid, -1))


@dataclass(eq=False)
class Runner:
    """The plugin. ``budget`` bounds the seconds of tests by mutant; ``hints`` are the tests that killed it before.

    With ``is_second`` the tests of the mutant's own module are left out: they have been tried.
    """

    root: Path
    mutants: Sequence[Mutant]
    tell: Callable[[Mutant, Outcome], None]
    budget: float
    jobs: int = 1
    patience: float = 5.0
    packages: Sequence[str] = OURS
    is_second: bool = False
    hints: Mapping[str, str] = field(default_factory=dict)
    modules: Sequence[str] = ()
    failed: list[str] = field(default_factory=list)
    _called: set[Called] = field(default_factory=set)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all mutants in place of the tests' own run."""
        if session.testsfailed:
            raise session.Failed("the tests cannot be collected")
        paths = sorted({self.root / mutant.path for mutant in self.mutants})
        items: dict[str, pytest.Item] = {item.nodeid: item for item in session.items}
        share(session)
        recorded = start(lambda: record(session, paths)).end()
        records: dict[str, Record] = recorded.result or {}
        self.failed = [name for name in items if name not in records or not records[name].is_passed]
        if recorded.error:
            self.failed = [recorded.error]
        if self.failed:
            return True
        self._items, self._records = items, records
        self._functions = {path: functions_of(path) for path in paths}
        self._caches = caches_of(paths)
        self._called = set().union(*(made.functions for made in records.values()))
        gc.freeze()
        self._try_all()
        # What is frozen is not found by the next runner.
        gc.unfreeze()
        return True

    def _try_all(self) -> None:
        """Try the unchanged code, then the mutants."""
        for is_of_import in (True, False):
            same = [mutant for mutant in self.mutants if self.is_of_import(mutant) is is_of_import]
            names = list(dict.fromkeys(name for mutant in same for name in self.chosen(mutant, self._records)))
            if names:
                places = dict.fromkeys((mutant.path, mutant.function) for mutant in same)
                unchanged = [Mutant(path, function, "nothing", self._source(path)) for path, function in places]
                outcome = Outcome.of(len(names), self._start(unchanged, names).end())
                self.failed += filter(None, (outcome.killer, outcome.error))
        if self.failed:
            return
        running: list[tuple[Mutant, int, Child]] = []
        for mutant in self.mutants:
            names = self.chosen(mutant, self._records)
            if not names:
                self.tell(mutant, Outcome())
                continue
            if len(running) >= self.jobs:
                self._finish(running)
            running.append((mutant, len(names), self._start([mutant], names)))
        while running:
            self._finish(running)

    def _start(self, mutants: Sequence[Mutant], names: Sequence[str]) -> Child:
        """Show these tests to some mutants at once."""
        seconds = self.patience + TIMES * sum(self._records[name].seconds for name in names)
        return start(lambda: self._failure(mutants, names), seconds=seconds)

    def _source(self, path: Path) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def is_of_import(self, mutant: Mutant) -> bool:
        """Whether a change shows only on import: outside functions, or in one that no test calls."""
        return not mutant.function or (str(self.root / mutant.path), mutant.function) not in self._called

    def chosen(self, mutant: Mutant, records: Mapping[str, Record]) -> list[str]:
        """The tests to run: what killed it before, then the fastest first."""
        path = str(self.root / mutant.path)
        is_called = any(of == path for of, _ in self._called)

        def concerns(name: str) -> bool:
            if self.is_second and is_own(name.partition("::")[0], mutant.path, self.modules):
                return False
            if not self.is_of_import(mutant):
                return (path, mutant.function) in records[name].functions
            # A constant is read by tests that call no function of its module, which may have none.
            return not self.is_second or not is_called or any(of == path for of, _ in records[name].functions)

        names = [name for name in records if concerns(name)]
        hint = self.hints.get(f"{mutant.path}: {mutant.name}")
        names.sort(key=lambda name: (name != hint, records[name].seconds))
        return list(_within(self.budget, names, records))

    def _failure(self, mutants: Sequence[Mutant], names: Sequence[str]) -> str:
        """The first of the tests that fails; several mutants are switched, or imported, in one way."""
        if not self.is_of_import(mutants[0]):
            for cached in self._caches:
                cached.cache_clear()
            for mutant in mutants:
                path = self.root / mutant.path
                switch_function(self._functions[path], mutant.function, mutant.source, path)
            return first_failure([self._items[name] for name in names])
        forget(self.packages)
        modules = {".".join(mutant.path.with_suffix("").parts): mutant for mutant in mutants}
        for name, mutant in modules.items():
            import_as(mutant.source, self.root / mutant.path, name)
        try:
            for name in modules:
                importlib.import_module(name)
        except SyntaxError:
            raise
        except Exception:  # noqa: BLE001
            return "the import"
        failures, choice = Failures(), Choice(names, self._items)
        files = dict.fromkeys(name.partition("::")[0] for name in names)
        status = pytest.main([*OPTIONS, "-x", *files], plugins=[failures, choice])
        if not failures.first and status != pytest.ExitCode.OK:
            raise RuntimeError(f"no test failed, and yet pytest ended with {status}")
        return failures.first

    def _finish(self, running: list[tuple[Mutant, int, Child]]) -> None:
        mutant, tests, child = running.pop(0)
        self.tell(mutant, Outcome.of(tests, child.end()))


def is_own(tests: str, module: Path, modules: Iterable[str]) -> bool:
    """Whether a file of tests is of this module, and of none of the ``modules`` with a longer name that fits it."""
    name = Path(tests).stem + "_"
    return module.stem == max((stem for stem in modules if name.startswith(f"test_{stem}_")), key=len, default="")


def share(session: pytest.Session) -> None:
    """Make the shared fixtures that the tests use; the session's end ends them."""
    # Of a node that is no item the same is done.
    session._setupstate.setup(session)  # type: ignore[arg-type]
    functions = [item for item in session.items if isinstance(item, pytest.Function)]
    for name in SHARED:
        user = next((item for item in functions if name in item.fixturenames), None)
        if user is None:
            continue
        # Fixtures are made for a test that runs; of this one nothing else is set up.
        session._setupstate.stack[user] = ([], None)
        try:
            user._request.getfixturevalue(name)
        finally:
            del session._setupstate.stack[user]


def run_each(session: pytest.Session, items: Sequence[pytest.Item]) -> Generator[None]:
    """Run tests one by one in a process of their own, and end all that they made but what is shared."""
    finalizers, _ = session._setupstate.stack[session]
    shared = len(finalizers)
    try:
        for item, following in zip(items, [*items[1:], session], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            yield
    finally:
        session._setupstate.teardown_exact(session)  # type: ignore[arg-type]
        while len(finalizers) > shared:
            finalizers.pop()()


def record(session: pytest.Session, paths: Sequence[Path]) -> dict[str, Record]:
    """Run everything once, to know which test calls which function."""
    recorder = Recorder(paths)
    session.config.pluginmanager.register(recorder)
    recorder.start()
    for _ in run_each(session, session.items):
        pass
    return recorder.records


def first_failure(items: Sequence[pytest.Item]) -> str:
    """Run the tests until one fails, and return its name."""
    failures = Failures()
    items[0].config.pluginmanager.register(failures)
    with closing(run_each(items[0].session, items)) as tests:
        for _ in tests:
            if failures.first:
                break
    return failures.first


def _within(budget: float, names: Sequence[str], records: Mapping[str, Record]) -> Iterator[str]:
    """The first names, as many as fit; at least one."""
    spent = 0.0
    for name in names:
        if spent and spent + records[name].seconds > budget:
            continue
        spent += records[name].seconds
        yield name
