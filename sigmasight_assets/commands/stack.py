"""``sigmasight up`` and ``down``: everything on this machine, with demo data where there is none."""

import sys
from typing import Annotated

import typer

from sigmasight_assets.demo import prepare_demo
from sigmasight_assets.services.run import run_detached, run_foreground, stop_run
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage import schema


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is READY and leave it running.")] = False,
) -> None:
    """Start the database, Dagster and the API; make demo data when nothing is there."""
    settings = load_settings()
    if detach:
        run_detached(settings, command=[sys.executable, "-m", "sigmasight_assets", "up"])
    else:
        run_foreground(
            settings,
            migrate=_migrate,
            prepare=lambda running: prepare_demo(settings, running),
        )


def _migrate(url: str) -> None:
    schema.migrate(url)


def down() -> None:
    """Stop everything that `up` started."""
    stop_run(load_settings())
