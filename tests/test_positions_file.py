"""Tests of the positions CSV: what the format allows is read exactly, everything else is named with line and column."""

import csv
import io
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.errors import ImportFileError
from sigmasight_assets.position_rules import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from sigmasight_assets.positions_file import MAX_LINES, parse_positions, positions_csv
from sigmasight_assets.storage.portfolios import NewLot

TODAY = date(2025, 7, 31)
TICKERS = ("3M", "AAPL", "BF.B", "BRK-B", "NOPE", "SPY")
HEADER = "symbol,quantity,entry_price,entry_date"
LINE = "AAPL,10,100.5,2025-07-01"
WIDE_HEADER = ",".join((*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS))
CONTRACT = "AAPL250718C00150000"
OPTION = {"investment_class": "OPTIONS", "symbol": CONTRACT}
HOUSE = {
    "investment_class": "PRIVATE",
    "symbol": "A house",
    "entry_price": "",
    "market_value": "1000.5",
    "valued_on": "2025-07-10",
}


def parse(content: str | bytes) -> list[NewLot]:
    data = content if isinstance(content, bytes) else content.encode()
    return parse_positions(data, today=TODAY)


def problems(content: str | bytes) -> list[str]:
    """What is wrong with a file that must be refused."""
    with pytest.raises(ImportFileError) as caught:
        parse(content)
    assert str(caught.value).splitlines()[1:] == "\n".join(caught.value.problems).splitlines()
    return caught.value.problems


def row(**cells: str) -> str:
    """A file of one position with every column; columns that are not named are as in ``LINE``, the optional empty."""
    usual = dict(zip(HEADER.split(","), LINE.split(","), strict=True))
    return f"{WIDE_HEADER}\n{','.join({**usual, **cells}.get(name, '') for name in WIDE_HEADER.split(','))}\n"


