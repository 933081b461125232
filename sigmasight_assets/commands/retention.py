"""``sigmasight retention``: what years of data take, archives of old figures, and dropping them."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, Reason, open_database, show
from sigmasight_assets.operations.retention import archive_years, drop_figures, list_partitions
from sigmasight_assets.storage.metadata import FIRST_PARTITION_YEAR, LAST_PARTITION_YEAR

app = typer.Typer(no_args_is_help=True, help="Figures of old years: their size, their archive, and dropping them.")

Before = Annotated[
    int,
    typer.Option(
        "--before",
        min=FIRST_PARTITION_YEAR,
        max=LAST_PARTITION_YEAR,
        metavar="YEAR",
        help="The first year that stays as it is.",
    ),
]
MEGABYTE = 1e6


@app.command("list")
def list_years(as_json: Json = False) -> None:
    """Show the years of each table: estimated rows, and bytes on disk with indexes; people see those with rows."""
    with open_database() as database:
        partitions = list_partitions(database)
    show([item for item in partitions if as_json or item.rows], title="Partitions", as_json=as_json)


@app.command()
def archive(
    before: Before,
    to: Annotated[Path, typer.Option(metavar="DIRECTORY", file_okay=False, help="Where the files go.")],
) -> None:
    """Write the symbol figures of all earlier years into Parquet files, and read them back."""
    with open_database() as database:
        files = archive_years(database, before=before, directory=to)
    rows = sum(item.rows for item in files)
    years = ", ".join(str(year) for year in sorted({item.year for item in files}))
    CONSOLE.print(f"{rows} rows of {years} are in {len(files)} files in {to}")


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
) -> None:
    """Drop the symbol figures of all earlier years; prices and snapshots stay."""
    if (archive is None) != without_archive:
        raise typer.BadParameter("say either --archive DIRECTORY or --without-archive")
    with open_database() as database:
        done = drop_figures(database, before=before, archive=archive, actor=getpass.getuser(), reason=reason)
    years = ", ".join(map(str, done.years))
    CONSOLE.print(f"Figures of {years} are dropped: {done.bytes / MEGABYTE:.1f} MB are free")
