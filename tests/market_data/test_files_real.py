"""The real market: every defect that its description lists is met and counted, over the whole file."""

from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sigmasight_assets.market_data.files import FilesMarket
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult, Outcome
from sigmasight_assets.market_data.validation import ValidatedBars, validate_bars
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar

FIRST, LAST = date(2020, 10, 19), date(2025, 7, 31)
PADDING = {
    "ABNB": (37, date(2020, 12, 10)),
    "CEG": (315, date(2022, 1, 19)),
    "COIN": (121, date(2021, 4, 14)),
    "DASH": (36, date(2020, 12, 9)),
    "EXE": (78, date(2021, 2, 10)),
    "GEHC": (544, date(2022, 12, 15)),
    "GEV": (864, date(2024, 3, 27)),
    "KVUE": (639, date(2023, 5, 4)),
    "SOLV": (863, date(2024, 3, 26)),
    "VLTO": (744, date(2023, 10, 4)),
}
LATE_STARTS = {
    "APP": date(2021, 4, 15),
    "HOOD": date(2021, 7, 29),
    "IBIT": date(2024, 1, 11),
    "SNDK": date(2025, 2, 13),
    "BALL": date(2024, 12, 31),
    "EME": date(2024, 12, 31),
}
SHORT_HISTORIES = {"GEV": 337, "SOLV": 338, "VLTO": 457, "IBIT": 389, "SNDK": 116, "BALL": 145, "EME": 145, "AOS": 0}


@pytest.fixture(scope="module")
def requests(real_market: FilesMarket) -> list[BarRequest]:
    return [BarRequest(listing.symbol, FIRST, LAST) for listing in real_market.listings()]


@pytest.fixture(scope="module")
def fetched(real_market: FilesMarket, requests: list[BarRequest]) -> FetchResult:
    return real_market.fetch_bars(requests)


@pytest.fixture(scope="module")
def judged(fetched: FetchResult, requests: list[BarRequest], calendar: SessionCalendar) -> ValidatedBars:
    return validate_bars(fetched.bars, requests, calendar)


def bars_of(table: pa.Table, symbol: str) -> pa.Table:
    return table.filter(pc.equal(table["symbol"], symbol))


def days_of(table: pa.Table, symbol: str) -> list[date]:
    days: list[date] = bars_of(table, symbol)["price_date"].to_pylist()
    return days


def test_listings(real_market: FilesMarket) -> None:
    kinds = Counter(listing.asset_type for listing in real_market.listings())
    assert kinds == {"equity": 490, "etf": 42}


def test_whole_file_is_accounted_for(fetched: FetchResult, judged: ValidatedBars) -> None:
    assert fetched.bars.num_rows == 634_677
    padding_rows = sum(rows for rows, _ in PADDING.values())
    aos_rows = 1_201
    assert judged.counts == {
        "not_a_session": 37 + 37,
        "empty_row": padding_rows + aos_rows,
        "low_too_high": 1,
    }
    assert judged.valid.num_rows + sum(judged.counts.values()) == 634_677


def test_only_the_open_below_the_low_is_quarantined(judged: ValidatedBars) -> None:
    (bar,) = judged.rejected.to_pylist()
    assert (bar["symbol"], bar["price_date"], bar["reason"]) == ("HUBB", date(2021, 5, 5), "low_too_high")
    assert (round(bar["open_price"], 2), round(bar["low_price"], 2)) == (195.98, 196.21)


def test_every_symbol_has_an_outcome(fetched: FetchResult) -> None:
    assert len(fetched.outcomes) == 532
    other = {symbol: answer for symbol, answer in fetched.outcomes.items() if answer.outcome is not Outcome.OK}
    assert {symbol: answer.detail for symbol, answer in other.items()} == {"AOS": "every row in the file is null"}


@pytest.mark.parametrize("symbol", ["ZTS", "AOS"])
def test_rows_on_holidays_are_counted_and_dropped(
    fetched: FetchResult, requests: list[BarRequest], calendar: SessionCalendar, symbol: str
) -> None:
    judged = validate_bars(bars_of(fetched.bars, symbol), requests, calendar)
    assert judged.counts["not_a_session"] == 37
    assert judged.rejected.num_rows == 0
    assert judged.valid.num_rows == (1_201 if symbol == "ZTS" else 0)


@pytest.mark.parametrize(("symbol", "padding"), PADDING.items())
def test_padding_before_a_listing_is_dropped(
    fetched: FetchResult, judged: ValidatedBars, symbol: str, padding: tuple[int, date]
) -> None:
    rows, first = padding
    assert len(days_of(fetched.bars, symbol)) == 1_201
    assert len(days_of(judged.valid, symbol)) == 1_201 - rows
    assert min(days_of(judged.valid, symbol)) == first


@pytest.mark.parametrize(("symbol", "first"), LATE_STARTS.items())
def test_late_starts_begin_where_the_file_does(judged: ValidatedBars, symbol: str, first: date) -> None:
    assert min(days_of(judged.valid, symbol)) == first


def test_gap_inside_a_series_stays_a_gap(judged: ValidatedBars, calendar: SessionCalendar) -> None:
    missing = set(calendar.between(FIRST, LAST)) - set(days_of(judged.valid, "CNC"))
    assert sorted(missing) == [date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2)]


def test_zero_volume_is_kept(judged: ValidatedBars) -> None:
    bars = bars_of(judged.valid, "SW")
    untraded = bars.filter(pc.equal(bars["volume"], 0))
    assert bars.num_rows == 1_201
    assert untraded.num_rows == 444
    assert (pc.min(untraded["price_date"]).as_py(), pc.max(untraded["price_date"]).as_py()) == (
        date(2020, 10, 21),
        date(2024, 7, 5),
    )


@pytest.mark.parametrize(
    ("symbol", "day", "volume"),
    [("BIIB", date(2020, 11, 6), 600), ("BIIB", date(2023, 6, 9), 8_100), ("SIZE", date(2024, 4, 30), 800)],
)
def test_days_with_one_price_are_kept(judged: ValidatedBars, symbol: str, day: date, volume: int) -> None:
    bars = bars_of(judged.valid, symbol)
    (bar,) = bars.filter(pc.equal(bars["price_date"], day)).to_pylist()
    assert bar["open_price"] == bar["high_price"] == bar["low_price"] == bar["close_price"]
    assert bar["volume"] == volume


def test_histories(judged: ValidatedBars, requests: list[BarRequest]) -> None:
    bars = Counter(dict.fromkeys((request.symbol for request in requests), 0))
    bars.update(judged.valid["symbol"].to_pylist())
    # HUBB has 1,201 rows with a price, one of them in quarantine.
    assert sum(count == 1_201 for count in bars.values()) == 514 - 1
    assert {symbol: count for symbol, count in bars.items() if count < 520} == SHORT_HISTORIES
    assert {bars[symbol] for symbol in FACTOR_ETFS} == {1_201}


def test_prices_are_the_vendors_to_four_decimals(fetched: FetchResult, judged: ValidatedBars) -> None:
    raw = bars_of(fetched.bars, "AAPL")["close_price"].to_numpy()
    stored = bars_of(judged.valid, "AAPL")["close_price"].to_numpy()
    assert stored.tolist() == [int(f"{price:.4f}".replace(".", "")) for price in raw]
    assert np.array_equal(
        bars_of(judged.valid, "AAPL")["adj_close_price"], bars_of(fetched.bars, "AAPL")["adj_close_price"]
    )