class TestWhatIsRead:
    def test_a_lot(self) -> None:
        assert parse(f"{HEADER}\n{LINE}\n") == [NewLot("AAPL", Decimal(10), Decimal("100.5"), date(2025, 7, 1))]

    @pytest.mark.fault(30)
    def test_every_column_of_a_closed_short_lot(self) -> None:
        content = row(
            symbol="BRK-B",
            quantity="-0.0001",
            entry_price="9999999999.9999",
            investment_class="PUBLIC",
            exit_price="0",
            exit_date="2025-07-31",
            notes='"sold, ""all"" of it; # no comment"',
        )
        assert parse(content) == [
            NewLot(
                symbol="BRK-B",
                quantity=Decimal("-0.0001"),
                entry_price=Decimal("9999999999.9999"),
                entry_date=date(2025, 7, 1),
                exit_price=Decimal(0),
                exit_date=date(2025, 7, 31),
                investment_class="PUBLIC",
                notes='sold, "all" of it; # no comment',
            )
        ]

    def test_columns_come_in_any_order_and_case_with_blanks_around(self) -> None:
        content = " Entry_Date , QUANTITY,symbol,Entry_Price\n 2025-07-01 , 10 , AAPL ,100.5\n"
        assert parse(content) == parse(f"{HEADER}\n{LINE}\n")

    @pytest.mark.fault(30)
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_with_and_without_byte_order_mark_and_with_every_line_end(self, end: str, mark: bytes) -> None:
        content = mark + end.join([HEADER, LINE, "SPY,-5,600,2025-06-02", ""]).encode()
        assert [lot.symbol for lot in parse(content)] == ["AAPL", "SPY"]

    def test_the_last_line_needs_no_end(self) -> None:
        assert len(parse(f"{HEADER}\n{LINE}")) == 1

    def test_comments_and_blank_lines_are_passed_over_but_counted(self) -> None:
        lines = [
            "# my book",
            "",
            HEADER,
            "  # a note, with, many, commas",
            "   ",
            LINE,
            "#",
            "SPY,nothing,1,2025-07-01",
        ]
        assert problems("\n".join(lines)) == [
            "line 8: quantity 'nothing' is not a number with at most 4 decimal places"
        ]

    def test_the_units_of_a_quantity_are_read_unless_they_are_those_of_the_entry(self) -> None:
        (later,), (same,) = parse(row(units_date="2025-07-02")), parse(row(units_date="2025-07-01"))
        assert (later.units_date, same.units_date) == (date(2025, 7, 2), None)

    @pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t", "'=", "''+", "'\t"])
    def test_an_apostrophe_before_a_formula_is_taken_off(self, mark: str) -> None:
        (lot,) = parse(row(notes=f"'{mark}1"))
        assert lot.notes == f"{mark}1"

    @pytest.mark.parametrize("text", ["'", "''", "'tis", "'1", "don't", "''x"])
    def test_other_apostrophes_stay(self, text: str) -> None:
        (lot,) = parse(row(notes=text))
        assert lot.notes == text

    @pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
    def test_only_line_ends_end_a_line(self, separator: str) -> None:
        assert parse(row(notes=f"one{separator}two"))[0].notes == f"one{separator}two"

    def test_notes_are_in_any_script(self) -> None:
        assert parse(row(notes="Grüße, 株".replace(",", "")))[0].notes == "Grüße 株"

    def test_the_same_lot_twice_is_two_lots(self) -> None:
        assert len(parse(f"{HEADER}\n{LINE}\n{LINE}\n")) == 2

    @pytest.mark.parametrize("symbol", TICKERS)
    def test_tickers_have_digits_dots_and_hyphens(self, symbol: str) -> None:
        assert parse(row(symbol=symbol))[0].symbol == symbol

    @pytest.mark.parametrize(
        "spelling", [CONTRACT, f"O:{CONTRACT}", "AAPL  250718C00150000", "O:AAPL  250718C00150000"]
    )
    def test_an_option_is_stored_under_its_own_spelling(self, spelling: str) -> None:
        cells = {**OPTION, "symbol": spelling, "quantity": "-2", "entry_price": "3.25"}
        assert parse(row(**cells, exit_price="0.01", exit_date="2025-07-18")) == [
            NewLot(
                symbol=CONTRACT,
                quantity=Decimal(-2),
                entry_price=Decimal("3.25"),
                entry_date=date(2025, 7, 1),
                exit_price=Decimal("0.01"),
                exit_date=date(2025, 7, 18),
                investment_class="OPTIONS",
            )
        ]

    def test_an_option_may_have_expired_since_and_an_adjusted_one_belongs_to_its_share(self) -> None:
        assert parse(row(**OPTION, entry_date="2025-07-18"))[0].exit_date is None
        assert parse(row(**{**OPTION, "symbol": "AAPL1251219P00150000"}))[0].symbol == "AAPL1251219P00150000"

    def test_a_private_position_is_a_name_and_a_valuation(self) -> None:
        assert parse(row(**HOUSE)) == [
            NewLot(
                symbol="A house",
                quantity=Decimal(10),
                entry_price=None,
                entry_date=date(2025, 7, 1),
                investment_class="PRIVATE",
                market_value=Decimal("1000.5"),
                valued_on=date(2025, 7, 10),
            )
        ]

    def test_a_private_position_may_have_a_price_and_an_exit_and_be_worth_nothing(self) -> None:
        cells = {"entry_price": "99.5", "exit_price": "0", "exit_date": "2025-07-10", "market_value": "0"}
        (lot,) = parse(row(**{**HOUSE, **cells}, notes="gone"))
        assert (lot.entry_price, lot.exit_price, lot.exit_date) == (Decimal("99.5"), Decimal(0), date(2025, 7, 10))
        assert (lot.market_value, lot.valued_on, lot.notes) == (Decimal(0), date(2025, 7, 10), "gone")

    @pytest.mark.parametrize("name", ["x" * 60, "Gr\u00fc\u00dfe & S\u00f6hne GmbH", "NOPE", CONTRACT])
    def test_a_private_position_has_any_name(self, name: str) -> None:
        assert parse(row(**{**HOUSE, "symbol": name}))[0].symbol == name

    def test_the_example_of_the_documentation(self) -> None:
        document = (Path(__file__).resolve().parents[1] / "docs/positions-file.md").read_text(encoding="utf-8")
        (example,) = re.findall(r"^```\n(symbol,.*?)^```", document, flags=re.MULTILINE | re.DOTALL)
        lots = parse_positions(example.encode(), today=TODAY)
        assert [lot.investment_class for lot in lots] == ["PUBLIC", "PUBLIC", "OPTIONS", "PRIVATE"]

    @given(
        quantity=st.decimals(-(10**6), 10**6, places=4).filter(bool),
        price=st.decimals("0.0001", 10**4, places=4),
        day=st.dates(date(2000, 1, 1), TODAY),
    )
    def test_numbers_and_dates_are_exact(self, quantity: Decimal, price: Decimal, day: date) -> None:
        content = row(quantity=f"{quantity:f}", entry_price=f"{price:f}", entry_date=day.isoformat())
        assert parse(content) == [NewLot("AAPL", quantity, price, day)]

    def test_as_many_positions_as_promised(self) -> None:
        comments = "# comment\n" * 100
        assert len(parse(comments + HEADER + "\n" + f"{LINE}\n" * MAX_LINES)) == MAX_LINES


