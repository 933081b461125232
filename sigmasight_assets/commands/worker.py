"""``sigmasight worker``: a worker on this machine, which takes runs from the others' queue."""

import os
from typing import Annotated

import typer


def worker(
    name: Annotated[
        str, typer.Option("--name", help="Tells the workers of one machine apart; any letters and digits.")
    ] = "worker",
) -> None:
    """Take runs from the queue and do them, one at a time, until it is stopped.

    A run under way is then interrupted, says so, and is done by another worker.
    """
    from sigmasight_assets.services.worker import prepare_worker
    from sigmasight_assets.settings import load_settings

    command, environment = prepare_worker(load_settings(), name)
    os.execve(command[0], command, environment)  # noqa: S606
