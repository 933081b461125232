"""Contracts go to their own source, everything else to the market's, and neither harms the other."""

from collections.abc import Iterator
from datetime import date

import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.combined import NO_OPTION_PRICES, WithOptions
from sigmasight_assets.market_data.polygon import PolygonOptions
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    SPLIT,
    BarRequest,
    FetchResult,
    Outcome,
    SymbolOutcome,
    second_of,
    source_names,
)
from sigmasight_assets.market_data.vendor_calls import CallRules
from sigmasight_assets.market_data.vendor_patience import Patience
from tests.orchestration.markets import ScriptedMarket, bar, stock
from tests.vendors import polygon, server
from tests.vendors.polygon import PolygonMarketplace
from tests.vendors.server import StandIn, stand_in

DAYS = [date(2024, 7, day) for day in (8, 9, 10)]
CALL, PUT, OTHER = "AAPL240719C00150000", "AAPL240719P00150000", "MSFT240816C00400000"
CONTRACTS = (CALL, PUT, OTHER)


def requests(*symbols: str) -> list[BarRequest]:
    return [BarRequest(symbol, DAYS[0], DAYS[-1]) for symbol in symbols]


@pytest.fixture
def shares() -> ScriptedMarket:
    """A market that has bars of contracts as well, which nobody may see."""
    bars = {(symbol, day): bar(100.0) for symbol in ("AAPL", "MSFT", *CONTRACTS) for day in DAYS}
    return ScriptedMarket(
        bars,
        [stock("AAPL"), stock("MSFT")],
        supplies_corporate_actions=True,
        symbols_per_call=50,
        actions={("AAPL", DAYS[1], SPLIT): (4, 1, None)},
        profiles={"AAPL": {"name": "Apple"}},
    )


@pytest.fixture
def vendor() -> Iterator[StandIn]:
    days = dict.fromkeys(DAYS[:2], (5.0, 6.0, 4.0, 5.5, 12.0))
    with stand_in(PolygonMarketplace(days={symbol: dict(days) for symbol in CONTRACTS}).routes) as running:
        yield running


@pytest.fixture
def options(vendor: StandIn) -> PolygonOptions:
    """The vendor is down as soon as one call has failed."""
    rules = CallRules(base_url=vendor.url, timeout=5.0)
    patience = Patience("polygon", rules, limited_attempts=1, failed_attempts=1, failures_in_a_row=1, rest=0.0)
    return PolygonOptions("a-key", rules, patience=patience)


def closes(answer: FetchResult) -> dict[str, set[float]]:
    """The different closes of each symbol."""
    found: dict[str, set[float]] = {}
    for symbol, close in zip(*(answer.bars[name].to_pylist() for name in ("symbol", "close_price")), strict=True):
        found.setdefault(symbol, set()).add(close)
    return found


def outcomes(answer: FetchResult) -> dict[str, Outcome]:
    return {symbol: said.outcome for symbol, said in answer.outcomes.items()}


def test_each_symbol_is_asked_of_its_own_source(
    shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn
) -> None:
    answer = WithOptions(shares, options).fetch_bars(requests("MSFT", CALL, "AAPL", PUT))
    assert closes(answer) == {"AAPL": {100.0}, "MSFT": {100.0}, CALL: {5.5}, PUT: {5.5}}
    assert outcomes(answer) == dict.fromkeys(("MSFT", "AAPL", CALL, PUT), Outcome.OK)
    assert answer.sources == {CALL: "polygon", PUT: "polygon"}
    assert answer.actions["symbol"].to_pylist() == ["AAPL"]
    assert [request.symbol for request in shares.requests] == ["MSFT", "AAPL"]
    assert [request.key for request in vendor.requests] == [CALL, PUT]


def test_only_the_source_that_has_something_to_answer_is_asked(
    shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn
) -> None:
    both = WithOptions(shares, options)
    assert outcomes(both.fetch_bars(requests(CALL))) == {CALL: Outcome.OK}
    assert shares.requests == []
    assert outcomes(both.fetch_bars(requests("AAPL"))) == {"AAPL": Outcome.OK}
    assert len(vendor.requests) == 1
    assert both.fetch_bars([]).bars.schema == BAR_SCHEMA
    with pytest.raises(MarketDataError, match="asked for twice"):
        both.fetch_bars(requests(CALL, CALL))


def test_without_a_source_contracts_are_empty_with_the_way_out(shares: ScriptedMarket) -> None:
    alone = WithOptions(shares, None)
    answer = alone.fetch_bars(requests(CALL, "AAPL", PUT))
    nothing = SymbolOutcome(Outcome.EMPTY, NO_OPTION_PRICES)
    assert answer.outcomes == {"AAPL": SymbolOutcome(Outcome.OK), CALL: nothing, PUT: nothing}
    assert "POLYGON_API_KEY" in NO_OPTION_PRICES
    assert (closes(answer), answer.sources) == ({"AAPL": {100.0}}, {})
    assert outcomes(alone.fetch_bars(requests(CALL))) == {CALL: Outcome.EMPTY}
    assert [request.symbol for request in shares.requests] == ["AAPL"]


