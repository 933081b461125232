"""``sigmasight retry``: start again what is failed right now, once its cause is mended."""

import getpass
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.common import Json, open_database, parse_date, parse_reason
from sigmasight_assets.commands.output import result, show_json
from sigmasight_assets.commands.progress import Progress, progress

if TYPE_CHECKING:
    from sigmasight_assets.operations.retry import Retry
    from sigmasight_assets.runs import DagsterClient
    from sigmasight_assets.settings import Settings


def retry(
    session: Annotated[
        date | None,
        typer.Option(
            parser=parse_date,
            metavar="D",
            help="Only what is failed of this session.",
            autocompletion=completion.sessions,
        ),
    ] = None,
    symbol: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL", help="Only the onboarding of this symbol.", autocompletion=completion.failed_symbols
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(parser=parse_reason, metavar="R", help="Why, for the audit; default: none is given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start again what is failed right now: sessions, snapshots and onboarding requests."""
    from sigmasight_assets.operations.retry import WITHOUT_REASON
    from sigmasight_assets.operations.retry import retry as start_again
    from sigmasight_assets.settings import load_settings

    settings = load_settings()
    with open_database(settings, see="status") as database, progress(as_json=as_json) as shown:
        shown("looking for what is failed")
        done = start_again(
            database,
            _dagster(settings, shown),
            clock=settings.clock(),
            pause=settings.retry_pause,
            actor=getpass.getuser(),
            reason=reason or WITHOUT_REASON,
            session=session,
            symbol=symbol,
        )
    if as_json:
        show_json(asdict(done))
    else:
        _tell(done)


def _dagster(settings: "Settings", shown: Progress) -> "DagsterClient | None":
    """Dagster of this home, which tells what it is starting; None when it is not running."""
    from sigmasight_assets.runs import DagsterClient
    from sigmasight_assets.services.home import Home
    from sigmasight_assets.services.stack import running_graphql_url

    class Telling(DagsterClient):
        def launch_range(self, job: str, *, first: date, last: date, tags: Mapping[str, str] | None = None) -> str:
            shown(f"starting {job} from {first} to {last}")
            return super().launch_range(job, first=first, last=last, tags=tags)

    url = running_graphql_url(Home.at(settings.home))
    return None if url is None else Telling(url)


def _tell(done: "Retry") -> None:
    if not done:
        result("Nothing is failed")
    for item in done.ranges:
        result(f"{item.job} from {item.first} to {item.last}: run {item.run_id}")
    for name in done.symbols:
        result(f"{name} is asked for again")
