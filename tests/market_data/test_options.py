"""OCC symbols are read in every spelling vendors use, and what is no contract is refused."""

from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import OptionContract, parse_occ_symbol
from sigmasight_assets.market_data.protocol import TICKER

CALL = OptionContract("AAPL", date(2024, 1, 19), "call", Decimal(150))


@pytest.mark.parametrize(
    "text", ["AAPL240119C00150000", "O:AAPL240119C00150000", "AAPL  240119C00150000", "O:AAPL  240119C00150000"]
)
def test_every_spelling_of_a_contract_is_the_same_contract(text: str) -> None:
    assert parse_occ_symbol(text) == CALL
    assert parse_occ_symbol(text).symbol == "AAPL240119C00150000"


def test_parts_of_a_put_with_a_fractional_strike() -> None:
    contract = parse_occ_symbol("F250620P00012500")
    assert (contract.root, contract.expiry, contract.right) == ("F", date(2025, 6, 20), "put")
    assert contract.strike == Decimal("12.5")
    assert contract.underlying == "F"
    assert not contract.is_adjusted


def test_a_six_letter_root_fits_the_longest_ticker() -> None:
    contract = parse_occ_symbol("ABCDEF250620C99999999")
    assert contract.strike == Decimal("99999.999")
    assert TICKER.fullmatch(contract.symbol)


def test_a_digit_at_the_end_of_the_root_marks_an_adjusted_contract() -> None:
    contract = parse_occ_symbol("AAPL1 240119C00150000")
    assert contract.is_adjusted
    assert contract.underlying == "AAPL"
    assert contract.symbol == "AAPL1240119C00150000"


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("AAPL", "not an OCC option symbol"),
        ("", "not an OCC option symbol"),
        ("aapl240119C00150000", "not an OCC option symbol"),
        ("AAPL240119X00150000", "not an OCC option symbol"),
        ("AAPL240119C0015000", "not an OCC option symbol"),
        ("ABCDEFG240119C00150000", "not an OCC option symbol"),
        ("AAPL240119C" + "\u0660" * 8, "not an OCC option symbol"),
        ("AAPL240230C00150000", "240230 is not a date"),
        ("AAPL240119C00000000", "the strike is zero"),
    ],
)
def test_what_is_no_contract_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(MarketDataError, match=complaint):
        parse_occ_symbol(text)


@pytest.mark.parametrize(
    ("symbol", "underlying_price", "value"),
    [
        ("AAPL240119C00150000", "160.25", "10.25"),
        ("AAPL240119C00150000", "150", "0"),
        ("AAPL240119C00150000", "149.99", "0"),
        ("AAPL240119P00150000", "149.99", "0.01"),
        ("AAPL240119P00150000", "151", "0"),
    ],
)
def test_intrinsic_value_is_what_the_right_brings_and_never_negative(
    symbol: str, underlying_price: str, value: str
) -> None:
    assert parse_occ_symbol(symbol).intrinsic_value(Decimal(underlying_price)) == Decimal(value)
