"""The ledger against an independent one in decimals, and the identities that hold for every book."""

from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.quant.lots import LedgerState
from sigmasight_assets.quant.money import MONEY_DIGITS, PRICE_DIGITS, to_units
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus
from tests.quant.ledger_books import Book, Flow, Lot
from tests.quant.ledger_oracle import LotRow, Row, oracle_rows

SYMBOLS = 3
FIRST_DAY = date(2024, 3, 1)
DAYS = 22
# Weekends and one holiday: entries, exits and flows fall on them too.
CALENDAR = [FIRST_DAY + timedelta(days=n) for n in range(DAYS) if n % 7 not in {1, 2} and n != 12]

early_days = st.integers(-4, DAYS // 2).map(lambda offset: FIRST_DAY + timedelta(days=offset))
days = st.integers(-4, DAYS + 2).map(lambda offset: FIRST_DAY + timedelta(days=offset))
prices = st.integers(1, 30_000_000).map(lambda units: Decimal(units).scaleb(-4))
quantities = st.integers(-40_000_000, 40_000_000).filter(bool).map(lambda units: Decimal(units).scaleb(-4))
# Closes by how often one is missing: carrying and running out of it need long gaps.
closes = {
    "never": prices,
    "sometimes": st.none() | prices,
    "mostly": st.sampled_from([True, True, True, True, False]).flatmap(lambda gone: st.none() if gone else prices),
}
amounts = st.integers(-(10**13), 10**14).map(lambda units: Decimal(units).scaleb(-8))


@st.composite
def lot_lists(draw: st.DrawFn, portfolios: int) -> list[Lot]:
    lots = []
    for _ in range(draw(st.sampled_from([8, 6, 4, 1, 0]))):
        entry = draw(early_days)
        days_held = draw(st.none() | st.integers(0, DAYS))
        lots.append(
            Lot(
                portfolio=draw(st.integers(0, portfolios - 1)),
                symbol=draw(st.integers(0, SYMBOLS - 1)),
                quantity=draw(quantities),
                entry_price=draw(prices),
                entry_date=entry,
                exit_date=None if days_held is None else entry + timedelta(days=days_held),
                exit_price=draw(prices),
                multiplier=draw(st.sampled_from([1, 1, 100])),
            )
        )
    return sorted(lots, key=lambda lot: lot.portfolio)


@st.composite
def books(draw: st.DrawFn) -> Book:
    portfolios = draw(st.lists(st.tuples(early_days, amounts), min_size=1, max_size=3))
    flow = st.builds(Flow, st.integers(0, len(portfolios) - 1), days, amounts)
    gaps = draw(st.lists(st.sampled_from(sorted(closes)), min_size=SYMBOLS, max_size=SYMBOLS))
    return Book(
        portfolios=portfolios,
        lots=draw(lot_lists(len(portfolios))),
        calendar=CALENDAR,
        closes=[[draw(closes[missing]) for missing in gaps] for _ in CALENDAR],
        flows=draw(st.lists(flow, max_size=4)),
    )


# Most sessions, in order; those that are left out are holes to be spanned.
row_choices = st.sets(st.integers(1, len(CALENDAR) - 1), max_size=7).map(
    lambda holes: [row for row in range(len(CALENDAR)) if row not in holes]
)
checked = settings(deadline=None, max_examples=80)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _assert_snapshot(result: LedgerResult, t: int, p: int, expected: Row | None) -> None:
    found = {field.name: getattr(result.snapshots, field.name)[t, p] for field in fields(result.snapshots)}
    assert found.pop("exists") == (expected is not None)
    row = Row() if expected is None else expected
    gross = row.long_value - row.short_value
    net = row.long_value + row.short_value
    amounts = {
        "equity": row.equity,
        "long_value": row.long_value,
        "short_value": row.short_value,
        "gross": gross,
        "net": net,
        "cash": row.equity - net - row.unpriced_value,
        "unpriced_value": row.unpriced_value,
        "daily_pnl": row.daily_pnl,
        "cumulative_pnl": row.cumulative_pnl,
        "realized_pnl": row.realized_pnl,
        "unrealized_pnl": row.unrealized_pnl,
        "capital_flow": row.capital_flow,
        "dividends": Decimal(0),
    }
    counts = {
        "positions": row.long_positions + row.short_positions,
        "long_positions": row.long_positions,
        "short_positions": row.short_positions,
        "stale_positions": row.stale_positions,
        "excluded_positions": row.excluded_positions,
        "is_partial": row.stale_positions + row.excluded_positions > 0,
    }
    size = gross + row.unpriced_size
    share = float((gross - row.stale_size) / size) if size else None
    assert found.pop("daily_return") == pytest.approx(_number(row.daily_return), rel=1e-14, nan_ok=True)
    assert found.pop("priced_share") == pytest.approx(_number(share), rel=1e-14, nan_ok=True)
    assert found == {name: to_units(amount, MONEY_DIGITS) for name, amount in amounts.items()} | counts


def _assert_lot(result: LedgerResult, t: int, index: int, expected: LotRow) -> None:
    found = {
        field.name: getattr(result.position_values, field.name)[t, index].item()
        for field in fields(result.position_values)
    }
    assert LotStatus(found.pop("status")).label == expected.status
    assert found == {
        "has_mark": expected.has_mark,
        "price": to_units(expected.price, PRICE_DIGITS),
        "value": to_units(expected.value, MONEY_DIGITS),
        "pnl": to_units(expected.pnl, MONEY_DIGITS),
    }


@checked
@given(book=books(), rows=row_choices)
def test_every_column_equals_a_ledger_in_decimals(book: Book, rows: list[int]) -> None:
    result = book.roll(rows)
    for p in range(len(book.portfolios)):
        for t, expected in enumerate(oracle_rows(book, p, rows)):
            _assert_snapshot(result, t, p, expected)
            for index, lot in enumerate(book.lots):
                if lot.portfolio == p:
                    _assert_lot(result, t, index, LotRow() if expected is None else expected.lots[index])


@checked
@given(book=books(), rows=row_choices)
def test_equity_moves_by_realized_and_unrealized_profit(book: Book, rows: list[int]) -> None:
    snapshots = book.roll(rows).snapshots
    for p in range(len(book.portfolios)):
        existing = np.flatnonzero(snapshots.exists[:, p]).tolist()
        if existing:
            first, last = existing[0], existing[-1]
            flows = sum(snapshots.capital_flow[:, p].tolist())
            realized = sum(snapshots.realized_pnl[:, p].tolist())
            change = int(snapshots.unrealized_pnl[last, p]) - int(snapshots.unrealized_pnl[first, p])
            assert int(snapshots.equity[last, p]) - int(snapshots.equity[first, p]) - flows == realized + change


@checked
@given(book=books(), rows=row_choices)
def test_no_book_breaks_an_identity(book: Book, rows: list[int]) -> None:
    inputs = book.lot_columns(), book.portfolio_columns(), book.flow_columns()
    offenders = identity_violations(*inputs, book.initial_state(), book.roll(rows))
    assert [found.tolist() for found in offenders] == [[] for _ in rows]


def _stored_state(result: LedgerResult, t: int) -> LedgerState:
    """The state as a reader of stored rows has it: lots that are not held have no row."""
    snapshots, values = result.snapshots.at(t), result.position_values.at(t)
    return LedgerState(
        session=np.where(snapshots.exists, result.sessions[t], np.datetime64("NaT", "D")),
        equity=np.where(snapshots.exists, snapshots.equity, 987_654_321),
        cumulative_pnl=np.where(snapshots.exists, snapshots.cumulative_pnl, 987_654_321),
        mark=values.price,
        has_mark=values.has_mark,
    )


def _assert_same_rows(found: Any, expected: Any, first: int) -> None:
    for field in fields(expected):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name)[first:])


