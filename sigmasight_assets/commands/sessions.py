"""``sigmasight session``: sessions that will never be published, and dates on which the exchange did not trade."""

import getpass
from datetime import date
from typing import Annotated

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, Reason, open_database, parse_date, show
from sigmasight_assets.operations.session_decisions import (
    DecidedSession,
    close_session,
    list_session_decisions,
    reopen_session,
    unwaive_session,
    waive_session,
)
from sigmasight_assets.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Sessions that later ones do not wait for: waived, or closed.")

Day = Annotated[date, typer.Argument(parser=parse_date, metavar="D", help="Date, 2025-07-31.")]


@app.command("list")
def list_decisions(as_json: Json = False) -> None:
    """Show the waived and the closed sessions."""
    with open_database() as database:
        show(list_session_decisions(database), title="Decided sessions", as_json=as_json)


@app.command()
def waive(day: Day, reason: Reason) -> None:
    """Have later sessions not wait for one that will never be published."""
    now = load_settings().clock()
    with open_database() as database:
        _tell(waive_session(database, day, actor=getpass.getuser(), reason=reason, now=now))


@app.command()
def unwaive(day: Day, reason: Reason) -> None:
    """Take a waiver back."""
    with open_database() as database:
        _tell(unwaive_session(database, day, actor=getpass.getuser(), reason=reason))


@app.command()
def close(day: Day, reason: Reason) -> None:
    """Take a date out of the calendar, because the exchange did not trade."""
    with open_database() as database:
        _tell(close_session(database, day, actor=getpass.getuser(), reason=reason))


@app.command()
def reopen(day: Day, reason: Reason) -> None:
    """Put a closed date back into the calendar."""
    with open_database() as database:
        _tell(reopen_session(database, day, actor=getpass.getuser(), reason=reason))


def _tell(done: DecidedSession) -> None:
    CONSOLE.print(f"{done.session} is {done.decision}: {done.effect}")