NOT_A_NUMBER = "is not a number with at most 4 decimal places"
NOT_POSITIVE = "is not a positive number with at most 4 decimal places"
NOT_A_DATE = "is not a date like 2025-07-31"
NO_COMMAS = "; write it like 1000.50, without commas"
BAD_NOTES = "notes are not one line of at most 1,000 characters"

WRONG_CELLS: list[tuple[Mapping[str, str], str]] = [
    ({"symbol": ""}, "symbol is missing"),
    ({"symbol": "aapl"}, "symbol 'aapl' is not a ticker"),
    ({"symbol": "AAPL US"}, "symbol 'AAPL US' is not a ticker"),
    ({"symbol": "AÄPL"}, "symbol 'AÄPL' is not a ticker"),
    ({"symbol": "A" * 40}, f"symbol '{'A' * 20}' is not a ticker"),
    ({"quantity": ""}, "quantity is missing"),
    ({"quantity": "0"}, "quantity is zero"),
    ({"quantity": "-0.0000"}, "quantity is zero"),
    ({"quantity": "ten"}, f"quantity 'ten' {NOT_A_NUMBER}"),
    ({"quantity": "NaN"}, f"quantity 'NaN' {NOT_A_NUMBER}"),
    ({"quantity": "-inf"}, f"quantity '-inf' {NOT_A_NUMBER}"),
    ({"quantity": "1e3"}, f"quantity '1e3' {NOT_A_NUMBER}"),
    ({"quantity": "+5"}, f"quantity '+5' {NOT_A_NUMBER}"),
    ({"quantity": "1_000"}, f"quantity '1_000' {NOT_A_NUMBER}"),
    ({"quantity": '"1,000"'}, f"quantity '1,000' {NOT_A_NUMBER}{NO_COMMAS}"),
    ({"quantity": "5."}, f"quantity '5.' {NOT_A_NUMBER}"),
    ({"quantity": ".5"}, f"quantity '.5' {NOT_A_NUMBER}"),
    ({"quantity": "0.00001"}, f"quantity '0.00001' {NOT_A_NUMBER}"),
    ({"quantity": "١٢"}, f"quantity '١٢' {NOT_A_NUMBER}"),
    ({"quantity": "9" * 50}, f"quantity '{'9' * 40}' {NOT_A_NUMBER}"),
    ({"quantity": "1." + "0" * 40}, f"quantity '1.{'0' * 38}' {NOT_A_NUMBER}"),
    ({"entry_price": ""}, "entry_price is missing"),
    ({"entry_price": "0"}, "entry_price is zero"),
    ({"entry_price": "-1"}, f"entry_price '-1' {NOT_POSITIVE}"),
    ({"entry_price": "$5"}, f"entry_price '$5' {NOT_POSITIVE}"),
    ({"entry_price": '"100,50"'}, f"entry_price '100,50' {NOT_POSITIVE}{NO_COMMAS}"),
    ({"entry_price": "nan"}, f"entry_price 'nan' {NOT_POSITIVE}"),
    ({"entry_price": "10000000000"}, "entry_price 10000000000 is too large; prices are below 10,000,000,000"),
    ({"entry_date": ""}, "entry_date is missing"),
    ({"entry_date": "2025-02-30"}, f"entry_date '2025-02-30' {NOT_A_DATE}"),
    ({"entry_date": "20250701"}, f"entry_date '20250701' {NOT_A_DATE}"),
    ({"entry_date": "01/07/2025"}, f"entry_date '01/07/2025' {NOT_A_DATE}"),
    ({"entry_date": "2025-07-01T00:00"}, f"entry_date '2025-07-01T00:00' {NOT_A_DATE}"),
    ({"entry_date": "2025-08-01"}, "entry_date 2025-08-01 is in the future"),
    ({"entry_date": "1899-12-31"}, "entry_date 1899-12-31 is before 1900-01-01"),
    ({"exit_price": "-0", "exit_date": "2025-07-02"}, f"exit_price '-0' {NOT_POSITIVE}"),
    ({"units_date": "2025-06-30"}, "units_date 2025-06-30 is before entry_date 2025-07-01"),
    ({"units_date": "2025-08-01"}, "units_date 2025-08-01 is in the future"),
    ({**OPTION, "units_date": "2025-07-01"}, "units_date belongs to PUBLIC positions"),
    ({"notes": "x" * 1_001}, BAD_NOTES),
    ({"exit_price": "5"}, "exit_price and exit_date go together"),
    ({"exit_date": "2025-07-02"}, "exit_price and exit_date go together"),
    ({"exit_price": "-1", "exit_date": "2025-07-02"}, f"exit_price '-1' {NOT_POSITIVE}"),
    ({"exit_price": "5", "exit_date": "2025-08-01"}, "exit_date 2025-08-01 is in the future"),
    ({"exit_price": "5", "exit_date": "2025-06-30"}, "exit_date 2025-06-30 is before entry_date 2025-07-01"),
    ({"market_value": "5"}, "market_value belongs to PRIVATE positions"),
    ({"valued_on": "2025-07-01"}, "valued_on belongs to PRIVATE positions"),
    ({"investment_class": "public"}, "investment_class 'public' is not PUBLIC, OPTIONS or PRIVATE"),
    ({"investment_class": "STOCKS"}, "investment_class 'STOCKS' is not PUBLIC, OPTIONS or PRIVATE"),
    ({"symbol": CONTRACT}, f"symbol {CONTRACT} is an option contract: its investment_class is OPTIONS"),
]

