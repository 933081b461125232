"""Tickers, names, sectors and industries of the simulated market; made up, so that nobody takes them for companies.

A stock's listing depends on its position only, not on how many stocks there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.quant.factors import FACTOR_ETFS

ETF_NAMES = (
    "Simulated Market Fund",
    "Simulated Long Treasury Fund",
    "Simulated Value Fund",
    "Simulated Growth Fund",
    "Simulated Momentum Fund",
    "Simulated Quality Fund",
    "Simulated Small Company Fund",
    "Simulated Low Volatility Fund",
)


@dataclass(frozen=True, slots=True)
class Sector:
    """A GICS sector: its weight among the stocks, its usual market loading, and industries with a word for names."""

    name: str
    weight: int
    market_loading: float
    industries: tuple[tuple[str, str], ...]


SECTORS = (
    Sector(
        "Information Technology",
        14,
        1.3,
        (
            ("Application Software", "Software"),
            ("Semiconductors", "Semiconductor"),
            ("IT Consulting & Other Services", "Technology Services"),
        ),
    ),
    Sector(
        "Financials",
        14,
        1.05,
        (
            ("Regional Banks", "Bancorp"),
            ("Property & Casualty Insurance", "Insurance Group"),
            ("Asset Management & Custody Banks", "Capital"),
        ),
    ),
    Sector(
        "Industrials",
        16,
        1.1,
        (
            ("Industrial Machinery & Supplies & Components", "Machinery"),
            ("Aerospace & Defense", "Aerospace"),
            ("Building Products", "Building Products"),
        ),
    ),
    Sector(
        "Health Care",
        12,
        0.85,
        (
            ("Biotechnology", "Therapeutics"),
            ("Health Care Equipment", "Medical"),
            ("Managed Health Care", "Health"),
        ),
    ),
    Sector(
        "Consumer Discretionary",
        10,
        1.2,
        (
            ("Apparel Retail", "Stores"),
            ("Restaurants", "Restaurants"),
            ("Hotels, Resorts & Cruise Lines", "Resorts"),
        ),
    ),
    Sector(
        "Consumer Staples",
        8,
        0.7,
        (("Packaged Foods & Meats", "Foods"), ("Household Products", "Household")),
    ),
    Sector("Utilities", 6, 0.65, (("Electric Utilities", "Electric"), ("Multi-Utilities", "Energy Services"))),
    Sector("Real Estate", 6, 0.95, (("Industrial REITs", "Logistics Trust"), ("Office REITs", "Properties"))),
    Sector("Materials", 5, 1.1, (("Specialty Chemicals", "Chemical"), ("Steel", "Steel"))),
    Sector("Communication Services", 5, 1.0, (("Interactive Media & Services", "Media"), ("Broadcasting", "Networks"))),
    Sector(
        "Energy",
        4,
        1.15,
        (("Oil & Gas Exploration & Production", "Petroleum"), ("Oil & Gas Storage & Transportation", "Pipelines")),
    ),
)

_CONSONANTS = "BCDFGHJKLMNPRSTVWXYZ"
_VOWELS = "AEIOU"
_NAME_ENDINGS = ("n", "ra", "x", "lis", "dyne", "rix", "mar", "ton")
LARGEST_MARKET = (len(_CONSONANTS) * len(_VOWELS)) ** 2
# Coprime to LARGEST_MARKET, so every position has a ticker of its own, and neighbours look unrelated.
_TICKER_STRIDE = 3769
_TICKER_START = 2718


def ticker(position: int) -> str:
    """The ticker of a stock: consonant, vowel, consonant, vowel, a pattern that none of the eight funds has."""
    rest, last_vowel = divmod((_TICKER_START + position * _TICKER_STRIDE) % LARGEST_MARKET, len(_VOWELS))
    rest, last_consonant = divmod(rest, len(_CONSONANTS))
    consonant, vowel = divmod(rest, len(_VOWELS))
    return _CONSONANTS[consonant] + _VOWELS[vowel] + _CONSONANTS[last_consonant] + _VOWELS[last_vowel]


def fund_listings() -> list[Listing]:
    """The eight factor funds."""
    return [Listing(symbol, name, "etf", None, None) for symbol, name in zip(FACTOR_ETFS, ETF_NAMES, strict=True)]


def draw_stock_listings(generator: np.random.Generator, stocks: int) -> list[Listing]:
    """As many stocks as asked for, with sectors in proportion to their weights."""
    draws = generator.random((stocks, 3))
    bounds = np.cumsum([sector.weight for sector in SECTORS])
    chosen = np.searchsorted(bounds, draws[:, 0] * bounds[-1], side="right")
    listings = []
    for position, (which, (_, industry_draw, ending_draw)) in enumerate(zip(chosen, draws, strict=True)):
        sector = SECTORS[which]
        industry, word = sector.industries[int(industry_draw * len(sector.industries))]
        symbol = ticker(position)
        name = f"{symbol.title()}{_NAME_ENDINGS[int(ending_draw * len(_NAME_ENDINGS))]} {word}"
        listings.append(Listing(symbol, name, "equity", sector.name, industry))
    return listings


def draw_second_industries(
    generator: np.random.Generator, listings: Sequence[Listing]
) -> list[tuple[str | None, str | None]]:
    """Sector and industry of each listing after it has changed them, if it ever does; a fund has neither.

    Half of the stocks would stay in their sector.
    """
    draws = generator.random((len(listings), 3))
    names = [sector.name for sector in SECTORS]
    changed: list[tuple[str | None, str | None]] = []
    for listing, (stays, sector_draw, industry_draw) in zip(listings, draws, strict=True):
        if listing.sector is None:
            changed.append((None, None))
            continue
        which = names.index(listing.sector)
        if stays >= 0.5:
            which = (which + 1 + int(sector_draw * (len(SECTORS) - 1))) % len(SECTORS)
        others = [industry for industry, _ in SECTORS[which].industries if industry != listing.industry]
        changed.append((SECTORS[which].name, others[int(industry_draw * len(others))]))
    return changed
