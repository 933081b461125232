"""Edits of single lots, each with the date from which it makes the portfolio's snapshots stale.

Every function is to be called in one transaction; it locks the lot, so that edits of two at once follow each other.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.errors import BookError, NotFoundError
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.market_data.protocol import SPLIT
from sigmasight_assets.quant.money import MONEY_DIGITS, PRICE_DIGITS, QUANTITY_DIGITS, from_units, to_units
from sigmasight_assets.storage.book_tables import positions, private_valuations
from sigmasight_assets.storage.onboarding import request_held
from sigmasight_assets.storage.portfolios import (
    LOT_FIELDS,
    NewLot,
    StoredLot,
    insert_lots,
    lots_query,
    mark_edited,
)
from sigmasight_assets.storage.tables import corporate_actions

# What a lot is; another one is another lot.
IDENTITY_FIELDS = ("symbol", "investment_class")


def require_lot(connection: sa.Connection, public_id: UUID) -> StoredLot:
    """The lot of this public id; ``NotFoundError`` when there is none."""
    row = connection.execute(lots_query().where(positions.c.public_id == public_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no position {public_id}")
    return StoredLot(*row)


def add_lot(connection: sa.Connection, portfolio_id: int, lot: NewLot) -> StoredLot:
    """Store a lot, with its first valuation when it is PRIVATE; an edit of its entry date."""
    (position_id,) = insert_lots(connection, portfolio_id, [lot])
    mark_edited(connection, portfolio_id, edited_from=lot.entry_date)
    return _locked_lot(connection, position_id)


def close_lot(
    connection: sa.Connection,
    position_id: int,
    *,
    exit_date: date,
    exit_price: Decimal,
    quantity: Decimal | None = None,
) -> StoredLot:
    """Close a lot, or with ``quantity`` (positive, also of a short lot) so much of it; returns the closed lot.

    A whole lot keeps its quantity as it is stated. What is closed of a lot becomes a lot of its own with the same
    entry, and what stays open keeps the position's id. ``quantity`` is in the share units of ``exit_date``: when the
    market states a split of a PUBLIC lot between its units date and then, both parts are stated in these units. The
    valuations of a PRIVATE lot are shared out by quantity.

    Raises ``NotFoundError`` for an unknown lot, and ``BookError`` for one that is closed already, for an exit before
    the entry or after an option's expiry, for more than is held, and for amounts that the database cannot hold.
    """
    lot = _locked_lot(connection, position_id)
    _require_closable(lot, exit_date)
    _require_exact(exit_price, PRICE_DIGITS, f"{lot.symbol}: the exit price")
    factor = Fraction(1) if quantity is None else _split_factor(connection, lot, exit_date)
    held = Fraction(abs(lot.quantity)) * factor
    closed_units = held if quantity is None else _closed_part(lot, quantity, held, exit_date)
    if closed_units == held:
        connection.execute(_update_of(lot).values(exit_date=exit_date, exit_price=exit_price))
        mark_edited(connection, lot.portfolio_id, edited_from=exit_date)
        return _locked_lot(connection, position_id)
    closed_id = _split_lot(connection, lot, closed_units, held, units_date=exit_date if factor != 1 else lot.units_date)
    connection.execute(
        sa.update(positions)
        .where(positions.c.position_id == closed_id)
        .values(exit_date=exit_date, exit_price=exit_price)
    )
    # Snapshots hold one value a lot: those of the two parts have to be computed from the entry on.
    mark_edited(connection, lot.portfolio_id, edited_from=lot.entry_date)
    return _locked_lot(connection, closed_id)


def correct_lot(connection: sa.Connection, position_id: int, corrected: NewLot) -> StoredLot:
    """State the terms of a lot as they should have been entered; its symbol, class and valuations stay.

    An edit from the earlier of the old and the new date of what differs; notes alone are none. Raises
    ``NotFoundError`` for an unknown lot, and ``BookError`` when a valuation would lie outside the new dates.
    """
    lot = _locked_lot(connection, position_id)
    _require_holding(lot, corrected, _valuation_dates(connection, lot))
    terms = {name: getattr(corrected, name) for name in LOT_FIELDS if name not in IDENTITY_FIELDS}
    connection.execute(_update_of(lot).values(terms))
    edited_from = _corrected_from(lot, corrected)
    if edited_from is not None:
        mark_edited(connection, lot.portfolio_id, edited_from=edited_from)
        request_held(connection, lot.portfolio_id)
    return _locked_lot(connection, position_id)


def _require_holding(lot: StoredLot, corrected: NewLot, valued: set[date]) -> None:
    last = corrected.exit_date or date.max
    outside = sorted(day for day in valued if not corrected.entry_date <= day <= last)
    if outside:
        raise BookError(
            f"{lot.symbol}: its valuation of {outside[0]} would lie outside the time it was held; delete that first"
        )


def _corrected_from(lot: StoredLot, corrected: NewLot) -> date | None:
    def differ(*names: str) -> bool:
        return any(getattr(lot, name) != getattr(corrected, name) for name in names)

    if differ("quantity", "units_date", "entry_price", "entry_date"):
        return min(lot.entry_date, corrected.entry_date)
    if differ("exit_price", "exit_date"):
        return min(day for day in (lot.exit_date, corrected.exit_date) if day is not None)
    return None


def delete_lot(connection: sa.Connection, position_id: int) -> None:
    """Delete a lot that was never held, with its valuations; an edit of its entry date."""
    lot = _locked_lot(connection, position_id)
    connection.execute(sa.delete(positions).where(positions.c.position_id == position_id))
    mark_edited(connection, lot.portfolio_id, edited_from=lot.entry_date)


def add_valuation(connection: sa.Connection, position_id: int, *, valued_on: date, market_value: Decimal) -> None:
    """Value a PRIVATE lot (USD, the whole of it), in place of an earlier valuation of the same date.

    Raises ``NotFoundError`` for an unknown lot, and ``BookError`` for one of another class, for a date on which it
    was not held, and for an amount that is negative or that the database cannot hold.
    """
    lot = _locked_lot(connection, position_id)
    _require_private(lot)
    _require_exact(market_value, MONEY_DIGITS, f"{lot.symbol}: the market value")
    if valued_on < lot.entry_date:
        raise BookError(f"{lot.symbol}: the valuation of {valued_on} is before the entry of {lot.entry_date}")
    if lot.exit_date is not None and valued_on > lot.exit_date:
        raise BookError(f"{lot.symbol}: the valuation of {valued_on} is after the exit of {lot.exit_date}")
    statement = insert(private_valuations).values(
        position_id=position_id, valued_on=valued_on, market_value=market_value
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["position_id", "valued_on"],
            set_={"market_value": statement.excluded.market_value, "created_at": sa.func.now()},
        )
    )
    mark_edited(
        connection, lot.portfolio_id, edited_from=_counts_from(lot, valued_on, _valuation_dates(connection, lot))
    )


def delete_valuation(connection: sa.Connection, position_id: int, *, valued_on: date) -> None:
    """Delete a valuation; ``BookError`` when it is the only one, without which a PRIVATE lot has no value."""
    lot = _locked_lot(connection, position_id)
    known = _valuation_dates(connection, lot)
    if valued_on not in known:
        raise NotFoundError(f"{lot.symbol} has no valuation of {valued_on}")
    if len(known) == 1:
        raise BookError(
            f"{lot.symbol}: the valuation of {valued_on} is the only one; enter another first, or delete the position"
        )
    connection.execute(
        sa.delete(private_valuations).where(
            private_valuations.c.position_id == position_id, private_valuations.c.valued_on == valued_on
        )
    )
    mark_edited(connection, lot.portfolio_id, edited_from=_counts_from(lot, valued_on, known))


def read_lot_valuations(connection: sa.Connection, position_id: int) -> list[tuple[date, Decimal]]:
    """The valuations of a lot, oldest first, USD."""
    columns = private_valuations.c.valued_on, private_valuations.c.market_value
    query = sa.select(*columns).where(private_valuations.c.position_id == position_id).order_by(columns[0])
    return [(row.valued_on, row.market_value) for row in connection.execute(query)]


def _valuation_dates(connection: sa.Connection, lot: StoredLot) -> set[date]:
    dates = sa.select(private_valuations.c.valued_on).where(private_valuations.c.position_id == lot.position_id)
    return set(connection.execute(dates).scalars())


def _counts_from(lot: StoredLot, valued_on: date, known: set[date]) -> date:
    """From when on a valuation shows: its date, or the entry when it is what a lot without entry price cost."""
    is_cost = lot.entry_price is None and valued_on == min(known)
    return lot.entry_date if is_cost else valued_on


def _locked_lot(connection: sa.Connection, position_id: int) -> StoredLot:
    query = lots_query().where(positions.c.position_id == position_id).with_for_update(of=positions)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no position number {position_id}")
    return StoredLot(*row)


def _require_closable(lot: StoredLot, exit_date: date) -> None:
    if lot.exit_date is not None:
        raise BookError(f"{lot.symbol}: the position was closed on {lot.exit_date}")
    if exit_date < lot.entry_date:
        raise BookError(f"{lot.symbol}: the exit of {exit_date} is before the entry of {lot.entry_date}")
    if lot.investment_class == "OPTIONS" and exit_date > (expiry := parse_occ_symbol(lot.symbol).expiry):
        raise BookError(f"{lot.symbol}: the contract expired on {expiry}, before {exit_date}; it is settled by itself")


def _require_private(lot: StoredLot) -> None:
    if lot.investment_class != "PRIVATE":
        raise BookError(f"{lot.symbol}: only PRIVATE positions have valuations, this one is {lot.investment_class}")


def _require_exact(value: Decimal, digits: int, what: str) -> None:
    try:
        fits = to_units(value, digits) >= 0
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        raise BookError(f"{what} {value} is not an amount of 0 or more with at most {digits} decimal places")


def _closed_part(lot: StoredLot, quantity: Decimal, held: Fraction, exit_date: date) -> Fraction:
    """The quantity to close, once it is known to be a part of what is held and both parts to be exact."""
    _require_exact(quantity, QUANTITY_DIGITS, f"{lot.symbol}: the quantity to close")
    if not 0 < quantity <= held:
        raise BookError(f"{lot.symbol}: {quantity} are to be closed on {exit_date}, when {_shown(held)} were held")
    if quantity < held and (held * 10**QUANTITY_DIGITS).denominator != 1:
        raise BookError(
            f"{lot.symbol}: {abs(lot.quantity)} are {_shown(held)} after the splits until {exit_date}, which has more "
            f"than {QUANTITY_DIGITS} decimal places; close all of it and enter what is left as a new position"
        )
    return Fraction(quantity)


def _shown(quantity: Fraction) -> str:
    digits = f"{float(quantity):.10f}".rstrip("0").rstrip(".")
    return digits if Fraction(digits) == quantity else f"about {digits}"


def _split_factor(connection: sa.Connection, lot: StoredLot, day: date) -> Fraction:
    """Shares of ``day`` for one share as the lot's quantity states them, by the splits that the market states now."""
    if lot.investment_class != "PUBLIC":
        return Fraction(1)
    units_date = lot.units_date or lot.entry_date
    actions = corporate_actions.c
    rows = connection.execute(
        sa.select(actions.ratio_numerator, actions.ratio_denominator).where(
            actions.symbol == lot.symbol,
            actions.kind == SPLIT,
            actions.withdrawn_at.is_(None),
            actions.ex_date > min(units_date, day),
            actions.ex_date <= max(units_date, day),
        )
    )
    factor = Fraction(1)
    for numerator, denominator in rows:
        factor *= Fraction(numerator, denominator)
    # An earlier partial close of a later date has stated the lot in later units.
    return factor if units_date <= day else 1 / factor