WRONG_CONTRACTS: list[tuple[Mapping[str, str], str]] = [
    ({"symbol": ""}, "symbol is missing"),
    (
        {"symbol": "AAPL"},
        "symbol 'AAPL' is not an OCC option symbol like AAPL240119C00150000: root, yymmdd, C or P, strike x 1000",
    ),
    ({"symbol": "AAPL250231C00150000"}, "symbol 'AAPL250231C00150000': 250231 is not a date in the form yymmdd"),
    ({"symbol": "AAPL250718C00000000"}, "symbol 'AAPL250718C00000000': the strike is zero"),
    ({"quantity": "0"}, "quantity is zero"),
    ({"entry_price": ""}, "entry_price is missing"),
    ({"entry_price": "0"}, "entry_price is zero"),
    ({"entry_date": "2025-07-19"}, "expiry 2025-07-18 is before entry_date 2025-07-19"),
    ({"exit_price": "0", "exit_date": "2025-07-19"}, "expiry 2025-07-18 is before exit_date 2025-07-19"),
    ({"market_value": "5"}, "market_value belongs to PRIVATE positions"),
]

WRONG_PRIVATE: list[tuple[Mapping[str, str], str]] = [
    ({"symbol": ""}, "symbol is missing"),
    ({"symbol": "x" * 61}, f"symbol '{'x' * 20}' is not a name of 1 to 60 printable characters"),
    ({"symbol": "A\u200bB"}, "symbol 'A\\u200bB' is not a name of 1 to 60 printable characters"),
    ({"quantity": ""}, "quantity is missing"),
    ({"quantity": "0"}, "quantity is zero"),
    ({"quantity": "-1"}, "quantity is negative; a PRIVATE position is held long"),
    ({"quantity": "x"}, f"quantity 'x' {NOT_A_NUMBER}"),
    ({"entry_price": "0"}, "entry_price is zero"),
    ({"entry_date": ""}, "entry_date is missing"),
    ({"market_value": ""}, "market_value is missing"),
    ({"market_value": "-1"}, "market_value '-1' is not an amount of 0 or more with at most 8 decimal places"),
    (
        {"market_value": "1.000000001"},
        "market_value '1.000000001' is not an amount of 0 or more with at most 8 decimal places",
    ),
    ({"valued_on": ""}, "valued_on is missing"),
    ({"valued_on": "2025-08-01"}, "valued_on 2025-08-01 is in the future"),
    ({"valued_on": "2025-06-30"}, "valued_on 2025-06-30 is before entry_date 2025-07-01"),
    ({"exit_price": "5"}, "exit_price and exit_date go together"),
    ({"exit_price": "5", "exit_date": "2025-07-09"}, "exit_date 2025-07-09 is before valued_on 2025-07-10"),
]


