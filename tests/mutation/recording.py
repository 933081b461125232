"""Which functions of the mutated modules each test calls, and how long it takes."""

import ast
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.switching import caches_of, codes_of, functions_of

# A function by the path of its file and its qualified name, of nested ones the outermost's.
Called = tuple[str, str]
NOTE = "__called__"


@dataclass
class Record:
    """What one test did, and in how many seconds of the processor: those of the clock depend on what else runs."""

    seconds: float = 0.0
    functions: set[Called] = field(default_factory=set)
    is_passed: bool = True


@dataclass(eq=False)
class Recorder:
    """A plugin for a run of all tests; what a fixture calls counts for every test that uses it."""

    paths: Sequence[Path]
    records: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._calls: set[Called] = set()
        self._of_fixtures: dict[Any, set[Called]] = {}
        self._caches = caches_of(self.paths)

    def start(self) -> None:
        """Let the functions tell when they are called, in this process only."""
        for path in self.paths:
            codes = codes_of(compile(noted(path.read_text(encoding="utf-8"), str(path)), str(path), "exec"))
            for place, function in functions_of(path).items():
                if place in codes and ".<locals>" not in place[0]:
                    function.__code__ = codes[place]
                    function.__globals__[NOTE] = self._add

    def _add(self, path: str, name: str) -> None:
        self._calls.add((path, name))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        before, self._calls = self._calls, set()
        try:
            return (yield)
        finally:
            self._of_fixtures[fixturedef] = self._of_fixtures.get(fixturedef, set()) | self._calls
            self._calls = before | self._calls

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Generator[None, object, object]:
        for cached in self._caches:
            cached.cache_clear()
        self._calls, began = set(), time.process_time()
        self.records[item.nodeid] = record = Record()
        result = yield
        record.seconds = time.process_time() - began
        used = (self._of_fixtures.get(made, set()) for made in _fixtures_of(item))
        record.functions = self._calls.union(*used)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.records[report.nodeid].is_passed = False


def _fixtures_of(item: pytest.Function) -> list[Any]:
    return [made for several in item._fixtureinfo.name2fixturedefs.values() for made in several]


def noted(source: str, path: str) -> ast.Module:
    """The source, each of its functions noting first that it was called."""
    module = ast.parse(source)
    for name, function in _outermost(module, ""):
        note = ast.parse(f"{NOTE}({path!r}, {name!r})").body[0]
        for node in ast.walk(note):
            ast.copy_location(node, function.body[0])
        function.body.insert(0, note)
    return module


def _outermost(node: ast.Module | ast.ClassDef, within: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in node.body:
        if isinstance(child, ast.FunctionDef):
            yield within + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from _outermost(child, f"{within}{child.name}.")
