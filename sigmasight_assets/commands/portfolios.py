"""``sigmasight portfolio``: owners' portfolios."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.amounts import parse_equity, parse_price, parse_quantity, parse_value
from sigmasight_assets.commands.common import Json, open_database, parse_date, parse_name
from sigmasight_assets.commands.output import report, show
from sigmasight_assets.commands.progress import progress

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sigmasight_assets.settings import Settings
    from sigmasight_assets.storage.portfolios import NewLot, StoredLot

app = typer.Typer(no_args_is_help=True, help="Owners' portfolios.")

ID_HELP = "Id from `portfolio lots`."
OpenPosition = Annotated[
    UUID, typer.Argument(metavar="POSITION", help=ID_HELP, autocompletion=completion.open_positions)
]
PrivatePosition = Annotated[
    UUID, typer.Argument(metavar="POSITION", help=ID_HELP, autocompletion=completion.private_positions)
]


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="Positions CSV; the header is required.")],
    *,
    user: Annotated[
        str,
        typer.Option(
            parser=parse_name, metavar="NAME", help="Owner; created when new.", autocompletion=completion.users
        ),
    ],
    name: Annotated[
        str, typer.Option(parser=parse_name, metavar="NAME", help="Name of the portfolio, unique per owner.")
    ],
    equity: Annotated[Any, typer.Option(parser=parse_equity, metavar="USD", help="Account equity as of --as-of.")],
    as_of: Annotated[
        date,
        typer.Option(
            parser=parse_date,
            metavar="DATE",
            help="Session of the first snapshot.",
            autocompletion=completion.sessions,
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and store nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import a portfolio from a CSV file, all of it or nothing."""
    from sigmasight_assets.errors import ImportFileError
    from sigmasight_assets.positions_file import parse_positions
    from sigmasight_assets.sessions import NEW_YORK
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.calendar import read_calendar
    from sigmasight_assets.storage.portfolios import create_portfolio

    settings = load_settings()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImportFileError(f"{file} cannot be read:", [str(error.strerror)]) from None
    stored = None
    with (
        open_database(settings, see="portfolio list") as database,
        progress(as_json=as_json) as shown,
        database.begin() as connection,
    ):
        read_calendar(connection).require_complete(as_of, settings.clock())
        shown(f"reading {file.name}")
        lots = parse_positions(content, today=settings.clock().astimezone(NEW_YORK).date())
        untracked = _untracked(connection, lots)
        if not dry_run:
            shown(f"storing {len(lots):,} positions")
            stored = create_portfolio(connection, user=user, name=name, equity=equity, as_of=as_of, lots=lots)
    classes = dict(sorted(Counter(lot.investment_class for lot in lots).items()))
    counts = ", ".join(f"{count} {word}" for word, count in classes.items())
    if stored is None:
        sentence = f"{len(lots)} positions are in order ({counts}); nothing was stored (--dry-run)"
    else:
        sentence = f"{len(lots)} positions imported; portfolio {stored.public_id}"
    document = {
        "portfolio_id": stored and stored.public_id,
        "positions": len(lots),
        "classes": classes,
        "dry_run": dry_run,
        "pending_symbols": untracked,
    }
    if untracked:
        sentence += (
            f"\nNot tracked yet, and {'to be ' if dry_run else ''}asked for: {', '.join(untracked)}; "
            "`sigmasight universe requests` and `status` tell what becomes of them"
        )
    report(document, sentence, as_json=as_json)


def _untracked(connection: "sa.Connection", lots: "Sequence[NewLot]") -> list[str]:
    """The symbols among the lots that are to be priced by the market and are not tracked."""
    from sigmasight_assets.position_rules import PRIVATE
    from sigmasight_assets.storage.universe import read_universe

    known = {item.symbol for item in read_universe(connection)}
    return sorted({lot.symbol for lot in lots if lot.investment_class != PRIVATE} - known)


@app.command("list")
def list_portfolios(as_json: Json = False) -> None:
    """Show every portfolio."""
    from sigmasight_assets.storage.portfolios import read_portfolios

    with open_database() as database, database.begin() as connection:
        show(read_portfolios(connection), title="Portfolios", as_json=as_json)


