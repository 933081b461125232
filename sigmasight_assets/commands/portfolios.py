"""``sigmasight portfolio``: owners' portfolios."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import typer

from sigmasight_assets.commands.common import CONSOLE, Json, open_database, parse_date, parse_name, show
from sigmasight_assets.errors import BookError, ImportFileError
from sigmasight_assets.position_rules import LARGEST_AMOUNT, LARGEST_PRICE, PRIVATE
from sigmasight_assets.positions_file import parse_positions
from sigmasight_assets.quant.money import MONEY_DIGITS, PRICE_DIGITS, QUANTITY_DIGITS, to_units
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.settings import Settings, load_settings
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.lots import add_valuation, close_lot, require_lot
from sigmasight_assets.storage.portfolios import (
    NewLot,
    StoredLot,
    create_portfolio,
    read_lots,
    read_portfolios,
    require_portfolio,
)
from sigmasight_assets.storage.universe import read_universe

app = typer.Typer(no_args_is_help=True, help="Owners' portfolios.")

# The smallest price and quantity, and the largest quantity that a file or the database holds.
TICK = Decimal("0.0001")
LARGEST_QUANTITY = Decimal(10) ** 14 - TICK

Position = Annotated[UUID, typer.Argument(metavar="POSITION", help="Id from `portfolio lots`.")]


def _amount(*, smallest: Decimal, largest: Decimal, digits: int, unit: str) -> Callable[[str], Decimal]:
    """A parser of exact amounts from ``smallest`` to ``largest``; a misuse error for anything else."""

    def parse(text: str) -> Decimal:
        try:
            amount = Decimal(text)
            fits = to_units(smallest, digits) <= to_units(amount, digits) <= to_units(largest, digits)
        except (InvalidOperation, ValueError, OverflowError):
            fits = False
        if not fits:
            raise typer.BadParameter(
                f"{text!r} is not an amount from {smallest:,f} to {largest:,f} {unit} with at most "
                f"{digits} decimal places"
            )
        return amount

    return parse


parse_equity = _amount(smallest=-LARGEST_AMOUNT, largest=LARGEST_AMOUNT, digits=MONEY_DIGITS, unit="USD")
parse_value = _amount(smallest=Decimal(0), largest=LARGEST_AMOUNT, digits=MONEY_DIGITS, unit="USD")
parse_price = _amount(smallest=Decimal(0), largest=LARGEST_PRICE - TICK, digits=PRICE_DIGITS, unit="USD")
parse_quantity = _amount(smallest=TICK, largest=LARGEST_QUANTITY, digits=QUANTITY_DIGITS, unit="units")


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
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImportFileError(f"{file} cannot be read:", [str(error.strerror)]) from None
    with open_database(settings) as database, database.begin() as connection:
        read_calendar(connection).require_complete(as_of, settings.clock())
        lots = parse_positions(content, today=settings.clock().astimezone(NEW_YORK).date())
        untracked = _untracked(connection, lots)
        if dry_run:
            classes = Counter(lot.investment_class for lot in lots)
            counts = ", ".join(f"{count} {name}" for name, count in sorted(classes.items()))
            CONSOLE.print(f"{len(lots)} positions are in order ({counts}); nothing was stored (--dry-run)")
        else:
            stored = create_portfolio(connection, user=user, name=name, equity=equity, as_of=as_of, lots=lots)
            CONSOLE.print(f"{len(lots)} positions imported; portfolio {stored.public_id}")
    if untracked:
        CONSOLE.print(
            f"Not tracked yet, and {'to be ' if dry_run else ''}asked for: {', '.join(untracked)}; "
            "`sigmasight universe requests` and `status` tell what becomes of them"
        )


def _untracked(connection: sa.Connection, lots: Sequence[NewLot]) -> list[str]:
    """The symbols among the lots that are to be priced by the market and are not tracked."""
    known = {item.symbol for item in read_universe(connection)}
    return sorted({lot.symbol for lot in lots if lot.investment_class != PRIVATE} - known)


@app.command("list")
def list_portfolios(as_json: Json = False) -> None:
    """Show every portfolio."""
    with open_database() as database, database.begin() as connection:
        show(read_portfolios(connection), title="Portfolios", as_json=as_json)


@app.command("lots")
def list_lots(
    portfolio: Annotated[UUID, typer.Argument(metavar="PORTFOLIO", help="Id from `portfolio list`.")],
    as_json: Json = False,
) -> None:
    """Show every position of a portfolio, open and closed, each with its newest valuation."""
    with open_database() as database, database.begin() as connection:
        lots = read_lots(connection, require_portfolio(connection, portfolio).portfolio_id)
    show([_cells(lot) if as_json else _sentence(lot) for lot in lots], title="Positions", as_json=as_json)


def _cells(lot: StoredLot) -> dict[str, Any]:
    return {name: value for name, value in asdict(lot).items() if name not in ("position_id", "portfolio_id")}


def _sentence(lot: StoredLot) -> dict[str, str]:
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
    position: Position,
    *,
    on: Annotated[date, typer.Option(parser=parse_date, metavar="DATE", help="Trade date of the closing.")],
    price: Annotated[Any, typer.Option(parser=parse_price, metavar="USD", help="Price received or paid back.")],
    quantity: Annotated[
        Any, typer.Option(parser=parse_quantity, metavar="N", help="How much of it, in units of that date.")
    ] = None,
) -> None:
    """Close a position, all of it or, with --quantity, a part that becomes a position of its own."""
    settings = load_settings()
    _require_past(on, settings)
    with open_database(settings) as database, database.begin() as connection:
        lot = require_lot(connection, position)
        closed = close_lot(connection, lot.position_id, exit_date=on, exit_price=price, quantity=quantity)
    CONSOLE.print(f"{closed.quantity:f} {closed.symbol} closed on {on} at {price:f}; position {closed.public_id}")


@app.command("value")
def value_position(
    position: Position,
    *,
    on: Annotated[date, typer.Option(parser=parse_date, metavar="DATE", help="Date of the valuation.")],
    value: Annotated[Any, typer.Option(parser=parse_value, metavar="USD", help="Worth of the whole position.")],
) -> None:
    """Value a PRIVATE position, in place of an earlier valuation of the same date."""
    settings = load_settings()
    _require_past(on, settings)
    with open_database(settings) as database, database.begin() as connection:
        lot = require_lot(connection, position)
        add_valuation(connection, lot.position_id, valued_on=on, market_value=value)
    CONSOLE.print(f"{lot.symbol} is worth {value:f} USD from {on} on")


def _require_past(day: date, settings: Settings) -> None:
    if day > settings.clock().astimezone(NEW_YORK).date():
        raise BookError(f"{day} is in the future: enter it when it has happened")
