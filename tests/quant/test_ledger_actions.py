"""Splits, dividends, options and private assets in the ledger, on books small enough to follow by hand."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from sigmasight_assets.quant.money import AmountOverflowError
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus
from tests.quant.ledger_books import OPTIONS, PRIVATE, Book, Dividend, Flow, Lot, Split, money, price

MONDAY = date(2024, 3, 4)
DAY = timedelta(days=1)
WEEK = [MONDAY + n * DAY for n in range(5)]
EQUITY = Decimal(10_000)
OUTCOME = ("equity", "daily_pnl", "realized_pnl", "unrealized_pnl", "dividends", "net", "cash")


def _lot(quantity: str | int = 10, entry: str | int = 100, **rest: object) -> Lot:
    known: dict[str, object] = {"portfolio": 0, "symbol": 0, "entry_date": MONDAY - 30 * DAY}
    return Lot(quantity=Decimal(quantity), entry_price=Decimal(entry), **(known | rest))  # type: ignore[arg-type]


def _book(lots: list[Lot], closes: list[str | int | None], *actions: Split | Dividend) -> Book:
    return Book(
        [(MONDAY, EQUITY)],
        lots,
        [MONDAY + n * DAY for n in range(len(closes))],
        [[None if close is None else Decimal(close)] for close in closes],
        splits=[action for action in actions if isinstance(action, Split)],
        dividends=[action for action in actions if isinstance(action, Dividend)],
    )


def _checked(book: Book) -> LedgerResult:
    result = book.roll()
    assert not any(book.offenders(result))
    return result


def _assert_same_outcome(found: LedgerResult, control: LedgerResult) -> None:
    for name in OUTCOME:
        np.testing.assert_array_equal(getattr(found.snapshots, name), getattr(control.snapshots, name), err_msg=name)
    np.testing.assert_array_equal(found.position_values.pnl, control.position_values.pnl)


FOUR_FOR_ONE = Split(0, WEEK[2], 4)


@pytest.mark.fault(13)
@pytest.mark.parametrize("quantity", [10, -10])
@pytest.mark.parametrize("has_dividend", [False, True])
def test_ten_shares_through_a_split_earn_what_they_earn_without_one(quantity: int, has_dividend: bool) -> None:
    """The ex-date of split and dividend is the Wednesday: closes 400, 408, then 104 of what was 416."""
    with_split = _book([_lot(quantity, 380)], [100, 102, 104, 103], FOUR_FOR_ONE)
    control = _book([_lot(quantity, 380)], [400, 408, 416, 412])
    if has_dividend:
        with_split = replace(with_split, dividends=[Dividend(0, WEEK[2], Decimal("0.25"))])
        control = replace(control, dividends=[Dividend(0, WEEK[2], Decimal(1))])
    result = _checked(with_split)
    _assert_same_outcome(result, _checked(control))
    on_ex_date = money(quantity * (8 + (1 if has_dividend else 0)))
    assert result.snapshots.daily_pnl[2, 0] == on_ex_date
    assert result.snapshots.dividends[:, 0].tolist() == [0, 0, money(quantity) if has_dividend else 0, 0]
    assert result.position_values.price[2, 0] == price(104)


@pytest.mark.fault(13)
@pytest.mark.parametrize("paid", [4, 0])
def test_ten_shares_through_a_split_hold_the_identity_for_250_days(paid: int) -> None:
    closes: list[str | int | None] = [100 + (7 * n) % 13 for n in range(250)]
    dividends = [Dividend(0, MONDAY + n * DAY, Decimal("0.123457")) for n in (40, 100, 160, 220)[:paid]]
    flows = {60: Decimal("2500.25"), 180: Decimal(-1_000)}
    book = replace(
        _book([_lot(entry=395)], closes, Split(0, MONDAY + 100 * DAY, 4), *dividends),
        flows=[Flow(0, MONDAY + n * DAY, amount) for n, amount in flows.items()],
    )
    snapshots = _checked(book).snapshots
    for before, after in pairwise(range(250)):
        growth = snapshots.equity[after, 0] - snapshots.equity[before, 0]
        assert growth == snapshots.daily_pnl[after, 0] + money(str(flows.get(after, 0)))
    assert snapshots.equity[-1, 0] == money("11500.25") + 40 * (price(closes[-1] or 0) - price(100)) * 10**4 + sum(
        [money("4.93828")] * paid
    )


@pytest.mark.parametrize("quantity", ["7", "-7", "0.0001", "0.0003", "-0.0003", "12345.6789"])
def test_three_for_two_rounds_the_value_of_odd_quantities_half_even(quantity: str) -> None:
    closes: list[str | int | None] = ["66.6667", "66.6669", "66.6671", "70.0001"]
    snapshots = _checked(_book([_lot(quantity)], closes, Split(0, WEEK[2], 3, 2))).snapshots
    expected = [round(Fraction(quantity) * Fraction(3, 2) * Fraction(str(close)) * 10**8) for close in closes]
    assert snapshots.net[:, 0].tolist() == expected
    assert snapshots.daily_pnl[1:, 0].tolist() == [after - before for before, after in pairwise(expected)]
    assert snapshots.unrealized_pnl[0, 0] == expected[0] - money(str(100 * Decimal(quantity)))


def test_a_reverse_split_makes_one_share_of_ten() -> None:
    result = _checked(_book([_lot(25, 2)], [20, 21, 22], Split(0, WEEK[1], 1, 10)))
    assert result.snapshots.net[:, 0].tolist() == [money(50), money("52.5"), money(55)]
    assert result.snapshots.unrealized_pnl[:, 0].tolist() == [0, money("2.5"), money(5)]


def test_a_split_announced_for_later_is_in_the_units_already() -> None:
    """Closes in the units after a split to come: 4 x 25 is the 100 of today."""
    result = _checked(_book([_lot(10, 90)], [25, 26], Split(0, MONDAY + 30 * DAY, 4)))
    assert result.snapshots.net[:, 0].tolist() == [money(1_000), money(1_040)]
    assert result.snapshots.unrealized_pnl[0, 0] == money(100)


def test_a_lot_bought_on_the_ex_date_is_in_the_new_units() -> None:
    lot = _lot(10, 101, entry_date=WEEK[2])
    assert _checked(_book([lot], [100, 102, 104], FOUR_FOR_ONE)).snapshots.daily_pnl[2, 0] == money(30)


@pytest.mark.parametrize(
    ("sold_on", "shares", "exit_price"),
    [pytest.param(WEEK[1], 4, 408, id="before"), pytest.param(WEEK[3], 16, 103, id="after")],
)
def test_a_partial_close_before_or_after_a_split(sold_on: date, shares: int, exit_price: int) -> None:
    """10 shares bought at 380, four of them (16 after the split) sold; the rest is stated in the units of that day."""
    sold = _lot(shares, 380, exit_date=sold_on, exit_price=Decimal(exit_price), units_date=sold_on)
    kept = _lot(6 if shares == 4 else 24, 380, units_date=sold_on)
    result = _checked(_book([sold, kept], [100, 102, 104, 103, 105], FOUR_FOR_ONE))
    control_exit = exit_price if shares == 4 else 4 * exit_price
    whole = [
        _lot(4, 380, exit_date=sold_on, exit_price=Decimal(control_exit)),
        _lot(6, 380),
    ]
    _assert_same_outcome(result, _checked(_book(whole, [400, 408, 416, 412, 420])))
    assert sum(result.snapshots.realized_pnl[:, 0].tolist()) == money(4 * (control_exit - 380))


def test_a_lot_closed_before_the_split_keeps_its_own_units() -> None:
    lot = _lot(10, 380, exit_date=WEEK[1], exit_price=Decimal(410))
    result = _checked(_book([lot], [100, 102, 104], FOUR_FOR_ONE))
    assert result.snapshots.daily_pnl[:, 0].tolist() == [0, money(100), 0]
    assert result.snapshots.realized_pnl[1, 0] == money(300)


def test_a_dividend_is_paid_without_a_price_and_to_a_lot_sold_on_the_ex_date() -> None:
    dividend = Dividend(0, WEEK[2], Decimal("0.5"))
    sold = _lot(10, exit_date=WEEK[2], exit_price=Decimal(109))
    result = _checked(_book([_lot(10), sold], [100, 110, None, None], dividend))
    assert result.position_values.pnl[2].tolist() == [money(5), money(-10 + 5)]
    assert result.snapshots.dividends[:, 0].tolist() == [0, 0, money(10), 0]
    assert result.snapshots.daily_pnl[2, 0] == 0
    never = _checked(_book([_lot(10)], [None] * 7, dividend))
    assert never.position_values.status[2, 0] == LotStatus.UNPRICED
    assert never.snapshots.daily_pnl[:, 0].tolist() == [0, 0, money(5), 0, 0, 0, 0]


def test_the_first_snapshot_has_no_dividends_and_a_hole_has_those_inside_it() -> None:
    dividends = [Dividend(0, day, Decimal(amount)) for day, amount in zip(WEEK, (1, 2, 4, 8, 16), strict=True)]
    book = _book([_lot(1)], [100] * 5, *dividends)
    assert _checked(book).snapshots.dividends[:, 0].tolist() == [0, money(2), money(4), money(8), money(16)]
    spanned = book.roll([0, 3]).snapshots
    assert spanned.dividends[:, 0].tolist() == [0, money(14)]
    assert spanned.equity[1, 0] == money(10_014)


def test_a_dividend_belongs_to_the_session_after_a_weekend_ex_date() -> None:
    friday, monday = date(2024, 3, 8), date(2024, 3, 11)
    book = Book(
        [(friday, EQUITY)],
        [_lot(10)],
        [friday, monday],
        [[Decimal(100)], [Decimal(100)]],
        dividends=[Dividend(0, date(2024, 3, 9), Decimal(1))],
    )
    assert book.roll().snapshots.dividends[:, 0].tolist() == [0, money(10)]


def test_an_option_is_neither_split_nor_paid_and_ends_at_its_settlement() -> None:
    lot = _lot(-2, 5, kind=OPTIONS, exit_date=WEEK[3], exit_price=Decimal("1.5"))
    result = _checked(_book([lot], [6, 4, None, None], FOUR_FOR_ONE, Dividend(0, WEEK[1], Decimal(1))))
    assert result.position_values.value[:, 0].tolist() == [-money(1_200), -money(800), -money(800), 0]
    assert result.snapshots.daily_pnl[:, 0].tolist() == [0, money(400), 0, money(500)]
    assert result.snapshots.realized_pnl[3, 0] == money(700)
    worthless = replace(lot, exit_price=Decimal(0))
    assert _checked(_book([worthless], [6, 4, None, None])).snapshots.realized_pnl[3, 0] == money(1_000)


def test_a_private_asset_moves_with_its_owners_valuations() -> None:
    lot = _lot(
        1,
        "1000.00000001",
        kind=PRIVATE,
        valuations=((WEEK[1], Decimal("1500.00000003")), (WEEK[3], Decimal(0))),
        exit_date=WEEK[4],
        exit_price=Decimal(20),
    )
    result = _checked(_book([lot], [100] * 5, FOUR_FOR_ONE, Dividend(0, WEEK[2], Decimal(1))))
    values, snapshots = result.position_values, result.snapshots
    unpriced, priced = LotStatus.UNPRICED, LotStatus.PRICED
    assert values.status[:, 0].tolist() == [unpriced, priced, priced, priced, LotStatus.NOT_HELD]
    assert values.value[:, 0].tolist() == [money("1000.00000001"), *[money("1500.00000003")] * 2, 0, 0]
    assert values.price[:, 0].tolist() == [0, *[money("1500.00000003")] * 2, 0, 0]
    assert snapshots.daily_pnl[:, 0].tolist() == [0, money("500.00000002"), 0, -money("1500.00000003"), money(20)]
    assert snapshots.unpriced_value[0, 0] == money("1000.00000001")
    assert snapshots.gross[1, 0] == money("1500.00000003")
    assert snapshots.realized_pnl[4, 0] == -money("980.00000001")


def test_an_unpriced_lot_keeps_its_value_when_a_split_is_learnt_and_shows_its_last_price() -> None:
    before = _book([_lot(10, 380)], [400, None])
    state = before.roll([0]).state
    closes: list[str | int | None] = [100, None, None, None, None, None, None, 105]
    after = _book([_lot(10, 380)], closes, FOUR_FOR_ONE)
    result = after.roll([1, 6, 7], state)
    assert result.position_values.status[:, 0].tolist() == [LotStatus.STALE, LotStatus.UNPRICED, LotStatus.PRICED]
    assert result.position_values.value[:, 0].tolist() == [money(4_000), money(4_000), money(4_200)]
    assert result.snapshots.daily_pnl[:, 0].tolist() == [0, 0, money(200)]
    assert not any(after.offenders(result, state))
    later = after.roll([6], state)
    assert later.position_values.value[0, 0] == money(4_000)
    assert later.position_values.price[0, 0] == price(400)


def test_equity_and_cash_may_be_negative() -> None:
    lots = [_lot(-100, 100), _lot(500, 130, entry_date=WEEK[1])]
    result = _checked(_book(lots, [100, 130, 90], Dividend(0, WEEK[2], Decimal("1.1"))))
    assert result.snapshots.equity[:, 0].tolist() == [money(10_000), money(7_000), money(7_000 - 16_000 + 440)]
    assert result.snapshots.cash[:, 0].tolist() == [money(20_000), money(-45_000), money(-44_560)]
    assert result.snapshots.daily_return[2, 0] == -15_560 / 7_000


def test_a_rational_lot_that_does_not_fit_is_refused_by_portfolio() -> None:
    lots = [_lot(1), _lot(60_000_000, 100, portfolio=1)]
    closes: list[str | int | None] = [1_000, 1_100]
    book = _book(lots, closes, Split(0, WEEK[1], 3, 2))
    book = replace(book, portfolios=book.portfolios * 2)
    assert book.roll([0]).snapshots.net[0, 1] == money(60_000_000 * 1_500)
    with pytest.raises(OverflowError, match=r"portfolio 1: .* beyond the 9.2e\+18"):
        book.roll()


def test_rational_lots_that_do_not_fit_together_are_refused_by_portfolio_and_session() -> None:
    """Together they are 2**64 units and a little: the wrapped sum would look like a small amount."""
    lots = [_lot(1), *[_lot(30_000_000, 1, portfolio=1)] * 3]
    closes: list[str | int | None] = [1, 1, "1366.43"]
    book = _book(lots, closes, Split(0, WEEK[1], 3, 2))
    book = replace(book, portfolios=book.portfolios * 2)
    assert book.roll([0, 1]).snapshots.positions[:, 1].tolist() == [3, 3]
    with pytest.raises(AmountOverflowError, match=r"portfolio 1: .* beyond the 9.2e\+18") as refused:
        book.roll()
    assert (refused.value.row, refused.value.offenders.tolist()) == (2, [1])


@pytest.mark.parametrize(
    ("split", "quantity", "close"),
    [
        # Each unit of quantity x factor is a unit of money at the least price: they alone do not fit.
        pytest.param(Split(0, WEEK[1], 10**9), "2000000", "0.0001", id="quantity x factor"),
        pytest.param(Split(0, WEEK[1], 2**32), "429496.7296", "0.0001", id="quantity x factor that wraps around to 0"),
        pytest.param(Split(0, WEEK[1], 1, 10**6), "1", "999999999.9999", id="price x denominator"),
    ],
)
def test_products_inside_a_factor_that_do_not_fit_are_refused(split: Split, quantity: str, close: str) -> None:
    book = _book([_lot(1, symbol=1), _lot(quantity, 1, portfolio=1)], [1])
    closes: list[list[Decimal | None]] = [[Decimal(close), Decimal(1)]] * 2
    book = replace(book, portfolios=book.portfolios * 2, calendar=WEEK[:2], closes=closes, splits=[split])
    with pytest.raises(OverflowError, match=r"portfolio 1: .* beyond the 9.2e\+18"):
        book.roll()


def test_dividends_that_do_not_fit_together_are_refused() -> None:
    book = _book([_lot(1), _lot(10**9, 1, portfolio=1)], [1, 1], *[Dividend(0, WEEK[1], Decimal(60))] * 2)
    with pytest.raises(OverflowError, match=r"portfolio 1: .* beyond the 9.2e\+18"):
        replace(book, portfolios=book.portfolios * 2).roll()
