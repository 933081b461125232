"""The command ``sigmasight``: puts the commands together and turns our errors into one line and an exit code."""

import sys

import typer

from sigmasight_assets.commands import (
    backfill,
    bars,
    database,
    portfolios,
    retention,
    retry,
    sessions,
    stack,
    status,
    tokens,
    universe,
)
from sigmasight_assets.commands.common import FAILED
from sigmasight_assets.errors import SigmaSightError

app = typer.Typer(
    no_args_is_help=True,
    help="SigmaSight: nightly market data and risk figures, and the API that serves them.",
    pretty_exceptions_enable=False,
)
app.add_typer(database.app, name="db")
app.add_typer(universe.app, name="universe")
app.add_typer(portfolios.app, name="portfolio")
app.add_typer(tokens.app, name="token")
app.add_typer(bars.app, name="bars")
app.add_typer(sessions.app, name="session")
app.add_typer(retention.app, name="retention")
app.command()(backfill.backfill)
app.command()(retry.retry)
app.command()(status.status)
app.command()(stack.up)
app.command()(stack.down)


def main() -> None:
    """Run the command line; an error of ours is printed without a traceback."""
    try:
        app()
    except SigmaSightError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(FAILED)
