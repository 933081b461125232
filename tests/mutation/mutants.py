"""The mutants of a module: its source with one place changed, by the operators of mutmut.

All code counts, constants and defaults too, but for what says nothing about behaviour: annotations and names for types,
imports, decorators and docstrings. Needs tests/mutation/requirements.txt; nothing else here does.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """A changed module. ``function`` is the outermost function whose body was changed, "" where it is none's."""

    path: Path
    function: str
    change: str
    source: str = field(repr=False)

    @property
    def name(self) -> str:
        """What the list of accepted survivors calls it."""
        return f"{self.function}: {self.change}" if self.function else self.change

    @property
    def key(self) -> str:
        """The same for the same source only."""
        return sha256(self.source.encode()).hexdigest()[:20]


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """All mutants of a file, called by its path from ``root``."""
    source = (root / path).read_text(encoding="utf-8")
    names: Counter[tuple[str, str]] = Counter()
    found = {}
    for function, start, end, new in _replacements(source):
        mutated = source[:start] + new + source[end:]
        if mutated == source or mutated in found:
            continue
        change = described(source, start, end, new)
        names[function, change] += 1
        times = names[function, change]
        found[mutated] = Mutant(path, function, f"{change} ({times})" if times > 1 else change, mutated)
    return list(found.values())


def described(source: str, start: int, end: int, new: str) -> str:
    """The lines that change when ``new`` stands in a place of ``source``, as in ``a + b => a - b``."""
    first, last = source.rfind("\n", 0, start) + 1, f"{source}\n".find("\n", end)
    before, after = (
        [line.strip() for line in text.splitlines()]
        for text in (source[first:last], source[first:start] + new + source[end:last])
    )
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return " => ".join(" ".join(" ".join(lines).split()) or "nothing" for lines in (before, after))


def _replacements(source: str) -> Iterator[tuple[str, int, int, str]]:
    import libcst as cst  # noqa: PLC0415
    from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper  # noqa: PLC0415
    from mutmut.mutation.mutators import mutation_operators  # noqa: PLC0415

    if not source.isascii():
        raise ValueError("places are counted in bytes")
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    for node, function in _walk(cst, wrapper.module, "", in_body=False):
        span = spans.get(node)
        for kind, operator in mutation_operators if span is not None else ():
            for other in operator(node) if isinstance(node, kind) else ():
                new = wrapper.module.code_for_node(other)
                yield function, span.start, span.start + span.length, new


def _walk(cst: Any, node: Any, function: str, *, in_body: bool) -> Iterator[tuple[Any, str]]:
    """Every node that may change, with the function in whose body it stands."""
    if isinstance(node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)):
        return
    if _is_always_missed(cst, node) or _names_type(cst, node):
        return
    yield node, function if in_body else ""
    for child in node.children:
        if not in_body and isinstance(node, (cst.ClassDef, cst.FunctionDef)):
            inner = f"{function}.{node.name.value}".lstrip(".")
            yield from _walk(cst, child, inner, in_body=isinstance(node, cst.FunctionDef) and child is node.body)
        else:
            yield from _walk(cst, child, function, in_body=in_body)


def _is_always_missed(cst: Any, node: Any) -> bool:
    """``len(None)`` and the like fail wherever they are called."""
    return isinstance(node, cst.Call) and getattr(node.func, "value", "") in {"len", "isinstance"}


def _names_type(cst: Any, node: Any) -> bool:
    """``Name: TypeAlias = ...`` and ``Name = TypeVar(...)`` are read by type checkers only."""
    if isinstance(node, cst.AnnAssign):
        return getattr(node.annotation.annotation, "value", "") == "TypeAlias"
    return isinstance(node, cst.Assign) and getattr(getattr(node.value, "func", None), "value", "") == "TypeVar"
