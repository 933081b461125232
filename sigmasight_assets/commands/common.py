"""What commands share: settings, the database, dates as arguments, output for people and for machines."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.settings import Settings, load_settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.schema import require_current

# Exit codes: 0 done, 1 failed, 2 misused (typer's own), 3 done with named gaps.
FAILED, DONE_WITH_GAPS = 1, 3

# Names and messages may hold what looks like markup: it is shown as it is.
CONSOLE = Console(soft_wrap=True, markup=False, emoji=False)
LONGEST_NAME = 100
LONGEST_REASON = 500
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def parse_date(text: str) -> date:
    """An ISO date; a misuse error otherwise."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date like 2025-07-31") from None


def parse_name(text: str) -> str:
    """The name of a user or a portfolio, without blanks around it; a misuse error when it cannot be shown."""
    name = text.strip()
    if not (name and name.isprintable() and len(name) <= LONGEST_NAME):
        raise typer.BadParameter(f"{text!r} is not a name of 1 to {LONGEST_NAME} printable characters")
    return name


def parse_reason(text: str) -> str:
    """Why an operator decides as he does, for the audit; a misuse error unless it is one line of text."""
    reason = text.strip()
    if not (reason and reason.isprintable() and len(reason) <= LONGEST_REASON):
        raise typer.BadParameter(f"{text!r} is not a reason of 1 to {LONGEST_REASON} printable characters")
    return reason


Reason = Annotated[str, typer.Option(parser=parse_reason, metavar="R", help="Why, for the audit.")]


def database_url(settings: Settings) -> str:
    """The URL of the settings, or that of the embedded server."""
    return settings.database_url or EmbeddedPostgres(settings.home).url()


@contextmanager
def open_database(settings: Settings | None = None) -> Iterator[Database]:
    """The migrated database, closed after the block."""
    url = database_url(settings or load_settings())
    require_current(url)
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def show(rows: Sequence[Any], *, title: str, as_json: bool) -> None:
    """Print dataclasses or mappings as a table, or as JSON."""
    plain = [asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row) for row in rows]
    if as_json:
        show_json({"items": plain, "total": len(plain)})
        return
    if not plain:
        CONSOLE.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left")
    for name in plain[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in plain:
        table.add_row(*("" if value is None else _plain(value) for value in row.values()))
    CONSOLE.print(table)


def show_json(value: Any) -> None:
    """Print a value as JSON; dates become ISO text, decimals become strings."""
    typer.echo(json.dumps(value, default=_plain, indent=2))


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
