"""What commands share: exit codes, arguments, the database, and what an interruption leaves.

Every start of the command imports this module and all those of the commands, also to complete a word in a shell. So
they import what takes time where it is used: the whole of it took 1.4 s, the declarations alone take 0.2 s.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from sigmasight_assets.commands.output import remark

if TYPE_CHECKING:
    from sigmasight_assets.settings import Settings
    from sigmasight_assets.storage.database import Database

# Exit codes: 0 done, 1 failed, 2 misused (typer's own), 3 done with named gaps, 130 interrupted.
FAILED, DONE_WITH_GAPS, INTERRUPTED = 1, 3, 130

LONGEST_NAME = 100
LONGEST_REASON = 500


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


Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Reason = Annotated[str, typer.Option(parser=parse_reason, metavar="R", help="Why, for the audit.")]


def database_url(settings: "Settings") -> str:
    """The URL of the settings, or that of the embedded server."""
    from sigmasight_assets.services.postgres import EmbeddedPostgres

    return settings.database_url or EmbeddedPostgres(settings.home).url()


@contextmanager
def open_database(settings: "Settings | None" = None, *, see: str | None = None) -> Iterator["Database"]:
    """The migrated database, closed after the block.

    A command that changes something in one transaction names in ``see`` the one that tells whether it has.
    """
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.database import Database
    from sigmasight_assets.storage.schema import require_current

    state = f"it is done as a whole or not at all; `sigmasight {see}` tells" if see else "nothing was to be changed"
    with told_if_interrupted(lambda: state):
        url = database_url(settings or load_settings())
        # Before queries can be interrupted: a connection that is made that way waits for ever for a silent host.
        require_current(url)
        with _interruptible_queries():
            database = Database(url)
            try:
                yield database
            finally:
                database.close()


@contextmanager
def _interruptible_queries() -> Iterator[None]:
    """Have Ctrl-C end a query that waits, for a lock say: the driver looks at signals only once it has its answer."""
    import select

    from psycopg2 import extensions

    def wait(connection: extensions.connection) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            place = [connection.fileno()]
            try:
                select.select(*((place, [], []) if state == extensions.POLL_READ else ([], place, [])))
            except KeyboardInterrupt:
                connection.cancel()
                raise

    extensions.set_wait_callback(wait)
    try:
        yield
    finally:
        extensions.set_wait_callback(None)


@contextmanager
def told_if_interrupted(state: Callable[[], str]) -> Iterator[None]:
    """Have Ctrl-C in the block end the command with 130 after it said what state things are in."""
    try:
        yield
    except KeyboardInterrupt:
        remark(f"Interrupted: {state()}")
        raise typer.Exit(INTERRUPTED) from None
