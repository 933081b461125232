"""``sigmasight universe``: the tracked symbols."""

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.amounts import parse_price
from sigmasight_assets.commands.common import Json, Reason, open_database, parse_date
from sigmasight_assets.commands.output import report, show
from sigmasight_assets.commands.progress import progress

if TYPE_CHECKING:
    from sigmasight_assets.market_data.protocol import Listing
    from sigmasight_assets.storage.onboarding import OnboardingRequest
    from sigmasight_assets.storage.universe import ImportCounts

app = typer.Typer(no_args_is_help=True, help="The tracked symbols.")


@app.command("import")
def import_file(
    file: Annotated[
        Path | None, typer.Argument(help="CSV with symbol, name, sector, sub_industry; default: the market's own list.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Track the symbols of a file, or of the market's own list, and the eight factor ETFs."""
    from sigmasight_assets.market_data.files import read_listings
    from sigmasight_assets.storage.universe import import_listings

    with progress(as_json=as_json) as shown:
        shown(f"reading {file.name if file else 'the list of the market'}")
        listings = read_listings(file) if file is not None else _market_listings()
        listings = [*listings, *_missing_funds(listings)]
        with open_database(see="universe list") as database, database.begin() as connection:
            shown(f"storing {len(listings):,} symbols; a price update under way is waited for")
            counts = import_listings(
                connection, listings, progress=lambda done, total: shown.count("storing", done, total, "symbols")
            )
    report(asdict(counts), _counted(counts), as_json=as_json)


@app.command()
def add(
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...", help="Tickers the market knows.")],
    as_json: Json = False,
) -> None:
    """Track symbols of the market by ticker."""
    from sigmasight_assets.errors import NotFoundError
    from sigmasight_assets.market_data.protocol import TICKER
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.onboarding import request_pending
    from sigmasight_assets.storage.universe import import_listings, read_universe

    known = {item.symbol: item for item in _market_listings()}
    # Of a market without a list the answer to the request tells whether it knows them.
    has_list = bool(known)
    if not has_list:
        known = {symbol: _unlisted(symbol) for symbol in symbols if TICKER.fullmatch(symbol)}
    unknown = [symbol for symbol in symbols if symbol not in known]
    if unknown:
        market = load_settings().market
        raise NotFoundError(f"The {market} market does not list {', '.join(unknown)}; check the spelling (BRK-B)")
    with open_database(see="universe list") as database, database.begin() as connection:
        # Without a list there is no better description than the one that is there.
        kept = set() if has_list else {item.symbol for item in read_universe(connection)}
        counts = import_listings(connection, [known[symbol] for symbol in dict.fromkeys(symbols) if symbol not in kept])
        asked = request_pending(connection, symbols, requested_by=f"operator {getpass.getuser()}")
    lines = [_counted(counts)]
    if asked:
        lines.append(f"Asked for at once: {', '.join(asked)}; see `sigmasight universe requests`")
    report({**asdict(counts), "pending_symbols": asked}, "\n".join(lines), as_json=as_json)


@app.command("list")
def list_symbols(as_json: Json = False) -> None:
    """Show every tracked symbol with its status."""
    from sigmasight_assets.storage.universe import read_universe

    with open_database() as database, database.begin() as connection:
        show(read_universe(connection), title="Tracked symbols", as_json=as_json)


@app.command("requests")
def list_requests(as_json: Json = False) -> None:
    """Show the newest requests to bring symbols in at once, newest first."""
    from sigmasight_assets.storage.onboarding import read_requests

    with open_database() as database, database.begin() as connection:
        requests = read_requests(connection)
    show(requests if as_json else [_row(item) for item in requests], title="Onboarding requests", as_json=as_json)


@app.command("cash-out")
def cash_out_symbol(
    symbol: Annotated[
        str, typer.Argument(metavar="SYMBOL", help="Delisted ticker.", autocompletion=completion.delisted_symbols)
    ],
    on: Annotated[date, typer.Option(parser=parse_date, metavar="D", help="Date of the payment.")],
    price: Annotated[Any, typer.Option(parser=parse_price, metavar="P", help="USD a share.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Close every open lot of a delisted symbol at the price that holders were paid."""
    from sigmasight_assets.operations.cash_out import cash_out
    from sigmasight_assets.settings import load_settings

    now = load_settings().clock()
    with open_database(see="status") as database:
        done = cash_out(database, symbol, on=on, price=price, actor=getpass.getuser(), reason=reason, now=now)
    sentence = f"{done.lots} lots of {done.symbol} in {done.portfolios} portfolios closed on {on} at {price}"
    report({**asdict(done), "on": on, "price": price}, sentence, as_json=as_json)


def _row(request: "OnboardingRequest") -> dict[str, Any]:
    """What fits people's screens."""
    asked = f"{request.requested_at:%Y-%m-%d %H:%M:%S} UTC by {request.requested_by}"
    return {"symbol": request.symbol, "status": request.status, "asked": asked, "outcome": request.sentence}


def _market_listings() -> "list[Listing]":
    from sigmasight_assets.market_data.source import build_source
    from sigmasight_assets.sessions import exchange_calendar
    from sigmasight_assets.settings import load_settings

    return build_source(load_settings(), exchange_calendar()).listings()


def _missing_funds(listings: "Sequence[Listing]") -> "list[Listing]":
    """The factor ETFs that a file leaves out: nothing can be computed without them."""
    from sigmasight_assets.quant.factors import FACTOR_ETFS

    listed = {item.symbol for item in listings}
    missing = [name for name in FACTOR_ETFS if name not in listed]
    known = {item.symbol: item for item in _market_listings()} if missing else {}
    return [known.get(name) or _unlisted(name) for name in missing]


def _unlisted(symbol: str) -> "Listing":
    from sigmasight_assets.market_data.protocol import Listing
    from sigmasight_assets.quant.factors import FACTOR_ETFS

    return Listing(symbol, symbol, "etf" if symbol in FACTOR_ETFS else "equity", sector=None, industry=None)


def _counted(counts: "ImportCounts") -> str:
    return f"{counts.added} symbols added, {counts.changed} changed, {counts.unchanged} already tracked"
