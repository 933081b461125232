"""The answers about lots: a book's lots and a market view in, the documents out. No database, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from sigmasight_api.books import PRIVATE, Lot
from sigmasight_api.formats import four_decimals, price, units_in_cents
from sigmasight_api.schemas import LotStatus, Position
from sigmasight_api.sectors import sector_of
from sigmasight_api.symbols import NO_CLOSE
from sigmasight_api.valuation import LotValue, lot_values
from sigmasight_api.view import MarketView


def lots_held(lots: Iterable[Lot], view: MarketView, *, snapshot_session: date | None) -> list[Lot]:
    """Those of the lots that are neither closed nor option contracts that have ended."""
    return [
        lot
        for lot in lots
        if lot.exit_date is None and not lot.has_expired(as_of=view.as_of, snapshot_session=snapshot_session)
    ]


def symbols_without_close(lots: Iterable[Lot], view: MarketView) -> set[str]:
    """Symbols of open lots that should have a price of the market and have none in the view."""
    symbols = {lot.symbol for lot in lots if lot.investment_class != PRIVATE and lot.exit_date is None}
    return {symbol for symbol in symbols if symbol not in view.rows or view.close[view.rows[symbol]] == 0}


def position_answers(
    lots: Sequence[Lot], view: MarketView, *, snapshot_session: date | None, reasons: Mapping[str, str]
) -> list[Position]:
    """One document a lot; only lots that are held have a value.

    ``reasons`` tells of symbols why they have no close.
    """
    held = lots_held(lots, view, snapshot_session=snapshot_session)
    values = dict(zip((lot.position_id for lot in held), lot_values(held, view), strict=True))
    return [_position(lot, values.get(lot.position_id), view, reasons) for lot in lots]


def _position(lot: Lot, value: LotValue | None, view: MarketView, reasons: Mapping[str, str]) -> Position:
    shown, status = value or LotValue(), _status(lot, value, view)
    return Position(
        position_id=lot.position_id,
        symbol=lot.symbol,
        investment_class=lot.investment_class,
        sector=sector_of(lot.investment_class, lot.symbol, view),
        quantity=four_decimals(lot.quantity),
        units_date=lot.units_date,
        multiplier=lot.multiplier,
        entry_price=None if lot.entry_price is None else four_decimals(lot.entry_price),
        entry_date=lot.entry_date,
        exit_price=None if lot.exit_price is None else four_decimals(lot.exit_price),
        exit_date=lot.exit_date,
        status=status,
        status_reason=_reason(lot, view, reasons) if status == "unpriced" else None,
        close=None if shown.close is None else price(shown.close),
        close_session=shown.close_session,
        split_numerator=shown.numerator,
        split_denominator=shown.denominator,
        valued_on=shown.valued_on,
        market_value=None if shown.value is None else units_in_cents(shown.value),
        unrealized_pnl=_unrealized_pnl(shown),
        notes=lot.notes,
    )


def _status(lot: Lot, value: LotValue | None, view: MarketView) -> LotStatus:
    if value is None:
        return "closed" if lot.exit_date is not None else "expired"
    if value.value is None:
        return "unpriced"
    if lot.investment_class == PRIVATE:
        return "private"
    return "priced" if value.close_session == view.as_of else "stale"


def _reason(lot: Lot, view: MarketView, reasons: Mapping[str, str]) -> str:
    """Why a lot that is held has no value."""
    if lot.investment_class == PRIVATE:
        return "no valuation" + (f" up to {view.as_of}" if view.as_of else "")
    return reasons.get(lot.symbol, NO_CLOSE)


def _unrealized_pnl(shown: LotValue) -> str | None:
    return None if shown.value is None or shown.cost is None else units_in_cents(shown.value - shown.cost)
