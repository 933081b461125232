"""Puts a mutant in the place of the code that runs, in a process that is thrown away afterwards."""

import gc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

# A function is known by its qualified name and the line on which it begins.
Place = tuple[str, int]


def functions_of(path: Path) -> dict[Place, FunctionType]:
    """The functions that were defined by a file, whoever holds them."""
    functions = (thing for thing in gc.get_objects() if isinstance(thing, FunctionType))
    return {_place(made.__code__): made for made in functions if made.__code__.co_filename == str(path)}


def caches_of(paths: Collection[Path]) -> list[Any]:
    """The cached functions that were defined by these files: their results are of the code that was."""
    files = {str(path) for path in paths}
    cached = (thing for thing in gc.get_objects() if isinstance(thing, _lru_cache_wrapper))
    codes = ((thing, getattr(thing.__wrapped__, "__code__", None)) for thing in cached)
    return [thing for thing, code in codes if code is not None and code.co_filename in files]


def codes_of(module: CodeType) -> dict[Place, CodeType]:
    """The code of all functions in the code of a module."""
    return {_place(code): code for code in _codes(module)}


def switch_function(functions: dict[Place, FunctionType], name: str, source: str, path: Path) -> None:
    """Give the function called ``name`` the code that it has in ``source``; whoever imported it has it then."""
    wanted = codes_of(compile(source, str(path), "exec", dont_inherit=True))
    places = [place for place in functions if place[0] == name and place in wanted]
    if not places:
        raise LookupError(f"{path}: no function {name}")
    for place in places:
        functions[place].__code__ = wanted[place]


def forget(packages: Sequence[str]) -> None:
    """Let all modules of these packages be imported anew."""
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            del sys.modules[name]


def import_as(source: str, path: Path, name: str) -> None:
    """Let the module ``name``, the next time it is imported, have this source."""
    sys.meta_path.insert(0, _Mutated(source, path, name))


class _Mutated(importlib.machinery.SourceFileLoader):
    """Finder and loader of one module."""

    def __init__(self, source: str, path: Path, name: str) -> None:
        super().__init__(name, str(path))
        self._source = source

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_code(self, _fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


def _place(code: CodeType) -> Place:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
