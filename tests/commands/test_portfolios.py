"""Tests of ``sigmasight portfolio``: all of a file or nothing, and every mistake named."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from sigmasight_assets.commands.portfolios import parse_equity
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import read_lots, read_portfolios
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
        assert (outcome.code, outcome.out) == (0, "2 positions are in order; nothing was stored (--dry-run)\n")
        assert contents(database) == before
        Path(file).write_text(f"{GOOD}NOPE,1,1,2025-07-01\n")
        assert "line 4: symbol NOPE" in refused("portfolio", "import", file, *arguments(), "--dry-run").err

    def test_wrong_lines_are_all_named(self, refused: Sigmasight, file: str) -> None:
        Path(file).write_text(f"{GOOD}NOPE,nan,1,2025-07-01\nSPY,1,1,2025-08-01\n")
        outcome = refused("portfolio", "import", file, *arguments())
        assert outcome.code == 1
        assert outcome.err.splitlines() == [
            "error: 3 problems, nothing was imported:",
            "line 4: symbol NOPE is not tracked; add it with `sigmasight universe add NOPE`",
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
            ({"equity": "NaN"}, "Invalid value for '--equity': 'NaN' is not an amount within 50,000,000,000 USD"),
            ({"equity": "1,000"}, "Invalid value for '--equity': '1,000' is not an amount within"),
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
        message = "error: User ann already has a portfolio named 'Main'; choose another --name\n"
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
        assert "is not an amount within 50,000,000,000 USD with at most 8 decimal places" in words(outcome.err)


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
