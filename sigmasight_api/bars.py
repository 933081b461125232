"""Suspect bars, as operators list and decide them over the API. Knows nothing of HTTP."""

from dataclasses import asdict
from datetime import date

from sigmasight_api.bar_schemas import DecidedBar, SuspectBar
from sigmasight_api.formats import four_decimals
from sigmasight_api.repository import Page
from sigmasight_api.schemas import Listing
from sigmasight_assets.operations import bars
from sigmasight_assets.storage.database import Database


class BarDecisions:
    """Lists what waits for a decision, and carries decisions out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def suspect(self, page: Page) -> Listing[SuspectBar]:
        """The bars that wait for a decision, by symbol."""
        waiting = bars.read_suspect_bars(self._database)
        chosen = waiting[page.offset : page.offset + page.limit]
        items = [SuspectBar(**(asdict(bar) | _prices(bar))) for bar in chosen]
        return Listing[SuspectBar](items=items, total=len(waiting))

    def accept(self, symbol: str, session: date, *, user: str, reason: str) -> DecidedBar:
        """Accept a bar; the errors are those of ``operations.bars.accept_bar``."""
        return _decided(bars.accept_bar(self._database, symbol, session, actor=user, reason=reason))

    def reject(self, symbol: str, session: date, *, user: str, reason: str) -> DecidedBar:
        """Reject a bar; the errors are those of ``operations.bars.reject_bar``."""
        return _decided(bars.reject_bar(self._database, symbol, session, actor=user, reason=reason))


def _prices(bar: bars.SuspectBar) -> dict[str, str | None]:
    """Its prices as they are shown."""
    prices = {name: getattr(bar, name) for name in ("close_price", "previous_close_price", "second_close_price")}
    return {name: None if price is None else four_decimals(price) for name, price in prices.items()}


def _decided(done: bars.DecidedBar) -> DecidedBar:
    return DecidedBar(**(asdict(done) | {"close_price": four_decimals(done.close_price)}))
