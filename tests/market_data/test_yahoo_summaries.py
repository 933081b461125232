"""Profiles through the real yfinance client against a stand-in: the calls they take, and how those fail."""

from collections.abc import Callable
from typing import Any

import pytest

from sigmasight_assets.errors import MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.yahoo import YahooMarket
from tests.market_data.yahoo_runs import (
    TODAY,
    ask,
)
from tests.vendors import server
from tests.vendors.server import Behaviour, StandIn
from tests.vendors.yahoo import Company, YahooMarketplace

SUMMARY: dict[str, dict[str, Any]] = {
    "price": {"symbol": "ABC", "longName": "Abc Company", "currency": "USD", "marketCap": 3_000_000_000},
    "assetProfile": {"sector": "Consumer Cyclical", "industry": "Auto Parts"},
    "summaryDetail": {"trailingPE": 21.5, "forwardPE": 18.0, "dividendYield": 0.0123, "beta": 1.2, "currency": "USD"},
}
PROFILE = {
    "symbol": "ABC",
    "name": "Abc Company",
    "sector": "Consumer Discretionary",
    "industry": "Auto Parts",
    "market_cap": 3e9,
    "pe_ratio": 21.5,
    "forward_pe": 18.0,
    "dividend_yield": 0.0123,
    "provider_beta": 1.2,
}


class TestProfiles:
    @pytest.fixture
    def market(self) -> YahooMarketplace:
        other = {**SUMMARY, "price": {**SUMMARY["price"], "symbol": "DEF"}}
        return YahooMarketplace({"ABC": Company(summary=SUMMARY), "DEF": Company(summary=other)})

    def test_a_profile_takes_one_call_after_those_for_the_crumb(self, source: YahooMarket, vendor: StandIn) -> None:
        answer = source.fetch_profiles(["ABC"], as_of=TODAY)
        assert (answer.profiles.to_pylist(), answer.problems) == ([PROFILE], {})
        source.fetch_profiles(["ABC", "ABC"], as_of=TODAY)
        assert [request.key for request in vendor.requests] == ["cookie", "crumb", "summary:ABC", "summary:ABC"]
        assert vendor.requests[-1].headers["Cookie"] == "A3=made-up"

    def test_a_crumb_that_has_run_out_is_renewed(
        self, source: YahooMarket, vendor: StandIn, market: YahooMarketplace
    ) -> None:
        source.fetch_profiles(["ABC"], as_of=TODAY)
        market.crumb = "another"
        vendor.requests.clear()
        assert source.fetch_profiles(["ABC"], as_of=TODAY).profiles.num_rows == 1
        assert [request.key for request in vendor.requests] == ["summary:ABC", "cookie", "crumb", "summary:ABC"]

    def test_a_symbol_that_yahoo_does_not_know(self, source: YahooMarket, vendor: StandIn) -> None:
        answer = source.fetch_profiles(["GONE"], as_of=TODAY)
        assert answer.problems == {"GONE": "Quote not found for symbol: GONE"}
        assert answer.profiles.num_rows == 0
        assert len(vendor.asked("summary:GONE")) == 1

    @pytest.mark.parametrize(
        ("behaviour", "word"),
        [
            (server.silence, "timeout"),
            (server.reset, "unreachable"),
            (server.status(500), "server_error"),
            (server.html, "garbage"),
            (server.truncated_json, "garbage"),
            (server.sends({"quoteSummary": {"result": [], "error": None}}), "garbage"),
            (server.sends({"quoteSummary": {"result": [{"price": {"symbol": "X"}}], "error": None}}), "garbage"),
            (server.redirect("http://127.0.0.1:9/"), "redirected"),
        ],
    )
    def test_each_failure_has_its_word_and_stops_no_other(
        self, source: YahooMarket, vendor: StandIn, behaviour: Behaviour, word: str
    ) -> None:
        vendor.script("summary:ABC", behaviour)
        answer = source.fetch_profiles(["ABC", "DEF"], as_of=TODAY)
        assert list(answer.problems) == ["ABC"]
        assert answer.problems["ABC"].startswith(f"{word}: ")
        assert len(vendor.asked("summary:ABC")) == 2

    @pytest.mark.parametrize("key", ["cookie", "crumb"])
    @pytest.mark.parametrize(
        ("behaviour", "word"), [(server.silence, "timeout"), (server.reset, "unreachable"), (server.status(500), "")]
    )
    def test_what_fails_on_the_way_to_a_crumb_is_named(
        self, source: YahooMarket, vendor: StandIn, key: str, behaviour: Behaviour, word: str
    ) -> None:
        vendor.script(key, behaviour)
        answer = source.fetch_profiles(["ABC"], as_of=TODAY)
        if key == "cookie" and not word:
            # The page of the cookie is an error by itself.
            assert answer.problems == {}
        else:
            assert answer.problems["ABC"].startswith(f"{word or 'server_error'}: ")
            assert (len(vendor.asked(key)), vendor.asked("summary:ABC")) == (2, [])

    @pytest.mark.parametrize("body", [b"<html></html>", b"", b'{"finance": null}', b"x" * 65])
    def test_a_page_is_no_crumb(self, source: YahooMarket, vendor: StandIn, body: bytes) -> None:
        vendor.script("crumb", server.sends(body))
        assert source.fetch_profiles(["ABC"], as_of=TODAY).problems == {"ABC": "garbage: Yahoo sent no crumb"}
        vendor.script("crumb", server.good)
        assert source.fetch_profiles(["ABC"], as_of=TODAY).problems == {}

    @pytest.mark.parametrize("key", ["cookie", "crumb", "summary:ABC"])
    def test_too_many_calls_are_told_apart_wherever_they_are(
        self, new_source: Callable[..., YahooMarket], vendor: StandIn, key: str
    ) -> None:
        vendor.script(key, server.status(429, body=b"Too Many Requests"))
        with pytest.raises(RateLimitedError):
            new_source(first_pause=0.0).fetch_profiles(["ABC"], as_of=TODAY)
        assert len(vendor.asked(key)) == 4

    def test_access_that_stays_refused_is_a_matter_of_the_set_up(self, source: YahooMarket, vendor: StandIn) -> None:
        vendor.script("summary:ABC", server.status(401))
        with pytest.raises(MarketSetupError, match="refuses access"):
            source.fetch_profiles(["ABC"], as_of=TODAY)
        assert len(vendor.asked("summary:ABC")) == 2

    def test_charts_after_profiles_and_profiles_after_charts(self, source: YahooMarket, vendor: StandIn) -> None:
        ask(source)
        source.fetch_profiles(["ABC"], as_of=TODAY)
        ask(source)
        assert [request.key for request in vendor.requests] == ["ABC", "cookie", "crumb", "summary:ABC", "ABC"]
