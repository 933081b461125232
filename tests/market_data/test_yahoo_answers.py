"""Yahoo's words and numbers; whole answers are in test_yahoo."""

import json
from datetime import date
from typing import Any

import pytest

from sigmasight_assets.market_data.protocol import BarRequest, Outcome
from sigmasight_assets.market_data.vendor_calls import VendorCallError
from sigmasight_assets.market_data.yahoo_answers import (
    ChartAnswer,
    cleaned,
    dotted_spelling,
    read_chart,
    yahoo_spelling,
)

DAY = date(2024, 3, 15)
STAMP = 1_710_509_400


@pytest.mark.parametrize(
    ("written", "yahoo", "dotted"),
    [
        ("AAPL", "AAPL", "AAPL"),
        ("BRK.B", "BRK-B", "BRK.B"),
        ("BRK-B", "BRK-B", "BRK.B"),
        ("BF.A", "BF-A", "BF.A"),
        ("SHOP.TO", "SHOP.TO", "SHOP.TO"),
        ("BAC-PL", "BAC-PL", "BAC-PL"),
        ("A", "A", "A"),
    ],
)
def test_spellings_go_both_ways(written: str, yahoo: str, dotted: str) -> None:
    assert yahoo_spelling(written) == yahoo
    assert dotted_spelling(yahoo) == dotted
    assert yahoo_spelling(dotted) == yahoo


def test_words_are_cleaned() -> None:
    assert cleaned("a\x00b\r\n\tc  d\u202ee") == "a b c d e"
    assert cleaned(None) == "None"
    assert len(cleaned("x" * 1000)) == 200


def chart(**result: Any) -> dict[str, Any]:
    prices = [10.0]
    quote = {"open": prices, "high": prices, "low": prices, "close": prices, "volume": [5]}
    good: dict[str, Any] = {
        "meta": {"symbol": "ABC", "currency": "USD", "exchangeTimezoneName": "America/New_York"},
        "timestamp": [STAMP],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": [9.0]}]},
    }
    return {"chart": {"result": [{**good, **result}], "error": None}}


def read(body: Any) -> ChartAnswer:
    return read_chart(json.dumps(body).encode(), BarRequest("ABC", DAY, DAY), today=DAY)


def test_a_chart() -> None:
    assert read(chart()).bars.to_pylist() == [
        {
            "symbol": "ABC",
            "price_date": DAY,
            "open_price": 10.0,
            "high_price": 10.0,
            "low_price": 10.0,
            "close_price": 10.0,
            "adj_close_price": 9.0,
            "volume": 5.0,
        }
    ]


@pytest.mark.parametrize(
    ("code", "description", "outcome"),
    [
        ("Not Found", "No data found, symbol may be delisted", Outcome.UNKNOWN),
        ("Not Found", "No data found for this date range, symbol may be delisted", Outcome.EMPTY),
        ("Bad Request", "Data doesn't exist for startDate = 1, endDate = 2", Outcome.EMPTY),
        ("Not Found", None, Outcome.UNKNOWN),
    ],
)
def test_reasons_for_no_data(code: str, description: str | None, outcome: Outcome) -> None:
    answer = read({"chart": {"result": None, "error": {"code": code, "description": description}}})
    assert answer.outcome.outcome is outcome
    assert answer.outcome.detail == (description or code)


@pytest.mark.parametrize("error", [{"code": "Internal Server Error", "description": "oops"}, "oops", ["oops"], 7, {}])
def test_other_errors_are_not_the_symbols(error: Any) -> None:
    with pytest.raises(VendorCallError, match="garbage: "):
        read({"chart": {"result": None, "error": error}})


@pytest.mark.parametrize("result", [None, [], [None], ["x"], {}, 5, [{}], [{"meta": None}], [{"meta": {}}]])
def test_other_shapes_are_garbage(result: Any) -> None:
    with pytest.raises(VendorCallError, match="has not the shape of a chart"):
        read({"chart": {"result": result, "error": None}})


@pytest.mark.parametrize("events", [{"splits": {}}, {"dividends": None}, {}, None])
def test_no_actions(events: Any) -> None:
    assert read(chart(events=events)).actions.num_rows == 0


@pytest.mark.parametrize(
    ("numerator", "denominator", "ratio"),
    [
        (4, 1, (4, 1)),
        (8.0, 2.0, (4, 1)),
        (0.1, 1, (1, 10)),
        ("3", "2", (3, 2)),
        (None, 1, (None, None)),
        (1, 0, (None, None)),
        (-4, 1, (None, None)),
        (float("nan"), 1, (None, None)),
        (float("inf"), 1, (None, None)),
        ("many", 1, (None, None)),
        (10**20, 1, (None, None)),
        ({}, [], (None, None)),
    ],
)
def test_ratios_are_exact_or_missing(numerator: Any, denominator: Any, ratio: tuple[int, int]) -> None:
    split = {"date": STAMP, "numerator": numerator, "denominator": denominator}
    (row,) = read(chart(events={"splits": {"1": split}})).actions.to_pylist()
    assert (row["kind"], row["ex_date"], row["ratio_numerator"], row["ratio_denominator"]) == ("split", DAY, *ratio)


@pytest.mark.parametrize("hours", [-9, 0, 11])
def test_an_ex_date_is_that_of_the_exchange(hours: int) -> None:
    """From half past midnight to half past eight in the evening in New York, the next day in UTC."""
    dividend = {"date": STAMP + hours * 3600, "amount": 1.0}
    assert read(chart(events={"dividends": {"1": dividend}})).actions["ex_date"].to_pylist() == [DAY]


@pytest.mark.parametrize("stamp", [None, "soon", 10**30, [1]])
def test_an_action_without_a_date_makes_the_answer_garbage(stamp: Any) -> None:
    with pytest.raises(VendorCallError):
        read(chart(events={"dividends": {"1": {"date": stamp, "amount": 1.0}}}))