class TestWhatIsRefused:
    @pytest.mark.fault(30)
    @pytest.mark.parametrize(("cells", "problem"), WRONG_CONTRACTS)
    def test_a_wrong_cell_of_an_option_is_named(self, cells: Mapping[str, str], problem: str) -> None:
        assert problems(row(**{**OPTION, **cells})) == [f"line 2: {problem}"]

    @pytest.mark.fault(30)
    @pytest.mark.parametrize(("cells", "problem"), WRONG_PRIVATE)
    def test_a_wrong_cell_of_a_private_position_is_named(self, cells: Mapping[str, str], problem: str) -> None:
        assert problems(row(**{**HOUSE, **cells})) == [f"line 2: {problem}"]

    @pytest.mark.parametrize(("cells", "problem"), WRONG_CELLS)
    def test_a_wrong_cell_is_named_with_line_and_column(self, cells: Mapping[str, str], problem: str) -> None:
        assert problems(row(**cells)) == [f"line 2: {problem}"]

    def test_every_wrong_cell_of_every_line_is_named(self) -> None:
        content = f"{HEADER}\nnope,x,0,2025-13-01\n{LINE}\nSPY,1,,2025-07-01\n"
        assert problems(content) == [
            "line 2: symbol 'nope' is not a ticker",
            f"line 2: quantity 'x' {NOT_A_NUMBER}",
            "line 2: entry_price is zero",
            f"line 2: entry_date '2025-13-01' {NOT_A_DATE}",
            "line 4: entry_price is missing",
        ]

    @pytest.mark.fault(30)
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("", ["the first line must name symbol, quantity, entry_price, entry_date"]),
            ("\n# only a comment\n", ["the first line must name symbol, quantity, entry_price, entry_date"]),
            (HEADER, ["add a line below the header"]),
            (LINE, [f"line 1: the column {name} is missing" for name in REQUIRED_COLUMNS]),
            (f"#\n\n{HEADER},currency\n{LINE},USD", ["line 3: the column 'currency' is not known"]),
            (f"{HEADER},\n{LINE},", ["line 1: the column '' is not known"]),
            (f"{HEADER},Symbol\n{LINE},SPY", ["line 1: the column symbol stands there twice"]),
            (
                "symbol;quantity;entry_price;entry_date",
                ["line 1: the columns are separated by ';'; save the file with commas between them"],
            ),
            (f"{HEADER}\nAAPL,10,100.5", ["line 2: 3 cells, the header names 4"]),
            (f"{HEADER}\nAAPL,10,100,50,2025-07-01", ["line 2: 5 cells, the header names 4"]),
            (
                f"{HEADER}\n{LINE}\nAAPL\n{LINE},\n",
                ["line 3: 1 cells, the header names 4", "line 4: 5 cells, the header names 4"],
            ),
        ],
    )
    def test_a_wrong_shape_is_named(self, content: str, expected: list[str]) -> None:
        assert problems(content)[: len(expected)] == expected

    @pytest.mark.parametrize(
        ("cell", "line"),
        [
            ('"never closed', "line 2: "),
            ('"closed" too early', "line 2: "),
            ('"on two\nlines"', "line 2: "),
            ("x" * 200_000, "line 2: "),
        ],
    )
    def test_a_cell_that_is_no_csv_is_refused(self, cell: str, line: str) -> None:
        found = problems(row(notes=cell))
        assert found[0].startswith(line)
        assert "cannot be read as CSV" in found[0]

    @pytest.mark.parametrize("cell", ['"symbol', "x" * 200_000])
    def test_a_header_that_is_no_csv_is_refused(self, cell: str) -> None:
        assert problems(f"{cell},quantity,entry_price,entry_date\n{LINE}")[0].startswith("line 1: ")

    @pytest.mark.fault(30)
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_another_encoding_is_refused(self, mark: bytes) -> None:
        content = mark + row(notes="Grüße").encode("cp1252")
        place = content.index("ü".encode("cp1252"))
        assert problems(content) == [f"line 2: byte {place} cannot be read; save the file as UTF-8"]

    def test_text_in_two_bytes_a_character_is_refused(self) -> None:
        assert problems(row().encode("utf-16"))[0].startswith("line 1: byte 0 cannot be read")

    @pytest.mark.fault(30)
    def test_nul_bytes_are_refused(self) -> None:
        assert problems(f"{HEADER}\n{LINE}\nSP\0Y,1,1,2025-07-01") == [
            "line 3: it contains a NUL byte; save the file as CSV"
        ]

    @pytest.mark.fault(30)
    def test_a_file_that_is_too_long_is_refused(self) -> None:
        content = HEADER + "\n" + f"{LINE}\n" * (MAX_LINES + 1)
        assert problems(content) == ["10001 positions, at most 10000 are read"]

    @pytest.mark.parametrize(
        "lines",
        [
            ["AAPL,99999999999999.9999,9999999999.9999,2025-07-01"],
            ["AAPL,-50000001,1000,2025-07-01"],
            ["AAPL,30000000,1000,2025-07-01", "SPY,-30000000,1000,2025-07-01"],
            [f"{CONTRACT},-500001,1000,2025-07-01,OPTIONS"],
            ["AAPL,1,1,2025-07-01,,50000001,2025-07-31", "AAPL,999,1,2025-07-01,,50000000,2025-07-31"],
            ["A house,5,9999999999,2025-07-01,PRIVATE,,,5.0001,2025-07-01"],
        ],
    )
    def test_a_book_beyond_the_ledgers_integers_is_refused(self, lines: list[str]) -> None:
        columns = ["investment_class", "exit_price", "exit_date", "market_value", "valued_on"]
        content = "\n".join([",".join([HEADER, *columns]), *(line + "," * (8 - line.count(",")) for line in lines)])
        assert problems(content) == [
            f"line {len(lines) + 1}: the positions up to this line come to more than 50,000,000,000 USD"
        ]

    def test_the_largest_book_is_read(self) -> None:
        assert len(parse(f"{HEADER}\nAAPL,50000000,500,2025-07-01\nSPY,-50000000,500,2025-07-01\n")) == 2


