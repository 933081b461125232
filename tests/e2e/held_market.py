"""A small simulated market that first does as a file says.

The file holds one word: ``hold`` keeps calls from returning, ``away`` fails them as a vendor does that is not there,
``broken`` as one that never will be. Without a word, or without the file, it answers.
"""

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from sigmasight_assets.errors import MarketDataError, MarketSetupError
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult, Listing, ProfileResult
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import exchange_calendar

STOCKS = 12
# The file, in the home of the services.
WORDS = "market"


class HeldMarket(SimulatedMarket):
    """The market as it is known on an evening."""

    def __init__(self, words: Path, *, as_of: date) -> None:
        super().__init__(exchange_calendar(), stocks=STOCKS, as_of=as_of)
        self._words = words

    def listings(self) -> list[Listing]:
        """As the simulated market, once the file allows it."""
        self._obey()
        return super().listings()

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """As the simulated market, once the file allows it."""
        self._obey()
        return super().fetch_bars(requests)

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """As the simulated market, once the file allows it."""
        self._obey()
        return super().fetch_profiles(symbols, as_of=as_of)

    def _obey(self) -> None:
        while self._word() == "hold":
            time.sleep(0.05)
        if self._word() == "away":
            raise MarketDataError("the vendor does not answer")
        if self._word() == "broken":
            raise MarketSetupError("the vendor has closed the account")

    def _word(self) -> str:
        return self._words.read_text() if self._words.exists() else ""
