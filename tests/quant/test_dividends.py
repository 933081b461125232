from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_assets.quant.dividends import Claims, lot_product
from sigmasight_assets.quant.lots import Dividends
from sigmasight_assets.quant.money import AmountOverflowError
from tests.quant.ledger_books import OPTIONS, PRIVATE, Book, Dividend, Lot, Split, money

MONDAY = date(2024, 3, 4)
DAY = timedelta(days=1)
TODAY = int(np.datetime64(MONDAY).astype(np.int64))


def _lot(quantity: str = "10", symbol: int = 0, portfolio: int = 0, **rest: object) -> Lot:
    known: dict[str, object] = {"entry_price": Decimal(100), "entry_date": MONDAY - 30 * DAY}
    return Lot(portfolio=portfolio, symbol=symbol, quantity=Decimal(quantity), **(known | rest))  # type: ignore[arg-type]


def _paid(
    lots: list[Lot],
    dividends: list[Dividend],
    intervals: list[tuple[int, int]],
    splits: list[Split] | None = None,
) -> list[tuple[int, int]]:
    """(lot, money) of what is paid in the intervals of the portfolios, given in days after the Monday."""
    book = Book([], lots, [], [[None] * 3], splits=splits or [], dividends=dividends)
    since, until = (np.array(ends, dtype=np.int64) + TODAY for ends in zip(*intervals, strict=True))
    columns = book.lot_columns()
    claims = Claims.of(columns, book.dividend_columns(), after=TODAY - 20, until=TODAY + 20)
    lot, payments = claims.payments(columns, since, until)
    return sorted(zip(lot.tolist(), payments.tolist(), strict=True))


def _dividend(offset: int, amount: str = "0.25", symbol: int = 0) -> Dividend:
    return Dividend(symbol, MONDAY + offset * DAY, Decimal(amount))


def test_long_lots_receive_and_short_lots_pay() -> None:
    assert _paid([_lot("10"), _lot("-4")], [_dividend(1)], [(0, 1)]) == [(0, money("2.5")), (1, -money(1))]


def test_the_ex_date_lies_after_the_last_snapshot_and_not_after_this_one() -> None:
    dividends = [_dividend(offset, amount) for offset, amount in ((0, "1"), (1, "2"), (3, "4"), (4, "8"))]
    assert [amount for _, amount in _paid([_lot("1")], dividends, [(0, 3)])] == [money(2), money(4)]


def test_every_portfolio_has_its_own_interval() -> None:
    lots = [_lot("1", portfolio=number) for number in range(3)]
    dividends = [_dividend(1, "1"), _dividend(3, "2")]
    assert _paid(lots, dividends, [(0, 2), (2, 2), (2, 3)]) == [(0, money(1)), (2, money(2))]


def test_a_portfolio_is_not_paid_again_for_the_date_of_its_last_snapshot() -> None:
    lots = [_lot("1", portfolio=number) for number in range(2)]
    assert _paid(lots, [_dividend(2, "1")], [(0, 3), (2, 3)]) == [(0, money(1))]


def test_claims_are_those_after_one_day_and_until_another_of_every_lot_of_the_symbol() -> None:
    lots = [_lot("1"), _lot("2", symbol=1), _lot("3"), _lot("4", symbol=1)]
    dividends = [_dividend(offset, "1", symbol=offset % 2) for offset in (3, 1, 4, 0, 2)]
    book = Book([], lots, [], [[None] * 3], dividends=dividends)
    claims = Claims.of(book.lot_columns(), book.dividend_columns(), after=TODAY + 1, until=TODAY + 3)
    found = sorted(zip((claims.ex_day - TODAY).tolist(), claims.lot.tolist(), strict=True))
    assert found == [(2, 0), (2, 2), (3, 1), (3, 3)]
    assert claims.ex_day.tolist() == sorted(claims.ex_day.tolist())


@pytest.mark.parametrize(
    ("entry", "end", "is_paid"),
    [
        pytest.param(0, None, True, id="bought the day before"),
        pytest.param(1, None, False, id="bought on the ex-date"),
        pytest.param(0, 1, True, id="sold on the ex-date"),
        pytest.param(-1, 0, False, id="sold the day before"),
        pytest.param(1, 1, False, id="bought and sold on the ex-date"),
    ],
)
def test_who_held_the_share_before_the_ex_date_is_paid(entry: int, end: int | None, is_paid: bool) -> None:
    lot = _lot(entry_date=MONDAY + entry * DAY, exit_date=None if end is None else MONDAY + end * DAY)
    assert bool(_paid([lot], [_dividend(1)], [(0, 2)])) == is_paid


def test_only_shares_of_the_symbol_take_part() -> None:
    lots = [_lot(symbol=1), _lot(kind=OPTIONS), _lot("1", kind=PRIVATE), _lot(symbol=0), _lot(symbol=2)]
    assert [lot for lot, _ in _paid(lots, [_dividend(1), _dividend(1, symbol=2)], [(0, 1)])] == [3, 4]


def test_two_dividends_of_one_day_are_both_paid_and_rounded_each() -> None:
    # 0.0001 shares x 0.00005 is half a unit of money: to the even 0, and 1.5 units to 2.
    lots = [_lot("0.0001", symbol=1), _lot("0.0001"), _lot("-0.0001")]
    dividends = [_dividend(1, "0.00005"), _dividend(1, "0.00015")]
    assert _paid(lots, dividends, [(0, 1)]) == [(1, 0), (1, 2), (2, -2), (2, 0)]


def test_the_amount_is_in_the_units_after_all_splits_and_so_is_the_quantity() -> None:
    splits = [Split(0, MONDAY + 1 * DAY, 3, 2), Split(0, MONDAY + 9 * DAY, 2)]
    bought_between = _lot("7", entry_date=MONDAY + 2 * DAY)
    paid = _paid([_lot("7"), bought_between], [_dividend(3, "0.1")], [(0, 4)], splits)
    assert paid == [(0, money("2.1")), (1, money("1.4"))]


def test_without_dividends_or_portfolios_nothing_is_paid() -> None:
    lots = Book([], [], [], [[None]]).lot_columns()
    none = np.zeros(0, dtype=np.int64)
    for dividends in (Dividends.none(), Book([], [], [], [[None]], dividends=[_dividend(1)]).dividend_columns()):
        lot, payments = Claims.of(lots, dividends, after=0, until=TODAY + 9).payments(lots, none, none)
        assert (lot.size, payments.size) == (0, 0)


def test_a_payment_that_does_not_fit_names_its_portfolio() -> None:
    lots = [_lot("1"), _lot("900000000000", portfolio=1, entry_price=Decimal("0.01"))]
    with pytest.raises(AmountOverflowError, match=r"portfolio 1: an amount of lot 1 is beyond the 9.2e\+18") as refused:
        _paid(lots, [_dividend(1, "1")], [(0, 1), (0, 1)])
    assert refused.value.offenders.tolist() == [1]


def test_a_product_of_lots_uses_multiplier_and_factor() -> None:
    splits = [Split(0, MONDAY, 3, 2)]
    lots = Book([], [_lot("3"), _lot("2", kind=OPTIONS)], [], [[None]], splits=splits).lot_columns()
    both = lot_product(lots, np.array([1, 0, 1]), np.array([10_000, 20_001, 1]))
    assert both.tolist() == [money(200), money("9.00045"), money("0.02")]
