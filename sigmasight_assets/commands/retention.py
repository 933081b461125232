"""``sigmasight retention``: what years of data take, archives of old figures, and dropping them."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.common import Json, Reason, open_database, told_if_interrupted
from sigmasight_assets.commands.output import report, show
from sigmasight_assets.commands.progress import progress

app = typer.Typer(no_args_is_help=True, help="Figures of old years: their size, their archive, and dropping them.")


LAST_YEAR = 9999


def parse_year(text: str) -> int:
    """A year that may have a partition of its own; a misuse error otherwise."""
    from sigmasight_assets.storage.metadata import FIRST_PARTITION_YEAR

    if not (text.isascii() and text.isdigit() and FIRST_PARTITION_YEAR <= int(text) <= LAST_YEAR):
        raise typer.BadParameter(f"{text!r} is not a year from {FIRST_PARTITION_YEAR} to {LAST_YEAR}")
    return int(text)


Before = Annotated[
    int,
    typer.Option(
        "--before",
        parser=parse_year,
        metavar="YEAR",
        help="The first year that stays as it is.",
        autocompletion=completion.years,
    ),
]
MEGABYTE = 1e6


@app.command("list")
def list_years(as_json: Json = False) -> None:
    """Show the years of each table: estimated rows, and bytes on disk with indexes; people see those with rows."""
    from sigmasight_assets.operations.retention import list_partitions

    with open_database() as database:
        partitions = list_partitions(database)
    show([item for item in partitions if as_json or item.rows], title="Partitions", as_json=as_json)


@app.command()
def archive(
    before: Before,
    to: Annotated[Path, typer.Option(metavar="DIRECTORY", file_okay=False, help="Where the files go.")],
    as_json: Json = False,
) -> None:
    """Write the symbol figures of all earlier years into Parquet files, and read them back."""
    from sigmasight_assets.operations.retention import archive_years

    unfinished = f"what was written into {to} is no archive yet; the same command makes it one"
    with (
        open_database() as database,
        told_if_interrupted(lambda: unfinished),
        progress(as_json=as_json) as shown,
    ):
        shown("looking for figures")
        files = archive_years(
            database,
            before=before,
            directory=to,
            progress=lambda done, total: shown.count("archiving", done, total, "files"),
        )
    rows = sum(item.rows for item in files)
    years = ", ".join(str(year) for year in sorted({item.year for item in files}))
    report(
        {"directory": to, "rows": rows, "files": [asdict(item) for item in files]},
        f"{rows} rows of {years} are in {len(files)} files in {to}",
        as_json=as_json,
    )


@app.command()
def drop(
    before: Before,
    reason: Reason,
    archive: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", file_okay=False, help="The archive that holds them.")
    ] = None,
    without_archive: Annotated[
        bool, typer.Option("--without-archive", help="Drop what no archive holds; backfills can compute it again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Drop the symbol figures of all earlier years; prices and snapshots stay."""
    from sigmasight_assets.operations.retention import drop_figures

    if (archive is None) != without_archive:
        raise typer.BadParameter("say either --archive DIRECTORY or --without-archive")
    with open_database(see="retention list") as database, progress(as_json=as_json) as shown:
        shown("waiting for the layers")
        done = drop_figures(
            database,
            before=before,
            archive=archive,
            actor=getpass.getuser(),
            reason=reason,
            progress=lambda done, total: shown.count("comparing with the archive", done, total, "files"),
        )
    years = ", ".join(map(str, done.years))
    report(asdict(done), f"Figures of {years} are dropped: {done.bytes / MEGABYTE:.1f} MB are free", as_json=as_json)
