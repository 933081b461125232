"""Exact amounts as arguments: money, prices and quantities, refused unless they can be stored as they are."""

from decimal import Decimal, InvalidOperation

import typer

# The smallest price and quantity, and the largest quantity that a file or the database holds.
TICK = Decimal("0.0001")
LARGEST_QUANTITY = Decimal(10) ** 14 - TICK


def parse_equity(text: str) -> Decimal:
    """An account's equity, USD."""
    from sigmasight_assets.position_rules import LARGEST_AMOUNT
    from sigmasight_assets.quant.money import MONEY_DIGITS

    return _amount(text, smallest=-LARGEST_AMOUNT, largest=LARGEST_AMOUNT, digits=MONEY_DIGITS, unit="USD")


def parse_value(text: str) -> Decimal:
    """What a position is worth, USD."""
    from sigmasight_assets.position_rules import LARGEST_AMOUNT
    from sigmasight_assets.quant.money import MONEY_DIGITS

    return _amount(text, smallest=Decimal(0), largest=LARGEST_AMOUNT, digits=MONEY_DIGITS, unit="USD")


def parse_price(text: str) -> Decimal:
    """A price of one unit, USD."""
    from sigmasight_assets.position_rules import LARGEST_PRICE
    from sigmasight_assets.quant.money import PRICE_DIGITS

    return _amount(text, smallest=Decimal(0), largest=LARGEST_PRICE - TICK, digits=PRICE_DIGITS, unit="USD")


def parse_quantity(text: str) -> Decimal:
    """A number of units, above 0."""
    from sigmasight_assets.quant.money import QUANTITY_DIGITS

    return _amount(text, smallest=TICK, largest=LARGEST_QUANTITY, digits=QUANTITY_DIGITS, unit="units")


def _amount(text: str, *, smallest: Decimal, largest: Decimal, digits: int, unit: str) -> Decimal:
    """An exact amount from ``smallest`` to ``largest``; a misuse error for anything else."""
    from sigmasight_assets.quant.money import to_units

    try:
        amount = Decimal(text)
        fits = to_units(smallest, digits) <= to_units(amount, digits) <= to_units(largest, digits)
    except (InvalidOperation, ValueError, OverflowError):
        fits = False
    if not fits:
        raise typer.BadParameter(
            f"{text!r} is not an amount from {smallest:,f} to {largest:,f} {unit} with at most {digits} decimal places"
        )
    return amount
