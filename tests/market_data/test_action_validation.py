import re
from datetime import date

import pyarrow as pa
import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.action_validation import VALID_ACTION_SCHEMA, ValidatedActions, validate_actions
from sigmasight_assets.market_data.protocol import ACTION_SCHEMA, BarRequest
from sigmasight_assets.sessions import SessionCalendar

FIRST, LAST = date(2024, 6, 3), date(2024, 6, 28)
EX_DATE, LATER = date(2024, 6, 10), date(2024, 9, 3)
REQUESTS = [BarRequest("AAA", FIRST, LAST), BarRequest("BBB", FIRST, LAST)]

Action = tuple[str | None, date | None, str | None, int | None, int | None, float | None]


def split(new: int | None, old: int | None, *, symbol: str = "AAA", day: date | None = EX_DATE) -> Action:
    return (symbol, day, "split", new, old, None)


def dividend(amount: float | None, *, symbol: str = "AAA", day: date | None = EX_DATE) -> Action:
    return (symbol, day, "dividend", None, None, amount)


def judge(calendar: SessionCalendar, *actions: Action) -> ValidatedActions:
    columns = list(zip(*actions, strict=True)) or [()] * len(ACTION_SCHEMA)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, ACTION_SCHEMA, strict=True)]
    judged = validate_actions(pa.table(arrays, ACTION_SCHEMA), REQUESTS, calendar)
    assert judged.valid.schema.equals(VALID_ACTION_SCHEMA)
    return judged


def rows(judged: ValidatedActions) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in judged.valid.to_pylist()]


def test_nothing_sent(calendar: SessionCalendar) -> None:
    judged = judge(calendar)
    assert (rows(judged), judged.problems) == ([], [])


def test_an_ex_date_that_operators_have_closed_is_kept(calendar: SessionCalendar) -> None:
    judged = judge(calendar.without({EX_DATE: "closed"}), dividend(0.24), split(4, 1))
    assert [row[1] for row in rows(judged)] == [EX_DATE, EX_DATE]
    assert judged.problems == []


def test_valid_actions_keep_their_order_and_are_exact(calendar: SessionCalendar) -> None:
    judged = judge(
        calendar,
        dividend(0.24, symbol="BBB", day=LATER),
        split(4, 1),
        dividend(0.24),
        split(1, 10, symbol="BBB", day=FIRST),
    )
    assert judged.problems == []
    assert rows(judged) == [
        ("BBB", LATER, "dividend", None, None, 240_000),
        ("AAA", EX_DATE, "split", 4, 1, None),
        ("AAA", EX_DATE, "dividend", None, None, 240_000),
        ("BBB", FIRST, "split", 1, 10, None),
    ]


@pytest.mark.parametrize(
    ("new", "old", "reduced"),
    [(6, 4, (3, 2)), (30, 10, (3, 1)), (2_000_000, 2, (1_000_000, 1)), (1, 1_000_000, (1, 1_000_000))],
)
def test_ratios_are_reduced(calendar: SessionCalendar, new: int, old: int, reduced: tuple[int, int]) -> None:
    assert rows(judge(calendar, split(new, old))) == [("AAA", EX_DATE, "split", *reduced, None)]


@pytest.mark.parametrize(
    ("amount", "units"),
    [
        (0.9463775, 946_377),  # the float is just below the half, its product with a million just above
        (0.0697065, 69_707),  # the other way round
        (1.5 * 2.0**-6, 23_438),  # exactly 23437.5 millionths: to the even neighbour
        (2.5 * 2.0**-6, 39_062),  # exactly 39062.5 millionths: to the even neighbour
        (0.0000006, 1),
        (999_999.999999, 999_999_999_999),
    ],
)
def test_amounts_round_half_to_even_to_millionths(calendar: SessionCalendar, amount: float, units: int) -> None:
    assert rows(judge(calendar, dividend(amount))) == [("AAA", EX_DATE, "dividend", None, None, units)]


