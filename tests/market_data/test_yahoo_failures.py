"""The real yfinance client against a stand-in: what each failure of Yahoo arrives as, and in what time."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.protocol import BarRequest, Outcome
from sigmasight_assets.market_data.yahoo import YahooMarket
from tests.market_data.yahoo_runs import (
    DAYS,
    FIRST,
    LAST,
    SECONDS,
    ask,
    days_of,
)
from tests.vendors import server, yahoo
from tests.vendors.server import Behaviour, StandIn, stand_in
from tests.vendors.yahoo import YahooMarketplace


def another_symbol(result: yahoo.Chart) -> None:
    result["meta"]["symbol"] = "XYZ"


def shorter_column(result: yahoo.Chart) -> None:
    result["indicators"]["quote"][0]["close"].pop()


FAILURES = [
    (server.silence, "timeout"),
    (server.slow_body(0.05), "timeout"),
    (server.slow_headers(0.05), "timeout"),
    (server.reset, "unreachable"),
    (server.truncated_transfer, "unreachable"),
    (server.status(500), "server_error"),
    (server.status(503, body=b"<html>down</html>"), "server_error"),
    (server.redirect("http://169.254.169.254/latest"), "redirected"),
    (server.redirect("file:///etc/passwd"), "redirected"),
    (server.html, "garbage"),
    (server.truncated_json, "garbage"),
    (server.sends(b""), "garbage"),
    (server.sends([1, 2]), "garbage"),
    (server.sends({"chart": {"result": None, "error": None}}), "garbage"),
    (server.sends({"chart": {"result": [{"meta": {}}], "error": None}}), "garbage"),
    (server.sends(b"not found", 404), "garbage"),
    (yahoo.chart_altered(another_symbol), "garbage"),
    (yahoo.chart_altered(shorter_column), "garbage"),
    (yahoo.chart_altered(lambda result: result["timestamp"].__setitem__(0, None)), "garbage"),
    (yahoo.chart_altered(lambda result: result["timestamp"].__setitem__(0, 10**30)), "garbage"),
    (yahoo.chart_altered(lambda result: result["meta"].update(exchangeTimezoneName="Mars/Base")), "garbage"),
    (yahoo.refuses({"code": "Bad Request", "description": "Invalid input"}, 400), "garbage"),
    (
        server.sends({"finance": {"result": None, "error": {"code": "Forbidden", "description": "no"}}}, 422),
        "garbage",
    ),
]


class TestFailures:
    @pytest.mark.fault(7)
    @pytest.mark.parametrize(("behaviour", "word"), FAILURES)
    def test_each_failure_has_its_word_and_brings_no_bar(
        self, source: YahooMarket, vendor: StandIn, behaviour: Behaviour, word: str
    ) -> None:
        vendor.script("ABC", behaviour)
        answer = ask(source)
        assert answer.outcomes["ABC"].outcome is Outcome.FAILED
        assert answer.outcomes["ABC"].detail.startswith(f"{word}: ")
        assert vendor.url not in answer.outcomes["ABC"].detail
        assert (answer.bars.num_rows, answer.actions.num_rows) == (0, 0)
        assert len(vendor.requests) == 2

    @pytest.mark.fault(7)
    @pytest.mark.campaign
    @pytest.mark.parametrize(("behaviour", "word"), FAILURES)
    def test_each_failing_call_ends_within_its_timeout_and_one_second(
        self, source: YahooMarket, vendor: StandIn, behaviour: Behaviour, word: str
    ) -> None:
        vendor.script("ABC", behaviour)
        begun = time.monotonic()
        assert ask(source).outcomes["ABC"].detail.startswith(f"{word}: ")
        assert time.monotonic() - begun < len(vendor.asked("ABC")) * (SECONDS + 1)

    @pytest.mark.parametrize(
        "behaviour", [server.silence, server.reset, server.status(500), server.html, server.truncated_transfer]
    )
    def test_a_failure_that_passes_does_no_harm(
        self, source: YahooMarket, vendor: StandIn, behaviour: Behaviour
    ) -> None:
        vendor.script("ABC", behaviour, server.good)
        answer = ask(source)
        assert (answer.outcomes["ABC"].outcome, days_of(answer)) == (Outcome.OK, list(DAYS))
        assert len(vendor.requests) == 2

    @pytest.mark.fault(34)
    def test_redirects_are_not_followed(self, source: YahooMarket, vendor: StandIn, market: YahooMarketplace) -> None:
        with stand_in(market.routes) as elsewhere:
            address = f"{elsewhere.url}/v8/finance/chart/ABC"
            vendor.script("ABC", server.redirect(address), server.redirect(address, 307))
            assert ask(source).outcomes["ABC"].detail.startswith("redirected: ")
            assert elsewhere.requests == []

    @pytest.mark.fault(34)
    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "address",
        ["file:///etc/passwd", "http://169.254.169.254/latest/meta-data/", "//169.254.169.254/", "ftp://127.0.0.1/"],
    )
    def test_no_other_address_is_connected_to_whatever_a_redirect_says(
        self, source: YahooMarket, vendor: StandIn, connections: list[Any], address: str, code: int
    ) -> None:
        vendor.script("ABC", server.redirect(address, code))
        assert ask(source).outcomes["ABC"].detail.startswith("redirected: ")
        assert set(connections) == {("127.0.0.1", int(vendor.url.rpartition(":")[2]))}

    def test_too_many_calls_are_made_later(self, new_source: Callable[..., YahooMarket], vendor: StandIn) -> None:
        source = new_source(first_pause=0.0, rest=0.0)
        vendor.script("ABC", server.status(429), server.status(429, retry_after="0"), server.good)
        assert ask(source).outcomes["ABC"].outcome is Outcome.OK
        assert len(vendor.requests) == 3

    def test_too_many_calls_for_ever_are_an_error_that_says_when_to_come_back(
        self, new_source: Callable[..., YahooMarket], vendor: StandIn
    ) -> None:
        source = new_source(first_pause=0.0, rest=0.0)
        vendor.default = server.status(429)
        with pytest.raises(RateLimitedError, match="429"):
            ask(source)
        assert len(vendor.requests) == 4
        vendor.default = server.status(429, retry_after="600")
        with pytest.raises(RateLimitedError) as caught:
            ask(source)
        assert caught.value.retry_after == 600.0
        assert len(vendor.requests) == 5

    def test_a_vendor_that_is_down_is_an_error(self, new_source: Callable[..., YahooMarket], vendor: StandIn) -> None:
        source = new_source(failures_in_a_row=3)
        vendor.default = server.status(502)
        with pytest.raises(MarketDataError, match="Yahoo is down: 3 calls in a row failed"):
            source.fetch_bars([BarRequest(symbol, FIRST, LAST) for symbol in ("A", "B", "C", "D")])
        assert len(vendor.requests) == 6

    def test_unknown_symbols_do_not_count_as_failures(
        self, new_source: Callable[..., YahooMarket], vendor: StandIn
    ) -> None:
        source = new_source(failures_in_a_row=2)
        vendor.script("A", server.status(500))
        vendor.script("C", server.status(500))
        answer = source.fetch_bars([BarRequest(symbol, FIRST, LAST) for symbol in ("A", "B", "C")])
        assert [each.outcome.value for each in answer.outcomes.values()] == ["failed", "unknown", "failed"]

    @pytest.mark.parametrize("status", [401, 403])
    def test_refused_access_is_a_matter_of_the_set_up(self, source: YahooMarket, vendor: StandIn, status: int) -> None:
        vendor.script("ABC", server.status(status))
        with pytest.raises(MarketSetupError, match=f"refuses access \\({status}\\)"):
            ask(source)
        assert len(vendor.requests) == 1
