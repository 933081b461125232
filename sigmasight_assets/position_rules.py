"""What the terms of a lot may be, as text by column: the same rules for files, for the API and for corrections.

The columns are those of the format contract (``docs/positions-file.md``); which of them a lot needs depends on its
investment class.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import OCC_SYMBOL, SHARES_PER_CONTRACT, parse_occ_symbol
from sigmasight_assets.market_data.protocol import TICKER
from sigmasight_assets.storage.portfolios import NewLot, StoredLot

PUBLIC, OPTIONS, PRIVATE = "PUBLIC", "OPTIONS", "PRIVATE"

REQUIRED_COLUMNS = ("symbol", "quantity", "entry_price", "entry_date")
OPTIONAL_COLUMNS = (
    "investment_class",
    "exit_price",
    "exit_date",
    "market_value",
    "valued_on",
    "notes",
    "units_date",
)
# At most 14 digits before the point, and 4 after it, or 8 of money: what the database holds exactly.
NUMBER = re.compile(r"-?\d{1,14}(\.\d{1,4})?", re.ASCII)
MONEY = re.compile(r"-?\d{1,14}(\.\d{1,8})?", re.ASCII)
LARGEST_PRICE = Decimal(10) ** 10
LONGEST_PRIVATE_NAME = 60
LONGEST_NOTES = 1_000
# Line ends, NUL and halves of surrogate pairs: neither a file of lines nor the database holds them.
UNFIT = re.compile("[\r\n\0\ud800-\udfff]")
# Beyond this the exact integers of the ledger would not hold all sums; see quant.money.
LARGEST_AMOUNT = Decimal(50_000_000_000)
# Nobody living has entered a position before; a mistyped century is found.
EARLIEST = date(1900, 1, 1)
# Cells that a lot must fill, by its class.
NEEDED_CELLS = {
    PUBLIC: REQUIRED_COLUMNS,
    OPTIONS: REQUIRED_COLUMNS,
    PRIVATE: ("symbol", "quantity", "entry_date", "market_value", "valued_on"),
}
# Cells that only lots of one class fill.
CLASS_COLUMNS = {"market_value": PRIVATE, "valued_on": PRIVATE, "units_date": PUBLIC}
# What may not come before what; an option's expiry is told by its symbol.
DATE_ORDER = (
    ("entry_date", "exit_date"),
    ("entry_date", "valued_on"),
    ("entry_date", "units_date"),
    ("valued_on", "exit_date"),
    ("entry_date", "expiry"),
    ("exit_date", "expiry"),
)

Check = Callable[[str], str | None]


def lot_problems(cells: Mapping[str, str], *, today: date) -> list[str]:
    """What is wrong with a lot, each beginning with the column where it lies in one; none when it may be stored.

    ``cells`` are texts without blanks around them; those that are empty or missing are not stated.
    """
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
    found += [
        f"{column} belongs to {only} positions"
        for column, only in CLASS_COLUMNS.items()
        if only != kind and cells.get(column)
    ]
    return found or _order_problems(kind, cells)


def cells_of(lot: StoredLot) -> dict[str, str]:
    """A stored lot, with its newest valuation, as cells that ``lot_problems`` takes."""
    values = {name: getattr(lot, name) for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)}
    return {
        name: f"{value:f}" if isinstance(value, Decimal) else str(value)
        for name, value in values.items()
        if value is not None
    }


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
        "notes": _notes_problem,
    }
    if kind == PUBLIC:
        checks["units_date"] = day
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
        return f"{text[:40]!r} is not a number with at most 4 decimal places{_way_out(text)}"
    return "is zero" if Decimal(text) == 0 else None


def _private_quantity_problem(text: str) -> str | None:
    problem = _quantity_problem(text)
    return problem or ("is negative; a PRIVATE position is held long" if Decimal(text) < 0 else None)


def _price_problem(text: str, *, zero_allowed: bool) -> str | None:
    if not NUMBER.fullmatch(text) or text.startswith("-"):
        return f"{text[:40]!r} is not a positive number with at most 4 decimal places{_way_out(text)}"
    if Decimal(text) >= LARGEST_PRICE:
        return f"{text} is too large; prices are below {LARGEST_PRICE:,}"
    return "is zero" if Decimal(text) == 0 and not zero_allowed else None


def _value_problem(text: str) -> str | None:
    if not MONEY.fullmatch(text) or text.startswith("-"):
        return f"{text[:40]!r} is not an amount of 0 or more with at most 8 decimal places{_way_out(text)}"
    return None


def _way_out(text: str) -> str:
    return "; write it like 1000.50, without commas" if "," in text else ""


def _notes_problem(text: str) -> str | None:
    if UNFIT.search(text) or len(text) > LONGEST_NOTES:
        return f"are not one line of at most {LONGEST_NOTES:,} characters"
    return None


def _date_problem(text: str, today: date) -> str | None:
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        day = None
    if day is None:
        return f"{text[:20]!r} is not a date like 2025-07-31"
    if day < EARLIEST:
        return f"{text} is before {EARLIEST}"
    return f"{text} is in the future" if day > today else None


def _order_problems(kind: str, cells: Mapping[str, str]) -> list[str]:
    """What is wrong between cells that are right each for itself."""
    if bool(cells.get("exit_price")) != bool(cells.get("exit_date")):
        return ["exit_price and exit_date go together"]
    # Dates in this form sort as text.
    days = {
        column: cells[column] for column in ("entry_date", "exit_date", "valued_on", "units_date") if cells.get(column)
    }
    if kind == OPTIONS:
        days["expiry"] = parse_occ_symbol(cells["symbol"]).expiry.isoformat()
    return [
        f"{later} {days[later]} is before {earlier} {days[earlier]}"
        for earlier, later in DATE_ORDER
        if earlier in days and later in days and days[later] < days[earlier]
    ]


def lot_amount(lot: NewLot) -> Decimal:
    """What a lot adds to the sums of the ledger at most: it may have both a price and a valuation."""
    multiplier = SHARES_PER_CONTRACT if lot.investment_class == OPTIONS else 1
    price = max(lot.entry_price or Decimal(0), lot.exit_price or Decimal(0))
    return abs(lot.quantity) * price * multiplier + (lot.market_value or 0)


def lot_of(cells: Mapping[str, str]) -> NewLot:
    """The lot of cells in which ``lot_problems`` found nothing."""

    def number(column: str) -> Decimal | None:
        return Decimal(cells[column]) if cells.get(column) else None

    def day(column: str) -> date | None:
        return date.fromisoformat(cells[column]) if cells.get(column) else None

    kind = cells.get("investment_class") or PUBLIC
    units_date = day("units_date")
    return NewLot(
        symbol=parse_occ_symbol(cells["symbol"]).symbol if kind == OPTIONS else cells["symbol"],
        quantity=Decimal(cells["quantity"]),
        entry_price=number("entry_price"),
        entry_date=date.fromisoformat(cells["entry_date"]),
        exit_price=number("exit_price"),
        exit_date=day("exit_date"),
        investment_class=kind,
        notes=cells.get("notes") or None,
        units_date=None if units_date == day("entry_date") else units_date,
        market_value=number("market_value"),
        valued_on=day("valued_on"),
    )
