import codecs
import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.files import CONSTITUENTS_FILE, PRICES_FILE, FilesMarket, read_listings
from sigmasight_assets.market_data.protocol import (
    PROFILE_SCHEMA,
    PROFILE_VALUES,
    BarRequest,
    Listing,
    Outcome,
    SymbolOutcome,
)
from tests.market_data.conftest import WriteMarket

HEADER = "symbol,name,sector,sub_industry"
DAY = date(2024, 7, 2)
BAR = ("SPY", DAY, 10.0, 11.0, 9.0, 10.5, 10.25, 1000.0)


def read_text(tmp_path: Path, *lines: str) -> list[Listing]:
    path = tmp_path / CONSTITUENTS_FILE
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_listings(path)


def ask(market: FilesMarket, *symbols: str, first: date = DAY, last: date = date(2024, 7, 5)) -> None:
    market.fetch_bars([BarRequest(symbol, first, last) for symbol in symbols])


def test_bars_come_sorted_as_they_are_in_the_file(small_market: FilesMarket) -> None:
    result = small_market.fetch_bars([BarRequest("NEW", date(2024, 7, 2), date(2024, 7, 4))])
    assert result.bars.to_pydict() == {
        "symbol": ["NEW"] * 3,
        "price_date": [date(2024, 7, 2), date(2024, 7, 3), date(2024, 7, 4)],
        "open_price": [None, 10.0, None],
        "high_price": [None, 11.0, None],
        "low_price": [None, 9.0, None],
        "close_price": [None, 10.5, None],
        "adj_close_price": [None, 10.25, None],
        "volume": [None, 1000.0, None],
    }


def test_duplicated_rows_are_handed_on(write_market: WriteMarket) -> None:
    market = FilesMarket(write_market([BAR, BAR], ["SPY,Market Fund,,"]))
    assert market.fetch_bars([BarRequest("SPY", DAY, DAY)]).bars.num_rows == 2


@pytest.mark.parametrize(
    ("symbol", "first", "last", "answer"),
    [
        ("SPY", 2, 5, SymbolOutcome(Outcome.OK)),
        ("NEW", 2, 2, SymbolOutcome(Outcome.EMPTY, "every row is null from 2024-07-02 to 2024-07-02")),
        ("NEW", 8, 9, SymbolOutcome(Outcome.EMPTY, "the file has no row from 2024-07-08 to 2024-07-09")),
        ("GONE", 2, 5, SymbolOutcome(Outcome.EMPTY, "every row in the file is null")),
        ("AAPL", 2, 5, SymbolOutcome(Outcome.UNKNOWN, "prices.parquet has no row of this symbol")),
    ],
)
def test_outcomes(small_market: FilesMarket, symbol: str, first: int, last: int, answer: SymbolOutcome) -> None:
    request = BarRequest(symbol, date(2024, 7, first), date(2024, 7, last))
    assert small_market.fetch_bars([request]).outcomes == {symbol: answer}


def test_nan_is_as_missing_as_null(write_market: WriteMarket) -> None:
    market = FilesMarket(write_market([("SPY", DAY, *[float("nan")] * 6)], ["SPY,Market Fund,,"]))
    answer = market.fetch_bars([BarRequest("SPY", DAY, DAY)]).outcomes["SPY"]
    assert (answer.outcome, answer.detail) == (Outcome.EMPTY, "every row in the file is null")


def test_files_are_read_once(small_market: FilesMarket) -> None:
    before = small_market.listings()
    ask(small_market, "SPY")
    for name in (PRICES_FILE, CONSTITUENTS_FILE):
        (small_market.directory / name).unlink()
    assert small_market.listings() == before
    ask(small_market, "SPY", "NEW")