class TestWhatIsWritten:
    def test_a_file_is_quoted_where_there_is_text_and_numbers_stay_numbers(self) -> None:
        lot = {"symbol": "# =1", "quantity": "-5.5000", "entry_date": "2025-07-01", "notes": '=HYPERLINK("x")'}
        assert "".join(positions_csv([lot])) == (
            f"{WIDE_HEADER}\r\n" + '"# =1",-5.5000,,2025-07-01,,,,,,"\'=HYPERLINK(""x"")",\r\n'
        )

    @pytest.mark.fault(29)
    @given(
        name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(
            lambda text: text == text.strip() and text.isprintable()
        ),
        notes=st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")).filter(
            lambda text: text == text.strip()
        ),
    )
    def test_whatever_text_is_written_is_read_as_it_was(self, name: str, notes: str) -> None:
        cells = {**HOUSE, "symbol": name, "quantity": "1", "entry_date": "2025-07-01", "notes": notes}
        content = "".join(positions_csv([cells]))
        (lot,) = parse(content)
        assert (lot.symbol, lot.notes) == (name, notes or None)
        # What follows the quotes of a text cell is no formula to a spreadsheet.
        (_, (symbol, *_)) = csv.reader(io.StringIO(content))
        assert symbol[0] not in "=+-@\t\r"
