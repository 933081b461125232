"""A market kept in two files: ``prices.parquet`` with daily bars and ``constituents.csv`` with the symbols.

Bars are handed on as they are in the file, its defects included; judging them is ``validation``'s task. The files hold
no splits and dividends; profiles are the names, sectors and industries of ``constituents.csv``, which has no dates.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    BAR_VALUES,
    PROFILE_SCHEMA,
    PROFILE_VALUES,
    TICKER,
    BarRequest,
    FetchResult,
    Listing,
    Outcome,
    ProfileResult,
    SymbolOutcome,
    requests_by_symbol,
)

PRICES_FILE = "prices.parquet"
CONSTITUENTS_FILE = "constituents.csv"
# The order is that of BAR_SCHEMA.
PRICE_COLUMNS = ("symbol", "price_date", "open", "high", "low", "close", "adj_close", "volume")
CONSTITUENT_COLUMNS = ("symbol", "name", "sector", "sub_industry")

_PROBLEMS_SHOWN = 20
_Line = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class _PriceFile:
    """The bars sorted by symbol and date, with the row range of each symbol."""

    bars: pa.Table
    days: NDArray[np.datetime64]
    has_value: NDArray[np.bool_]
    ranges: dict[str, tuple[int, int]]


class FilesMarket:
    """The market of one directory; each file is read once, when it is first needed."""

    name = "files"
    supplies_corporate_actions = False
    # What the file says has no date, so it is the answer for every date.
    supplies_dated_profiles = True
    symbols_per_call = 1_000
    own_calls = None

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def listings(self) -> list[Listing]:
        """Every line of ``constituents.csv``."""
        return list(self._listings)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The rows of the asked symbols and windows, null rows and rows on closed days included."""
        ranges: list[NDArray[np.intp]] = []
        outcomes: dict[str, SymbolOutcome] = {}
        for symbol, request in requests_by_symbol(requests).items():
            start, stop = self._rows(request)
            ranges.append(np.arange(start, stop))
            outcomes[symbol] = self._outcome(request, start, stop)
        rows = np.concatenate(ranges) if ranges else np.empty(0, dtype=np.intp)
        return FetchResult(self._prices.bars.take(pa.array(rows)), outcomes)

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:  # noqa: ARG002
        """Name, sector and industry of ``constituents.csv``, the same at every ``as_of``; every figure is null."""
        by_symbol = {listing.symbol: listing for listing in self._listings}
        known = [by_symbol[symbol] for symbol in dict.fromkeys(symbols) if symbol in by_symbol]
        texts = [[getattr(item, name) for item in known] for name in ("symbol", "name", "sector", "industry")]
        figures = [pa.nulls(len(known), pa.float64())] * len(PROFILE_VALUES)
        absent = f"{CONSTITUENTS_FILE} has no line of this symbol"
        return ProfileResult(
            pa.table([*texts, *figures], schema=PROFILE_SCHEMA),
            {symbol: absent for symbol in symbols if symbol not in by_symbol},
        )

    @cached_property
    def _listings(self) -> list[Listing]:
        return read_listings(self.directory / CONSTITUENTS_FILE)

    @cached_property
    def _prices(self) -> _PriceFile:
        return _read_prices(self.directory / PRICES_FILE)

    def _rows(self, request: BarRequest) -> tuple[int, int]:
        start, stop = self._prices.ranges.get(request.symbol, (0, 0))
        days = self._prices.days[start:stop]
        first = np.searchsorted(days, np.datetime64(request.first, "D"), side="left")
        last = np.searchsorted(days, np.datetime64(request.last, "D"), side="right")
        return start + int(first), start + int(last)

    def _outcome(self, request: BarRequest, start: int, stop: int) -> SymbolOutcome:
        if request.symbol not in self._prices.ranges:
            return SymbolOutcome(Outcome.UNKNOWN, f"{PRICES_FILE} has no row of this symbol")
        if self._prices.has_value[start:stop].any():
            return SymbolOutcome(Outcome.OK)
        if not self._prices.has_value[slice(*self._prices.ranges[request.symbol])].any():
            return SymbolOutcome(Outcome.EMPTY, "every row in the file is null")
        found = "every row is null" if stop > start else "the file has no row"
        return SymbolOutcome(Outcome.EMPTY, f"{found} from {request.first} to {request.last}")


def read_listings(path: Path) -> list[Listing]:
    """The symbols of a CSV file with the columns symbol, name, sector, sub_industry in any order.

    A line with neither sector nor sub_industry is an exchange-traded fund, any other is a share. Blank lines are
    skipped. Raises ``MarketDataError`` that names the file, and the wrong lines, when the file is absent or unreadable,
    a column is missing, or a line is malformed or repeats a symbol.
    """
    header, lines = _read_csv(path)
    listings: dict[str, Listing] = {}
    problems: list[str] = []
    for number, fields in lines:
        values = dict(zip(header, fields, strict=False))
        problem = _line_problem(values, len(fields) - len(header), listings)
        if problem:
            problems.append(f"line {number}: {problem}")
            continue
        sector, industry = values["sector"] or None, values["sub_industry"] or None
        asset_type: Literal["equity", "etf"] = "equity" if sector or industry else "etf"
        listings[values["symbol"]] = Listing(values["symbol"], values["name"], asset_type, sector, industry)
    if problems:
        hidden = len(problems) - _PROBLEMS_SHOWN
        more = [f"and {hidden} more"] if hidden > 0 else []
        raise MarketDataError("\n".join([f"{path}: correct these lines", *problems[:_PROBLEMS_SHOWN], *more]))
    return list(listings.values())


