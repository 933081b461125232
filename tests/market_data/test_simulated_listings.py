import numpy as np

from sigmasight_assets.market_data.simulated_listings import (
    LARGEST_MARKET,
    SECTORS,
    draw_second_industries,
    draw_stock_listings,
    fund_listings,
    ticker,
)
from sigmasight_assets.quant.factors import FACTOR_ETFS


def test_tickers_are_unique_up_to_the_largest_market() -> None:
    tickers = {ticker(position) for position in range(LARGEST_MARKET)}
    assert len(tickers) == LARGEST_MARKET == 10_000
    assert not tickers & set(FACTOR_ETFS)
    assert {len(symbol) for symbol in tickers} == {4}


def test_funds_are_the_factor_etfs_in_order() -> None:
    funds = fund_listings()
    assert tuple(fund.symbol for fund in funds) == FACTOR_ETFS
    assert {(fund.asset_type, fund.sector, fund.industry) for fund in funds} == {("etf", None, None)}


def test_a_stock_does_not_depend_on_how_many_follow() -> None:
    few = draw_stock_listings(np.random.default_rng(1), 50)
    assert few == draw_stock_listings(np.random.default_rng(1), 500)[:50]


def test_stocks_spread_over_sectors_by_weight() -> None:
    listings = draw_stock_listings(np.random.default_rng(1), LARGEST_MARKET)
    total = sum(sector.weight for sector in SECTORS)
    for sector in SECTORS:
        members = [listing for listing in listings if listing.sector == sector.name]
        assert abs(len(members) / LARGEST_MARKET - sector.weight / total) < 0.015
        assert {member.industry for member in members} == {industry for industry, _ in sector.industries}


def test_names_are_unique_in_the_default_market() -> None:
    listings = draw_stock_listings(np.random.default_rng(1), 500)
    assert len({listing.name for listing in listings}) == 500
    assert all(listing.name.startswith(listing.symbol.title()) for listing in listings)


def test_second_industries_are_others_and_half_of_them_of_the_same_sector() -> None:
    listings = fund_listings() + draw_stock_listings(np.random.default_rng(1), 2_000)
    changed = draw_second_industries(np.random.default_rng(2), listings)
    assert changed[:8] == [(None, None)] * 8
    known = {(sector.name, industry) for sector in SECTORS for industry, _ in sector.industries}
    assert set(changed[8:]) == known
    assert all(listing.industry != industry for listing, (_, industry) in zip(listings[8:], changed[8:], strict=True))
    stays = [listing.sector == sector for listing, (sector, _) in zip(listings[8:], changed[8:], strict=True)]
    assert 0.45 < np.mean(stays) < 0.55
    assert draw_second_industries(np.random.default_rng(2), listings[:100]) == changed[:100]
