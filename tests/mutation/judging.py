"""What surviving mutants mean: each has a written reason, and of all at least nine in ten die."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Mutant

LEAST = 0.9


@dataclass(frozen=True)
class Row:
    """The mutants of one module."""

    module: str
    mutants: int
    survivors: int

    def __str__(self) -> str:
        killed = self.mutants - self.survivors
        return f"| {self.module} | {self.mutants} | {killed} | {self.survivors} | {100 * killed / self.mutants:.1f} % |"


@dataclass(frozen=True)
class Judgement:
    """The rows of all modules, and what is wrong."""

    rows: tuple[Row, ...]
    complaints: tuple[str, ...]


def accepted_survivors(path: Path) -> dict[tuple[str, str], str]:
    """The reason of each accepted survivor, by its module and its name."""
    groups = tomllib.loads(path.read_text(encoding="utf-8")).get("survivors", [])
    for group in groups:
        if not group["reason"].strip():
            raise ValueError(f"survivors of {group['module']} without a reason")
    return {(group["module"], change): group["reason"] for group in groups for change in group["changes"]}


def listed(mutant: Mutant) -> tuple[str, str]:
    """How the list of accepted survivors calls a mutant."""
    return _module(mutant), mutant.name


def judge(killers: Mapping[Mutant, str], accepted: Mapping[tuple[str, str], str]) -> Judgement:
    """Judge all mutants of some modules: by each the test that killed it, "" for the survivors."""
    mutants = Counter(_module(mutant) for mutant in killers)
    surviving = [mutant for mutant, killer in killers.items() if not killer]
    survivors = Counter(_module(mutant) for mutant in surviving)
    rows = tuple(Row(module, mutants[module], survivors[module]) for module in sorted(mutants))
    return Judgement(rows, tuple(_complaints(rows, set(map(listed, surviving)), accepted)))


def table(rows: tuple[Row, ...]) -> str:
    """The rows and their sum, for a document."""
    whole = Row("all", sum(row.mutants for row in rows), sum(row.survivors for row in rows))
    head = "| module | mutants | killed | survived | score |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *map(str, [*rows, whole])])


def _complaints(
    rows: tuple[Row, ...], surviving: set[tuple[str, str]], accepted: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    for module, name in sorted(surviving - set(accepted)):
        yield f"survives without a reason: {module}: {name}"
    tried = {row.module for row in rows}
    for module, name in sorted(set(accepted) - surviving):
        if module in tried:
            yield f"has a reason to survive, and does not: {module}: {name}"
    mutants, survivors = sum(row.mutants for row in rows), sum(row.survivors for row in rows)
    if mutants - survivors < LEAST * mutants:
        yield f"{survivors} of {mutants} survive, more than one in ten"


def _module(mutant: Mutant) -> str:
    return "/".join(mutant.path.parts[1:])
