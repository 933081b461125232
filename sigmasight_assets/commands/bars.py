"""``sigmasight bars``: bars in doubt, and operators' decisions on them."""

import getpass
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigmasight_assets.commands import completion
from sigmasight_assets.commands.common import Json, Reason, open_database, parse_date
from sigmasight_assets.commands.output import report, show

if TYPE_CHECKING:
    from sigmasight_assets.operations.bars import DecidedBar, SuspectBar

app = typer.Typer(no_args_is_help=True, help="Suspect bars: listed, accepted or rejected.")

Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="Ticker.", autocompletion=completion.symbols)]
Session = Annotated[
    date,
    typer.Argument(
        parser=parse_date, metavar="D", help="Session of the bar, 2025-07-31.", autocompletion=completion.sessions
    ),
]

EFFECTS = {
    "republished": "the next symbol run publishes again what rests on it",
    "asked_again": "the next price update asks the market for it again",
    "none": "no published figure rests on it",
}


@app.command("list")
def list_bars(as_json: Json = False) -> None:
    """Show the bars that wait: moves beyond 50 % without a corporate action, closes that two markets dispute."""
    from sigmasight_assets.operations.bars import read_suspect_bars

    with open_database() as database:
        bars = read_suspect_bars(database)
    show(bars if as_json else [_row(bar) for bar in bars], title="Suspect bars", as_json=as_json)


@app.command()
def accept(symbol: Symbol, session: Session, reason: Reason, as_json: Json = False) -> None:
    """Confirm a suspect bar, or take back that it was rejected."""
    from sigmasight_assets.operations.bars import accept_bar

    _decide(accept_bar, symbol, session, reason, as_json=as_json)


@app.command()
def reject(symbol: Symbol, session: Session, reason: Reason, as_json: Json = False) -> None:
    """Take a bar out; the same bar is refused whenever the market sends it, another one of the session is not."""
    from sigmasight_assets.operations.bars import reject_bar

    _decide(reject_bar, symbol, session, reason, as_json=as_json)


def _decide(decide: "Callable[..., DecidedBar]", symbol: str, session: date, reason: str, *, as_json: bool) -> None:
    with open_database(see="bars list") as database:
        done = decide(database, symbol, session, actor=getpass.getuser(), reason=reason)
    sentence = (
        f"The bar of {done.symbol} at {done.session} with the close {done.close_price} is {done.verdict}: "
        f"{EFFECTS[done.effect]}"
    )
    report(asdict(done), sentence, as_json=as_json)


def _row(bar: "SuspectBar") -> dict[str, Any]:
    """What fits people's screens."""
    return {
        "symbol": bar.symbol,
        "session": bar.session,
        "doubt": _doubt(bar),
        "close": bar.close_price,
        "previous close": bar.previous_close_price,
        "held by": f"{bar.portfolios} portfolio{'' if bar.portfolios == 1 else 's'}",
    }


def _doubt(bar: "SuspectBar") -> str:
    """The other market's close, or by how much the bar moved."""
    if bar.second_source is not None:
        return f"{bar.second_source}: {bar.second_close_price}"
    return f"{bar.move_percent:+,.2f} %"
