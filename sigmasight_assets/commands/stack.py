"""``sigmasight up`` and ``down``: everything on this machine, with demo data where there is none."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from sigmasight_assets.commands.common import INTERRUPTED, told_if_interrupted
from sigmasight_assets.commands.output import remark, result
from sigmasight_assets.commands.progress import Progress, progress


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return once it is READY and leave it running.")] = False,
) -> None:
    """Start the database, Dagster and the API; make demo data when nothing is there.

    The line READY goes to standard output, everything else to standard error.
    """
    from sigmasight_assets.demo import prepare_demo
    from sigmasight_assets.errors import StoppedError
    from sigmasight_assets.services.run import run_detached, run_foreground
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage import schema

    def migrate(url: str) -> None:
        schema.migrate(url, progress=lambda done, total: shown.count("migrating", done, total, "versions"))

    settings = load_settings()
    with progress(stages=True) as shown:
        report = _reporter(shown)
        if detach:
            with told_if_interrupted(lambda: "what had been started is stopped again"):
                run_detached(settings, command=[sys.executable, "-m", "sigmasight_assets", "up"], report=report)
            return
        try:
            run_foreground(
                settings,
                migrate=migrate,
                prepare=lambda running: prepare_demo(settings, running, report=shown),
                report=report,
            )
        except StoppedError as error:
            shown.close()
            remark(f"Interrupted: {error}")
            raise typer.Exit(INTERRUPTED) from None


def _reporter(shown: Progress) -> Callable[[str], None]:
    """Progress until everything is READY, plain lines afterwards."""
    from sigmasight_assets.services.run import READY_WORD

    def report(line: str) -> None:
        if line.startswith(READY_WORD):
            shown.close()
            result(line)
        else:
            shown(line)

    return report


def down() -> None:
    """Stop everything that `up` started."""
    from sigmasight_assets.services.run import stop_run
    from sigmasight_assets.settings import load_settings

    with (
        told_if_interrupted(lambda: "some of it may still run; `sigmasight down` again ends it"),
        progress() as shown,
    ):
        shown("stopping")
        said: list[str] = []
        stop_run(load_settings(), report=said.append)
    for line in said:
        result(line)