@checked
@given(book=books(), rows=row_choices, cut=st.integers(0, len(CALENDAR)))
def test_continuing_from_stored_rows_changes_nothing(book: Book, rows: list[int], cut: int) -> None:
    whole = book.roll(rows)
    cut = min(cut, len(rows) - 1)
    kept = book.roll(rows[:cut]).state if cut == 0 else _stored_state(whole, cut - 1)
    rest = book.roll(rows[cut:], kept)
    _assert_same_rows(rest.snapshots, whole.snapshots, cut)
    _assert_same_rows(rest.position_values, whole.position_values, cut)
    inputs = book.lot_columns(), book.portfolio_columns(), book.flow_columns()
    assert not any(found.size for found in identity_violations(*inputs, kept, rest))


@checked
@given(book=books(), rows=row_choices, cut=st.integers(0, len(CALENDAR)))
def test_the_state_of_a_piece_starts_the_next(book: Book, rows: list[int], cut: int) -> None:
    whole = book.roll(rows)
    first = book.roll(rows[:cut])
    second = book.roll(rows[cut:], first.state)
    _assert_same_rows(second.snapshots, whole.snapshots, min(cut, len(rows)))
    _assert_same_rows(second.position_values, whole.position_values, min(cut, len(rows)))
    inputs = book.lot_columns(), book.portfolio_columns(), book.flow_columns()
    assert not any(found.size for found in identity_violations(*inputs, first.state, second))


@checked
@given(book=books(), hole=st.integers(1, len(CALENDAR) - 1))
def test_a_deleted_snapshot_leaves_later_equity_as_it_was(book: Book, hole: int) -> None:
    whole = book.roll()
    spanned = book.roll([row for row in range(len(CALENDAR)) if row != hole])
    for p in range(len(book.portfolios)):
        started_before = whole.snapshots.exists[hole - 1, p]
        for t in range(hole, len(CALENDAR) - 1):
            # A lot without a price keeps the last one used, which may have been used at the deleted snapshot.
            if started_before and not spanned.snapshots.excluded_positions[t, p]:
                assert spanned.snapshots.equity[t, p] == whole.snapshots.equity[t + 1, p]
                assert spanned.snapshots.cumulative_pnl[t, p] == whole.snapshots.cumulative_pnl[t + 1, p]


@checked
@given(book=books(), rows=row_choices)
def test_a_portfolio_and_its_mirror_earn_nothing(book: Book, rows: list[int]) -> None:
    mirror = [replace(lot, quantity=-lot.quantity) for lot in book.lots]
    both = sorted(book.lots + mirror, key=lambda lot: lot.portfolio)
    snapshots = replace(book, lots=both).roll(rows).snapshots
    for column in (snapshots.daily_pnl, snapshots.net, snapshots.unpriced_value, snapshots.realized_pnl):
        assert not column.any()
    assert not snapshots.unrealized_pnl.any()
    np.testing.assert_array_equal(snapshots.cash, snapshots.equity)
    alone, mirrored = book.roll(rows).snapshots, replace(book, lots=mirror).roll(rows).snapshots
    np.testing.assert_array_equal(mirrored.daily_pnl, -alone.daily_pnl)
    np.testing.assert_array_equal(mirrored.long_value, -alone.short_value)