def test_other_encodings_of_the_same_columns_are_accepted(small_market: FilesMarket) -> None:
    path = small_market.directory / PRICES_FILE
    plain = pq.read_table(path)
    expected = small_market.fetch_bars([BarRequest("SPY", DAY, date(2024, 7, 5))]).bars
    other = plain.set_column(0, "symbol", plain["symbol"].dictionary_encode())
    other = other.set_column(7, "volume", plain["volume"].cast(pa.int64()))
    other = other.set_column(2, "open", plain["open"].cast(pa.decimal128(14, 4)))
    other = other.append_column("note", pa.array(["x"] * plain.num_rows))
    other = other.select(other.schema.names[::-1])
    pq.write_table(other, path)
    again = FilesMarket(small_market.directory).fetch_bars([BarRequest("SPY", DAY, date(2024, 7, 5))]).bars
    assert again.equals(expected)


def test_price_file_without_rows(small_market: FilesMarket) -> None:
    path = small_market.directory / PRICES_FILE
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    answer = small_market.fetch_bars([BarRequest("SPY", DAY, DAY)])
    assert answer.bars.num_rows == 0
    assert answer.outcomes["SPY"].outcome is Outcome.UNKNOWN


def test_absent_price_file(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match=r"prices.parquet does not exist: SIGMASIGHT_MARKET_FILES must be"):
        ask(FilesMarket(tmp_path), "SPY")


@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
def test_unreadable_price_file(small_market: FilesMarket, damage: str) -> None:
    path = small_market.directory / PRICES_FILE
    path.write_bytes({"text": b"not parquet", "cut": path.read_bytes()[:-50], "empty": b""}[damage])
    with pytest.raises(MarketDataError, match=r"prices.parquet cannot be read as Parquet"):
        ask(small_market, "SPY")


@pytest.mark.fault(9)
def test_symbols_that_are_no_text_are_the_files_fault(small_market: FilesMarket) -> None:
    path = small_market.directory / PRICES_FILE
    table = pq.read_table(path)
    symbols = pa.array([b"\xff\xfeSPY"] * table.num_rows, pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("symbol"), "symbol", symbols), path)
    with pytest.raises(MarketDataError, match=r"prices.parquet cannot be read as Parquet"):
        ask(FilesMarket(small_market.directory), "SPY")


def test_missing_and_mistyped_columns_are_all_named(small_market: FilesMarket) -> None:
    path = small_market.directory / PRICES_FILE
    table = pq.read_table(path).drop_columns(["high", "volume"])
    table = table.set_column(1, "price_date", table["price_date"].cast(pa.timestamp("us")))
    table = table.set_column(2, "open", table["open"].cast(pa.string()))
    table = table.append_column("low", table["low"])
    pq.write_table(table, path)
    with pytest.raises(MarketDataError) as caught:
        ask(small_market, "SPY")
    assert str(caught.value).splitlines() == [
        f"{path}: write the file again with these columns",
        "price_date: is timestamp[us], must be date",
        "open: is string, must be number",
        "high: is missing",
        "low: appears more than once",
        "volume: is missing",
    ]


@pytest.mark.parametrize(("position", "column"), [(0, "symbol"), (1, "price_date")])
def test_rows_without_a_key_are_refused(write_market: WriteMarket, position: int, column: str) -> None:
    broken = tuple(None if index == position else value for index, value in enumerate(BAR))
    market = FilesMarket(write_market([BAR, broken], ["SPY,Market Fund,,"]))
    with pytest.raises(MarketDataError, match=rf"prices.parquet: 1 rows have no {column}; remove or complete them"):
        ask(market, "SPY")


def test_listings_of_shares_and_funds(small_market: FilesMarket) -> None:
    assert small_market.listings() == [
        Listing("SPY", "Market Fund", "etf", None, None),
        Listing("NEW", "New, Inc.", "equity", "Energy", "Oil & Gas Drilling"),
        Listing("GONE", "Gone Inc.", "equity", "Financials", None),
    ]


