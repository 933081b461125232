"""`make mutants`: tries all mutants of the mathematics and of the gate, and judges those that survive."""

import argparse
import json
import sys
import time
from collections.abc import Container, Sequence
from pathlib import Path

import pytest

from tests.mutation.judging import accepted_survivors, judge, listed, table
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.runner import OPTIONS, Outcome, Runner, is_own, settings

ROOT = Path(__file__).resolve().parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")
# What is changed, and the tests that must notice it.
LAYERS = {
    "sigmasight_assets/quant/*.py": sorted(map(str, Path("tests/quant").glob("test_*.py"))),
    "sigmasight_assets/operations/gate*.py": sorted(map(str, Path("tests/operations").glob("test_gate*.py"))),
}


class Results:
    """What became of each mutant, kept in a file line by line, so that a run that was stopped goes on."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self._path = path
        if fresh:
            path.unlink(missing_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._known: dict[str, Outcome] = {}
        self.hints: dict[str, str] = {}
        for line in lines:
            kept = json.loads(line)
            key, mutant, outcome = kept.pop("key"), kept.pop("mutant"), Outcome(**kept)
            self._known[key] = outcome
            if outcome.killer:
                self.hints[mutant] = outcome.killer

    def killer_of(self, mutant: Mutant) -> str:
        """The test that killed this mutant of this very source, or ""."""
        return self._known.get(mutant.key, Outcome()).killer

    def trouble_of(self, mutant: Mutant) -> str:
        """Why this mutant of this very source was not tried, or ""."""
        outcome = self._known.get(mutant.key, Outcome())
        if outcome.error:
            return outcome.error.strip().splitlines()[-1]
        return "" if outcome.tests else "no test was shown to it"

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Keep an outcome; that further tests do not concern a mutant makes nothing of what is known."""
        if not outcome.tests and mutant.key in self._known:
            return
        kept = {"key": mutant.key, "mutant": f"{mutant.path}: {mutant.name}", **vars(outcome)}
        self._known[mutant.key] = outcome
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(kept) + "\n")


def main() -> int:
    """Return the status of the process: 1 when a survivor has no reason or too many survive."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="of these modules only, as in: ledger money gate_runs")
    parser.add_argument("--results", type=Path, default=Path(".venv/mutants.jsonl"), help="kept from run to run")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--new", action="store_true", help="leave out those that have survived and have a reason")
    parser.add_argument("--own", action="store_true", help="show them to the tests of their own module only")
    parser.add_argument("--report", action="store_true", help="try nothing, judge what earlier runs found")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--seconds", type=float, default=5.0, help="of tests that each mutant is shown to at most")
    told = parser.parse_args()
    began = time.monotonic()
    settings()
    results = Results(told.results, fresh=told.fresh)
    accepted = accepted_survivors(SURVIVORS)
    left_out = accepted if told.new else {}
    killers: dict[Mutant, str] = {}
    for pattern, tests in LAYERS.items():
        paths = {path.stem: path.relative_to(ROOT) for path in sorted(ROOT.glob(pattern))}
        wanted = [paths[name] for name in told.modules or paths if name in paths]
        every = [mutant for path in wanted for mutant in mutants_of(path, ROOT)]
        if told.report:
            wanted = []
        # Most are killed by the few tests of their own module; the others are shown to all that call them.
        for path in wanted:
            rest = [mutant for mutant in untried(every, results, left_out) if mutant.path == path]
            # The quick ones first.
            rest.sort(key=lambda mutant: not mutant.function)
            trial = Runner(ROOT, rest, results.add, told.seconds, told.jobs, hints=results.hints)
            try_all(trial, [of for of in tests if is_own(of, path, paths)])
        rest = [] if told.own or told.report else untried(every, results, left_out)
        trial = Runner(ROOT, rest, results.add, told.seconds, told.jobs, is_second=True, modules=list(paths))
        try_all(trial, tests)
        killers |= {mutant: results.killer_of(mutant) for mutant in every}
    troubles = {mutant: results.trouble_of(mutant) for mutant, killer in killers.items() if not killer}
    judgement = judge(killers, accepted, {mutant: why for mutant, why in troubles.items() if why})
    complaints = "\n".join(judgement.complaints)
    sys.stdout.write(f"{table(judgement.rows)}\n{time.monotonic() - began:.0f} s\n{complaints}\n")
    return int(bool(complaints))


def untried(
    mutants: Sequence[Mutant], results: Results, left_out: Container[tuple[str, str]] = frozenset()
) -> list[Mutant]:
    """Those that no test is known to kill, but for those ``left_out`` that have survived."""
    return [
        mutant
        for mutant in mutants
        if not results.killer_of(mutant) and (listed(mutant) not in left_out or results.trouble_of(mutant))
    ]


def try_all(runner: Runner, tests: Sequence[str]) -> None:
    """Show these tests to the runner's mutants."""
    if runner.mutants and tests:
        status = pytest.main([*OPTIONS, *tests], plugins=[runner])
        if runner.failed or status != pytest.ExitCode.OK:
            sys.exit(f"tests fail without any mutant: {', '.join(runner.failed) or status}")


if __name__ == "__main__":
    sys.exit(main())
