"""``sigmasight session``: sessions that later ones do not wait for."""

import getpass
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.common import Json, Reason, open_database, parse_date
from sigmasight_assets.commands.output import report, show

if TYPE_CHECKING:
    from sigmasight_assets.operations.session_decisions import DecidedSession

app = typer.Typer(no_args_is_help=True, help="Sessions that later ones do not wait for: waived, or closed.")

Day = Annotated[
    date, typer.Argument(parser=parse_date, metavar="D", help="Date, 2025-07-31.", autocompletion=completion.sessions)
]
DecidedDay = Annotated[
    date,
    typer.Argument(
        parser=parse_date, metavar="D", help="Date, 2025-07-31.", autocompletion=completion.decided_sessions
    ),
]
TOLD_BY = "session list"


@app.command("list")
def list_decisions(as_json: Json = False) -> None:
    """Show the waived and the closed sessions."""
    from sigmasight_assets.operations.session_decisions import list_session_decisions

    with open_database() as database:
        show(list_session_decisions(database), title="Decided sessions", as_json=as_json)


@app.command()
def waive(day: Day, reason: Reason, as_json: Json = False) -> None:
    """Have later sessions not wait for one that will never be published."""
    from sigmasight_assets.operations.session_decisions import waive_session
    from sigmasight_assets.settings import load_settings

    now = load_settings().clock()
    with open_database(see=TOLD_BY) as database:
        _tell(waive_session(database, day, actor=getpass.getuser(), reason=reason, now=now), as_json=as_json)


@app.command()
def unwaive(day: DecidedDay, reason: Reason, as_json: Json = False) -> None:
    """Take a waiver back."""
    from sigmasight_assets.operations.session_decisions import unwaive_session

    with open_database(see=TOLD_BY) as database:
        _tell(unwaive_session(database, day, actor=getpass.getuser(), reason=reason), as_json=as_json)


@app.command()
def close(day: Day, reason: Reason, as_json: Json = False) -> None:
    """Take a date out of the calendar, because the exchange did not trade."""
    from sigmasight_assets.operations.session_decisions import close_session

    with open_database(see=TOLD_BY) as database:
        _tell(close_session(database, day, actor=getpass.getuser(), reason=reason), as_json=as_json)


@app.command()
def reopen(day: DecidedDay, reason: Reason, as_json: Json = False) -> None:
    """Put a closed date back into the calendar."""
    from sigmasight_assets.operations.session_decisions import reopen_session

    with open_database(see=TOLD_BY) as database:
        _tell(reopen_session(database, day, actor=getpass.getuser(), reason=reason), as_json=as_json)


def _tell(done: "DecidedSession", *, as_json: bool) -> None:
    report(asdict(done), f"{done.session} is {done.decision}: {done.effect}", as_json=as_json)
