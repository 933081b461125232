"""Settlements of options written down one by one."""

from datetime import date

import numpy as np

from sigmasight_assets.storage.option_expiries import Settlements

# Index of the portfolio, position, session, contract, underlying, its price and the settlement's in 1e-4 USD.
Settled = tuple[int, int, date, str, str, int, int]


def settlements(*rows: Settled) -> Settlements:
    """The settlements, in this order."""
    portfolio, position_id, session, symbol, underlying, underlying_price, price = zip(*rows, strict=True)
    return Settlements(
        portfolio=np.array(portfolio),
        position_id=np.array(position_id),
        session=np.array(session, dtype="datetime64[D]"),
        symbol=list(symbol),
        underlying=list(underlying),
        underlying_price=np.array(underlying_price),
        price=np.array(price),
    )


def no_settlements() -> Settlements:
    """None at all."""
    nothing = np.zeros(0, dtype=np.int64)
    return Settlements(nothing, nothing, nothing.astype("datetime64[D]"), [], [], nothing, nothing)
