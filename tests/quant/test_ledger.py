"""The ledger on books small enough to follow by hand."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_assets.quant.ledger import roll_forward
from sigmasight_assets.quant.lots import Dividends, LedgerState
from sigmasight_assets.quant.snapshots import LotStatus
from tests.quant.ledger_books import NOT_A_DATE, OPTIONS, Book, Flow, Lot, Split, money, price

MONDAY = date(2024, 3, 4)
WEEK = [MONDAY + timedelta(days=n) for n in range(5)]
DAY = timedelta(days=1)
EQUITY = Decimal(10_000)


def _lot(quantity: int = 10, entry: int = 100, **rest: object) -> Lot:
    known: dict[str, object] = {"portfolio": 0, "symbol": 0, "entry_date": MONDAY - timedelta(days=30)}
    return Lot(quantity=Decimal(quantity), entry_price=Decimal(entry), **(known | rest))  # type: ignore[arg-type]


def _book(lots: list[Lot], closes: list[int | None], flows: list[Flow] | None = None, equity: Decimal = EQUITY) -> Book:
    calendar = [MONDAY + timedelta(days=n) for n in range(len(closes))]
    columns = [[None if close is None else Decimal(close)] for close in closes]
    return Book([(MONDAY, equity)], lots, calendar, columns, flows or [])


def _money(*amounts: int) -> list[int]:
    return [money(amount) for amount in amounts]


def test_the_worked_example() -> None:
    """Buy 10 at 100, closes 110 and 120, sell at 125 on day three: 100, 100, 50, together 250."""
    lot = _lot(entry_date=WEEK[1], exit_date=WEEK[3], exit_price=Decimal(125))
    result = _book([lot], [90, 110, 120, 130]).roll()
    snapshots = result.snapshots
    assert snapshots.daily_pnl[:, 0].tolist() == _money(0, 100, 100, 50)
    assert snapshots.equity[:, 0].tolist() == _money(10_000, 10_100, 10_200, 10_250)
    assert snapshots.realized_pnl[:, 0].tolist() == _money(0, 0, 0, 250)
    assert snapshots.unrealized_pnl[:, 0].tolist() == _money(0, 100, 200, 0)
    assert snapshots.cumulative_pnl[-1, 0] == money(250)
    assert snapshots.net[:, 0].tolist() == _money(0, 1_100, 1_200, 0)
    assert snapshots.cash[:, 0].tolist() == _money(10_000, 9_000, 9_000, 10_250)
    assert snapshots.daily_return[1:, 0].tolist() == [100 / 10_000, 100 / 10_100, 50 / 10_200]
    assert np.isnan(snapshots.daily_return[0, 0])
    assert result.position_values.held[:, 0].tolist() == [False, True, True, False]


def test_a_short_lot_earns_when_the_price_falls() -> None:
    snapshots = _book([_lot(-10)], [100, 90]).roll().snapshots
    assert snapshots.daily_pnl[1, 0] == money(100)
    assert snapshots.short_value[1, 0] == snapshots.net[1, 0] == -money(900)
    assert snapshots.long_value[1, 0] == 0
    assert snapshots.gross[1, 0] == money(900)
    assert snapshots.cash[1, 0] == money(10_100 + 900)
    assert (snapshots.long_positions[1, 0], snapshots.short_positions[1, 0]) == (0, 1)


def test_the_multiplier_scales_a_contract() -> None:
    result = _book([_lot(2, 5, kind=OPTIONS)], [5, 6]).roll()
    assert result.snapshots.daily_pnl[1, 0] == money(200)
    assert result.position_values.value[1, 0] == money(1_200)


def test_no_portfolio_exists_before_its_start_and_a_weekend_start_begins_on_monday() -> None:
    saturday = date(2024, 3, 9)
    calendar = [date(2024, 3, 8), date(2024, 3, 11), date(2024, 3, 12)]
    flows = [Flow(0, date(2024, 3, 10), Decimal(5)), Flow(0, date(2024, 3, 12), Decimal(7))]
    closed_on_monday = _lot(exit_date=date(2024, 3, 11), exit_price=Decimal(500))
    closes: list[list[Decimal | None]] = [[Decimal(100)], [Decimal(110)], [Decimal(120)]]
    book = Book([(saturday, EQUITY)], [_lot(), closed_on_monday], calendar, closes, flows)
    snapshots = book.roll().snapshots
    assert snapshots.exists[:, 0].tolist() == [False, True, True]
    assert snapshots.equity[:, 0].tolist() == _money(0, 10_000, 10_107)
    assert snapshots.capital_flow[:, 0].tolist() == _money(0, 0, 7)
    assert snapshots.realized_pnl[:, 0].tolist() == [0, 0, 0]
    assert snapshots.positions[:, 0].tolist() == [0, 1, 1]


def test_flows_arrive_before_the_session_and_are_no_profit() -> None:
    flow = Flow(0, WEEK[1], Decimal(-4_000))
    snapshots = _book([_lot()], [100, 130], [flow]).roll().snapshots
    assert snapshots.daily_pnl[1, 0] == money(300)
    assert snapshots.equity[1, 0] == money(6_300)
    assert snapshots.daily_return[1, 0] == 300 / 6_000


def test_a_hole_is_spanned() -> None:
    opened_and_closed_inside = _lot(
        1, 50, entry_date=WEEK[1], exit_date=WEEK[2], exit_price=Decimal(57), portfolio=0, symbol=0
    )
    flow = Flow(0, WEEK[2], Decimal(11))
    book = _book([_lot(), opened_and_closed_inside], [100, 110, 120, 130], [flow])
    snapshots = book.roll([0, 3]).snapshots
    assert snapshots.daily_pnl[1, 0] == money(300 + 7)
    assert snapshots.equity[1, 0] == money(10_318)
    assert snapshots.realized_pnl[1, 0] == money(7)


def test_a_carried_price_is_stale_and_the_catch_up_lands_when_it_returns() -> None:
    result = _book([_lot()], [100, None, 130]).roll()
    snapshots = result.snapshots
    assert snapshots.daily_pnl[:, 0].tolist() == _money(0, 0, 300)
    assert snapshots.stale_positions[:, 0].tolist() == [0, 1, 0]
    assert snapshots.is_partial[:, 0].tolist() == [False, True, False]
    assert snapshots.net[1, 0] == money(1_000)
    assert snapshots.priced_share[:, 0].tolist() == [1.0, 0.0, 1.0]
    assert result.position_values.status[1, 0] == LotStatus.STALE


def test_a_price_older_than_five_sessions_leaves_the_lot_unpriced_at_its_last_value() -> None:
    result = _book([_lot()], [100, 110, None, None, None, None, None, None, 140]).roll()
    snapshots = result.snapshots
    stale = LotStatus.STALE
    statuses = [LotStatus.PRICED, LotStatus.PRICED, stale, stale, stale, stale, stale, LotStatus.UNPRICED]
    assert result.position_values.status[:, 0].tolist() == [*statuses, LotStatus.PRICED]
    assert result.position_values.has_mark.all()
    assert snapshots.unpriced_value[7, 0] == money(1_100)
    assert snapshots.net[7, 0] == snapshots.gross[7, 0] == 0
    assert snapshots.cash[7, 0] == money(10_100 - 1_100)
    assert (snapshots.excluded_positions[7, 0], snapshots.priced_share[7, 0]) == (1, 0.0)
    assert snapshots.unrealized_pnl[7, 0] == money(100)
    assert snapshots.daily_pnl[:, 0].tolist() == _money(0, 100, 0, 0, 0, 0, 0, 0, 300)


def test_a_lot_that_was_never_priced_says_so_and_counts_at_its_cost() -> None:
    result = _book([_lot()], [None, None, 130]).roll()
    values, snapshots = result.position_values, result.snapshots
    assert values.status[:2, 0].tolist() == [LotStatus.UNPRICED, LotStatus.UNPRICED]
    assert values.has_mark[:, 0].tolist() == [False, False, True]
    assert values.price[:, 0].tolist() == [0, 0, price(130)]
    assert snapshots.unpriced_value[:, 0].tolist() == _money(1_000, 1_000, 0)
    assert snapshots.daily_pnl[:, 0].tolist() == _money(0, 0, 300)
    assert snapshots.is_partial[:, 0].tolist() == [True, True, False]


def test_a_lot_closed_without_a_price_ends_at_its_exit_price() -> None:
    lot = _lot(exit_date=WEEK[2], exit_price=Decimal(91))
    snapshots = _book([lot], [100, None, None]).roll().snapshots
    assert snapshots.daily_pnl[:, 0].tolist() == _money(0, 0, -90)
    assert not snapshots.is_partial[2, 0]
    assert np.isnan(snapshots.priced_share[2, 0])


def test_the_return_is_missing_where_its_base_is_not_positive() -> None:
    for equity in (Decimal(0), Decimal(-500)):
        snapshots = _book([_lot()], [100, 101], equity=equity).roll().snapshots
        assert snapshots.equity[1, 0] == money(10) + money(int(equity))
        assert np.isnan(snapshots.daily_return[1, 0])
    least = _book([_lot()], [100, 101], equity=Decimal("0.00000001")).roll().snapshots
    assert least.daily_return[1, 0] == money(10)


def test_the_priced_share_is_of_the_gross_of_long_and_short() -> None:
    closes: list[list[Decimal | None]] = [[Decimal(100), Decimal(100)], [Decimal(100), None]]
    book = Book([(MONDAY, EQUITY)], [_lot(), _lot(-5, symbol=1), _lot(-5)], WEEK[:2], closes)
    assert book.roll().snapshots.priced_share[:, 0].tolist() == [1.0, 0.75]


def test_portfolios_without_lots_and_books_without_portfolios() -> None:
    book = Book([(MONDAY, EQUITY), (MONDAY, EQUITY)], [_lot(portfolio=1)], WEEK[:2], [[Decimal(100)], [Decimal(101)]])
    snapshots = book.roll().snapshots
    assert snapshots.equity[1].tolist() == _money(10_000, 10_010)
    assert np.isnan(snapshots.priced_share[1, 0])
    empty = Book([], [], WEEK[:2], [[Decimal(100)], [Decimal(101)]]).roll()
    assert empty.snapshots.equity.shape == (2, 0)


def _state(value: int) -> LedgerState:
    return LedgerState(
        session=np.array([WEEK[0]], "datetime64[D]"),
        equity=np.array([money(10_000)]),
        cumulative_pnl=np.array([0]),
        value=np.array([money(value)]),
        price=np.array([price(70)]),
        has_mark=np.array([True]),
    )


def test_the_value_of_the_state_is_the_one_that_counts_not_its_price() -> None:
    result = _book([_lot()], [None, 110]).roll([0], replace(_state(900), session=np.array([MONDAY - DAY], "M8[D]")))
    assert result.position_values.value[0, 0] == money(900)
    assert result.position_values.price[0, 0] == price(70)
    assert _book([_lot()], [100, 110]).roll([1], _state(900)).snapshots.daily_pnl[0, 0] == money(200)


def test_a_mark_from_before_the_entry_of_a_redated_lot_is_not_used() -> None:
    result = _book([_lot(entry_date=WEEK[1])], [100, 110]).roll([1], _state(700))
    assert result.snapshots.daily_pnl[0, 0] == money(100)
    unpriced = _book([_lot(entry_date=WEEK[1])], [None, None]).roll([1], _state(700))
    assert unpriced.position_values.price[0, 0] == 0
    assert not unpriced.state.has_mark[0]


def test_a_lot_entered_on_the_session_of_the_state_goes_on_from_its_close() -> None:
    book = _book([_lot(entry_date=MONDAY)], [104, 110])
    assert book.roll([1], book.roll([0]).state).snapshots.daily_pnl[0, 0] == money(60)


def test_a_short_lot_that_was_never_priced_is_in_no_sum_of_values() -> None:
    snapshots = _book([_lot(-10)], [None]).roll().snapshots
    assert snapshots.unpriced_value[0, 0] == -money(1_000)
    assert (snapshots.long_value[0, 0], snapshots.short_value[0, 0], snapshots.gross[0, 0]) == (0, 0, 0)


@pytest.mark.parametrize("quantity", ["0.0001", "-0.0001"])
def test_the_least_quantity_is_a_position(quantity: str) -> None:
    snapshots = _book([replace(_lot(), quantity=Decimal(quantity))], [100]).roll().snapshots
    assert snapshots.long_positions[0, 0] == (quantity == "0.0001")
    assert snapshots.short_positions[0, 0] == (quantity == "-0.0001")


def test_a_value_of_the_state_with_the_wrong_sign_is_refused() -> None:
    with pytest.raises(ValueError, match="lot 0: its value in the state has not the sign of its quantity"):
        _book([_lot()], [100, 110]).roll([1], _state(-700))


def test_the_given_state_is_left_as_it_was() -> None:
    book = _book([_lot()], [100, 110, 120])
    state = book.roll([0]).state
    book.roll([1, 2], state)
    assert (state.value[0], state.price[0], state.has_mark[0]) == (money(1_000), price(100), True)
    assert (state.equity[0], state.session[0]) == (money(10_000), np.datetime64(WEEK[0]))


BILLION = 10**9


def _beside_a_harmless_one(
    lots: list[Lot], closes: list[int], *, equity: Decimal = EQUITY, flow: Decimal = Decimal(0)
) -> Book:
    """Portfolio 0 is small; portfolio 1 has the lots, and a flow on the second session."""
    columns: list[list[Decimal | None]] = [[Decimal(close)] for close in closes]
    calendar = WEEK[: len(closes)]
    return Book([(MONDAY, EQUITY), (MONDAY, equity)], [_lot(), *lots], calendar, columns, [Flow(1, WEEK[1], flow)])


def _large(quantity: int, entry: int = 1, **rest: object) -> Lot:
    return _lot(quantity, entry, portfolio=1, **rest)


def test_the_largest_position_that_fits_is_exact() -> None:
    result = _beside_a_harmless_one([_large(91_999_999, 1_000)], [1_000, 1_000]).roll()
    assert result.position_values.value[1, 1] == 91_999_999 * 1_000 * 10**8


@pytest.mark.parametrize(
    "quantity",
    [
        92_000_001,
        # 2**64 units and a little: the wrapped product would look like a small amount.
        184_467_441,
        -184_467_441,
    ],
)
def test_a_position_that_does_not_fit_is_refused_by_portfolio(quantity: int) -> None:
    with pytest.raises(OverflowError, match=r"portfolio 1: .* beyond the 9.2e\+18"):
        _beside_a_harmless_one([_large(quantity)], [1_000, 1_000]).roll()


@pytest.mark.parametrize(
    ("lots", "closes"),
    [
        pytest.param([_large(60 * BILLION), _large(60 * BILLION)], [1, 1], id="lots that fit one by one"),
        pytest.param(
            [_large(BILLION, 60), _large(BILLION, 60, entry_date=WEEK[1])],
            [1, 1],
            id="what all cost, one after the other",
        ),
        pytest.param([_large(BILLION)], [1, 100], id="the price it reaches"),
        pytest.param(
            [_large(BILLION, exit_date=WEEK[1], exit_price=Decimal(60))] * 2, [1, 1], id="the price they are sold at"
        ),
        pytest.param(
            [_large(BILLION, symbol=0), _large(-BILLION, symbol=1)], [90, 1], id="two losses that fit one by one"
        ),
    ],
)
def test_every_price_a_lot_passes_through_must_fit(lots: list[Lot], closes: list[int]) -> None:
    book = _beside_a_harmless_one(lots, closes)
    opposite: list[list[Decimal | None]] = [[Decimal(close), Decimal(91 - close)] for close in closes]
    with pytest.raises(OverflowError, match="portfolio 1"):
        Book(book.portfolios, book.lots, book.calendar, opposite).roll()


@pytest.mark.parametrize(
    ("equity", "flow", "closes"),
    [
        pytest.param(60, 40, [60, 10], id="equity before the session"),
        pytest.param(90, 0, [60, 70], id="equity after the session"),
        pytest.param(-60, 0, [60, 60], id="cash, which is equity less a long position"),
    ],
)
def test_accounts_that_do_not_fit_are_refused(equity: int, flow: int, closes: list[int]) -> None:
    lots = [_large(BILLION)]
    book = _beside_a_harmless_one(lots, closes, equity=Decimal(equity * BILLION), flow=Decimal(flow * BILLION))
    with pytest.raises(OverflowError, match="portfolio 1"):
        book.roll()


def test_cash_beside_a_lot_without_a_price_must_fit() -> None:
    book = _book([_lot(BILLION, 60)], [None], equity=Decimal(-60 * BILLION))
    with pytest.raises(OverflowError, match="portfolio 0"):
        book.roll()


def test_large_values_without_a_price_are_added_up_exactly() -> None:
    lot = replace(_lot(), quantity=Decimal("1000000.0001"), entry_price=Decimal("100.0001"))
    assert _book([lot], [None]).roll().snapshots.unpriced_value[0, 0] == 10_000_000_001 * 1_000_001


def test_a_cumulative_profit_that_does_not_fit_is_refused() -> None:
    book = _beside_a_harmless_one([_large(BILLION)], [1, 11])
    state = book.roll([0]).state
    rich = replace(state, cumulative_pnl=np.array([0, money(90 * BILLION)]))
    with pytest.raises(OverflowError, match="portfolio 1"):
        book.roll([1], rich)


def test_a_loss_that_does_not_fit_is_refused() -> None:
    book = _beside_a_harmless_one([_large(BILLION), _large(BILLION)], [1, 1])
    value = np.array([money(1_000), money(60 * BILLION), money(60 * BILLION)])
    with pytest.raises(OverflowError, match="portfolio 1"):
        book.roll([1], replace(book.roll([0]).state, value=value))


def test_flows_that_do_not_fit_together_are_refused() -> None:
    book = _beside_a_harmless_one([], [1, 1])
    flows = [Flow(1, WEEK[1], Decimal(90_000_000_000))] * 3
    with pytest.raises(OverflowError, match="portfolio 1"):
        Book(book.portfolios, book.lots, book.calendar, book.closes, flows).roll()


def test_fractions_of_splits_that_do_not_fit_together_are_refused() -> None:
    book = _beside_a_harmless_one([_large(40 * BILLION, symbol=1)] * 2, [1, 1])
    splits = [Split(1, WEEK[-1], 3, 2)]
    closes: list[list[Decimal | None]] = [[Decimal(1), Decimal(1)]] * 2
    assert Book(book.portfolios, book.lots[:2], WEEK[:2], closes, splits=splits).roll().snapshots.exists.all()
    with pytest.raises(OverflowError, match="portfolio 1"):
        Book(book.portfolios, book.lots, WEEK[:2], closes, splits=splits).roll()


def test_a_lot_that_is_gone_takes_no_room() -> None:
    gone = _large(60 * BILLION, exit_date=WEEK[1], exit_price=Decimal(1))
    book = _beside_a_harmless_one([gone, _large(60 * BILLION, entry_date=WEEK[2])], [1, 1, 1])
    assert book.roll().snapshots.net[:, 1].tolist() == _money(60 * BILLION, 0, 60 * BILLION)


def test_large_flows_are_added_up_exactly() -> None:
    flows = [Flow(0, WEEK[1], Decimal("100_000_000.00000001")), Flow(0, WEEK[1], Decimal("100_000_000.00000002"))]
    snapshots = _book([], [1, 1], flows).roll().snapshots
    assert snapshots.capital_flow[1, 0] == money("200_000_000.00000003")


def test_arguments_that_do_not_belong_together_are_refused() -> None:
    book = _book([_lot()], [100, 110])
    with pytest.raises(ValueError, match="portfolio 0: its state is of 2024-03-05, not before 2024-03-05"):
        book.roll([1], book.roll().state)
    for rows in ([1, 0], [1, 1]):
        with pytest.raises(ValueError, match=r"^the sessions must be ascending$"):
            book.roll(rows)
    with pytest.raises(ValueError, match=r"^the state is one of other portfolios or lots$"):
        book.roll([0], _book([_lot(), _lot()], [100]).initial_state())
    with pytest.raises(ValueError, match="lot's symbol lies outside the 1 columns"):
        _book([_lot(symbol=1)], [100]).roll()
    with pytest.raises(ValueError, match="flow's portfolio lies outside 0 to 0"):
        _book([_lot()], [100], [Flow(1, MONDAY, EQUITY)]).roll()
    with pytest.raises(ValueError, match="do not fit 1 sessions"):
        roll_forward(
            book.lot_columns(),
            book.portfolio_columns(),
            book.flow_columns(),
            book.initial_state(),
            dividends=Dividends.none(),
            sessions=np.array([MONDAY], "datetime64[D]"),
            prices=np.ones((2, 1), dtype=np.int64),
            price_age=np.zeros((2, 1), dtype=np.int8),
        )


def test_nothing_to_roll_over_keeps_the_state() -> None:
    book = _book([_lot()], [100])
    result = book.roll([])
    assert result.snapshots.equity.shape == (0, 1)
    assert result.state.session.tolist() == [None]
    np.testing.assert_array_equal(result.state.session, [NOT_A_DATE])
