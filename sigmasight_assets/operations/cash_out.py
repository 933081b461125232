"""The end of a delisting: every open lot of the symbol is closed at the price that holders were paid."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa

from sigmasight_assets.errors import DecisionError, NotFoundError
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.book_tables import positions
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import record_action
from sigmasight_assets.storage.lots import close_lot
from sigmasight_assets.storage.tables import symbol_universe


@dataclass(frozen=True, slots=True)
class CashOut:
    """Lots that were closed, in how many portfolios, and the number of the action."""

    symbol: str
    on: date
    price: Decimal
    lots: int
    portfolios: int
    action_id: int


def cash_out(
    database: Database, symbol: str, *, on: date, price: Decimal, actor: str, reason: str, now: datetime
) -> CashOut:
    """Close every open PUBLIC lot of a delisted symbol on a date at a price in USD a share.

    Raises ``NotFoundError`` when the symbol is not tracked; ``DecisionError`` when it still trades, traded after the
    date or is held by nobody, or the date is not over; ``BookError`` for a date before a lot's entry
    and for a price that is no exact amount.
    """
    if on > now.astimezone(NEW_YORK).date():
        raise DecisionError(f"{on} is still to come: enter the payment once it has been made")
    with database.begin() as connection:
        _require_ended(connection, symbol, on)
        lots = _open_lots(connection, symbol)
        if not lots:
            raise DecisionError(f"{symbol} has no open PUBLIC lot: there is nothing to close")
        owners = {close_lot(connection, lot, exit_date=on, exit_price=price).portfolio_id for lot in lots}
        action_id = record_action(
            connection,
            kind="cash_out",
            actor=actor,
            reason=reason,
            session=on,
            symbol=symbol,
            details={"price": str(price), "position_ids": lots, "portfolios": len(owners)},
        )
    return CashOut(symbol, on, price, len(lots), len(owners), action_id)


def _require_ended(connection: sa.Connection, symbol: str, on: date) -> None:
    query = sa.select(symbol_universe).where(symbol_universe.c.symbol == symbol)
    tracked = connection.execute(query).one_or_none()
    if tracked is None:
        raise NotFoundError(f"{symbol} is not tracked")
    if tracked.status != "delisted":
        raise DecisionError(f"{symbol} is {tracked.status}, not delisted: owners close such lots themselves")
    if tracked.last_price_date is not None and on < tracked.last_price_date:
        raise DecisionError(f"{symbol} traded until {tracked.last_price_date}, after {on}")


def _open_lots(connection: sa.Connection, symbol: str) -> list[int]:
    """The numbers of the symbol's open PUBLIC lots, locked in one order."""
    lots = positions.c
    query = sa.select(lots.position_id).where(
        lots.symbol == symbol, lots.investment_class == "PUBLIC", lots.exit_date.is_(None)
    )
    return list(connection.execute(query.order_by(lots.position_id).with_for_update()).scalars())
