"""Price windows of a hundred symbols made of random walks, for tests that need no database."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from sigmasight_assets.orchestration.symbol_window import SymbolWindow, return_anchors
from sigmasight_assets.orchestration.symbol_work import SymbolWork, build_work
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.figures import PRODUCT_TABLES, StoredFigures
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.profiles import ProfileWindow
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import PROFILE_FIGURES
from sigmasight_assets.storage.universe import TrackedSymbol

SYMBOLS = (*FACTOR_ETFS, *(f"S{number:02}" for number in range(92)))
TARGETS = 3
HISTORY = 280
# The twelve betas of each regression, as they lie in an array of all of them.
PLACES = {
    "market_beta": slice(0, 1),
    "ir_beta": slice(1, 2),
    "ridge_factors": slice(2, 8),
    "spread_factors": slice(8, 12),
}


def tracked(symbol: str, **columns: Any) -> TrackedSymbol:
    """An active share that has traded for years."""
    usual: dict[str, Any] = {
        **dict.fromkeys(TrackedSymbol.__dataclass_fields__),
        "symbol": symbol,
        "name": symbol,
        "asset_type": "equity",
        "status": "active",
        "first_trade_date": date(2020, 1, 2),
    }
    return TrackedSymbol(**(usual | columns))


def random_prices(*, seed: int = 3) -> FloatArray:
    """Walks (HISTORY, 100) that share a market."""
    random = np.random.default_rng(seed)
    market = random.normal(0.0005, 0.01, (HISTORY, 1))
    growth: FloatArray = 1 + market + random.normal(0, 0.01, (HISTORY, len(SYMBOLS)))
    return np.cumprod(growth, axis=0, dtype=np.float64) * 100


def symbol_window(prices: FloatArray | None = None, **changes: Any) -> SymbolWindow:
    """The window of the last three sessions of these prices, without gaps, dividends or profiles."""
    prices = random_prices() if prices is None else prices
    sessions = exchange_calendar().sessions[6000 : 6000 + HISTORY]
    rows = np.arange(HISTORY - TARGETS, HISTORY)
    returns = simple_returns(prices)
    window = SymbolWindow(
        grid=Grid(sessions, SYMBOLS),
        rows=rows,
        symbols=tuple(tracked(symbol) for symbol in SYMBOLS),
        own=np.array([FACTOR_ETFS.index(name) if name in FACTOR_ETFS else -1 for name in SYMBOLS]),
        anchors=return_anchors(sessions, rows),
        close_units=np.rint(prices * 10_000).astype(np.int64),
        adj_close=prices.copy(),
        volume=np.full(prices.shape, 1e5),
        returns=returns,
        suspect=np.zeros(prices.shape, dtype=np.bool_),
        factor_returns=returns[:, : len(FACTOR_ETFS)],
        factor_suspect=np.zeros((HISTORY, len(FACTOR_ETFS)), dtype=np.bool_),
        profiles=no_profiles(),
    )
    return replace(window, **changes)


def no_profiles() -> ProfileWindow:
    """Nobody has one."""
    figures = {name: np.zeros(0) for name in PROFILE_FIGURES}
    days = np.zeros(0, dtype="datetime64[D]")
    return ProfileWindow(np.full((TARGETS, len(SYMBOLS)), -1), days, figures, [], [])


def nothing_stored(window: SymbolWindow) -> dict[str, StoredFigures]:
    """No row of any product."""
    return {name: StoredFigures.none(window.targets.shape, name) for name in PRODUCT_TABLES}


def first_work(window: SymbolWindow) -> SymbolWork:
    """What is done when nothing is stored: everything, as one rectangle."""
    return build_work(window, nothing_stored(window), products=SYMBOL_PRODUCTS)


def stored_after(work: SymbolWork) -> dict[str, StoredFigures]:
    """What is stored once the first work is published."""
    (part,) = work.parts
    return {
        name: StoredFigures(
            part.figures.tables[name].present.copy(),
            np.where(part.figures.tables[name].present, work.prints.products[name], 0),
            part.figures.betas[:, :, PLACES.get(name, slice(0, 0))].copy(),
        )
        for name in PRODUCT_TABLES
    }
