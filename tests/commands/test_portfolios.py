"""Tests of ``sigmasight portfolio``: all of a file or nothing, and every mistake named."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from sigmasight_assets.commands.amounts import parse_equity
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import read_lots, read_portfolios
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    Publication,
    next_generation,
    record_publications,
)
from tests.commands.conftest import NO_ANSWER, NO_SERVER, Sigmasight, words
from tests.contents import contents

HEADER = "symbol,quantity,entry_price,entry_date"
GOOD = f"{HEADER}\nSPY,10.0001,500.25,2025-07-01\nTLT,-5,90,2025-06-19\n"
OPTIONS = {"--user": "ann", "--name": "Main", "--equity": "100000.12345678", "--as-of": "2025-07-31"}


def arguments(**changes: str) -> list[str]:
    """The options of an import; a changed one is named without its hyphens."""
    options = {**OPTIONS, **{f"--{name.replace('_', '-')}": value for name, value in changes.items()}}
    return [word for option in options.items() for word in option]


@pytest.fixture
def file(sigmasight: Sigmasight, tmp_path: Path) -> str:
    """A good file, and the symbols in it tracked."""
    assert sigmasight("universe", "add", "SPY", "TLT").code == 0
    path = tmp_path / "positions.csv"
    path.write_text(GOOD)
    return str(path)


class TestImport:
    def test_everything_is_stored_exactly(self, sigmasight: Sigmasight, database: Database, file: str) -> None:
        outcome = sigmasight("portfolio", "import", file, *arguments(name=" Ä [/] "))
        assert outcome.code == 0
        with database.begin() as connection:
            (portfolio,) = read_portfolios(connection)
            lots = read_lots(connection, portfolio.portfolio_id)
        assert outcome.out == f"2 positions imported; portfolio {portfolio.public_id}\n"
        assert (portfolio.owner, portfolio.name, portfolio.as_of) == ("ann", "Ä [/]", date(2025, 7, 31))
        assert portfolio.stated_equity == Decimal("100000.12345678")
        assert [(lot.symbol, lot.quantity, lot.entry_price, lot.entry_date) for lot in lots] == [
            ("SPY", Decimal("10.0001"), Decimal("500.25"), date(2025, 7, 1)),
            ("TLT", Decimal(-5), Decimal(90), date(2025, 6, 19)),
        ]

    def test_a_dry_run_checks_everything_and_stores_nothing(
        self, sigmasight: Sigmasight, refused: Sigmasight, database: Database, file: str
    ) -> None:
        before = contents(database)
        outcome = sigmasight("portfolio", "import", file, *arguments(), "--dry-run")
        assert (outcome.code, outcome.out) == (
            0,
            "2 positions are in order (2 PUBLIC); nothing was stored (--dry-run)\n",
        )
        assert contents(database) == before
        Path(file).write_text(f"{GOOD}nope,1,1,2025-07-01\n")
        assert "line 4: symbol 'nope'" in refused("portfolio", "import", file, *arguments(), "--dry-run").err

    def test_symbols_that_are_not_tracked_are_named_and_asked_for(
        self, sigmasight: Sigmasight, database: Database, file: str
    ) -> None:
        with database.bulk() as transaction:
            rows = [Publication(date(2025, 7, 31), SYMBOL_PRODUCTS, rows_written=1, coverage=1.0, counts={})]
            record_publications(transaction, next_generation(transaction), "symbol", rows, run_id="night")
        Path(file).write_text(f"{GOOD}NEW,1,1,2025-07-01\n")
        dry = sigmasight("portfolio", "import", file, *arguments(), "--dry-run")
        assert dry.out.splitlines()[1].startswith("Not tracked yet, and to be asked for: NEW; `sigmasight universe req")
        assert "requests: none" in sigmasight("universe", "requests").out
        assert "and asked for: NEW;" in sigmasight("portfolio", "import", file, *arguments()).out
        items = json.loads(sigmasight("universe", "requests", "--json").out)["items"]
        # Those that were tracked already and have no price yet are asked for as well.
        assert {item["symbol"] for item in items} == {"NEW", "SPY", "TLT"}
        assert {(item["status"], item["requested_by"]) for item in items} == {("pending", "owner ann")}

    def test_every_class_is_counted_and_stored(self, sigmasight: Sigmasight, database: Database, file: str) -> None:
        Path(file).write_text(
            "symbol,quantity,entry_price,entry_date,investment_class,market_value,valued_on\n"
            "SPY,1,500,2025-07-01,,,\n"
            "O:SPY250801P00600000,-1,2.5,2025-07-01,OPTIONS,,\n"
            "TLT,2,90,2025-07-01,PUBLIC,,\n"
            "A house,1,,2025-07-01,PRIVATE,250000,2025-07-31\n"
        )
        outcome = sigmasight("portfolio", "import", file, *arguments(), "--dry-run")
        counts = "4 positions are in order (1 OPTIONS, 1 PRIVATE, 2 PUBLIC); nothing was stored (--dry-run)\n"
        assert (outcome.code, outcome.out.splitlines(keepends=True)[0]) == (0, counts)
        assert "asked for: SPY250801P00600000;" in outcome.out
        assert sigmasight("portfolio", "import", file, *arguments()).code == 0
        with database.begin() as connection:
            lots = read_lots(connection, read_portfolios(connection)[0].portfolio_id)
        assert [
            (lot.symbol, lot.investment_class, lot.entry_price, lot.market_value, lot.valued_on) for lot in lots
        ] == [
            ("SPY", "PUBLIC", Decimal(500), None, None),
            ("SPY250801P00600000", "OPTIONS", Decimal("2.5"), None, None),
            ("TLT", "PUBLIC", Decimal(90), None, None),
            ("A house", "PRIVATE", None, Decimal(250_000), date(2025, 7, 31)),
        ]

    def test_wrong_lines_are_all_named(self, refused: Sigmasight, file: str) -> None:
        Path(file).write_text(f"{GOOD}nope,nan,1,2025-07-01\nSPY,1,1,2025-08-01\n")
        outcome = refused("portfolio", "import", file, *arguments())
        assert outcome.code == 1
        assert outcome.err.splitlines() == [
            "error: 3 problems, nothing was imported:",
            "line 4: symbol 'nope' is not a ticker",
            "line 4: quantity 'nan' is not a number with at most 4 decimal places",
            "line 5: entry_date 2025-08-01 is in the future",
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "error: The file is empty:\nthe first line must name symbol, quantity, entry_price, entry_date\n"),
            (
                GOOD.encode("utf-16"),
                "error: The file is not UTF-8:\nline 1: byte 0 cannot be read; save the file as UTF-8\n",
            ),
            (
                GOOD.encode() + b"\0",
                "error: The file is not text:\nline 4: it contains a NUL byte; save the file as CSV\n",
            ),
        ],
    )
    def test_a_file_of_another_kind_is_refused(
        self, refused: Sigmasight, file: str, content: bytes, message: str
    ) -> None:
        Path(file).write_bytes(content)
        outcome = refused("portfolio", "import", file, *arguments())
        assert (outcome.code, outcome.err) == (1, message)

    def test_a_file_that_cannot_be_read_is_named(self, refused: Sigmasight, tmp_path: Path) -> None:
        for path, reason in (("nowhere.csv", "No such file or directory"), (str(tmp_path), "Is a directory")):
            outcome = refused("portfolio", "import", path, *arguments())
            assert (outcome.code, outcome.err) == (1, f"error: {path} cannot be read:\n{reason}\n")

    @pytest.mark.parametrize(
        ("as_of", "message"),
        [
            ("2025-07-04", "is not a session of the exchange (XNYS); the nearest are 2025-07-03 and 2025-07-07"),
            ("2025-07-26", "is not a session of the exchange (XNYS); the nearest are 2025-07-25 and 2025-07-28"),
            ("2025-01-09", "is not a session of the exchange (XNYS); the nearest are 2025-01-08 and 2025-01-10"),
            (
                "2025-08-01",
                "is not complete: a session is offered from 21:00 New York of its day; the newest is 2025-07-31",
            ),
            ("1999-12-31", "is outside the calendar (2000 to 2035)"),
            ("9999-12-31", "is outside the calendar (2000 to 2035)"),
        ],
    )
    def test_a_day_that_is_no_complete_session_is_refused(
        self, refused: Sigmasight, file: str, as_of: str, message: str
    ) -> None:
        outcome = refused("portfolio", "import", file, *arguments(as_of=as_of))
        assert (outcome.code, outcome.err) == (1, f"error: {as_of} {message}\n")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"as_of": "2025-07-32"}, "Invalid value for '--as-of': '2025-07-32' is not a date like 2025-07-31"),
            ({"as_of": "yesterday"}, "Invalid value for '--as-of': 'yesterday' is not a date like 2025-07-31"),
            ({"equity": "NaN"}, "'--equity': 'NaN' is not an amount from -50,000,000,000 to 50,000,000,000 USD"),
            ({"equity": "1,000"}, "Invalid value for '--equity': '1,000' is not an amount from"),
            ({"user": ""}, "Invalid value for '--user': '' is not a name of 1 to 100 printable characters"),
            ({"name": "a\nb"}, "Invalid value for '--name': 'a\\nb' is not a name of 1 to 100 printable characters"),
        ],
    )
    def test_misuse_is_told(self, refused: Sigmasight, file: str, changes: dict[str, str], message: str) -> None:
        outcome = refused("portfolio", "import", file, *arguments(**changes))
        assert outcome.code == 2
        assert message in words(outcome.err)

    @pytest.mark.parametrize("missing", list(OPTIONS))
    def test_every_option_is_needed(self, refused: Sigmasight, file: str, missing: str) -> None:
        given = [word for option in OPTIONS.items() if option[0] != missing for word in option]
        outcome = refused("portfolio", "import", file, *given)
        assert outcome.code == 2
        assert f"Missing option '{missing}'" in words(outcome.err)

    def test_a_name_is_taken_once_by_an_owner(self, sigmasight: Sigmasight, refused: Sigmasight, file: str) -> None:
        assert sigmasight("portfolio", "import", file, *arguments()).code == 0
        outcome = refused("portfolio", "import", file, *arguments(equity="5"))
        message = "error: There is a portfolio named 'Main' already; choose another name\n"
        assert (outcome.code, outcome.err) == (1, message)
        assert sigmasight("portfolio", "import", file, *arguments(user="bob")).code == 0

    def test_a_database_that_is_away_or_empty_is_told(
        self, refused: Sigmasight, file: str, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", NO_SERVER)
        assert refused("portfolio", "import", file, *arguments()).err == NO_ANSWER
        assert refused("portfolio", "list").err == NO_ANSWER
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
        assert refused("portfolio", "import", file, *arguments()).err.endswith("Run `sigmasight db migrate`.\n")
        assert refused("portfolio", "list").err.endswith("Run `sigmasight db migrate`.\n")


class TestEquity:
    @pytest.mark.parametrize("text", ["0", "-1.5", "1e5", "50000000000", "-50000000000", "0.00000001"])
    def test_amounts_the_ledger_can_hold(self, text: str) -> None:
        assert parse_equity(text) == Decimal(text)

    @pytest.mark.parametrize(
        "text",
        [
            *("", "abc", "nan", "sNaN", "inf", "-inf", "1,5", "50000000000.00000001", "0.000000001"),
            *("1e999999", "1e999999999999999", "1e-999999999999999", "9" * 5_000),
        ],
    )
    def test_other_amounts_are_misuse(self, refused: Sigmasight, text: str) -> None:
        outcome = refused("portfolio", "import", "nowhere.csv", *arguments(equity=text))
        assert outcome.code == 2
        message = "is not an amount from -50,000,000,000 to 50,000,000,000 USD with at most 8 decimal places"
        assert message in words(outcome.err)


class TestList:
    def test_it_shows_every_portfolio_in_full(self, sigmasight: Sigmasight, file: str) -> None:
        assert sigmasight("portfolio", "list").out == "Portfolios: none\n"
        sigmasight("portfolio", "import", file, *arguments(equity="0"))
        listed = json.loads(sigmasight("portfolio", "list", "--json").out)
        (item,) = listed["items"]
        assert listed["total"] == 1
        assert (item["owner"], item["name"], item["stated_equity"]) == ("ann", "Main", "0.00000000")
        assert (item["as_of"], item["book_version"], item["stale_from"]) == ("2025-07-31", 1, "2025-07-31")
        shown = sigmasight("portfolio", "list")
        columns = zip(*(line.split("│") for line in shown.out.splitlines() if line.startswith("│")), strict=True)
        assert item["public_id"] in {"".join(cell.strip() for cell in column) for column in columns}


HOLDINGS = (
    f"{HEADER},investment_class,market_value,valued_on\n"
    "SPY,10,500,2025-07-01,,,\nTLT,-5,90,2025-06-19,,,\nA house,2,,2025-07-01,PRIVATE,1000,2025-07-01\n"
)


class TestLots:
    """What owners do with what they hold: list it, close it, value it."""

    @pytest.fixture
    def portfolio(self, sigmasight: Sigmasight, file: str) -> str:
        Path(file).write_text(HOLDINGS)
        imported = sigmasight("portfolio", "import", file, *arguments())
        assert imported.code == 0
        return imported.out.split()[-1]

    @staticmethod
    def listed(sigmasight: Sigmasight, portfolio: str) -> dict[str, dict[str, str | None]]:
        """The lots as programs read them, by symbol; a closed one also by its exit."""
        answer = json.loads(sigmasight("portfolio", "lots", portfolio, "--json").out)
        assert answer["total"] == len(answer["items"])
        return {item["symbol"] + (item["exit_date"] or ""): item for item in answer["items"]}

    def test_they_are_listed_in_full(self, sigmasight: Sigmasight, portfolio: str) -> None:
        lots = self.listed(sigmasight, portfolio)
        assert list(lots) == ["SPY", "TLT", "A house"]
        lots["A house"].pop("public_id")
        assert lots["A house"] == {
            "symbol": "A house",
            "investment_class": "PRIVATE",
            "quantity": "2.0000",
            "units_date": None,
            "entry_price": None,
            "entry_date": "2025-07-01",
            "exit_price": None,
            "exit_date": None,
            "market_value": "1000.00000000",
            "valued_on": "2025-07-01",
            "notes": None,
        }

    def test_people_read_an_id_and_a_sentence(self, sigmasight: Sigmasight, portfolio: str) -> None:
        position = str(self.listed(sigmasight, portfolio)["TLT"]["public_id"])
        sigmasight("portfolio", "close", position, "--on", "2025-07-31", "--price", "88.5")
        shown = sigmasight("portfolio", "lots", portfolio).out
        rows = [[cell.strip() for cell in line.split("│")[1:3]] for line in shown.splitlines() if line.startswith("│")]
        assert position in [cells[0] for cells in rows]
        assert " ".join(cells[1] for cells in rows) == (
            "10 SPY, PUBLIC, entered 2025-07-01 at 500 "
            "-5 TLT, PUBLIC, entered 2025-06-19 at 90 closed 2025-07-31 at 88.5 "
            "2 A house, PRIVATE, entered 2025-07-01 worth 1000 on 2025-07-01"
        )

    def test_one_is_closed_whole(self, sigmasight: Sigmasight, portfolio: str) -> None:
        position = self.listed(sigmasight, portfolio)["TLT"]["public_id"]
        outcome = sigmasight("portfolio", "close", str(position), "--on", "2025-07-31", "--price", "88.5")
        assert (outcome.code, outcome.out) == (0, f"-5.0000 TLT closed on 2025-07-31 at 88.5; position {position}\n")
        lot = self.listed(sigmasight, portfolio)["TLT2025-07-31"]
        assert (lot["exit_price"], lot["public_id"]) == ("88.5000", position)

    def test_one_is_closed_in_part(self, sigmasight: Sigmasight, portfolio: str) -> None:
        position = str(self.listed(sigmasight, portfolio)["SPY"]["public_id"])
        when = ("--on", "2025-07-30", "--price", "0")
        outcome = sigmasight("portfolio", "close", position, *when, "--quantity", "2.5")
        lots = self.listed(sigmasight, portfolio)
        closed = lots["SPY2025-07-30"]
        assert outcome.out == f"2.5000 SPY closed on 2025-07-30 at 0; position {closed['public_id']}\n"
        assert (lots["SPY"]["quantity"], lots["SPY"]["public_id"], closed["quantity"]) == ("7.5000", position, "2.5000")

    def test_a_private_one_is_valued(self, sigmasight: Sigmasight, portfolio: str) -> None:
        position = str(self.listed(sigmasight, portfolio)["A house"]["public_id"])
        outcome = sigmasight("portfolio", "value", position, "--on", "2025-07-31", "--value", "1200.00000001")
        assert (outcome.code, outcome.out) == (0, "A house is worth 1200.00000001 USD from 2025-07-31 on\n")
        lot = self.listed(sigmasight, portfolio)["A house"]
        assert (lot["valued_on"], lot["market_value"]) == ("2025-07-31", "1200.00000001")

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (("SPY", "close --on 2025-08-01 --price 1"), "2025-08-01 is in the future: enter it when it has happened"),
            (("A house", "value --on 2025-08-01 --value 1"), "2025-08-01 is in the future: enter it when it has"),
            (
                ("SPY", "close --on 2025-06-30 --price 1"),
                "SPY: the exit of 2025-06-30 is before the entry of 2025-07-01",
            ),
            (
                ("SPY", "close --on 2025-07-31 --price 1 --quantity 11"),
                "SPY: 11 are to be closed on 2025-07-31, when 10",
            ),
            (("SPY", "value --on 2025-07-31 --value 1"), "SPY: only PRIVATE positions have valuations"),
        ],
    )
    def test_what_the_book_contradicts_is_refused(
        self, refused: Sigmasight, sigmasight: Sigmasight, portfolio: str, edit: tuple[str, str], message: str
    ) -> None:
        symbol, command = edit
        name, *options = command.split()
        position = str(self.listed(sigmasight, portfolio)[symbol]["public_id"])
        outcome = refused("portfolio", name, position, *options)
        assert outcome.code == 1
        assert outcome.err.startswith(f"error: {message}")

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            ("close {} --on 2025-07-31 --price 1", "There is no position {}"),
            ("value {} --on 2025-07-31 --value 1", "There is no position {}"),
            ("lots {}", "There is no portfolio {}"),
        ],
    )
    def test_an_unknown_id_is_named(self, refused: Sigmasight, command: str, message: str) -> None:
        unknown = "6f1c1f0e-0000-4000-8000-000000000000"
        outcome = refused("portfolio", *command.format(unknown).split())
        assert (outcome.code, outcome.err) == (1, f"error: {message.format(unknown)}\n")

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            ("close 5 --on 2025-07-31 --price 1", "Invalid value for 'POSITION': Input should be a valid UUID"),
            ("lots 5", "Invalid value for 'PORTFOLIO': Input should be a valid UUID"),
            ("close {} --on 2025-07-31 --price 10000000000", "is not an amount from 0 to 9,999,999,999.9999 USD"),
            ("close {} --on 2025-07-31 --price 1.00001", "is not an amount from 0 to 9,999,999,999.9999 USD"),
            (
                "close {} --on 2025-07-31 --price 1 --quantity 0",
                "is not an amount from 0.0001 to 99,999,999,999,999.9999",
            ),
            ("close {} --on 2025-07-31 --price 1 --quantity=-1", "is not an amount from 0.0001 to"),
            ("value {} --on 2025-07-31 --value -1", "is not an amount from 0 to 50,000,000,000 USD"),
            ("value {} --on 2025-07-31 --value nan", "is not an amount from 0 to 50,000,000,000 USD"),
            ("value {} --on today --value 1", "'today' is not a date like 2025-07-31"),
        ],
    )
    def test_misuse_is_told(self, refused: Sigmasight, command: str, message: str) -> None:
        outcome = refused("portfolio", *command.format("6f1c1f0e-0000-4000-8000-000000000000").split())
        assert outcome.code == 2
        assert message in words(outcome.err)
