"""Yahoo as a market source: daily bars, splits and dividends of shares and funds, and profiles as of now.

Yahoo's data is for personal use. Payouts of funds' capital gains are not among the dividends: Yahoo states some of them
as dividends too.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from sigmasight_assets.market_data.protocol import (
    ACTION_SCHEMA,
    BAR_SCHEMA,
    PROFILE_SCHEMA,
    TICKER,
    BarRequest,
    FetchResult,
    Listing,
    Outcome,
    ProfileResult,
    SymbolOutcome,
    requests_by_symbol,
)
from sigmasight_assets.market_data.vendor_calls import CallRules, VendorCallError
from sigmasight_assets.market_data.vendor_patience import Patience
from sigmasight_assets.market_data.yahoo_answers import ChartAnswer, read_chart, yahoo_spelling
from sigmasight_assets.market_data.yahoo_client import YahooClient
from sigmasight_assets.market_data.yahoo_profiles import MODULES, NoProfileError, read_summary

NO_TICKER = "not a ticker in Yahoo's spelling, such as BRK-B"


class YahooMarket:
    """The market as Yahoo tells of it, one call per symbol.

    ``cache`` is a directory for what yfinance keeps, its cookie; ``today`` is the date in New York.
    """

    name = "yahoo"
    supplies_corporate_actions = True
    supplies_dated_profiles = False
    symbols_per_call = 1

    def __init__(
        self, rules: CallRules, *, cache: Path, today: Callable[[], date], patience: Patience | None = None
    ) -> None:
        self._rules = rules
        self._client = YahooClient(rules, cache)
        self._today = today
        self._patience = patience or Patience("Yahoo", rules)

    @property
    def own_calls(self) -> int:
        """HTTP calls made so far, cookies and crumbs among them."""
        return self._rules.calls

    def listings(self) -> list[Listing]:
        """None: Yahoo has no list of its symbols, and what it knows of one is told when that is asked for."""
        return []

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The bars of each window as Yahoo sends them, and all actions from its first date up to today.

        A symbol is unknown when Yahoo says so or quotes it in another currency, failed when its call did, and ok when
        there is a row within the window, whatever its values. Raises ``RateLimitedError`` and ``MarketDataError`` when
        Yahoo answers nobody any more.
        """
        answers = {symbol: self._bars(request) for symbol, request in requests_by_symbol(requests).items()}
        found = answers.values()
        return FetchResult(
            bars=pa.concat_tables([BAR_SCHEMA.empty_table(), *(answer.bars for answer in found)]),
            outcomes={symbol: answer.outcome for symbol, answer in answers.items()},
            actions=pa.concat_tables([ACTION_SCHEMA.empty_table(), *(answer.actions for answer in found)]),
        )

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:  # noqa: ARG002
        """The profiles of now; raises as ``fetch_bars`` does."""
        rows: list[dict[str, Any]] = []
        problems: dict[str, str] = {}
        for symbol in dict.fromkeys(symbols):
            try:
                rows.append(self._profile(symbol))
            except (NoProfileError, VendorCallError) as error:
                problems[symbol] = str(error)
        return ProfileResult(pa.Table.from_pylist(rows, schema=PROFILE_SCHEMA), problems)

    def _bars(self, request: BarRequest) -> ChartAnswer:
        if not TICKER.fullmatch(request.symbol):
            return ChartAnswer(SymbolOutcome(Outcome.UNKNOWN, NO_TICKER))
        today = self._today()
        # Closes are in the units after the last split, so the answer must reach to the splits of today.
        end = max(today, request.last) + timedelta(days=1)

        def call() -> ChartAnswer:
            content = self._client.chart(yahoo_spelling(request.symbol), request.first, end)
            return read_chart(content, request, today=today)

        try:
            return self._patience.ask(call)
        except VendorCallError as error:
            return ChartAnswer(SymbolOutcome(Outcome.FAILED, str(error)))

    def _profile(self, symbol: str) -> dict[str, Any]:
        if not TICKER.fullmatch(symbol):
            raise NoProfileError(NO_TICKER)
        return self._patience.ask(lambda: self._summary(symbol))

    def _summary(self, symbol: str) -> dict[str, Any]:
        return read_summary(self._client.summary(yahoo_spelling(symbol), MODULES), symbol)
