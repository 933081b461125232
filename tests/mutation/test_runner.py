"""A toy is mutated by hand, and its tests run as `make mutants` runs the project's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.runner import is_own

TOY = '''"""A toy."""
from functools import cache

RATE = 3
RATES = (1, 2)


@cache
def rated(amount: int) -> int:
    def times(rate: int) -> int:
        return amount * rate

    return times(RATE)


def first_left() -> int:
    return 1


LEFT = first_left()


class Counter:
    def __init__(self, left: int = 2) -> None:
        self.left = left

    def run(self) -> int:
        while self.left > 0:
            self.left -= 1
        return self.left


def unused() -> int:
    return 0
'''

TESTS = """import pytest
from toy import LEFT, RATES, Counter, rated

rated(2)

@pytest.fixture(scope="module")
def counted():
    return Counter().run()

def test_rate():
    assert rated(2) == 6

def test_rate_again():
    assert rated(2) > 5 and rated(1) == 3

def test_count(counted):
    assert (counted, LEFT) == (0, 1)

@pytest.mark.parametrize("rate", RATES)
def test_rates(rate):
    assert rated(rate) < 13
"""

# Passes the first time that its process imports the toy, and never again.
ONCE = """
import sys, toy
sys.__dict__.setdefault("first_toy", toy)

def test_once():
    assert sys.__dict__["first_toy"] is toy
"""

# A fixture by a name of those that are shared, which tells of its beginning and its end.
SHARING = """
import os
from pathlib import Path

def tell(what):
    with Path("told.txt").open("a") as file:
        print(os.getpid(), what, file=file)

@pytest.fixture(scope="session", autouse=True)
def postgres_url():
    tell("begins")
    yield ""
    tell("ends")
"""

# The place in TOY, what stands there instead, and the function in whose body it is.
CHANGES = [
    ("amount * rate", "amount + rate", "rated"),
    ("return times(RATE)", "return times(rate=RATE)", "rated"),
    ("RATE = 3", "RATE = 4", ""),
    ("left: int = 2", "left: int = 1", ""),
    ("left: int = 2", "left: int", ""),
    ("self.left -= 1", "self.left += 1", "Counter.run"),
    ("return self.left", "return self.left + 1", "Counter.run"),
    ("return 1", "return 2", "first_left"),
    ("return 0", "return 3", "unused"),
    ("RATES = (1, 2)", "RATES = (1, 3)", ""),
    ("RATES = (1, 2)", "RATES = (1, 5)", ""),
    ("RATES = (1, 2)", "RATES = 1 / 0", ""),
    ("RATES = (1, 2)", "RATES = (1, ", ""),
    ("return times(RATE)", "return times(RATE", "rated"),
]

DRIVER = """
import json, sys
from pathlib import Path
import pytest
from tests.mutation.mutants import Mutant
from tests.mutation.runner import OPTIONS, Runner

root, changes = Path.cwd(), json.loads(sys.argv[1])
source = (root / "toy.py").read_text()
mutants = [Mutant(Path("toy.py"), of, new, source.replace(old, new)) for old, new, of in changes]
told = {}

def tell(mutant, outcome):
    error = (outcome.error.splitlines() or [""])[-1].partition(":")[0]
    told[mutant.change] = [outcome.tests, outcome.killer.removesuffix("_again"), error]

runner = Runner(
    root, mutants, tell,
    budget=1.0, patience=1.0, packages=["toy", "test_toy"],
)
sys.path.insert(0, str(root))
status = pytest.main([*OPTIONS, "-p", "no:schemathesis", "test_toy.py"], plugins=[runner])
print(json.dumps({"told": told, "failed": runner.failed, "status": int(status)}))
"""


def tried(directory: Path, tests: str) -> dict[str, object]:
    (directory / "toy.py").write_text(TOY, encoding="utf-8")
    (directory / "test_toy.py").write_text(tests, encoding="utf-8")
    command = [sys.executable, "-c", DRIVER, json.dumps(CHANGES)]
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    ended = subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True, text=True)
    result: dict[str, object] = json.loads(ended.stdout.splitlines()[-1])
    return result


def test_each_mutant_is_shown_to_the_tests_that_call_what_was_changed(tmp_path: Path) -> None:
    assert tried(tmp_path, TESTS) == {
        "told": {
            "amount + rate": [4, "test_toy.py::test_rate", ""],
            "return times(rate=RATE)": [4, "", ""],
            "RATE = 4": [5, "test_toy.py::test_rate", ""],
            "left: int = 1": [5, "", ""],
            "left: int": [5, "test_toy.py::test_count", ""],
            "self.left += 1": [1, "test_toy.py::test_count", ""],
            "return self.left + 1": [1, "test_toy.py::test_count", ""],
            "return 2": [5, "test_toy.py::test_count", ""],
            "return 3": [5, "", ""],
            # A test that is called otherwise now is the same test.
            "RATES = (1, 3)": [5, "", ""],
            "RATES = (1, 5)": [5, "test_toy.py::test_rates[5]", ""],
            "RATES = 1 / 0": [5, "the import", ""],
            # No test has noticed these: they could not be run.
            "RATES = (1, ": [5, "", "SyntaxError"],
            "return times(RATE": [4, "", "SyntaxError"],
        },
        "failed": [],
        "status": 0,
    }


def test_shared_fixtures_are_made_once_but_for_what_is_imported_anew(tmp_path: Path) -> None:
    told = tried(tmp_path, TESTS + SHARING)["told"]
    assert told == tried(tmp_path, TESTS)["told"]
    lines = [line.split() for line in (tmp_path / "told.txt").read_text(encoding="utf-8").splitlines()]
    began, ended = (sorted(process for process, what in lines if what == wanted) for wanted in ("begins", "ends"))
    assert began == ended == sorted(set(began))
    # The runner's own, that of the unchanged code, and those of the seven changes of import that can be imported.
    assert len(began) == 1 + 1 + 7


def test_nothing_is_tried_while_a_test_fails_by_itself(tmp_path: Path) -> None:
    result = tried(tmp_path, f"{TESTS}\ndef test_broken():\n    assert rated(1) == 1\n")
    assert (result["told"], result["failed"]) == ({}, ["test_toy.py::test_broken"])


def test_nothing_is_tried_while_a_test_fails_when_the_project_is_imported_anew(tmp_path: Path) -> None:
    result = tried(tmp_path, TESTS + ONCE)
    assert (result["told"], result["failed"]) == ({}, ["test_toy.py::test_once"])


@pytest.mark.parametrize(
    ("tests", "module", "is_its_own"),
    [
        ("tests/quant/test_ols.py", "quant/ols.py", True),
        ("tests/quant/test_ledger_actions.py", "quant/ledger.py", True),
        ("tests/quant/test_ledger.py", "quant/ledger_identity.py", False),
        ("tests/quant/test_ledgers.py", "quant/ledger.py", False),
        ("tests/quant/test_ledger_identity.py", "quant/ledger.py", False),
        ("tests/quant/test_ledger_identity.py", "quant/ledger_identity.py", True),
        ("tests/quant/test_oracle_stress.py", "quant/stress.py", False),
    ],
)
def test_tests_belong_to_the_module_they_are_named_after(tests: str, module: str, *, is_its_own: bool) -> None:
    assert is_own(tests, Path(module), ["ledger", "ledger_identity", "ols", "stress"]) is is_its_own
