"""``sigmasight universe``: the tracked symbols."""

from pathlib import Path
from typing import Annotated

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, open_database, show
from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.market_data.files import read_listings
from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.universe import import_listings, read_universe

app = typer.Typer(no_args_is_help=True, help="The tracked symbols.")


@app.command("import")
def import_file(
    file: Annotated[
        Path | None, typer.Argument(help="CSV with symbol, name, sector, sub_industry; default: the market's own list.")
    ] = None,
) -> None:
    """Track the symbols of a file, or of the market's own list, and the eight factor ETFs."""
    listings = read_listings(file) if file is not None else _market_listings()
    _import([*listings, *_missing_funds(listings)])


@app.command()
def add(symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="Tickers the market knows.")]) -> None:
    """Track symbols of the market by ticker."""
    known = {item.symbol: item for item in _market_listings()}
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        market = load_settings().market
        raise NotFoundError(f"The {market} market does not list {', '.join(unknown)}; check the spelling (BRK-B)")
    _import([known[symbol] for symbol in dict.fromkeys(symbols)])


@app.command("list")
def list_symbols(as_json: Json = False) -> None:
    """Show every tracked symbol with its status."""
    with open_database() as database, database.begin() as connection:
        show(read_universe(connection), title="Tracked symbols", as_json=as_json)


def _market_listings() -> list[Listing]:
    return build_source(load_settings(), exchange_calendar()).listings()


def _missing_funds(listings: list[Listing]) -> list[Listing]:
    """The factor ETFs that a file leaves out: nothing can be computed without them."""
    listed = {item.symbol for item in listings}
    missing = [name for name in FACTOR_ETFS if name not in listed]
    known = {item.symbol: item for item in _market_listings()} if missing else {}
    return [known.get(name) or Listing(name, name, "etf", sector=None, industry=None) for name in missing]


def _import(listings: list[Listing]) -> None:
    with open_database() as database, database.begin() as connection:
        counts = import_listings(connection, listings)
    CONSOLE.print(f"{counts.added} symbols added, {counts.changed} changed, {counts.unchanged} already tracked")