def _read_csv(path: Path) -> tuple[list[str], list[_Line]]:
    """The header and the lines that are not blank, with their numbers; all fields stripped."""
    number = 1
    lines: list[_Line] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for fields in reader:
                lines.append((number, [field.strip() for field in fields]))
                number = reader.line_num + 1
    except OSError as error:
        raise MarketDataError(f"{path} cannot be opened: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise MarketDataError(f"{path}: line {number} cannot be read as UTF-8 CSV: {error}") from None
    header = lines[0][1] if lines else []
    missing = [column for column in CONSTITUENT_COLUMNS if header.count(column) != 1]
    if missing:
        raise MarketDataError(f"{path}: the first line must name each of these columns once: {', '.join(missing)}")
    return header, [(number, fields) for number, fields in lines[1:] if any(fields)]


def _line_problem(values: dict[str, str], surplus: int, listings: dict[str, Listing]) -> str:
    """What is wrong with a line, or an empty string."""
    if surplus:
        return f"{abs(surplus)} {'too many' if surplus > 0 else 'missing'} fields; quote a field that holds a comma"
    symbol = values["symbol"]
    if not TICKER.fullmatch(symbol):
        return f"the symbol {symbol!r} is not 1 to 20 of A-Z, 0-9, dot and hyphen"
    if symbol in listings:
        return f"the symbol {symbol} was already listed"
    if not values["name"]:
        return f"{symbol} has no name"
    if not all(values[column].isprintable() for column in CONSTITUENT_COLUMNS):
        return f"{symbol} holds characters that cannot be printed"
    return ""


def _read_prices(path: Path) -> _PriceFile:
    """Read, check and sort the price file; ``MarketDataError`` when that is impossible."""
    if not path.is_file():
        raise MarketDataError(f"{path} does not exist: SIGMASIGHT_MARKET_FILES must be the directory that holds it")
    try:
        with pq.ParquetFile(path) as file:
            problems = _column_problems(file.schema_arrow)
            table = None if problems else file.read(columns=list(PRICE_COLUMNS))
        if table is not None:
            # Parquet's texts may be any bytes.
            table["symbol"].validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise MarketDataError(f"{path} cannot be read as Parquet, restore it from its source: {error}") from None
    if table is None:
        raise MarketDataError("\n".join([f"{path}: write the file again with these columns", *problems]))
    # An integer beyond 2^53 may lose its last digits here instead of failing; validation judges what is left.
    bars = table.select(PRICE_COLUMNS).rename_columns(BAR_SCHEMA.names).cast(BAR_SCHEMA, safe=False)
    for key in ("symbol", "price_date"):
        if bars[key].null_count:
            raise MarketDataError(f"{path}: {bars[key].null_count} rows have no {key}; remove or complete them")
    bars = bars.sort_by([("symbol", "ascending"), ("price_date", "ascending")])
    values = np.column_stack([bars[name].to_numpy() for name in BAR_VALUES])
    return _PriceFile(bars, bars["price_date"].to_numpy(), ~np.isnan(values).all(axis=1), _ranges(bars["symbol"]))


def _column_problems(schema: pa.Schema) -> list[str]:
    """What keeps the columns from being read as bars; empty when nothing does."""
    problems = []
    for column in PRICE_COLUMNS:
        positions = schema.get_all_field_indices(column)
        if len(positions) != 1:
            problems.append(f"{column}: {'appears more than once' if positions else 'is missing'}")
            continue
        found = schema.field(positions[0]).type
        expected, accepts = _COLUMN_TYPES.get(column, ("number", _is_number))
        if not accepts(found):
            problems.append(f"{column}: is {found}, must be {expected}")
    return problems


def _is_text(found: pa.DataType) -> bool:
    value = found.value_type if pa.types.is_dictionary(found) else found
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _is_number(found: pa.DataType) -> bool:
    return bool(pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found))


# Every column that is not here is a number. Timestamps are refused: their date depends on a time zone.
_COLUMN_TYPES: dict[str, tuple[str, Callable[[pa.DataType], bool]]] = {
    "symbol": ("string", _is_text),
    "price_date": ("date", pa.types.is_date),
}


def _ranges(symbols: pa.ChunkedArray) -> dict[str, tuple[int, int]]:
    """First row and end of each symbol in a sorted column."""
    runs = pc.run_end_encode(symbols.combine_chunks())
    ends = runs.run_ends.to_pylist()
    return dict(zip(runs.values.to_pylist(), zip([0, *ends], ends, strict=False), strict=True))
