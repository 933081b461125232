"""Tests of the campaign's counts and table, with a small campaign of its own."""

import json
from pathlib import Path

import pytest

from tests.faults.report import BEGIN, END, put, table
from tests.faults.rows import ROWS

pytest_plugins = ["pytester"]

CAMPAIGN = """
import pytest

@pytest.mark.fault(1, 2)
def test_survives(tally, chance):
    for _ in range(3):
        tally.survive(recovery=chance.random())
    tally.answers += 7

@pytest.mark.fault(2)
def test_does_not():
    assert False

@pytest.mark.fault(2)
def test_gives_up_halfway(tally):
    tally.tried = 5
    tally.survived = 5
    assert False

@pytest.mark.fault(2)
def test_counts_by_itself(tally):
    tally.tried = 5
    tally.survived = 3
    assert False

@pytest.mark.fault(2)
def test_is_skipped():
    pytest.skip("nothing was tried")

def test_other():
    pass
"""


def counted(pytester: pytest.Pytester, seed: int) -> dict[str, list[dict[str, object]]]:
    pytester.makepyfile(CAMPAIGN)
    options = (
        "-p",
        "tests.faults.campaign",
        f"--fault-seed={seed}",
        "--fault-results=found.json",
        "-p",
        "no:cacheprovider",
    )
    pytester.runpytest_inprocess(*options)
    rows: dict[str, list[dict[str, object]]] = json.loads((pytester.path / "found.json").read_text())["rows"]
    return rows


def test_what_a_test_says_is_counted_for_each_of_its_rows(pytester: pytest.Pytester) -> None:
    rows = counted(pytester, 1)
    ((survived,), (same, failed, halfway, counted_one, skipped)) = rows["1"], rows["2"]
    assert survived == same
    assert (survived["tried"], survived["survived"], survived["answers"]) == (3, 3, 7)
    assert (failed["tried"], failed["survived"]) == (1, 0)
    # What fails in the end may concern all; a test that has counted by itself knows better.
    assert (halfway["tried"], halfway["survived"]) == (5, 0)
    assert (counted_one["tried"], counted_one["survived"]) == (5, 3)
    assert (skipped["tried"], skipped["is_skipped"]) == (0, True)


def test_the_same_seed_has_the_same_chances(pytester: pytest.Pytester) -> None:
    first, same, other = (counted(pytester, seed)["1"][0]["recoveries"] for seed in (1, 1, 2))
    assert first == same != other


def one(test: str, **changed: object) -> dict[str, object]:
    counts: dict[str, object] = {"tried": 1, "survived": 1, "rows_lost": 0, "answers": 0, "wrong_answers": 0}
    return {"test": test, "is_skipped": False, **counts, "recoveries": [], **changed}


def test_the_table_adds_up_rows_and_counts_a_test_once() -> None:
    both = one("both", tried=20, survived=19, recoveries=[1.0, 4.0, 2.0], answers=1234, wrong_answers=1)
    rows = {str(row): [one(f"row {row}")] for row in ROWS} | {"1": [both], "2": [both, one("second")]}
    lines = table({"seed": 3, "seconds": 120, "rows": rows}).splitlines()
    assert lines[2] == f"| 1 | {ROWS[1]} | 1 | 20 | 19 | 0 | 1,234 | 1 | 2.0, 4.0 |"
    assert lines[3].endswith("| 2 | 21 | 20 | 0 | 1,234 | 1 | 2.0, 4.0 |")
    assert lines[-1] == "| all | seed 3, 2 minutes | 35 | 54 | 53 | 0 | 1,234 | 1 | 2.0, 4.0 |"


def test_a_row_that_was_not_run_is_named() -> None:
    with pytest.raises(ValueError, match=r"rows that no test has run: \[34, 35\]"):
        table({"seed": 1, "seconds": 1, "rows": {str(row): [one("test")] for row in ROWS if row < 34}})


def test_a_row_whose_every_test_was_skipped_is_named_and_one_of_several_is_told() -> None:
    rows = {str(row): [one(f"row {row}")] for row in ROWS}
    rows["5"] = [one("disk", is_skipped=True, tried=0, survived=0)]
    with pytest.raises(ValueError, match=r"rows that no test has run: \[5\]"):
        table({"seed": 1, "seconds": 1, "rows": rows})
    rows["5"].append(one("deadlock"))
    assert f"| 5 | {ROWS[5]} | 1, 1 skipped | 1 | 1 |" in table({"seed": 1, "seconds": 1, "rows": rows})


def test_the_table_is_put_between_the_marks(tmp_path: Path) -> None:
    document = f"before {BEGIN} old {END} after"
    assert put("| new |\n", document) == f"before {BEGIN}\n\n| new |\n\n{END} after"
    assert put("| new |\n", put("| old |\n", document)) == put("| new |\n", document)
    with pytest.raises(ValueError, match="has not the marks"):
        put("| new |\n", tmp_path.name)
