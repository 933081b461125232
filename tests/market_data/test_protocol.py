"""What every market source promises, on each of them: computed, from files, from files with real prices, and that of
whole nights while nothing disturbs it.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.action_validation import validate_actions
from sigmasight_assets.market_data.files import FilesMarket
from sigmasight_assets.market_data.protocol import (
    ACTION_SCHEMA,
    BAR_SCHEMA,
    BAR_VALUES,
    PROFILE_SCHEMA,
    BarRequest,
    FetchResult,
    MarketSource,
    Outcome,
    requests_by_symbol,
)
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.sessions import SessionCalendar
from tests.e2e.market import DisturbedMarket

FIRST, LAST = date(2024, 7, 2), date(2024, 7, 5)
INDEPENDENCE_DAY = date(2024, 7, 4)


@dataclass(frozen=True)
class Case:
    """A source and some of its symbols that have bars in the first week of July 2024."""

    source: MarketSource
    symbols: tuple[str, ...]


@pytest.fixture(params=["simulated", "disturbed", "small_files", "real_files"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    if request.param in ("simulated", "disturbed"):
        market: SimulatedMarket = request.getfixturevalue("simulated")
        disturbed = DisturbedMarket(market, tmp_path / "nothing", today=LAST)
        source = market if request.param == "simulated" else disturbed
        return Case(source, ("SPY", "TLT", market.listings()[20].symbol))
    fixture, symbols = {
        "small_files": ("small_market", ("SPY", "NEW")),
        "real_files": ("real_market", ("SPY", "TLT", "AAPL")),
    }[request.param]
    files: FilesMarket = request.getfixturevalue(fixture)
    return Case(files, symbols)


def fetch(case: Case, *symbols: str, first: date = FIRST, last: date = LAST) -> FetchResult:
    return case.source.fetch_bars([BarRequest(symbol, first, last) for symbol in symbols])


def rows_of(result: FetchResult, symbol: str) -> list[tuple[object, ...]]:
    rows = [row for row in result.bars.to_pylist() if row["symbol"] == symbol]
    return sorted(tuple(row.values()) for row in rows if row["close_price"] is not None)


def test_source_says_what_it_is(case: Case) -> None:
    assert case.source.name in {"simulated", "files"}
    assert case.source.supplies_corporate_actions is (case.source.name == "simulated")
    assert case.source.supplies_dated_profiles is True


def test_listings_are_unique_and_typed(case: Case) -> None:
    listings = case.source.listings()
    symbols = [listing.symbol for listing in listings]
    assert len(set(symbols)) == len(symbols)
    assert set(case.symbols) <= set(symbols)
    assert all(listing.name for listing in listings)
    assert {listing.symbol for listing in listings if listing.asset_type == "etf"} >= {"SPY"}
    assert all(listing.sector or listing.industry for listing in listings if listing.asset_type == "equity")


def test_bars_lie_in_the_asked_windows(case: Case, calendar: SessionCalendar) -> None:
    result = fetch(case, *case.symbols)
    assert result.bars.schema.equals(BAR_SCHEMA)
    assert {symbol: answer.outcome for symbol, answer in result.outcomes.items()} == dict.fromkeys(
        case.symbols, Outcome.OK
    )
    assert set(result.bars["symbol"].to_pylist()) == set(case.symbols)
    judged = validate_bars(result.bars, [BarRequest(symbol, FIRST, LAST) for symbol in case.symbols], calendar)
    assert judged.rejected.num_rows == 0
    assert len(rows_of(result, "SPY")) == len(calendar.between(FIRST, LAST)) == 3


def test_actions_are_of_asked_symbols_from_the_first_day_on(case: Case, calendar: SessionCalendar) -> None:
    requests = [BarRequest(symbol, FIRST, LAST) for symbol in case.symbols]
    actions = case.source.fetch_bars(requests).actions
    assert actions.schema.equals(ACTION_SCHEMA)
    judged = validate_actions(actions, requests, calendar)
    assert judged.problems == []
    assert judged.valid.num_rows == actions.num_rows
    assert (actions.num_rows > 0) is case.source.supplies_corporate_actions


def test_profiles_are_of_asked_symbols_or_say_why_not(case: Case) -> None:
    asked = [*case.symbols, "NOSUCH"]
    result = case.source.fetch_profiles(asked, as_of=LAST)
    assert result.profiles.schema.equals(PROFILE_SCHEMA)
    assert sorted([*result.profiles["symbol"].to_pylist(), *result.problems]) == sorted(asked)
    assert "NOSUCH" in result.problems
    assert all(result.problems.values())
    names = {listing.symbol: listing.name for listing in case.source.listings()}
    assert all(row["name"] == names[row["symbol"]] for row in result.profiles.to_pylist())


def test_a_symbol_does_not_depend_on_what_else_is_asked(case: Case) -> None:
    together = fetch(case, *case.symbols)
    for symbol in case.symbols:
        alone = fetch(case, symbol)
        assert rows_of(alone, symbol) == rows_of(together, symbol) != []
        assert alone.outcomes[symbol] == together.outcomes[symbol]


def test_each_symbol_has_a_window_of_its_own(case: Case) -> None:
    symbol, other = case.symbols[:2]
    result = case.source.fetch_bars([BarRequest(symbol, FIRST, LAST), BarRequest(other, LAST, LAST)])
    assert [row[1] for row in rows_of(result, symbol)][-1] == LAST
    assert [row[1] for row in rows_of(result, other)] == [LAST]


def test_asking_again_gives_the_same(case: Case) -> None:
    assert fetch(case, *case.symbols).bars.equals(fetch(case, *case.symbols).bars)


def test_unknown_symbol_is_named_and_does_not_disturb_others(case: Case) -> None:
    result = fetch(case, "NOSUCH", "SPY")
    assert result.outcomes["NOSUCH"].outcome is Outcome.UNKNOWN
    assert result.outcomes["NOSUCH"].detail
    assert set(result.bars["symbol"].to_pylist()) == {"SPY"}


@pytest.mark.parametrize(
    ("first", "last"), [(INDEPENDENCE_DAY, INDEPENDENCE_DAY), (date(2001, 3, 1), date(2001, 3, 30))]
)
def test_window_without_bars_is_empty_with_the_window_in_the_detail(case: Case, first: date, last: date) -> None:
    result = fetch(case, "SPY", first=first, last=last)
    assert result.bars.num_rows == 0
    assert result.outcomes["SPY"].outcome is Outcome.EMPTY
    assert f"{first} to {last}" in result.outcomes["SPY"].detail


def test_nothing_asked_nothing_answered(case: Case) -> None:
    result = fetch(case)
    assert result.bars.num_rows == 0
    assert result.bars.schema.equals(BAR_SCHEMA)
    assert result.outcomes == {}


def test_symbol_asked_for_twice_is_refused(case: Case) -> None:
    with pytest.raises(MarketDataError, match="SPY is asked for twice"):
        fetch(case, "SPY", "SPY")


def test_reversed_window_is_refused() -> None:
    with pytest.raises(MarketDataError, match="SPY: the window 2024-07-05 to 2024-07-02 is reversed"):
        BarRequest("SPY", LAST, FIRST)


def test_requests_keep_their_order() -> None:
    requests = [BarRequest(symbol, FIRST, LAST) for symbol in ("B", "A", "C")]
    assert list(requests_by_symbol(requests).items()) == list(zip("BAC", requests, strict=True))


def test_bar_values_are_the_numbers_of_the_schema() -> None:
    assert tuple(BAR_SCHEMA.names[2:]) == BAR_VALUES
