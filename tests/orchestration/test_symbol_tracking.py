"""Tests of tracking: the market's description where it has one, and the shares that contracts are on."""

import pytest

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.orchestration.symbol_tracking import track_symbols, underlyings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings, read_universe

MARKET = [
    Listing("AAA", "Triple A", "equity", "Energy", "Coal"),
    Listing("SPY", "The market", "etf", None, None),
    Listing("ELSE", "Not asked for", "equity", None, None),
]


def described(database: Database) -> dict[str, tuple[str, str, str | None]]:
    with database.begin() as connection:
        return {item.symbol: (item.name, item.asset_type, item.sector) for item in read_universe(connection)}


def test_symbols_come_with_the_descriptions_of_the_market(database: Database) -> None:
    with database.begin() as connection:
        counts = track_symbols(connection, MARKET, ["AAA", "NIX", "TLT", "AAA250718C00100000"], contracts=[])
    assert counts.added == 4
    assert described(database) == {
        "AAA": ("Triple A", "equity", "Energy"),
        "NIX": ("NIX", "equity", None),
        "TLT": ("TLT", "etf", None),
        "AAA250718C00100000": ("AAA250718C00100000", "equity", None),
    }


def test_contracts_bring_their_shares(database: Database) -> None:
    contracts = ["AAA250718C00100000", "ZZZ1250718P00100000", "no contract"]
    with database.begin() as connection:
        track_symbols(connection, MARKET, contracts, contracts=contracts)
    found = described(database)
    assert {symbol: kind for symbol, (_, kind, _) in found.items()} == {
        **dict.fromkeys(contracts, "option"),
        "AAA": "equity",
        "ZZZ": "equity",
    }


def test_who_is_tracked_keeps_his_description_unless_the_market_has_another(database: Database) -> None:
    with database.begin() as connection:
        import_listings(connection, [Listing("NIX", "Own words", "equity", "Tech", None), MARKET[1]])
        counts = track_symbols(connection, MARKET, ["NIX", "SPY"], contracts=[])
    assert (counts.added, counts.changed) == (0, 0)
    assert described(database)["NIX"] == ("Own words", "equity", "Tech")


@pytest.mark.parametrize(
    ("contracts", "shares"),
    [([], set()), (["AAPL240119C00150000", "AAPL1240119C00150000"], {"AAPL"}), (["House"], set())],
)
def test_shares_that_contracts_are_on(contracts: list[str], shares: set[str]) -> None:
    assert underlyings(contracts) == shares
