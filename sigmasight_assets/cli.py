"""The command ``sigmasight``: puts the commands together and turns our errors into one line and an exit code."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

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
    worker,
)
from sigmasight_assets.commands.common import FAILED, INTERRUPTED
from sigmasight_assets.commands.output import patient_output, remark
from sigmasight_assets.errors import SigmaSightError

PROGRAM = "sigmasight"


class _Commands(TyperGroup):
    """The commands; one that is interrupted and has said nothing of it still ends with a word and 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            remark("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
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
app.command()(worker.worker)


def main() -> None:
    """Run the command line; an error of ours is printed without a traceback."""
    try:
        with patient_output():
            app(prog_name=PROGRAM)
    except SigmaSightError as error:
        remark(f"error: {error}")
        sys.exit(FAILED)
