"""Tests that no row of the list of faults is without a test, and that the marks name rows."""

import ast
from pathlib import Path

from tests.faults.rows import ROWS

TESTS = Path(__file__).resolve().parents[1]


def marked_rows(path: Path) -> set[int]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.fault")
    ]
    return {ast.literal_eval(argument) for call in calls for argument in call.args}


def test_every_row_is_held_by_a_test_and_every_mark_names_a_row() -> None:
    held = set().union(*(marked_rows(path) for path in TESTS.rglob("test_*.py")))
    assert held == set(ROWS)
