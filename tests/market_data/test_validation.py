import math
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BAR_SCHEMA, BAR_VALUES, BarRequest
from sigmasight_assets.market_data.validation import (
    REJECTED_SCHEMA,
    VALID_SCHEMA,
    BarReason,
    ValidatedBars,
    price_units,
    validate_bars,
)
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar

FIRST, LAST = date(2024, 7, 1), date(2024, 7, 10)
DAY = date(2024, 7, 2)
INDEPENDENCE_DAY = date(2024, 7, 4)
SATURDAY = date(2024, 7, 6)
NAN, INF = math.nan, math.inf
GOOD: dict[str, object] = {
    "symbol": "SPY",
    "price_date": DAY,
    "open_price": 10.0,
    "high_price": 11.0,
    "low_price": 9.0,
    "close_price": 10.5,
    "adj_close_price": 10.25,
    "volume": 1000.0,
}
NOTHING: dict[str, object] = dict.fromkeys(BAR_VALUES)
ASKED = [BarRequest("SPY", FIRST, LAST), BarRequest("TLT", FIRST, LAST)]


def judge(*changes: dict[str, object], calendar: SessionCalendar) -> ValidatedBars:
    """The verdict on copies of a good bar, each with some values changed."""
    bars = pa.Table.from_pylist([GOOD | change for change in changes], BAR_SCHEMA)
    return validate_bars(bars, ASKED, calendar)


def test_good_bar_is_stored_exactly(calendar: SessionCalendar) -> None:
    judged = judge({}, calendar=calendar)
    assert judged.valid.schema.equals(VALID_SCHEMA)
    assert judged.valid.to_pylist() == [
        {
            "symbol": "SPY",
            "price_date": DAY,
            "open_price": 100_000,
            "high_price": 110_000,
            "low_price": 90_000,
            "close_price": 105_000,
            "adj_close_price": 10.25,
            "volume": 1000,
        }
    ]
    assert judged.rejected.num_rows == 0
    assert judged.counts == {}


@pytest.mark.fault(9, 10)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price_date": INDEPENDENCE_DAY}, BarReason.NOT_A_SESSION),
        ({"price_date": SATURDAY}, BarReason.NOT_A_SESSION),
        ({"price_date": date(9999, 12, 31)}, BarReason.NOT_A_SESSION),
        ({"price_date": date(1969, 12, 31)}, BarReason.NOT_A_SESSION),
        ({"symbol": "QQQ"}, BarReason.NOT_ASKED),
        ({"symbol": "spy"}, BarReason.NOT_ASKED),
        ({"symbol": ""}, BarReason.NOT_ASKED),
        ({"price_date": date(2024, 6, 28)}, BarReason.OUTSIDE_WINDOW),
        ({"price_date": date(2024, 7, 11)}, BarReason.OUTSIDE_WINDOW),
        ({"close_price": None}, BarReason.PRICE_MISSING),
        ({"adj_close_price": NAN}, BarReason.PRICE_MISSING),
        (NOTHING | {"volume": 0.0}, BarReason.PRICE_MISSING),
        ({"high_price": INF}, BarReason.PRICE_NOT_FINITE),
        ({"low_price": -INF}, BarReason.PRICE_NOT_FINITE),
        ({"low_price": 0.0}, BarReason.PRICE_NOT_POSITIVE),
        ({"close_price": -10.5}, BarReason.PRICE_NOT_POSITIVE),
        ({"adj_close_price": -0.0}, BarReason.PRICE_NOT_POSITIVE),
        ({"low_price": 1e-12}, BarReason.PRICE_TOO_SMALL),
        ({"adj_close_price": 0.00004}, BarReason.PRICE_TOO_SMALL),
        ({"high_price": 9e11}, BarReason.PRICE_TOO_LARGE),
        ({"high_price": 1e10}, BarReason.PRICE_TOO_LARGE),
        ({"high_price": 1e300}, BarReason.PRICE_TOO_LARGE),
        ({"high_price": 10.4}, BarReason.HIGH_TOO_LOW),
        ({"high_price": 8.0}, BarReason.HIGH_TOO_LOW),
        ({"open_price": 10.0, "close_price": 9.0, "high_price": 9.9}, BarReason.HIGH_TOO_LOW),
        ({"low_price": 10.0001}, BarReason.LOW_TOO_HIGH),
        ({"close_price": 8.9}, BarReason.LOW_TOO_HIGH),
        ({"volume": None}, BarReason.VOLUME_MISSING),
        ({"volume": NAN}, BarReason.VOLUME_MISSING),
        ({"volume": -1.0}, BarReason.VOLUME_INVALID),
        ({"volume": 0.5}, BarReason.VOLUME_INVALID),
        ({"volume": 1e20}, BarReason.VOLUME_INVALID),
        ({"volume": 2.0**63}, BarReason.VOLUME_INVALID),
        ({"volume": INF}, BarReason.VOLUME_INVALID),
    ],
)
def test_bad_bar_is_quarantined_with_its_raw_values(
    change: dict[str, object], reason: BarReason, calendar: SessionCalendar
) -> None:
    judged = judge({"symbol": "TLT"}, change, calendar=calendar)
    assert judged.valid["symbol"].to_pylist() == ["TLT"]
    assert judged.counts == {reason.value: 1}
    assert judged.rejected.schema.equals(REJECTED_SCHEMA)
    (row,) = judged.rejected.to_pylist()
    np.testing.assert_equal(row, GOOD | change | {"reason": reason.value})


