"""Option contracts by their OCC symbols: root, expiry, right and strike, and what a contract is worth at expiry.

Source: the OCC's Options Symbology Initiative; formulas.md section 5 for the multiplier.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from sigmasight_assets.errors import MarketDataError

# Root, yymmdd, call or put, strike x 1000; vendors put "O:" in front, and OCC pads the root to six characters.
OCC_SYMBOL = re.compile(r"(?:O:)?([A-Z]{1,6}|[A-Z]{1,5}[0-9]) {0,5}(\d{6})([CP])(\d{8})", re.ASCII)
SHARES_PER_CONTRACT = 100
STRIKE_UNITS = 1000


@dataclass(frozen=True, slots=True)
class OptionContract:
    """One contract; ``strike`` in USD a share. An adjusted contract's root ends in a digit: it delivers something else
    than 100 shares, which its symbol does not tell.
    """

    root: str
    expiry: date
    right: Literal["call", "put"]
    strike: Decimal

    @property
    def symbol(self) -> str:
        """The symbol without prefix and padding, as it is stored."""
        strike = int(self.strike * STRIKE_UNITS)
        return f"{self.root}{self.expiry:%y%m%d}{self.right[0].upper()}{strike:08d}"

    @property
    def is_adjusted(self) -> bool:
        """Whether the deliverable was changed by a corporate action."""
        return self.root[-1].isdigit()

    @property
    def underlying(self) -> str:
        """Ticker of the share that the contract is on; for an adjusted contract, of the share it once was on."""
        return self.root.rstrip("0123456789")

    def intrinsic_value(self, underlying_price: Decimal) -> Decimal:
        """What the right is worth a share when the underlying is at ``underlying_price`` (USD), never negative."""
        gain = underlying_price - self.strike
        return max(gain if self.right == "call" else -gain, Decimal(0))


def parse_occ_symbol(text: str) -> OptionContract:
    """The contract of an OCC symbol, with or without prefix and padding; ``MarketDataError`` when it is none."""
    parts = OCC_SYMBOL.fullmatch(text)
    if parts is None:
        raise MarketDataError(
            f"{text[:30]!r} is not an OCC option symbol like AAPL240119C00150000: root, yymmdd, C or P, strike x 1000"
        )
    root, day, right, strike = parts.groups()
    try:
        expiry = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError:
        raise MarketDataError(f"{text[:30]!r}: {day} is not a date in the form yymmdd") from None
    if int(strike) == 0:
        raise MarketDataError(f"{text[:30]!r}: the strike is zero")
    return OptionContract(root, expiry, "call" if right == "C" else "put", Decimal(int(strike)) / STRIKE_UNITS)
