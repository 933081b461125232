"""The README agrees with the code: settings, commands and their defaults."""

import re
from pathlib import Path

import typer

from sigmasight_api.settings import Settings as ApiSettings
from sigmasight_assets.cli import app
from sigmasight_assets.settings import PREFIX, Settings

# Where Dagster answers is told to the API by whoever starts both.
FIELDS = {
    **{name: field for name, field in ApiSettings.model_fields.items() if name != "dagster_graphql"},
    **Settings.model_fields,
}
README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)`(?:, `([A-Z_]+)`)?", README, flags=re.MULTILINE))
    existing = {str(field.validation_alias or PREFIX + name.upper()) for name, field in FIELDS.items()}
    assert {name for names in documented for name in names if name} == existing


def test_every_setting_describes_itself() -> None:
    assert all(field.description for field in FIELDS.values())


def test_every_command_is_documented() -> None:
    command = typer.main.get_command(app)
    names = list(command.commands)  # type: ignore[attr-defined]
    assert names
    assert [name for name in names if not re.search(rf"`(sigmasight )?{name}[ `]", README)] == []


def test_defaults_of_the_readme_are_those_of_the_code() -> None:
    rows = re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \| `([^`]+)` \|", README, flags=re.MULTILINE)
    assert rows
    for name, default in rows:
        assert str(FIELDS[name.lower()].default) == default, name