def _split_lot(
    connection: sa.Connection, lot: StoredLot, part: Fraction, held: Fraction, *, units_date: date | None
) -> int:
    """Make ``part`` of the ``held`` quantity a lot of its own and return its number."""
    sign = 1 if lot.quantity > 0 else -1
    whole = NewLot(**{name: getattr(lot, name) for name in LOT_FIELDS})
    taken = replace(whole, quantity=sign * _exact_quantity(part), units_date=units_date)
    (taken_id,) = insert_lots(connection, lot.portfolio_id, [taken])
    connection.execute(_update_of(lot).values(quantity=sign * _exact_quantity(held - part), units_date=units_date))
    _share_valuations(connection, lot.position_id, taken_id, part / held)
    return taken_id


def _update_of(lot: StoredLot) -> sa.Update:
    return sa.update(positions).where(positions.c.position_id == lot.position_id)


def _exact_quantity(quantity: Fraction) -> Decimal:
    return from_units(int(quantity * 10**QUANTITY_DIGITS), QUANTITY_DIGITS)


def _share_valuations(connection: sa.Connection, position_id: int, taken_id: int, share: Fraction) -> None:
    """Move a share of every valuation, rounded half-even to 1e-8, to the lot that was taken out."""
    valuations = private_valuations.c
    query = sa.select(valuations.valuation_id, valuations.valued_on, valuations.market_value)
    for row in connection.execute(query.where(valuations.position_id == position_id)).all():
        taken = from_units(round(to_units(row.market_value, MONEY_DIGITS) * share), MONEY_DIGITS)
        connection.execute(
            sa.insert(private_valuations).values(position_id=taken_id, valued_on=row.valued_on, market_value=taken)
        )
        connection.execute(
            sa.update(private_valuations)
            .where(valuations.valuation_id == row.valuation_id)
            .values(market_value=valuations.market_value - taken)
        )
