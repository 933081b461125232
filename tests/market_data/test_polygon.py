"""The real client against a stand-in: what each answer means, what is never asked, and that the key stays unsaid."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.polygon import PolygonOptions
from sigmasight_assets.market_data.protocol import BAR_SCHEMA, BarRequest, FetchResult, Outcome
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.market_data.vendor_calls import CallRules
from sigmasight_assets.market_data.vendor_patience import Patience
from sigmasight_assets.sessions import SessionCalendar
from tests.vendors import polygon, server
from tests.vendors.polygon import PolygonMarketplace
from tests.vendors.server import Behaviour, Exchange, Page, StandIn, stand_in

KEY = "pk_5eCretKeyOfNobody"
CALL, PUT = "AAPL240719C00150000", "AAPL240719P00150000"
FIRST, LAST = date(2024, 7, 1), date(2024, 7, 12)
MONDAY, TUESDAY = date(2024, 7, 8), date(2024, 7, 9)
DAYS = {MONDAY: (5.0, 6.0, 4.0, 5.5, 12.0), TUESDAY: (5.5, 7.25, 5.25, 7.0, 3.0)}


@dataclass
class Turns:
    """Free turns that keep count of the pauses they were asked for."""

    waits: int = 0
    pauses: list[float] = field(default_factory=list)

    def wait(self) -> None:
        self.waits += 1

    def slow_down(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def market() -> PolygonMarketplace:
    return PolygonMarketplace(days={CALL: dict(DAYS), PUT: dict(DAYS)})


@pytest.fixture
def vendor(market: PolygonMarketplace) -> Iterator[StandIn]:
    with stand_in(market.routes) as running:
        yield running


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def rules(vendor: StandIn, turns: Turns) -> CallRules:
    return CallRules(turns=turns, timeout=5.0, base_url=vendor.url)


@pytest.fixture
def source(rules: CallRules) -> PolygonOptions:
    return PolygonOptions(KEY, rules)


def fetch(source: PolygonOptions, *symbols: str) -> FetchResult:
    return source.fetch_bars([BarRequest(symbol, FIRST, LAST) for symbol in symbols or (CALL,)])


def said(source: PolygonOptions, symbol: str = CALL) -> tuple[Outcome, str]:
    answer = fetch(source, symbol).outcomes[symbol]
    return answer.outcome, answer.detail


def test_bars_are_the_days_in_new_york_as_traded(vendor: StandIn, source: PolygonOptions) -> None:
    answer = fetch(source)
    assert answer.bars.schema == BAR_SCHEMA
    assert [tuple(row.values()) for row in answer.bars.to_pylist()] == [
        (CALL, MONDAY, 5.0, 6.0, 4.0, 5.5, 5.5, 12.0),
        (CALL, TUESDAY, 5.5, 7.25, 5.25, 7.0, 7.0, 3.0),
    ]
    assert answer.outcomes[CALL].outcome is Outcome.OK
    assert (answer.actions.num_rows, answer.sources) == (0, {})
    (request,) = vendor.requests
    assert request.path == f"/v2/aggs/ticker/O:{CALL}/range/1/day/{FIRST}/{LAST}"
    assert request.query == {"adjusted": "false", "limit": "50000"}
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert "Polygon.io PythonClient" in request.headers["User-Agent"]


@pytest.mark.parametrize("hours", [0, 23])
@pytest.mark.parametrize("day", [date(2024, 1, 2), date(2024, 3, 11), date(2024, 7, 1), date(2024, 11, 4)])
def test_days_are_the_exchange_s_in_winter_and_summer(
    vendor: StandIn, source: PolygonOptions, day: date, hours: int
) -> None:
    bar = polygon.bar(day, DAYS[MONDAY])
    bar["t"] += hours * 3_600_000
    vendor.script(CALL, server.altered(lambda good: {**good, "results": [bar], "resultsCount": 1}))
    answer = source.fetch_bars([BarRequest(CALL, day, day)])
    assert answer.bars["price_date"].to_pylist() == [day]


def test_one_call_for_each_contract_over_its_own_window(vendor: StandIn, source: PolygonOptions, turns: Turns) -> None:
    answer = source.fetch_bars([BarRequest(CALL, FIRST, LAST), BarRequest(PUT, TUESDAY, LAST)])
    assert [request.path.split("/")[-2:] for request in vendor.requests] == [
        [str(FIRST), str(LAST)],
        [str(TUESDAY), str(LAST)],
    ]
    assert answer.bars["symbol"].to_pylist() == [CALL, CALL, PUT]
    assert (source.own_calls, turns.waits, turns.pauses) == (2, 2, [])
    assert source.fetch_bars([]).bars.schema == BAR_SCHEMA
    with pytest.raises(MarketDataError, match="asked for twice"):
        fetch(source, CALL, CALL)


def test_a_delayed_answer_is_an_answer(market: PolygonMarketplace, source: PolygonOptions) -> None:
    market.status = "DELAYED"
    assert fetch(source).bars.num_rows == 2


@pytest.mark.parametrize(
    "behaviour",
    [
        server.good,
        server.sends({"status": "OK", "resultsCount": 0, "results": None}),
        server.sends({"status": "OK", "results": [], "ticker": f"O:{CALL}"}),
    ],
)
def test_a_contract_that_did_not_trade_is_empty(
    vendor: StandIn, market: PolygonMarketplace, source: PolygonOptions, behaviour: Behaviour
) -> None:
    market.days.clear()
    vendor.script(CALL, behaviour)
    assert said(source) == (Outcome.EMPTY, "no trades from 2024-07-01 to 2024-07-12")
    assert len(vendor.requests) == 1


def test_a_contract_that_polygon_does_not_find_is_unknown(vendor: StandIn, source: PolygonOptions) -> None:
    vendor.script(CALL, server.sends(polygon.NOT_FOUND, 404), server.sends(polygon.NOT_FOUND))
    assert [said(source) for _ in range(2)] == [(Outcome.UNKNOWN, "Polygon knows no such contract")] * 2
    assert len(vendor.requests) == 2


def test_what_is_no_contract_is_not_asked_for(vendor: StandIn, source: PolygonOptions) -> None:
    outcome, detail = said(source, "aapl240719C00150000")
    assert outcome is Outcome.UNKNOWN
    assert "is not an OCC option symbol" in detail
    assert vendor.requests == []


def at_time(value: Any) -> Behaviour:
    """The good answer, the time of its last bar another."""
    return server.altered(lambda good: {**good, "results": [good["results"][0], {"t": value}]})


FAILURES: dict[str, tuple[Behaviour, str]] = {
    "silence": (server.silence, "timeout"),
    "slow body": (server.slow_body(0.05), "timeout"),
    "slow headers": (server.slow_headers(0.05), "timeout"),
    "reset": (server.reset, "unreachable"),
    "cut": (server.truncated_transfer, "unreachable"),
    "redirect": (server.redirect("http://127.0.0.1:9/"), "redirected"),
    "500": (server.status(500), "server_error"),
    "500 with words": (server.sends({"status": "ERROR", "error": "internal"}, 500), "server_error"),
    "error": (server.sends({"status": "ERROR", "error": "Invalid date"}, 400), "server_error"),
    "page": (server.html, "garbage"),
    "404 page": (server.status(404, body=b"404 page not found"), "garbage"),
    "good words with 400": (server.sends({"status": "OK", "resultsCount": 0}, 400), "garbage"),
    "404 of another": (server.sends({"error": "no such route"}, 404), "garbage"),
    "no text": (server.status(400, body=b"\xff\xfe\xfd"), "garbage"),
    "half": (server.truncated_json, "garbage"),
    "nested": (server.sends(b"[" * 100_000), "garbage"),
    "list": (server.sends([]), "garbage"),
    "nothing": (server.sends(b""), "garbage"),
    "no status": (server.sends({}), "garbage"),
    "odd status": (server.sends({"status": ["OK"]}), "garbage"),
    "no bars, no number": (server.sends({"status": "OK"}), "garbage"),
    "bars by name": (server.sends({"status": "OK", "results": {"t": 1}, "ticker": f"O:{CALL}"}), "garbage"),
    "another contract": (server.altered(lambda good: {**good, "ticker": f"O:{PUT}"}), "garbage"),
    "another case": (server.altered(lambda good: {**good, "ticker": f"o:{CALL}"}), "garbage"),
    "nobody's": (server.altered(lambda good: {**good, "ticker": None}), "garbage"),
    "not said whose": (server.altered(lambda good: {name: good[name] for name in good if name != "ticker"}), "garbage"),
    "fewer bars than stated": (server.altered(lambda good: {**good, "results": good["results"][:1]}), "garbage"),
    "stated and not sent": (server.sends({"status": "OK", "resultsCount": 2}), "garbage"),
    "a second part": (server.altered(lambda good: {**good, "next_url": "https://api.polygon.io/v2/x"}), "garbage"),
    "bars of text": (server.altered(lambda good: {**good, "results": ["a", "b"]}), "garbage"),
    **{f"time {time!r}": (at_time(time), "garbage") for time in (None, "2024-07-09", math.nan, math.inf, 10**17)},
    "time beyond all numbers": (at_time(10**400), "garbage"),
}


@pytest.mark.fault(7)
@pytest.mark.parametrize("name", FAILURES)
def test_what_is_no_answer_is_failed_and_named(vendor: StandIn, rules: CallRules, name: str) -> None:
    behaviour, word = FAILURES[name]
    rules.timeout = 0.3 if word == "timeout" else 5.0
    vendor.script(CALL, behaviour)
    answer = fetch(PolygonOptions(KEY, rules), CALL, PUT)
    assert answer.outcomes[CALL].outcome is Outcome.FAILED
    assert answer.outcomes[CALL].detail.startswith(f"{word}: ")
    assert answer.outcomes[PUT].outcome is Outcome.OK
    assert answer.bars["symbol"].to_pylist() == [PUT, PUT]
    assert len(vendor.asked(CALL)) == 2


@pytest.mark.fault(34)
def test_redirects_are_not_followed(vendor: StandIn, source: PolygonOptions, market: PolygonMarketplace) -> None:
    with stand_in(market.routes) as elsewhere:
        vendor.script(CALL, server.redirect(f"{elsewhere.url}/v2/aggs/ticker/O:{CALL}/range/1/day/{FIRST}/{LAST}"))
        assert said(source)[0] is Outcome.FAILED
        assert elsewhere.requests == []


AWAY = (
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "//169.254.169.254/",
    "http://[::ffff:169.254.169.254]/",
    "ftp://127.0.0.1/",
)


@pytest.mark.fault(34)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("address", AWAY)
def test_no_other_address_is_connected_to_whatever_a_redirect_says(
    vendor: StandIn, source: PolygonOptions, connections: list[Any], address: str, code: int
) -> None:
    vendor.script(CALL, server.redirect(address, code))
    assert said(source)[1].startswith("redirected: ")
    assert set(connections) == {("127.0.0.1", int(vendor.url.rpartition(":")[2]))}


def with_next(address: str) -> Behaviour:
    return server.altered(lambda good: {**good, "next_url": address})


@pytest.mark.fault(34)
def test_a_further_page_elsewhere_is_not_fetched(
    vendor: StandIn, source: PolygonOptions, market: PolygonMarketplace, connections: list[Any]
) -> None:
    with stand_in(market.routes) as elsewhere:
        address = f"{elsewhere.url}/v2/aggs/ticker/O:{CALL}/range/1/day/{FIRST}/{LAST}"
        for further in (address, *AWAY):
            vendor.script(CALL, with_next(further))
            answer = fetch(source)
            assert (answer.outcomes[CALL].outcome, answer.bars.num_rows) == (Outcome.FAILED, 0)
        assert elsewhere.requests == []
    assert set(connections) == {("127.0.0.1", int(vendor.url.rpartition(":")[2]))}


def test_what_fails_once_is_asked_again(vendor: StandIn, source: PolygonOptions) -> None:
    vendor.script(CALL, server.html, server.good)
    assert said(source) == (Outcome.OK, "")


@pytest.mark.fault(10)
def test_numbers_are_passed_on_as_they_are_and_what_is_no_number_is_null(
    vendor: StandIn, source: PolygonOptions, calendar: SessionCalendar
) -> None:
    first, second = DAYS.items()
    odd = {**polygon.bar(*first), "o": math.nan, "h": 10**400, "l": -(10**400), "c": "5.5", "v": True}
    del (partial := polygon.bar(*second))["v"]
    vendor.script(CALL, server.altered(lambda good: {**good, "results": [odd, partial]}))
    answer = fetch(source)
    odd_bar, partial_bar = [tuple(row.values())[2:] for row in answer.bars.to_pylist()]
    assert math.isnan(odd_bar[0])
    assert odd_bar[1:] == (math.inf, -math.inf, None, None, None)
    assert partial_bar == (5.5, 7.25, 5.25, 7.0, 7.0, None)
    judged = validate_bars(answer.bars, [BarRequest(CALL, FIRST, LAST)], calendar)
    assert (judged.valid.num_rows, judged.counts) == (0, {"price_missing": 1, "volume_missing": 1})


@pytest.mark.parametrize(
    "behaviour",
    [
        server.sends(polygon.UNKNOWN_KEY, 401),
        server.sends(polygon.NOT_ENTITLED, 403),
        server.status(403, body=b"<html>Forbidden</html>"),
        server.sends(polygon.UNKNOWN_KEY),
        server.sends(polygon.NOT_ENTITLED),
        server.sends({"status": "ERROR", "error": "API Key was not provided"}, 400),
    ],
)
def test_a_refused_key_is_named_by_its_setting(vendor: StandIn, source: PolygonOptions, behaviour: Behaviour) -> None:
    vendor.script(CALL, behaviour)
    with pytest.raises(MarketSetupError, match="POLYGON_API_KEY"):
        fetch(source)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("key", ["", " ", "two words", "secret\n", "\tsecret", "sécret", "\x00"])
def test_a_key_that_cannot_be_one_is_refused_before_any_call(rules: CallRules, vendor: StandIn, key: str) -> None:
    with pytest.raises(MarketSetupError, match="POLYGON_API_KEY") as refusal:
        PolygonOptions(key, rules)
    assert not key.strip() or key.strip() not in str(refusal.value)
    assert vendor.requests == []


@pytest.mark.parametrize(
    "limited",
    [server.status(429, retry_after="7"), server.sends(polygon.TOO_MANY, 429), server.sends(polygon.TOO_MANY)],
)
def test_fewer_calls_when_the_vendor_wants_fewer(
    vendor: StandIn, source: PolygonOptions, turns: Turns, limited: Behaviour
) -> None:
    vendor.script(CALL, limited, limited, server.good)
    assert said(source) == (Outcome.OK, "")
    assert turns.pauses == ([7.0, 7.0] if "7" in repr(turns.pauses) else [2.0, 4.0])
    vendor.script(CALL, limited)
    with pytest.raises(RateLimitedError, match="polygon: rate_limited"):
        fetch(source)
    assert len(vendor.requests) == 3 + 4


def test_a_vendor_that_is_down_is_not_asked_for_every_contract(vendor: StandIn, rules: CallRules) -> None:
    vendor.default = server.status(503)
    symbols = [f"AAPL240719C{strike:08d}" for strike in range(100_000, 120_000, 1_000)]
    source = PolygonOptions(KEY, rules, patience=Patience("polygon", rules, failures_in_a_row=3))
    with pytest.raises(MarketDataError, match="polygon is down: 3 calls in a row failed, the last one: server_error"):
        fetch(source, *symbols)
    assert len(vendor.requests) == 6


def test_a_source_of_contracts_lists_and_describes_nothing(source: PolygonOptions, vendor: StandIn) -> None:
    assert (source.name, source.symbols_per_call) == ("polygon", 1)
    assert not source.supplies_corporate_actions
    assert not source.supplies_dated_profiles
    assert source.listings() == []
    profiles = source.fetch_profiles([CALL], as_of=LAST)
    assert (profiles.profiles.num_rows, list(profiles.problems)) == (0, [CALL])
    assert vendor.requests == []


def echo(code: int) -> Behaviour:
    """An answer that repeats what was sent, as some gateways do."""

    def behave(exchange: Exchange) -> None:
        exchange.send(Page({"status": "ERROR", "error": f"bad API key {KEY}", "message": f"Bearer {KEY}"}, code))

    return behave


KEEPERS: dict[str, Behaviour] = {
    "good": server.good,
    **{name: behaviour for name, (behaviour, _) in FAILURES.items()},
    **{f"echo {code}": echo(code) for code in (200, 400, 401, 403, 404, 429, 500)},
    "page with key": server.sends(f"<html>{KEY}</html>".encode()),
    "key as status": server.sends({"status": KEY}),
    "key as time": server.sends({"status": "OK", "resultsCount": 1, "results": [{"t": KEY}], "ticker": f"O:{CALL}"}),
    "key as ticker": server.altered(lambda good: {**good, "ticker": KEY}),
    "key as bar": server.altered(lambda good: {**good, "results": [KEY, KEY]}),
    "redirect with key": server.redirect(f"http://127.0.0.1:9/?apiKey={KEY}"),
}


@pytest.mark.parametrize("name", KEEPERS)
def test_the_key_is_in_no_error_no_log_and_no_answer(
    vendor: StandIn,
    rules: CallRules,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    # Another client of it may have said that it is to be quiet.
    caplog.set_level(logging.DEBUG, "urllib3")
    rules.timeout = 0.3
    vendor.default = KEEPERS[name]
    source = PolygonOptions(KEY, rules, patience=Patience("polygon", rules, failures_in_a_row=2))
    told = [repr(source), str(source)]
    for symbol in (CALL, PUT):
        try:
            told.append(repr(fetch(source, symbol).outcomes))
        except MarketDataError as error:
            told += chain(error)
    assert vendor.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert {record.name.partition(".")[0] for record in caplog.records} >= {"urllib3"}
    told += [f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records]
    told += [caplog.text, *capfd.readouterr()]
    assert [text for text in told if KEY in text] == []


def chain(error: BaseException | None) -> list[str]:
    """An error and all that led to it, in every spelling."""
    told, seen, waiting = list[str](), set[int](), [error]
    while waiting:
        found = waiting.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            told += [str(found), repr(found), repr(found.args), repr(vars(found))]
            waiting += [found.__cause__, found.__context__]
    return told


def test_an_address_where_nobody_answers_is_unreachable_and_the_key_unsaid(market: PolygonMarketplace) -> None:
    with stand_in(market.routes) as gone:
        rules = CallRules(base_url=gone.url, timeout=5.0)
    outcome, detail = said(PolygonOptions(KEY, rules))
    assert outcome is Outcome.FAILED
    assert detail.startswith("unreachable: ")
    assert KEY not in detail
