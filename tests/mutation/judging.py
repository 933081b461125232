"""What surviving mutants mean: all were tried, each has a written reason, and of all at least nine in ten die."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Mutant

LEAST = 0.9


@dataclass(frozen=True)
class Row:
    """The mutants of one module; ``survivors`` have a reason, ``unexplained`` ones have none or were not tried."""

    module: str
    mutants: int
    survivors: int
    unexplained: int = 0

    @property
    def killed(self) -> int:
        """How many some test has killed."""
        return self.mutants - self.survivors - self.unexplained

    def __str__(self) -> str:
        score = f"{100 * self.killed / self.mutants:.1f} %" if self.mutants else ""
        numbers = (f"{number:,}" for number in (self.mutants, self.killed, self.survivors, self.unexplained))
        return f"| {' | '.join([self.module, *numbers, score])} |"


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


def judge(
    killers: Mapping[Mutant, str], accepted: Mapping[tuple[str, str], str], untried: Mapping[Mutant, str] | None = None
) -> Judgement:
    """Judge all mutants of some modules: by each the test that killed it, "" for the others.

    ``untried`` are those of the others that nothing is known of, each with what went wrong.
    """
    untried = untried or {}
    surviving = {mutant for mutant, killer in killers.items() if not killer}
    explained = {mutant for mutant in surviving if listed(mutant) in accepted and mutant not in untried}
    mutants, reasons, others = (Counter(map(_module, of)) for of in (killers, explained, surviving - explained))
    rows = tuple(Row(module, mutants[module], reasons[module], others[module]) for module in sorted(mutants))
    silent = set(map(listed, untried))
    complaints = [
        *(f"was not tried: {_module(mutant)}: {mutant.name}: {why}" for mutant, why in untried.items()),
        *_complaints(rows, {listed(mutant) for mutant in surviving - set(untried)}, accepted, silent),
    ]
    return Judgement(rows, tuple(complaints))


def table(rows: tuple[Row, ...]) -> str:
    """The rows and their sum, for a document."""
    mutants, survivors, unexplained = (
        sum(getattr(row, column) for row in rows) for column in ("mutants", "survivors", "unexplained")
    )
    whole = Row("all", mutants, survivors, unexplained)
    head = "| module | mutants | killed | survive with a reason | without, or not tried | score |"
    return "\n".join([head, f"| --- |{' ---: |' * 5}", *map(str, [*rows, whole])])


def _complaints(
    rows: tuple[Row, ...],
    surviving: set[tuple[str, str]],
    accepted: Mapping[tuple[str, str], str],
    untried: set[tuple[str, str]],
) -> Iterator[str]:
    for module, name in sorted(surviving - set(accepted)):
        yield f"survives without a reason: {module}: {name}"
    tried = {row.module for row in rows}
    for module, name in sorted(set(accepted) - surviving - untried):
        if module in tried:
            yield f"has a reason to survive, and does not: {module}: {name}"
    mutants, killed = sum(row.mutants for row in rows), sum(row.killed for row in rows)
    if killed < LEAST * mutants:
        yield f"{killed} of {mutants} are killed, fewer than nine in ten"


def _module(mutant: Mutant) -> str:
    return "/".join(mutant.path.parts[1:])
