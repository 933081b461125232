"""``sigmasight backfill``: every product of a range, through Dagster."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.common import Json, open_database, parse_date, told_if_interrupted
from sigmasight_assets.commands.output import show_json
from sigmasight_assets.commands.progress import progress

if TYPE_CHECKING:
    from sigmasight_assets.commands.backfill_run import BackfillOutcome
    from sigmasight_assets.storage.database import Database


def backfill(
    first: Annotated[
        date,
        typer.Option(
            "--from", parser=parse_date, metavar="DATE", help="First session.", autocompletion=completion.sessions
        ),
    ],
    last: Annotated[
        date,
        typer.Option(
            "--to", parser=parse_date, metavar="DATE", help="Last session.", autocompletion=completion.sessions
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Recompute and publish also what is fresh.")] = False,
    runs: Annotated[
        int, typer.Option("--runs", min=1, max=64, help="Cut the range into so many runs, for several workers.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Bring every product of the sessions from --from to --to up to date, through Dagster."""
    from sigmasight_assets.commands.backfill_run import (
        BackfillOutcome,
        print_outcome,
        requested_sessions,
        run_backfill,
    )
    from sigmasight_assets.services.home import Home
    from sigmasight_assets.services.stack import dagster_services, running_graphql_url
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.calendar import read_calendar

    settings = load_settings()
    with open_database(settings) as database:
        with database.begin() as connection:
            sessions = requested_sessions(read_calendar(connection), settings, first, last)
        outcome = BackfillOutcome(sessions=len(sessions))
        goes_on = running_graphql_url(Home.at(settings.home)) is not None
        with (
            told_if_interrupted(lambda: _interrupted(database, outcome, sessions, goes_on=goes_on)),
            progress(as_json=as_json, stages=True) as report,
        ):
            report("using the Dagster that runs" if goes_on else "starting Dagster")
            with dagster_services(settings, database.url, report=report) as graphql_url:
                run_backfill(
                    database, settings, graphql_url, sessions, force=force, runs=runs, report=report, outcome=outcome
                )
    if as_json:
        show_json(outcome.__dict__)
    else:
        print_outcome(outcome)
    raise typer.Exit(outcome.exit_code)


def _interrupted(database: "Database", outcome: "BackfillOutcome", sessions: list[date], *, goes_on: bool) -> str:
    """Where the run and its sessions are."""
    from sigmasight_assets.commands.backfill_run import ASKED_FOR
    from sigmasight_assets.storage.publications import read_symbol_generations

    with database.begin() as connection:
        published = read_symbol_generations(connection, since=sessions[0])
    done = sum(day in published for day in sessions)
    look = "the runs of symbol_layer in Dagster's UI and `sigmasight status` tell"
    if outcome.symbol_run_status == ASKED_FOR and not outcome.symbol_run:
        then = "" if goes_on else ", and ended with the Dagster of this command"
        run = f"a run was asked for and may have been started{then}: {look}"
    elif not outcome.symbol_run:
        run = "no run was started"
    elif goes_on:
        run = f"run {outcome.symbol_run} goes on in Dagster; its UI cancels it"
    else:
        run = f"run {outcome.symbol_run} was ended with the Dagster of this command"
    return f"{run}. {done} of {len(sessions)} sessions are published; the same command takes up the rest"
