"""``sigmasight portfolio``: owners' portfolios."""

from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, open_database, parse_date, parse_name, show
from sigmasight_assets.errors import ImportFileError
from sigmasight_assets.positions_file import LARGEST_AMOUNT, parse_positions
from sigmasight_assets.quant.money import MONEY_DIGITS, to_units
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.portfolios import create_portfolio, read_portfolios
from sigmasight_assets.storage.universe import read_universe

app = typer.Typer(no_args_is_help=True, help="Owners' portfolios.")


def parse_equity(text: str) -> Decimal:
    """An amount in USD with at most 8 decimal places; a misuse error otherwise."""
    try:
        amount = Decimal(text)
        fits = abs(to_units(amount, MONEY_DIGITS)) <= to_units(LARGEST_AMOUNT, MONEY_DIGITS)
    except (InvalidOperation, ValueError, OverflowError):
        fits = False
    if not fits:
        raise typer.BadParameter(
            f"{text!r} is not an amount within {LARGEST_AMOUNT:,} USD with at most {MONEY_DIGITS} decimal places"
        )
    return amount


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="Positions CSV; the header is required.")],
    *,
    user: Annotated[str, typer.Option(parser=parse_name, metavar="NAME", help="Owner; created when new.")],
    name: Annotated[
        str, typer.Option(parser=parse_name, metavar="NAME", help="Name of the portfolio, unique per owner.")
    ],
    equity: Annotated[Any, typer.Option(parser=parse_equity, metavar="USD", help="Account equity as of --as-of.")],
    as_of: Annotated[date, typer.Option(parser=parse_date, metavar="DATE", help="Session of the first snapshot.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and store nothing.")] = False,
) -> None:
    """Import a portfolio from a CSV file, all of it or nothing."""
    settings = load_settings()
    exchange_calendar().require_complete(as_of, settings.clock())
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImportFileError(f"{file} cannot be read:", [str(error.strerror)]) from None
    with open_database(settings) as database, database.begin() as connection:
        known = frozenset(item.symbol for item in read_universe(connection))
        lots = parse_positions(content, known_symbols=known, today=settings.clock().astimezone(NEW_YORK).date())
        if dry_run:
            CONSOLE.print(f"{len(lots)} positions are in order; nothing was stored (--dry-run)")
            return
        stored = create_portfolio(connection, user=user, name=name, equity=equity, as_of=as_of, lots=lots)
    CONSOLE.print(f"{len(lots)} positions imported; portfolio {stored.public_id}")


@app.command("list")
def list_portfolios(as_json: Json = False) -> None:
    """Show every portfolio."""
    with open_database() as database, database.begin() as connection:
        show(read_portfolios(connection), title="Portfolios", as_json=as_json)
