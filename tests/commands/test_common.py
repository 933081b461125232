"""Tests of what commands share: arguments that are refused, the database, and what Ctrl-C leaves."""

from datetime import date

import pytest
import typer

from sigmasight_assets.commands.common import open_database, parse_date, parse_name, told_if_interrupted
from sigmasight_assets.errors import StorageError
from sigmasight_assets.settings import load_settings
from tests.commands.conftest import NO_SERVER


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


def test_an_interruption_ends_with_130_and_the_state_of_things(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, told_if_interrupted(lambda: "half of it is there"):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr() == ("", "Interrupted: half of it is there\n")
