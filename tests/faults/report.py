"""``python -m tests.faults.report RESULTS [DOCUMENT]``: what the campaign has counted, as a table by row.

The table is printed, or put between the marks of a document.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.rows import ROWS

BEGIN, END = "<!-- the campaign's table -->", "<!-- end of the campaign's table -->"
HEAD = "| row | fault | tests | tried | survived | rows lost | answers read | wrong | recovery s: median, longest |"
Test = Mapping[str, Any]


def table(results: Mapping[str, Any]) -> str:
    """Markdown, a line a row of the list of faults and one of all; raises ``ValueError`` when a row was not run."""
    rows: dict[int, Sequence[Test]] = {int(row): tests for row, tests in results["rows"].items()}
    missing = sorted(row for row in ROWS if all(test["is_skipped"] for test in rows.get(row, ())))
    if missing:
        raise ValueError(f"rows that no test has run: {missing}")
    # A test that holds several rows is counted once in all.
    every = {test["test"]: test for tests in rows.values() for test in tests}
    lines = [HEAD, "| ---: | --- |" + " ---: |" * 7]
    lines += [_line(str(row), ROWS[row], rows[row]) for row in sorted(rows)]
    lines.append(_line("all", f"seed {results['seed']}, {results['seconds'] / 60:.0f} minutes", list(every.values())))
    return "\n".join(lines) + "\n"


def put(table_: str, document: str) -> str:
    """The document with the table between its marks; raises ``ValueError`` without marks."""
    before, found, rest = document.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"the document has not the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table_}\n{END}{after}"


def _line(row: str, fault: str, tests: Sequence[Test]) -> str:
    skipped = sum(test["is_skipped"] for test in tests)
    count = f"{len(tests) - skipped}, {skipped} skipped" if skipped else str(len(tests))
    return "| " + " | ".join([row, fault, count, *_counts(tests), _recovery(tests)]) + " |"


def _counts(tests: Sequence[Test]) -> Iterator[str]:
    for name in ("tried", "survived", "rows_lost", "answers", "wrong_answers"):
        yield f"{sum(test[name] for test in tests):,}"


def _recovery(tests: Sequence[Test]) -> str:
    seconds = [item for test in tests for item in test["recoveries"]]
    return f"{median(seconds):.1f}, {max(seconds):.1f}" if seconds else ""


def main() -> None:
    """Print the table, or put it into a document."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("document", type=Path, nargs="?")
    given = parser.parse_args()
    made = table(json.loads(given.results.read_text(encoding="utf-8")))
    if given.document is None:
        print(made)  # noqa: T201
    else:
        given.document.write_text(put(made, given.document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