@pytest.mark.parametrize(
    "change",
    [
        {"volume": 0.0},
        {"volume": 2.0**63 - 1024},
        {"volume": -0.0},
        {"price_date": FIRST},
        {"price_date": LAST},
        dict.fromkeys(BAR_VALUES[:4], 10.0),
        {"low_price": 0.0001, "adj_close_price": 0.0001},
        {"high_price": 9_999_999_999.9999, "adj_close_price": 9_999_999_999.9999},
    ],
)
def test_unusual_but_possible_bar_is_kept(change: dict[str, object], calendar: SessionCalendar) -> None:
    judged = judge(change, calendar=calendar)
    assert judged.valid.num_rows == 1
    assert judged.counts == {}


def test_high_and_low_are_compared_after_rounding(calendar: SessionCalendar) -> None:
    single = float(np.float32(87.93))
    assert single != 87.93
    judged = judge(
        {"open_price": single, "high_price": 87.93, "low_price": 80.0, "close_price": 85.0},
        {"symbol": "TLT", "open_price": 87.93, "low_price": single, "high_price": 90.0, "close_price": 88.0},
        calendar=calendar,
    )
    assert judged.valid["open_price"].to_pylist() == [879_300, 879_300]


def test_row_without_values_is_counted_and_not_quarantined(calendar: SessionCalendar) -> None:
    judged = judge(
        NOTHING,
        NOTHING | {"close_price": NAN},
        NOTHING | {"symbol": "QQQ"},
        NOTHING | {"price_date": INDEPENDENCE_DAY},
        {"price_date": INDEPENDENCE_DAY},
        calendar=calendar,
    )
    assert judged.counts == {"empty_row": 3, "not_a_session": 2}
    assert judged.valid.num_rows == 0
    assert judged.rejected["close_price"].to_pylist() == [10.5]


@pytest.mark.fault(9)
def test_identical_copies_count_as_one_bar(calendar: SessionCalendar) -> None:
    judged = judge({}, {"symbol": "TLT"}, {}, {}, calendar=calendar)
    assert judged.valid["symbol"].to_pylist() == ["SPY", "TLT"]
    assert judged.rejected.num_rows == 0
    assert judged.counts == {"duplicate": 2}


@pytest.mark.fault(9)
def test_of_different_bars_for_one_session_none_is_kept(calendar: SessionCalendar) -> None:
    judged = judge({}, {"symbol": "TLT"}, {"close_price": 10.75}, {}, calendar=calendar)
    assert judged.valid["symbol"].to_pylist() == ["TLT"]
    assert judged.rejected["close_price"].to_pylist() == [10.5, 10.75, 10.5]
    assert judged.counts == {"conflicting_duplicate": 3}


def test_copies_of_a_bad_bar_are_quarantined_once(calendar: SessionCalendar) -> None:
    bad: dict[str, object] = {"close_price": None}
    judged = judge(bad, bad, calendar=calendar)
    assert judged.rejected["reason"].to_pylist() == ["price_missing"]
    assert judged.counts == {"duplicate": 1, "price_missing": 1}


