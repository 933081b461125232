"""Views, lots and holdings made by hand, for tests that need no database."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np

from sigmasight_api.books import Holdings, Lot, holdings_of
from sigmasight_api.splits import ShareUnits
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.splits import Splits
from sigmasight_assets.sessions import exchange_calendar

AS_OF = date(2025, 7, 31)
TODAY = np.datetime64(AS_OF, "D")
EARLIER = np.datetime64("2025-07-29", "D")
BOUGHT = date(2025, 1, 6)


def split_units(*splits: tuple[int, str, int, int]) -> ShareUnits:
    """The units after splits given as row, ex-date, new shares and old shares."""
    rows, dates, new, old = zip(*splits, strict=True) if splits else ((), (), (), ())
    whole = [np.array(column, dtype=np.int64) for column in (rows, new, old)]
    return ShareUnits.after(Splits(whole[0], np.array(dates, dtype="datetime64[D]"), whole[1], whole[2]))


def market(betas: Mapping[str, float], closes: Mapping[str, int], **changes: Any) -> MarketView:
    """A view in which every factor of a symbol has the same beta; closes in units of 1e-4."""
    symbols = tuple(sorted(betas))
    view = MarketView(
        generation=5,
        symbol_generation=5,
        as_of=AS_OF,
        symbols=symbols,
        close=np.array([closes[symbol] for symbol in symbols], dtype=np.int64),
        close_session=np.full(len(symbols), TODAY),
        share_units=split_units(),
        provider_beta=np.full(len(symbols), np.nan),
        betas=np.array([[betas[symbol]] * 12 for symbol in symbols]).reshape(-1, 12),
        quality=np.ones((len(symbols), 12), dtype=np.int8),
        std_errors=np.full((len(symbols), 12), np.nan),
        factors_session=np.full((len(symbols), 4), TODAY),
        sectors=(None,) * len(symbols),
        is_fund=np.zeros(len(symbols), dtype=np.bool_),
        sessions=np.array([], dtype="datetime64[D]"),
        returns=np.empty((len(symbols), 0)),
        covariance=None,
        covariance_session=None,
        reasons={},
    )
    return replace(view, **changes)


def with_returns(view: MarketView, returns: FloatArray) -> MarketView:
    """The view with these daily returns (S, T) of its symbols, the newest at its session."""
    sessions = exchange_calendar().between(date(2020, 1, 2), AS_OF)[-returns.shape[1] :]
    return replace(view, sessions=np.array(sessions, dtype="datetime64[D]"), returns=returns)


def lot(symbol: str, quantity: str | int = 1, kind: str = "PUBLIC", **changes: Any) -> Lot:
    """An open lot of whole or broken units, bought at 10 USD."""
    made = Lot(
        position_id=uuid4(),
        symbol=symbol,
        investment_class=kind,
        quantity=Decimal(quantity),
        units_date=BOUGHT,
        entry_price=Decimal(10),
        entry_date=BOUGHT,
        exit_price=None,
        exit_date=None,
        notes=None,
        settled_on=None,
        valued_on=[],
        valuations=[],
    )
    return replace(made, **changes)


def private(symbol: str, **valuations: str) -> Lot:
    """A private lot; valuations by date, as in ``on_2025_06_30="5"``."""
    dates = [date.fromisoformat(name.removeprefix("on_").replace("_", "-")) for name in valuations]
    amounts = [Decimal(amount) for amount in valuations.values()]
    return lot(symbol, 1, "PRIVATE", valued_on=dates, valuations=amounts)


def holdings(quantities: Mapping[str, int], *others: Lot) -> Holdings:
    """Holdings of shares by symbol, and of other lots."""
    return holdings_of([*(lot(symbol, shares) for symbol, shares in quantities.items()), *others])