@pytest.mark.parametrize(
    ("action", "problem"),
    [
        (split(2, 1, symbol="CCC"), "split of 2024-06-10 is not stored: the symbol was not asked for"),
        (split(2, 1, day=None), "split without date is not stored: the ex-date is missing"),
        (dividend(1.0, day=date(2024, 5, 31)), "dividend of 2024-05-31 .* before the window that was asked for"),
        (dividend(1.0, day=date(2024, 6, 19)), "dividend of 2024-06-19 .* does not trade on the ex-date"),
        (dividend(1.0, day=date(2044, 6, 17)), "dividend of 2044-06-17 .* does not trade on the ex-date"),
        (("AAA", EX_DATE, "spin-off", 2, 1, None), "action 'spin-off' of .* is neither split nor dividend"),
        (("AAA", EX_DATE, None, 2, 1, None), "action 'None' of .* is neither split nor dividend"),
        (("AAA", EX_DATE, "split", 2, 1, 0.5), "split of .* has a ratio and no amount"),
        (("AAA", EX_DATE, "dividend", 2, 1, 0.5), "dividend of .* an amount and no ratio"),
        (split(None, 1), "not of two positive whole numbers"),
        (split(2, None), "not of two positive whole numbers"),
        (split(0, 0), "not of two positive whole numbers"),
        (split(-2, -1), "not of two positive whole numbers"),
        (split(-(2**63), 2**63 - 1), "not of two positive whole numbers"),
        (split(3, 3), "the ratio is 1 to 1"),
        (split(1_000_001, 1), "a part of the ratio is beyond 1,000,000"),
        (split(1, 1_000_001), "a part of the ratio is beyond 1,000,000"),
        (dividend(None), "the amount is not a positive number"),
        (dividend(float("nan")), "the amount is not a positive number"),
        (dividend(float("inf")), "the amount is not a positive number"),
        (dividend(0.0), "the amount is not a positive number"),
        (dividend(-0.25), "the amount is not a positive number"),
        (dividend(1e6), "the amount is not below 1,000,000"),
        (dividend(1e300), "the amount is not below 1,000,000"),
        (dividend(5e-7), "rounds to zero"),
        (dividend(1e-300), "rounds to zero"),
    ],
)
def test_wrong_actions_are_named_and_others_kept(calendar: SessionCalendar, action: Action, problem: str) -> None:
    judged = judge(calendar, action, split(2, 1, symbol="BBB"))
    assert rows(judged) == [("BBB", EX_DATE, "split", 2, 1, None)]
    [(symbol, sentence)] = judged.problems
    assert symbol == action[0]
    assert re.search(problem, sentence)


def test_identical_copies_count_once(calendar: SessionCalendar) -> None:
    judged = judge(calendar, split(2, 1), split(4, 2), dividend(0.5), dividend(0.5000000001), split(2, 1))
    assert judged.problems == []
    assert rows(judged) == [
        ("AAA", EX_DATE, "split", 2, 1, None),
        ("AAA", EX_DATE, "dividend", None, None, 500_000),
    ]


@pytest.mark.parametrize("other", [dividend(0.51), dividend(None), dividend(-0.5)])
def test_of_conflicting_actions_none_is_taken(calendar: SessionCalendar, other: Action) -> None:
    judged = judge(calendar, dividend(0.5), split(2, 1), other, dividend(0.5, day=LATER), dividend(0.5, symbol="BBB"))
    assert [row[:3] for row in rows(judged)] == [
        ("AAA", EX_DATE, "split"),
        ("AAA", LATER, "dividend"),
        ("BBB", EX_DATE, "dividend"),
    ]
    sentence = "dividend of 2024-06-10 is not stored: different actions of this kind were sent for the same date"
    assert judged.problems == [("AAA", sentence)] * 2


def test_actions_after_the_window_are_taken(calendar: SessionCalendar) -> None:
    assert rows(judge(calendar, split(2, 1, day=LATER))) == [("AAA", LATER, "split", 2, 1, None)]


def test_action_without_symbol_is_an_error(calendar: SessionCalendar) -> None:
    with pytest.raises(MarketDataError, match="the market source sent 1 actions without symbol"):
        judge(calendar, (None, EX_DATE, "split", 2, 1, None))