def test_empty_row_beside_a_bar_is_no_conflict(calendar: SessionCalendar) -> None:
    judged = judge(NOTHING, {}, calendar=calendar)
    assert judged.valid.num_rows == 1
    assert judged.counts == {"empty_row": 1}


def test_no_bars(calendar: SessionCalendar) -> None:
    judged = validate_bars(BAR_SCHEMA.empty_table(), [], calendar)
    assert judged.valid.equals(VALID_SCHEMA.empty_table())
    assert judged.rejected.equals(REJECTED_SCHEMA.empty_table())
    assert judged.counts == {}


@pytest.mark.parametrize("key", ["symbol", "price_date"])
def test_bar_without_a_key_is_the_sources_fault(key: str, calendar: SessionCalendar) -> None:
    with pytest.raises(MarketDataError, match=f"1 bars without {key}"):
        judge({}, {key: None}, calendar=calendar)


def test_every_reason_has_a_sentence() -> None:
    assert len({reason.label for reason in BarReason}) == len(BarReason)
    assert BarReason("low_too_high").label == "the low is above the open or the close"


def rounded(price: float) -> Decimal:
    return Decimal(price).quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN)


# The products of 0.00005, 1.00035 and 1.00045 with 10,000 are rounded to a half, though these floats lie above it;
# 0.03125 and 0.09375 are true halves.
@example([0.00005, 1.00035, 1.00045, 0.03125, 0.09375, 87.93000030517578, 99_999_999_999.0])
@given(st.lists(st.floats(min_value=0.0, max_value=1e11, exclude_max=True), max_size=50))
@settings(deadline=None)
def test_price_units_are_the_exact_half_even_rounding(prices: list[float]) -> None:
    units = price_units(np.array(prices, dtype=np.float64))
    assert units.tolist() == [int(rounded(price) * 10_000) for price in prices]


def test_price_units_of_many_near_halves() -> None:
    halves = (np.arange(1, 200_000, dtype=np.float64) + 0.5) / 10_000
    prices = np.stack([np.nextafter(halves, 0), halves, np.nextafter(halves, np.inf)])
    assert price_units(prices).ravel().tolist() == [int(rounded(price) * 10_000) for price in prices.ravel()]


PRICES = st.sampled_from([None, NAN, INF, -INF, 0.0, -1.0, 1e-12, 9.0, 9.00004, 10.0, 10.5, 11.0, 9e11, 1e300])
VOLUMES = st.sampled_from([None, NAN, -1.0, 0.0, 0.5, 1000.0, 1e20])
BARS = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["SPY", "TLT", "QQQ"]),
        "price_date": st.sampled_from([FIRST, DAY, INDEPENDENCE_DAY, LAST, date(2024, 6, 28)]),
        **{name: st.one_of(st.just(GOOD[name]), PRICES) for name in BAR_VALUES[:5]},
        "volume": st.one_of(st.just(1000.0), VOLUMES),
    }
)


@pytest.mark.fault(10)
@given(st.lists(BARS, max_size=30), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_whatever_is_sent_only_storable_bars_pass(bars: list[dict[str, object]], shuffle: Random) -> None:
    calendar = exchange_calendar()
    judged = validate_bars(pa.Table.from_pylist(bars, BAR_SCHEMA), ASKED, calendar)
    assert judged.valid.num_rows + sum(judged.counts.values()) == len(bars)
    keys = set()
    for row in judged.valid.to_pylist():
        keys.add((row["symbol"], row["price_date"]))
        assert row["symbol"] in {"SPY", "TLT"}
        assert FIRST <= row["price_date"] <= LAST
        assert calendar.is_session(row["price_date"])
        prices = [row[name] for name in BAR_VALUES[:4]]
        assert 0 < row["low_price"] == min(prices) <= max(prices) == row["high_price"] < 10**14
        assert 0 < row["adj_close_price"] < INF
        assert 0 <= row["volume"] < 2**63
    assert len(keys) == judged.valid.num_rows

    shuffled = list(bars)
    shuffle.shuffle(shuffled)
    again = validate_bars(pa.Table.from_pylist(shuffled, BAR_SCHEMA), ASKED, calendar)
    order = [("symbol", "ascending"), ("price_date", "ascending")]
    assert again.counts == judged.counts
    assert again.valid.sort_by(order).equals(judged.valid.sort_by(order))
