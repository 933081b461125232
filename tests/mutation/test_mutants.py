"""Which places of a module are changed, and what the changes are called."""

from pathlib import Path

import pytest

from tests.mutation.mutants import described, mutants_of

SOURCE = '''"""Words."""
from math import pi
from typing import TypeAlias, TypeVar

Number: TypeAlias = int | float
Scalar = TypeVar("Scalar", bound=float)
LIMIT: int = 3


class Sum:
    def __init__(self, start: float = 0.0) -> None:
        self.total = start

    @property
    def is_large(self) -> bool:
        return len("four") < self.total


def scaled(total: float) -> float:
    def inner() -> float:
        return total * pi

    return inner()
'''


def test_changed_lines_are_told_without_their_layout() -> None:
    text = "f(\n    a,\n    b,\n)\n"
    assert described(text, 0, len(text) - 1, "f(\n    a,\n    c,\n)") == "b, => c,"
    assert described("x = a +  b\ny = 2\n", 4, 10, "a - b") == "x = a + b => x = a - b"
    assert described("return 1", 7, 8, "2") == "return 1 => return 2"


def test_all_code_is_changed_but_what_says_nothing_about_behaviour(tmp_path: Path) -> None:
    pytest.importorskip("mutmut", reason="tests/mutation/requirements.txt is not installed")
    (tmp_path / "toy.py").write_text(SOURCE, encoding="utf-8")
    found = mutants_of(Path("toy.py"), tmp_path)
    assert [mutant.name for mutant in found] == [
        "LIMIT: int = 3 => LIMIT: int = None",
        "LIMIT: int = 3 => LIMIT: int = 4",
        "def __init__(self, start: float = 0.0) -> None: => def __init__(self, start: float = 1.0) -> None:",
        "Sum.__init__: self.total = start => self.total = None",
        'Sum.is_large: return len("four") < self.total => return len("four") <= self.total',
        "scaled: return total * pi => return total / pi",
    ]
    assert all(compile(mutant.source, "toy.py", "exec") and mutant.source != SOURCE for mutant in found)
