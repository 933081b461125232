"""The documents agree with the code (settings, commands, defaults) and with each other (links, the index)."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from sigmasight_api.settings import Settings as ApiSettings
from sigmasight_assets.cli import app
from sigmasight_assets.settings import PREFIX, Settings
from tests.documents import DOCS, PAGES, README, ROOT, anchors, blocks, headings, links, tables, without_blocks

# Where Dagster answers is told to the API by whoever starts both.
FIELDS = {
    **{name: field for name, field in ApiSettings.model_fields.items() if name != "dagster_graphql"},
    **Settings.model_fields,
}
SETTINGS = {str(field.validation_alias or PREFIX + name.upper()) for name, field in FIELDS.items()}
# Variables that documents name and that are no settings: what `make run` gives its services, the client of api.md, and
# where the browser's tests leave pictures.
OTHER_VARIABLES = {
    *("SIGMASIGHT_DAGSTER_GRAPHQL", "SIGMASIGHT_DAGSTER_URL"),
    *("SIGMASIGHT_API", "SIGMASIGHT_TOKEN"),
    "SIGMASIGHT_SCREENSHOTS",
}
README_TEXT = README.read_text(encoding="utf-8")

# Typer brings its own click, whose errors it gives one public name: that of their last kind.
Wrong: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)`(?:, `([A-Z_]+)`)?", README_TEXT, flags=re.MULTILINE))
    assert {name for names in documented for name in names if name} == SETTINGS


def test_every_setting_describes_itself() -> None:
    assert all(field.description for field in FIELDS.values())


def test_every_command_is_documented() -> None:
    names = list(_group().commands)
    assert names
    assert [name for name in names if not re.search(rf"`(sigmasight )?{name}[ `]", README_TEXT)] == []


def test_defaults_of_the_readme_are_those_of_the_code() -> None:
    rows = re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \| `([^`]+)` \|", README_TEXT, flags=re.MULTILINE)
    assert rows
    for name, default in rows:
        assert str(FIELDS[name.lower()].default) == default, name


@by_page
def test_every_setting_that_a_document_names_exists(page: Path) -> None:
    named = re.findall(r"\b(?:SIGMASIGHT|POLYGON)_[A-Z][A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8"))
    assert sorted({name for name in named if name not in SETTINGS | OTHER_VARIABLES}) == []


@by_page
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [link for link in links(text) if not _leads_somewhere(page, link)] == []


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("https://", "http://")):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not anchor or (target.is_file() and anchor in anchors(target.read_text(encoding="utf-8")))


@by_page
def test_a_document_has_one_title_and_no_gap_below_it(page: Path) -> None:
    levels = [level for level, _ in headings(page.read_text(encoding="utf-8"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels))


@by_page
def test_tables_have_a_cell_for_each_column(page: Path) -> None:
    rows = [
        (table[0], row) for table in tables(page.read_text(encoding="utf-8").replace("\\|", "/")) for row in table[1:]
    ]
    assert [row for header, row in rows if len(row) != len(header)] == []


def test_the_index_leads_to_every_document() -> None:
    index = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(index.read_text(encoding="utf-8"))}
    # Formulas have an index of their own.
    wanted = [page for page in PAGES if page.parent.name != "formulas" or page.name == "README.md"]
    assert [str(page.relative_to(ROOT)) for page in wanted if page not in {*linked, index}] == []


def test_the_readme_leads_to_the_index() -> None:
    assert "docs/README.md" in links(README_TEXT)


@by_page
def test_every_command_line_parses(page: Path) -> None:
    wrong = []
    for line in command_lines(page.read_text(encoding="utf-8")):
        try:
            parse(line)
        except (Wrong, ValueError) as error:
            wrong.append(f"{line}: {getattr(error, 'message', error)}")
    assert wrong == []


def test_commands_that_the_readme_lists_after_a_group_are_of_that_group() -> None:
    (listed,) = (table for table in tables(README_TEXT) if table[0] == ["command", "does"])
    for cell, _ in listed[1:]:
        first, *others = re.findall(r"`([^`]+)`", cell)
        parse(first)
        for other in others:
            # `up`, `down` are commands of their own; `accept` after `bars list` is one of the group.
            prefix = "sigmasight" if first.split()[1] == "up" else " ".join(first.split()[:2])
            parse(f"{prefix} {other}")


def test_command_lines_are_found_and_wrong_ones_refused() -> None:
    found = [line for page in PAGES for line in command_lines(page.read_text(encoding="utf-8"))]
    assert len(found) > 100
    for wrong in (
        "sigmasight stat",
        "sigmasight db status --long",
        "sigmasight token create --user",
        "sigmasight up now",
    ):
        with pytest.raises(Wrong):
            parse(wrong)


def command_lines(text: str) -> Iterator[str]:
    """Every call of ``sigmasight`` in the fenced blocks and between backquotes, one a line, without what follows it."""
    code = "\n".join(block.body.replace("\\\n", " ") for block in blocks(text) if not block.info.startswith("python"))
    spans = re.findall(r"`(?:\.venv/bin/)?(sigmasight [^`]+)`", without_blocks(text).replace("\n", " "))
    calls = re.findall(r"(?:^|[;|&(] *|bin/|sudo -u \w+ )(sigmasight\"? [a-z][^\n;|&)]*)", code, flags=re.MULTILINE)
    for call in (*spans, *(call.replace('sigmasight"', "sigmasight", 1) for call in calls)):
        yield re.split(r"\s*(?:;|\||&&|>>|>|\s#)", call)[0].strip()


def parse(line: str) -> None:
    """Walk the commands that a line names and have the last of them read its options.

    Arguments are not asked for, as sentences name commands without them; what is in brackets may be left out.
    """
    words = shlex.split(line.replace("[", " ").replace("]", " ").replace("...", ""))
    command = _group()
    context = typer.Context(command, info_name=words.pop(0))
    # COMMAND stands for any of them.
    while hasattr(command, "commands") and words and not (words[0].startswith("-") or words[0].isupper()):
        name, command, _ = command.resolve_command(context, [words.pop(0)])
        context = typer.Context(command, info_name=name, parent=context)
    if hasattr(command, "commands"):
        # A sentence may mean all of the program, or all of a group.
        return
    _, rest, _ = command.make_parser(context).parse_args(words)
    room = [parameter.nargs for parameter in command.params if parameter.param_type_name == "argument"]
    if len(rest) > sum(room) and -1 not in room:
        raise typer.BadParameter(f"takes {sum(room)} arguments, not {rest}")


def _group() -> Any:
    return typer.main.get_command(app)
