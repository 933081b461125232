"""The positions CSV that owners bring: read strictly, every problem reported with its line.

Columns as in the format contract; this version accepts lots of class PUBLIC.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sigmasight_assets.errors import ImportFileError
from sigmasight_assets.market_data.protocol import TICKER
from sigmasight_assets.storage.portfolios import NewLot

REQUIRED_COLUMNS = ("symbol", "quantity", "entry_price", "entry_date")
OPTIONAL_COLUMNS = (
    "investment_class",
    "exit_price",
    "exit_date",
    "market_value",
    "valued_on",
    "notes",
)
# At most 14 digits before and 4 after the point: what the database holds exactly.
NUMBER = re.compile(r"-?\d{1,14}(\.\d{1,4})?", re.ASCII)
LARGEST_PRICE = Decimal(10) ** 10
MAX_LINES = 10_000
# Beyond this the exact integers of the ledger would not hold all sums; see quant.money.
LARGEST_AMOUNT = Decimal(50_000_000_000)


@dataclass(frozen=True, slots=True)
class _Row:
    """One data line: its number in the file and its trimmed cells by column."""

    line: int
    cells: Mapping[str, str]


def parse_positions(content: bytes, *, known_symbols: frozenset[str], today: date) -> list[NewLot]:
    """The lots of a positions file; ``ImportFileError`` lists every wrong line, and then nothing may be stored."""
    problems: list[str] = []
    lots = []
    cost = Decimal(0)
    for row in _rows(content):
        found = _problems(row, known_symbols=known_symbols, today=today)
        if not found:
            lots.append(_lot(row.cells))
            before, cost = cost, cost + abs(lots[-1].quantity * lots[-1].entry_price)
            if before <= LARGEST_AMOUNT < cost:
                found = [f"quantity x entry_price, added up to this line, is more than {LARGEST_AMOUNT:,} USD"]
        problems += [f"line {row.line}: {problem}" for problem in found]
    _refuse(problems)
    if not lots:
        raise ImportFileError("The file has no position:", ["add a line below the header"])
    return lots


def _rows(content: bytes) -> list[_Row]:
    lines = [(number, line) for number, line in enumerate(_lines(content), start=1) if _is_data(line)]
    if len(lines) > MAX_LINES + 1:
        raise ImportFileError("The file is too long:", [f"{len(lines) - 1} positions, at most {MAX_LINES} are read"])
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
    return [_Row(number, dict(zip(header, cells, strict=True))) for number, cells in rows]


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
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    unknown = [name for name in header if name not in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    problems = [f"line {line}: the column {name} is missing" for name in missing]
    problems += [f"line {line}: the column {name!r} is not known" for name in unknown]
    problems += [f"line {line}: the column {name} stands there twice" for name in repeated]
    if problems:
        raise ImportFileError("The header is wrong, nothing was imported:", problems)


def _problems(row: _Row, *, known_symbols: frozenset[str], today: date) -> list[str]:
    cells = row.cells
    kind = cells.get("investment_class") or "PUBLIC"
    if kind != "PUBLIC":
        return [f"investment_class {kind!r} is not accepted; this version values PUBLIC positions"]
    checks: tuple[tuple[str, Callable[[str], str | None], bool], ...] = (
        ("symbol", lambda text: _symbol_problem(text, known_symbols), True),
        ("quantity", _quantity_problem, True),
        ("entry_price", lambda text: _price_problem(text, zero_allowed=False), True),
        ("entry_date", lambda text: _date_problem(text, today), True),
        ("exit_price", lambda text: _price_problem(text, zero_allowed=True), False),
        ("exit_date", lambda text: _date_problem(text, today), False),
    )
    found = []
    for column, check, required in checks:
        text = cells.get(column, "")
        if text or required:
            problem = check(text) if text else "is missing"
            if problem:
                found.append(f"{column} {problem}")
    found += [f"{column} belongs to PRIVATE positions" for column in ("market_value", "valued_on") if cells.get(column)]
    return found or _exit_problems(cells)


def _symbol_problem(text: str, known_symbols: frozenset[str]) -> str | None:
    if not TICKER.fullmatch(text):
        return f"{text[:20]!r} is not a ticker"
    if text not in known_symbols:
        return f"{text} is not tracked; add it with `sigmasight universe add {text}`"
    return None


def _quantity_problem(text: str) -> str | None:
    if not NUMBER.fullmatch(text):
        return f"{text[:40]!r} is not a number with at most 4 decimal places"
    return "is zero" if Decimal(text) == 0 else None


def _price_problem(text: str, *, zero_allowed: bool) -> str | None:
    if not NUMBER.fullmatch(text) or Decimal(text) < 0:
        return f"{text[:40]!r} is not a positive number with at most 4 decimal places"
    if Decimal(text) >= LARGEST_PRICE:
        return f"{text} is too large; prices are below {LARGEST_PRICE:,}"
    return "is zero" if Decimal(text) == 0 and not zero_allowed else None


def _date_problem(text: str, today: date) -> str | None:
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        day = None
    if day is None:
        return f"{text[:20]!r} is not a date like 2025-07-31"
    return f"{text} is in the future" if day > today else None


def _exit_problems(cells: Mapping[str, str]) -> list[str]:
    price, day = cells.get("exit_price", ""), cells.get("exit_date", "")
    if bool(price) != bool(day):
        return ["exit_price and exit_date go together"]
    if day and date.fromisoformat(day) < date.fromisoformat(cells["entry_date"]):
        return [f"exit_date {day} is before entry_date {cells['entry_date']}"]
    return []


def _lot(cells: Mapping[str, str]) -> NewLot:
    exit_price, exit_date = cells.get("exit_price"), cells.get("exit_date")
    return NewLot(
        symbol=cells["symbol"],
        quantity=Decimal(cells["quantity"]),
        entry_price=Decimal(cells["entry_price"]),
        entry_date=date.fromisoformat(cells["entry_date"]),
        exit_price=Decimal(exit_price) if exit_price else None,
        exit_date=date.fromisoformat(exit_date) if exit_date else None,
        notes=cells.get("notes") or None,
    )
