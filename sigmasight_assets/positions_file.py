"""The positions CSV that owners bring: read strictly, every problem reported with its line.

The columns are those of the format contract (``docs/positions-file.md``); which of them a line needs depends on its
investment class.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sigmasight_assets.errors import ImportFileError, MarketDataError
from sigmasight_assets.market_data.options import OCC_SYMBOL, SHARES_PER_CONTRACT, parse_occ_symbol
from sigmasight_assets.market_data.protocol import TICKER
from sigmasight_assets.storage.portfolios import NewLot

PUBLIC, OPTIONS, PRIVATE = "PUBLIC", "OPTIONS", "PRIVATE"

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
LONGEST_PRIVATE_NAME = 60
MAX_LINES = 10_000
# Beyond this the exact integers of the ledger would not hold all sums; see quant.money.
LARGEST_AMOUNT = Decimal(50_000_000_000)
# Cells that a line must fill, by its class.
NEEDED_CELLS = {
    PUBLIC: REQUIRED_COLUMNS,
    OPTIONS: REQUIRED_COLUMNS,
    PRIVATE: ("symbol", "quantity", "entry_date", "market_value", "valued_on"),
}
VALUATION_COLUMNS = ("market_value", "valued_on")
# What may not come before what; an option's expiry is told by its symbol.
DATE_ORDER = (
    ("entry_date", "exit_date"),
    ("entry_date", "valued_on"),
    ("valued_on", "exit_date"),
    ("entry_date", "expiry"),
    ("exit_date", "expiry"),
)

Check = Callable[[str], str | None]


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
        found = _problems(row, today=today)
        if not found:
            lots.append(_lot(row.cells))
            before, total = total, total + _amount(lots[-1])
            if before <= LARGEST_AMOUNT < total:
                found = [f"the positions up to this line come to more than {LARGEST_AMOUNT:,} USD"]
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


def _problems(row: _Row, *, today: date) -> list[str]:
    cells = row.cells
    kind = cells.get("investment_class") or PUBLIC
    if kind not in NEEDED_CELLS:
        return [f"investment_class {kind[:20]!r} is not PUBLIC, OPTIONS or PRIVATE"]
    found = []
    for column, check in _checks(kind, today).items():
        text = cells.get(column, "")
        if text or column in NEEDED_CELLS[kind]:
            problem = check(text) if text else "is missing"
            if problem:
                found.append(f"{column} {problem}")
    if kind != PRIVATE:
        found += [f"{column} belongs to PRIVATE positions" for column in VALUATION_COLUMNS if cells.get(column)]
    return found or _order_problems(kind, cells)


def _checks(kind: str, today: date) -> dict[str, Check]:
    """What each cell of a line of this class must pass, in the order in which problems are named."""

    def price(text: str) -> str | None:
        return _price_problem(text, zero_allowed=False)

    def day(text: str) -> str | None:
        return _date_problem(text, today)

    checks: dict[str, Check] = {
        "symbol": _symbol_problem,
        "quantity": _quantity_problem,
        "entry_price": price,
        "entry_date": day,
        "exit_price": lambda text: _price_problem(text, zero_allowed=True),
        "exit_date": day,
    }
    if kind == OPTIONS:
        checks["symbol"] = _contract_problem
    if kind == PRIVATE:
        checks |= {"symbol": _private_name_problem, "quantity": _private_quantity_problem}
        checks |= {"market_value": _value_problem, "valued_on": day}
    return checks


def _symbol_problem(text: str) -> str | None:
    if OCC_SYMBOL.fullmatch(text):
        return f"{text} is an option contract: its investment_class is OPTIONS"
    if not TICKER.fullmatch(text):
        return f"{text[:20]!r} is not a ticker"
    return None


def _contract_problem(text: str) -> str | None:
    try:
        parse_occ_symbol(text)
    except MarketDataError as error:
        return str(error)
    return None


def _private_name_problem(text: str) -> str | None:
    if not text.isprintable() or len(text) > LONGEST_PRIVATE_NAME:
        return f"{text[:20]!r} is not a name of 1 to {LONGEST_PRIVATE_NAME} printable characters"
    return None


def _quantity_problem(text: str) -> str | None:
    if not NUMBER.fullmatch(text):
        return f"{text[:40]!r} is not a number with at most 4 decimal places"
    return "is zero" if Decimal(text) == 0 else None


def _private_quantity_problem(text: str) -> str | None:
    problem = _quantity_problem(text)
    return problem or ("is negative; a PRIVATE position is held long" if Decimal(text) < 0 else None)


def _price_problem(text: str, *, zero_allowed: bool) -> str | None:
    if not NUMBER.fullmatch(text) or Decimal(text) < 0:
        return f"{text[:40]!r} is not a positive number with at most 4 decimal places"
    if Decimal(text) >= LARGEST_PRICE:
        return f"{text} is too large; prices are below {LARGEST_PRICE:,}"
    return "is zero" if Decimal(text) == 0 and not zero_allowed else None


def _value_problem(text: str) -> str | None:
    if not NUMBER.fullmatch(text) or Decimal(text) < 0:
        return f"{text[:40]!r} is not an amount of 0 or more with at most 4 decimal places"
    return None


def _date_problem(text: str, today: date) -> str | None:
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        day = None
    if day is None:
        return f"{text[:20]!r} is not a date like 2025-07-31"
    return f"{text} is in the future" if day > today else None


def _order_problems(kind: str, cells: Mapping[str, str]) -> list[str]:
    """What is wrong between cells that are right each for itself."""
    if bool(cells.get("exit_price")) != bool(cells.get("exit_date")):
        return ["exit_price and exit_date go together"]
    # Dates in this form sort as text.
    days = {column: cells[column] for column in ("entry_date", "exit_date", "valued_on") if cells.get(column)}
    if kind == OPTIONS:
        days["expiry"] = parse_occ_symbol(cells["symbol"]).expiry.isoformat()
    return [
        f"{later} {days[later]} is before {earlier} {days[earlier]}"
        for earlier, later in DATE_ORDER
        if earlier in days and later in days and days[later] < days[earlier]
    ]


def _amount(lot: NewLot) -> Decimal:
    """What a lot adds to the sums of the ledger at most: it may have both a price and a valuation."""
    multiplier = SHARES_PER_CONTRACT if lot.investment_class == OPTIONS else 1
    price = max(lot.entry_price or Decimal(0), lot.exit_price or Decimal(0))
    return abs(lot.quantity) * price * multiplier + (lot.market_value or 0)


def _lot(cells: Mapping[str, str]) -> NewLot:
    def number(column: str) -> Decimal | None:
        return Decimal(cells[column]) if cells.get(column) else None

    def day(column: str) -> date | None:
        return date.fromisoformat(cells[column]) if cells.get(column) else None

    kind = cells.get("investment_class") or PUBLIC
    return NewLot(
        symbol=parse_occ_symbol(cells["symbol"]).symbol if kind == OPTIONS else cells["symbol"],
        quantity=Decimal(cells["quantity"]),
        entry_price=number("entry_price"),
        entry_date=date.fromisoformat(cells["entry_date"]),
        exit_price=number("exit_price"),
        exit_date=day("exit_date"),
        investment_class=kind,
        notes=cells.get("notes") or None,
        market_value=number("market_value"),
        valued_on=day("valued_on"),
    )
