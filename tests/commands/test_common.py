"""Tests of what commands share: output for people that loses nothing, output for programs that parses."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
import typer

from sigmasight_assets.commands.common import open_database, parse_date, parse_name
from sigmasight_assets.commands.output import show, show_json
from sigmasight_assets.errors import StorageError
from sigmasight_assets.settings import load_settings
from tests.commands.conftest import NO_SERVER


@dataclass(frozen=True)
class Row:
    name: str
    amount: Decimal
    day: date | None = None


class TestTables:
    @pytest.mark.parametrize("name", ["[/]", "[red]x[/red]", ":smile:", "a [b] c", "\\[x]", "Estée", "x" * 300])
    def test_values_are_shown_as_they_are(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        show([Row(name, Decimal("1.50"))], title="Rows", as_json=False)
        shown = capsys.readouterr().out
        assert name in "".join(line.split("│")[1].strip() if "│" in line else "" for line in shown.splitlines())
        assert "1.50" in shown
        assert "None" not in shown

    def test_no_rows_are_said_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        show([], title="Rows [/]", as_json=False)
        assert capsys.readouterr().out == "Rows [/]: none\n"


class TestJson:
    def test_lists_have_their_total(self, capsys: pytest.CaptureFixture[str]) -> None:
        rows = [Row("é", Decimal("0.00000001"), date(2025, 7, 31)), {"name": "b", "amount": None}]
        show(rows, title="Rows", as_json=True)
        assert json.loads(capsys.readouterr().out) == {
            "items": [{"name": "é", "amount": "0.00000001", "day": "2025-07-31"}, {"name": "b", "amount": None}],
            "total": 2,
        }
        show([], title="Rows", as_json=True)
        assert json.loads(capsys.readouterr().out) == {"items": [], "total": 0}

    def test_values_without_a_json_type_are_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        key = UUID(int=7)
        show_json({"key": key, "at": datetime(2025, 7, 31, 22, tzinfo=UTC), "share": 0.5})
        expected = {"key": str(key), "at": "2025-07-31T22:00:00+00:00", "share": 0.5}
        assert json.loads(capsys.readouterr().out) == expected


class TestArguments:
    def test_dates_are_iso(self) -> None:
        assert parse_date("2025-07-31") == date(2025, 7, 31)

    @pytest.mark.parametrize(
        "text", ["", "2025-07-32", "2025-7-1", "31.07.2025", "07/31/2025", "today", "2025-07-31T00"]
    )
    def test_other_dates_are_misuse(self, text: str) -> None:
        with pytest.raises(typer.BadParameter, match="is not a date like 2025-07-31"):
            parse_date(text)

    @pytest.mark.parametrize("text", ["Main", "Ä & Ö's 2nd [x]", "x" * 100])
    def test_names_are_of_any_script(self, text: str) -> None:
        assert parse_name(text) == text
        assert parse_name(f"  {text} ") == text

    @pytest.mark.parametrize("text", ["", "   ", "a\nb", "a\tb", "a\x07", "\udcff", "x" * 101])
    def test_names_that_cannot_be_shown_are_misuse(self, text: str) -> None:
        with pytest.raises(typer.BadParameter, match="is not a name of 1 to 100 printable characters"):
            parse_name(text)


def test_a_database_that_is_away_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", NO_SERVER)
    with pytest.raises(StorageError, match="does not answer"), open_database(load_settings()):
        pass
