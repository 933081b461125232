"""Which symbols come into the universe with which description: as the market lists them, or as they are held."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Literal

import sqlalchemy as sa

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.universe import ImportCounts, import_listings, read_universe


def track_symbols(
    connection: sa.Connection, market: Sequence[Listing], symbols: Collection[str], *, contracts: Collection[str]
) -> ImportCounts:
    """Track symbols as ``market`` describes them, and the shares that the option ``contracts`` among them are on.

    A tracked symbol that the market does not list keeps the description it was imported with.
    """
    listed = {item.symbol: item for item in market}
    tracked = {item.symbol for item in read_universe(connection)}
    needed = {*symbols, *underlyings(contracts)}
    described = [listed[symbol] for symbol in sorted(needed & listed.keys())]
    unlisted = [_unlisted(symbol, contracts) for symbol in sorted(needed - listed.keys() - tracked)]
    return import_listings(connection, [*described, *unlisted])


def underlyings(contracts: Collection[str]) -> set[str]:
    """The shares that option contracts are on; a symbol that is no contract has none, and its prices say so."""
    found = set()
    for symbol in contracts:
        with suppress(MarketDataError):
            found.add(parse_occ_symbol(symbol).underlying)
    return found


def _unlisted(symbol: str, contracts: Collection[str]) -> Listing:
    kind: Literal["option", "etf", "equity"] = "etf" if symbol in FACTOR_ETFS else "equity"
    if symbol in contracts:
        kind = "option"
    return Listing(symbol, name=symbol, asset_type=kind, sector=None, industry=None)
