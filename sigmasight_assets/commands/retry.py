"""``sigmasight retry``: start again what is failed right now, once its cause is mended."""

import getpass
from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, Reason, open_database, parse_date, show_json
from sigmasight_assets.operations.retry import WITHOUT_REASON, Retry
from sigmasight_assets.operations.retry import retry as start_again
from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.stack import running_graphql_url
from sigmasight_assets.settings import Settings, load_settings


def retry(
    session: Annotated[
        date | None, typer.Option(parser=parse_date, metavar="D", help="Only what is failed of this session.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(metavar="SYMBOL", help="Only the onboarding of this symbol.")] = None,
    reason: Reason = WITHOUT_REASON,
    as_json: Json = False,
) -> None:
    """Start again what is failed right now: sessions, snapshots and onboarding requests."""
    settings = load_settings()
    with open_database(settings) as database:
        done = start_again(
            database,
            _dagster(settings),
            clock=settings.clock(),
            pause=settings.retry_pause,
            actor=getpass.getuser(),
            reason=reason,
            session=session,
            symbol=symbol,
        )
    if as_json:
        show_json(asdict(done))
    else:
        _tell(done)


def _dagster(settings: Settings) -> DagsterClient | None:
    url = running_graphql_url(Home.at(settings.home))
    return None if url is None else DagsterClient(url)


def _tell(done: Retry) -> None:
    if not done:
        CONSOLE.print("Nothing is failed")
    for item in done.ranges:
        CONSOLE.print(f"{item.job} from {item.first} to {item.last}: run {item.run_id}")
    for name in done.symbols:
        CONSOLE.print(f"{name} is asked for again")