@app.command("lots")
def list_lots(
    portfolio: Annotated[
        UUID,
        typer.Argument(metavar="PORTFOLIO", help="Id from `portfolio list`.", autocompletion=completion.portfolios),
    ],
    as_json: Json = False,
) -> None:
    """Show every position of a portfolio, open and closed, each with its newest valuation."""
    from sigmasight_assets.storage.portfolios import read_lots, require_portfolio

    with open_database() as database, database.begin() as connection:
        lots = read_lots(connection, require_portfolio(connection, portfolio).portfolio_id)
    show([_cells(lot) if as_json else _sentence(lot) for lot in lots], title="Positions", as_json=as_json)


def _cells(lot: "StoredLot") -> dict[str, Any]:
    return {name: value for name, value in asdict(lot).items() if name not in ("position_id", "portfolio_id")}


def _sentence(lot: "StoredLot") -> dict[str, str]:
    """The id to copy beside what people want to know: a column for each would not fit their screens."""
    words = [f"{lot.quantity.normalize():f} {lot.symbol}, {lot.investment_class}, entered {lot.entry_date}"]
    if lot.entry_price is not None:
        words.append(f"at {lot.entry_price.normalize():f}")
    if lot.units_date is not None:
        words.append(f"(in the units of {lot.units_date})")
    if lot.market_value is not None:
        words.append(f"worth {lot.market_value.normalize():f} on {lot.valued_on}")
    if lot.exit_price is not None:
        words.append(f"closed {lot.exit_date} at {lot.exit_price.normalize():f}")
    return {"position": str(lot.public_id), "lot": " ".join(words)}


@app.command()
def close(
    position: OpenPosition,
    *,
    on: Annotated[date, typer.Option(parser=parse_date, metavar="DATE", help="Trade date of the closing.")],
    price: Annotated[Any, typer.Option(parser=parse_price, metavar="USD", help="Price received or paid back.")],
    quantity: Annotated[
        Any, typer.Option(parser=parse_quantity, metavar="N", help="How much of it, in units of that date.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Close a position, all of it or, with --quantity, a part that becomes a position of its own."""
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.lots import close_lot, require_lot

    settings = load_settings()
    _require_past(on, settings)
    with open_database(settings, see="portfolio lots") as database, database.begin() as connection:
        lot = require_lot(connection, position)
        closed = close_lot(connection, lot.position_id, exit_date=on, exit_price=price, quantity=quantity)
    sentence = f"{closed.quantity:f} {closed.symbol} closed on {on} at {price:f}; position {closed.public_id}"
    report(_cells(closed), sentence, as_json=as_json)


@app.command("value")
def value_position(
    position: PrivatePosition,
    *,
    on: Annotated[date, typer.Option(parser=parse_date, metavar="DATE", help="Date of the valuation.")],
    value: Annotated[Any, typer.Option(parser=parse_value, metavar="USD", help="Worth of the whole position.")],
    as_json: Json = False,
) -> None:
    """Value a PRIVATE position, in place of an earlier valuation of the same date."""
    from sigmasight_assets.settings import load_settings
    from sigmasight_assets.storage.lots import add_valuation, require_lot

    settings = load_settings()
    _require_past(on, settings)
    with open_database(settings, see="portfolio lots") as database, database.begin() as connection:
        lot = require_lot(connection, position)
        add_valuation(connection, lot.position_id, valued_on=on, market_value=value)
    document = {"public_id": position, "symbol": lot.symbol, "valued_on": on, "market_value": value}
    report(document, f"{lot.symbol} is worth {value:f} USD from {on} on", as_json=as_json)


def _require_past(day: date, settings: "Settings") -> None:
    from sigmasight_assets.errors import BookError
    from sigmasight_assets.sessions import NEW_YORK

    if day > settings.clock().astimezone(NEW_YORK).date():
        raise BookError(f"{day} is in the future: enter it when it has happened")
