"""``docs/comparison.md``: each figure stands in the document that the row names, each ratio is that of its figures."""

import re

import pytest

from benchmarks.__main__ import SUBJECTS
from tests.documents import DOCS, tables

TEXT = (DOCS / "comparison.md").read_text(encoding="utf-8")
FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")
MEASURED = ("takes", "SigmaSight", "requests/s")
RATIOS = ("times as long", "share")
ROWS = [dict(zip(table[0], row, strict=True)) for table in tables(TEXT) for row in table[1:] if "command" in table[0]]


def numbers(text: str) -> list[str]:
    """Every number of a text, as it is written."""
    return [found.rstrip(",") for found in FIGURE.findall(text)]


def value(written: str) -> float:
    return float(written.replace(",", ""))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(list(row.values())[:2]))
def test_a_row_is_what_its_source_says(row: dict[str, str]) -> None:
    (source,) = re.findall(r"\]\(([a-z-]+\.md)\)", row["from"])
    known = set(numbers((DOCS / source).read_text(encoding="utf-8")))
    measured = [cell for name, cell in row.items() if name.startswith(MEASURED)]
    (ratio,) = [cell for name, cell in row.items() if name in RATIOS]
    if not measured:
        assert ratio in known
        return
    assert [cell for cell in measured if cell not in known] == []
    other, ours = map(value, measured)
    # A share is ours of the other's; what takes longer is the other's of ours. Both figures are rounded themselves.
    expected = ours / other if "share" in row else other / ours
    digits = len(ratio.partition(".")[2])
    assert abs(expected - value(ratio)) <= 0.5 * 10.0**-digits + 0.005 * expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(list(row.values())[:2]))
def test_the_command_of_a_row_exists(row: dict[str, str]) -> None:
    (subject,) = re.findall(r"`make bench SUBJECTS=([a-z]+)`", row["command"])
    assert subject in SUBJECTS


def test_every_figure_of_the_prose_is_in_a_source() -> None:
    sources = ("performance.md", "real-prices.md", "writing.md")
    known = {number for name in sources for number in numbers((DOCS / name).read_text(encoding="utf-8"))}
    known |= {number for row in ROWS for cell in row.values() for number in numbers(cell)}
    prose = re.sub(r"^\|.*$", "", TEXT, flags=re.MULTILINE)
    # 18 s are the 17,709 ms of the first row, 90 sessions the window of betas.
    own = {"18", "90"}
    assert {number for number in numbers(prose) if number not in known} <= own


def test_there_are_rows_of_every_subject_that_has_contenders() -> None:
    named = {subject for row in ROWS for subject in re.findall(r"SUBJECTS=([a-z]+)", row["command"])}
    assert named == {"engine", "store", "api", "executors"}