def test_listings_in_another_layout(tmp_path: Path) -> None:
    path = tmp_path / CONSTITUENTS_FILE
    text = "sector,symbol,note,name,sub_industry\r\n\r\n Energy ,BRK-B,x,Berkshire ,\r\n"
    path.write_bytes(codecs.BOM_UTF8 + text.encode())
    assert read_listings(path) == [Listing("BRK-B", "Berkshire", "equity", "Energy", None)]


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError) as caught:
        read_text(
            tmp_path,
            HEADER,
            "SPY,Market Fund,,",
            "AAPL,Apple,Information Technology",
            "F,Ford, Inc.,Consumer Discretionary,Automobile Manufacturers",
            "",
            "spy,Market Fund,,",
            "SPY,Market Fund again,,",
            "TLT,,,",
            "TLT,Bond\x00Fund,,",
            "TLT,Bond Fund,,",
        )
    assert str(caught.value).splitlines() == [
        f"{tmp_path / CONSTITUENTS_FILE}: correct these lines",
        "line 3: 1 missing fields; quote a field that holds a comma",
        "line 4: 1 too many fields; quote a field that holds a comma",
        "line 6: the symbol 'spy' is not 1 to 20 of A-Z, 0-9, dot and hyphen",
        "line 7: the symbol SPY was already listed",
        "line 8: TLT has no name",
        "line 9: TLT holds characters that cannot be printed",
    ]


def test_a_long_list_of_wrong_lines_is_cut_and_counted(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="and 5 more") as caught:
        read_text(tmp_path, HEADER, *["?,Nothing,,"] * 25)
    assert len(str(caught.value).splitlines()) == 1 + 20 + 1


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("symbol,name,sector", "sub_industry"),
        ("Symbol,Name,sector,sub_industry", "symbol, name"),
        (HEADER + ",name", "name"),
        ("", "symbol, name, sector, sub_industry"),
    ],
)
def test_missing_header_columns_are_named(tmp_path: Path, header: str, missing: str) -> None:
    with pytest.raises(MarketDataError, match=rf"must name each of these columns once: {missing}$"):
        read_text(tmp_path, header, "SPY,Market Fund,,")


def test_absent_constituents(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match=r"constituents\.csv cannot be opened: No such file or directory"):
        FilesMarket(tmp_path).listings()


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (HEADER.encode() + b"\nSPY,Caf\xe9 Fund,,\n", "line [12] cannot be read as UTF-8 CSV"),
        (HEADER.encode() + b'\nSPY,Fund,,\nTLT,"Bond" Fund,,\n', "line 3 cannot be read as UTF-8 CSV"),
        (HEADER.encode() + b'\nSPY,Fund,,\nTLT,"Bond Fund,,\n', "line 3 cannot be read as UTF-8 CSV"),
    ],
)
def test_unreadable_constituents(tmp_path: Path, content: bytes, where: str) -> None:
    path = tmp_path / CONSTITUENTS_FILE
    path.write_bytes(content)
    with pytest.raises(MarketDataError, match=f"{re.escape(str(path))}: {where}"):
        read_listings(path)


def test_profiles_are_the_texts_of_the_constituents_whatever_the_date(small_market: FilesMarket) -> None:
    result = small_market.fetch_profiles(["NEW", "SPY", "NOSUCH", "NEW"], as_of=DAY)
    assert result.profiles.schema.equals(PROFILE_SCHEMA)
    silent = dict.fromkeys(PROFILE_VALUES)
    assert result.profiles.to_pylist() == [
        {"symbol": "NEW", "name": "New, Inc.", "sector": "Energy", "industry": "Oil & Gas Drilling"} | silent,
        {"symbol": "SPY", "name": "Market Fund", "sector": None, "industry": None} | silent,
    ]
    assert result.problems == {"NOSUCH": "constituents.csv has no line of this symbol"}
    assert small_market.fetch_profiles(["NEW", "SPY"], as_of=date(1999, 1, 4)).profiles.equals(result.profiles)


def test_no_profile_asked_no_profile_answered(small_market: FilesMarket) -> None:
    result = small_market.fetch_profiles([], as_of=DAY)
    assert result.profiles.equals(PROFILE_SCHEMA.empty_table())
    assert result.problems == {}
