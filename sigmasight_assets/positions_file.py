"""The positions CSV that owners bring and take away: read strictly, every problem reported with its line.

The columns are those of the format contract (``docs/positions-file.md``); what their cells may hold is in
``position_rules``. Where a text could be taken for a formula by a spreadsheet, it is written with an apostrophe in
front, which is taken off when it is read (ASVS 1.2.10).
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sigmasight_assets.errors import ImportFileError
from sigmasight_assets.position_rules import (
    LARGEST_AMOUNT,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    lot_amount,
    lot_of,
    lot_problems,
)
from sigmasight_assets.storage.portfolios import NewLot

MAX_LINES = 10_000
COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
# Columns of free text; the others cannot begin like a formula.
TEXT_COLUMNS = ("symbol", "notes")
FORMULA = re.compile(r"'*[=+\-@\t\r\0]")
# What files have between columns that were not made with commas.
OTHER_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True, slots=True)
class _Row:
    """One data line: its number in the file and its trimmed cells by column."""

    line: int
    cells: Mapping[str, str]


def parse_positions(content: bytes, *, today: date) -> list[NewLot]:
    """The lots of a positions file; ``ImportFileError`` lists every wrong line, and then nothing may be stored."""
    problems: list[str] = []
    lots = []
    total = Decimal(0)
    for row in _rows(content):
        found = lot_problems(row.cells, today=today)
        if not found:
            lots.append(lot_of(row.cells))
            before, total = total, total + lot_amount(lots[-1])
            if before <= LARGEST_AMOUNT < total:
                found = [f"the positions up to this line come to more than {LARGEST_AMOUNT:,} USD"]
        problems += [f"line {row.line}: {problem}" for problem in found]
    _refuse(problems)
    if not lots:
        raise ImportFileError("The file has no position:", ["add a line below the header"])
    return lots


def _rows(content: bytes) -> list[_Row]:
    lines = _data_lines(content)
    if not lines:
        raise ImportFileError("The file is empty:", [f"the first line must name {', '.join(REQUIRED_COLUMNS)}"])
    (number, header), *rows = _table(lines)
    header = [name.lower() for name in header]
    _require_header(header, line=number)
    _refuse(
        [
            f"line {number}: {len(cells)} cells, the header names {len(header)}"
            for number, cells in rows
            if len(cells) != len(header)
        ]
    )
    return [_Row(number, _cells(header, cells)) for number, cells in rows]


def _cells(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    named = dict(zip(header, cells, strict=True))
    return named | {name: without_guard(named[name]) for name in TEXT_COLUMNS if name in named}


def with_guard(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def without_guard(cell: str) -> str:
    """The text that ``with_guard`` made this cell of."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def positions_csv(lots: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """The lines of a positions file, the header first, of cells by column; those that are missing are empty."""
    yield ",".join(COLUMNS) + "\r\n"
    for lot in lots:
        yield ",".join(_written(name, lot.get(name, "")) for name in COLUMNS) + "\r\n"


def _written(column: str, text: str) -> str:
    """A cell; texts are quoted, so that none can begin a comment, the rest needs no quotes."""
    return quoted(text) if column in TEXT_COLUMNS else text


def quoted(text: str) -> str:
    """The text as a cell of a CSV file (RFC 4180), guarded; empty without any."""
    return '"' + with_guard(text).replace('"', '""') + '"' if text else ""


def _data_lines(content: bytes) -> list[tuple[int, str]]:
    """The numbered lines that hold data; no more than one file may have are kept in memory."""
    lines, found = [], 0
    for number, line in enumerate(_lines(content), start=1):
        if _is_data(line):
            found += 1
            if found <= MAX_LINES + 1:
                lines.append((number, line))
    if found > MAX_LINES + 1:
        raise ImportFileError("The file is too long:", [f"{found - 1} positions, at most {MAX_LINES} are read"])
    return lines


def _lines(content: bytes) -> Iterator[str]:
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: byte {error.start} cannot be read; save the file as UTF-8"
        raise ImportFileError("The file is not UTF-8:", [problem]) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ImportFileError("The file is not text:", [f"line {line}: it contains a NUL byte; save the file as CSV"])
    # Unlike str.splitlines, this ends lines at line ends only, not at the separators that notes may hold.
    return iter(io.StringIO(text, newline=None))


def _is_data(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _table(lines: Iterable[tuple[int, str]]) -> list[tuple[int, list[str]]]:
    """The trimmed cells of each line."""
    table, problems = [], []
    for number, line in lines:
        try:
            cells = next(csv.reader([line.rstrip("\n")], strict=True))
        except csv.Error as error:
            problems.append(f"line {number}: cannot be read as CSV ({error}); a quoted cell ends on its own line")
        else:
            table.append((number, [cell.strip() for cell in cells]))
    _refuse(problems)
    return table


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ImportFileError(f"{len(problems)} problems, nothing was imported:", problems)


def _require_header(header: list[str], *, line: int) -> None:
    other = next((mark for mark in OTHER_SEPARATORS if len(header) == 1 and mark in header[0]), None)
    if other is not None:
        problem = f"line {line}: the columns are separated by {other!r}; save the file with commas between them"
        raise ImportFileError("The header is wrong, nothing was imported:", [problem])
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    repeated = sorted({name for name in header if header.count(name) > 1})
    problems = [f"line {line}: the column {name} is missing" for name in missing]
    problems += [f"line {line}: the column {name!r} is not known" for name in unknown]
    problems += [f"line {line}: the column {name} stands there twice" for name in repeated]
    if problems:
        raise ImportFileError("The header is wrong, nothing was imported:", problems)
