"""What of Yahoo's summary becomes a profile, and what becomes null."""

import json
from typing import Any

import pytest

from sigmasight_assets.market_data.protocol import PROFILE_SCHEMA
from sigmasight_assets.market_data.vendor_calls import VendorCallError
from sigmasight_assets.market_data.yahoo_profiles import GICS_SECTORS, NoProfileError, read_summary


def read(body: Any, symbol: str = "ABC") -> dict[str, Any]:
    return read_summary(json.dumps(body).encode(), symbol)


def summary(**modules: Any) -> dict[str, Any]:
    return {"quoteSummary": {"result": [modules], "error": None}}


def detail(**figures: Any) -> dict[str, Any]:
    return read(summary(price={"currency": "USD"}, summaryDetail=figures))


def test_a_summary_without_anything_is_all_null() -> None:
    row = read(summary())
    assert list(row) == PROFILE_SCHEMA.names
    assert row.pop("symbol") == "ABC"
    assert set(row.values()) == {None}


@pytest.mark.parametrize(
    ("value", "figure"),
    [
        (21.5, 21.5),
        (-3, -3.0),
        (0, 0.0),
        ({"raw": 21.5, "fmt": "21.50"}, 21.5),
        ({}, None),
        ("Infinity", None),
        ("21.5", None),
        (float("inf"), None),
        (float("nan"), None),
        (10**400, None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_figures_are_finite_numbers_or_null(value: Any, figure: float | None) -> None:
    row = detail(trailingPE=value, forwardPE=value, beta=value)
    assert (row["pe_ratio"], row["forward_pe"], row["provider_beta"]) == (figure, figure, figure)


def test_the_yield_is_a_fraction_and_a_funds_own_when_it_has_no_other() -> None:
    assert detail(dividendYield=0.012, **{"yield": 0.5})["dividend_yield"] == 0.012
    assert detail(dividendYield=0, **{"yield": 0.5})["dividend_yield"] == 0.0
    assert detail(**{"yield": 0.0131})["dividend_yield"] == 0.0131


def test_market_value_is_in_dollars_or_null() -> None:
    assert read(summary(price={"currency": "USD", "marketCap": 5}))["market_cap"] == 5.0
    assert read(summary(summaryDetail={"currency": "USD", "marketCap": 5}))["market_cap"] == 5.0
    assert read(summary(price={"currency": "TWD", "marketCap": 5}))["market_cap"] is None
    assert read(summary(price={"marketCap": 5}))["market_cap"] is None


def test_sectors_are_the_eleven_of_gics() -> None:
    assert len(set(GICS_SECTORS.values())) == 11
    assert read(summary(assetProfile={"sector": "Healthcare"}))["sector"] == "Health Care"
    for word in ("Conglomerates", "", None, 7, ["Energy"]):
        assert read(summary(assetProfile={"sector": word}))["sector"] is None


def test_names_are_cleaned() -> None:
    assert read(summary(price={"longName": "Abc\x00\n Co"}))["name"] == "Abc Co"
    assert read(summary(price={"longName": " ", "shortName": "Abc"}))["name"] == "Abc"


@pytest.mark.parametrize("result", [None, [], [None], [5], {}, [{"price": 5}], [{"assetProfile": ["x"]}]])
def test_other_shapes_are_garbage(result: Any) -> None:
    with pytest.raises(VendorCallError, match="has not the shape of a summary"):
        read({"quoteSummary": {"result": result, "error": None}})


def test_answers_about_others_are_garbage() -> None:
    with pytest.raises(VendorCallError, match="about another symbol"):
        read(summary(price={"symbol": "XYZ"}))
    assert read(summary(price={"symbol": "BRK-B"}), "BRK.B")["symbol"] == "BRK.B"


def test_errors() -> None:
    error = {"code": "Not Found", "description": "Quote not found for symbol: ABC"}
    with pytest.raises(NoProfileError, match="Quote not found"):
        read({"quoteSummary": {"result": None, "error": error}})
    for body in ({"finance": {"error": {"code": "Forbidden", "description": "no"}}}, {"other": 1}, {"quoteSummary": 3}):
        with pytest.raises(VendorCallError, match="garbage"):
            read(body)
