"""The ledger against an independent one in fractions, and the identities that hold for every book."""

from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.quant.lots import LedgerState
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus
from tests.quant.ledger_books import PRIVATE, Book
from tests.quant.ledger_oracle import LotRow, Row, oracle_rows
from tests.quant.ledger_strategies import CALENDAR, books, checked, row_choices


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _money(amount: Fraction) -> int:
    units = amount * 10**8
    assert units.denominator == 1
    return units.numerator


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
        "dividends": row.dividends,
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
    assert found == {name: _money(amount) for name, amount in amounts.items()} | counts


def _assert_lot(result: LedgerResult, t: int, index: int, expected: LotRow, *, price_units: int) -> None:
    found = {
        field.name: getattr(result.position_values, field.name)[t, index].item()
        for field in fields(result.position_values)
    }
    assert LotStatus(found.pop("status")).label == expected.status
    assert found == {
        "has_mark": expected.has_mark,
        "price": expected.price * price_units,
        "value": _money(expected.value),
        "pnl": _money(expected.pnl),
    }


@checked
@given(book=books(), rows=row_choices)
def test_every_column_equals_a_ledger_in_fractions(book: Book, rows: list[int]) -> None:
    result = book.roll(rows)
    for p in range(len(book.portfolios)):
        for t, expected in enumerate(oracle_rows(book, p, rows)):
            _assert_snapshot(result, t, p, expected)
            for index, lot in enumerate(book.lots):
                if lot.portfolio == p:
                    lot_row = LotRow() if expected is None else expected.lots[index]
                    _assert_lot(result, t, index, lot_row, price_units=10 ** (8 if lot.kind == PRIVATE else 4))


@checked
@given(book=books(), rows=row_choices)
def test_equity_moves_by_realized_and_unrealized_profit_and_dividends(book: Book, rows: list[int]) -> None:
    snapshots = book.roll(rows).snapshots
    for p in range(len(book.portfolios)):
        existing = np.flatnonzero(snapshots.exists[:, p]).tolist()
        if existing:
            first, last = existing[0], existing[-1]
            flows = sum(snapshots.capital_flow[:, p].tolist())
            realized = sum(snapshots.realized_pnl[:, p].tolist())
            dividends = sum(snapshots.dividends[:, p].tolist())
            change = int(snapshots.unrealized_pnl[last, p]) - int(snapshots.unrealized_pnl[first, p])
            growth = int(snapshots.equity[last, p]) - int(snapshots.equity[first, p]) - flows
            assert growth == realized + change + dividends


@checked
@given(book=books(), rows=row_choices)
def test_no_book_breaks_an_identity(book: Book, rows: list[int]) -> None:
    assert not any(book.offenders(book.roll(rows)))


def _stored_state(result: LedgerResult, t: int) -> LedgerState:
    """The state as a reader of stored rows has it: lots that are not held have no row."""
    snapshots, values = result.snapshots.at(t), result.position_values.at(t)
    return LedgerState(
        session=np.where(snapshots.exists, result.sessions[t], np.datetime64("NaT", "D")),
        equity=np.where(snapshots.exists, snapshots.equity, 987_654_321),
        cumulative_pnl=np.where(snapshots.exists, snapshots.cumulative_pnl, 987_654_321),
        value=values.value,
        price=values.price,
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
    assert not any(book.offenders(rest, kept))


@checked
@given(book=books(), rows=row_choices, cut=st.integers(0, len(CALENDAR)))
def test_the_state_of_a_piece_starts_the_next(book: Book, rows: list[int], cut: int) -> None:
    whole = book.roll(rows)
    first = book.roll(rows[:cut])
    second = book.roll(rows[cut:], first.state)
    _assert_same_rows(second.snapshots, whole.snapshots, min(cut, len(rows)))
    _assert_same_rows(second.position_values, whole.position_values, min(cut, len(rows)))
    assert not any(book.offenders(second, first.state))


@checked
@given(book=books(), rows=row_choices, last=st.integers(1, len(CALENDAR)))
def test_recomputing_a_session_gives_identical_rows(book: Book, rows: list[int], last: int) -> None:
    state = book.roll(rows[: last - 1]).state
    first, second = (book.roll(rows[last - 1 : last], state) for _ in range(2))
    _assert_same_rows(second.snapshots, first.snapshots, 0)
    _assert_same_rows(second.position_values, first.position_values, 0)
    _assert_same_rows(second.state, first.state, 0)


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
    for name in ("daily_pnl", "net", "unpriced_value", "realized_pnl", "unrealized_pnl", "dividends"):
        assert not getattr(snapshots, name).any()
    np.testing.assert_array_equal(snapshots.cash, snapshots.equity)
    alone, mirrored = book.roll(rows).snapshots, replace(book, lots=mirror).roll(rows).snapshots
    np.testing.assert_array_equal(mirrored.daily_pnl, -alone.daily_pnl)
    np.testing.assert_array_equal(mirrored.long_value, -alone.short_value)