def test_a_contract_that_fails_is_told_by_its_cause(shares: ScriptedMarket, vendor: StandIn) -> None:
    vendor.script(CALL, server.html)
    options = PolygonOptions("a-key", CallRules(base_url=vendor.url, timeout=5.0))
    answer = WithOptions(shares, options).fetch_bars(requests("AAPL", CALL, PUT))
    assert outcomes(answer) == {"AAPL": Outcome.OK, CALL: Outcome.FAILED, PUT: Outcome.OK}
    assert answer.outcomes[CALL].detail == "garbage: the answer is not JSON"


def test_a_vendor_of_options_that_is_down_is_asked_no_more_and_shares_go_on(
    shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn
) -> None:
    vendor.default = server.status(503)
    both = WithOptions(shares, options)
    answer = both.fetch_bars(requests(CALL, "AAPL", PUT))
    assert outcomes(answer) == {"AAPL": Outcome.OK, CALL: Outcome.FAILED, PUT: Outcome.FAILED}
    assert answer.outcomes[CALL].detail.startswith("unreachable: polygon is down: ")
    assert answer.outcomes[PUT].detail.startswith("unreachable: not asked for, since polygon is down: ")
    vendor.default = server.good
    assert outcomes(both.fetch_bars(requests(OTHER, "MSFT"))) == {"MSFT": Outcome.OK, OTHER: Outcome.FAILED}
    assert len(vendor.requests) == 1
    assert outcomes(WithOptions(shares, options).fetch_bars(requests(OTHER))) == {OTHER: Outcome.OK}


def test_too_many_calls_end_the_calls_for_options_alone(
    shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn
) -> None:
    vendor.script(PUT, server.status(429))
    answer = WithOptions(shares, options).fetch_bars(requests(CALL, PUT, OTHER, "AAPL"))
    assert outcomes(answer) == {
        "AAPL": Outcome.OK,
        CALL: Outcome.OK,
        PUT: Outcome.FAILED,
        OTHER: Outcome.FAILED,
    }
    assert answer.outcomes[PUT].detail.startswith("rate_limited: ")
    assert answer.outcomes[OTHER].detail.startswith("rate_limited: not asked for, since ")
    assert closes(answer) == {"AAPL": {100.0}, CALL: {5.5}}


def test_a_refusal_is_each_contract_s_own(shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn) -> None:
    vendor.script(CALL, server.sends(polygon.NOT_ENTITLED, 403))
    answer = WithOptions(shares, options).fetch_bars(requests(CALL, PUT, "AAPL"))
    assert outcomes(answer) == {"AAPL": Outcome.OK, CALL: Outcome.FAILED, PUT: Outcome.OK}
    assert answer.outcomes[CALL].detail.startswith("refused: ")
    assert "POLYGON_API_KEY" in answer.outcomes[CALL].detail


def test_a_key_that_is_refused_is_not_tried_on_every_contract(
    shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn
) -> None:
    contracts = [f"ABC250718C{strike:08d}" for strike in (100_000, 105_000, 110_000, 115_000, 120_000)]
    for symbol in contracts:
        vendor.script(symbol, server.status(401))
    answer = WithOptions(shares, options).fetch_bars(requests(*contracts, "AAPL"))
    assert outcomes(answer) == {"AAPL": Outcome.OK, **dict.fromkeys(contracts, Outcome.FAILED)}
    assert [request.key for request in vendor.requests] == contracts[:3]
    assert answer.outcomes[contracts[4]].detail.startswith("refused: not asked for, since ")
    # An answer between them shows that the key is none of it.
    vendor.script(contracts[1], server.good)
    vendor.requests.clear()
    WithOptions(shares, options).fetch_bars(requests(*contracts))
    assert [request.key for request in vendor.requests] == contracts


class Away(ScriptedMarket):
    """A market that does not answer."""

    def fetch_bars(self, _: object) -> FetchResult:
        raise MarketDataError("the market is away")


def test_what_goes_wrong_with_shares_is_raised_where_shares_are_asked_for(
    options: PolygonOptions, vendor: StandIn
) -> None:
    both = WithOptions(Away({}, []), options)
    with pytest.raises(MarketDataError, match="the market is away"):
        both.fetch_bars(requests("AAPL", CALL))
    assert vendor.requests == []
    assert outcomes(both.fetch_bars(requests(CALL))) == {CALL: Outcome.OK}


def test_everything_else_is_the_source_of_shares(shares: ScriptedMarket, options: PolygonOptions) -> None:
    both = WithOptions(shares, options)
    assert (both.name, both.symbols_per_call) == ("scripted", 50)
    assert (both.supplies_corporate_actions, both.supplies_dated_profiles) == (True, False)
    assert both.listings() == shares.listings()
    profiles = both.fetch_profiles(["AAPL", CALL], as_of=DAYS[0])
    assert profiles.profiles["symbol"].to_pylist() == ["AAPL"]
    assert list(profiles.problems) == [CALL]
    assert source_names(both) == {"scripted", "polygon"}
    # Without a key, what was stored with one is still no other market's.
    assert source_names(WithOptions(shares, None)) == {"scripted", PolygonOptions.name}
    assert second_of(both) is None


def test_calls_are_counted_where_the_market_counts_its_own(shares: ScriptedMarket, options: PolygonOptions) -> None:
    assert WithOptions(shares, options).own_calls is None
    both = WithOptions(options, options)
    both.fetch_bars(requests(CALL, PUT))
    assert both.own_calls == 4
    assert WithOptions(options, None).own_calls == 2
