"""Tests of valuations: which is the first of a lot, and which is in force at a session."""

from datetime import date

import numpy as np

from sigmasight_assets.storage.valuations import Valuations

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (date(2025, 6, day) for day in range(23, 28))


def days(*dates: date) -> np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]:
    return np.array(dates, dtype="datetime64[D]")


def valuations() -> Valuations:
    """Of four lots: three on days with and without a session, none, one long ago, and one to come."""
    return Valuations(
        lots=4,
        lot=np.array([0, 0, 0, 2, 3]),
        valued_on=days(TUESDAY, date(2025, 6, 28), date(2025, 6, 29), date(2019, 1, 1), date(2025, 7, 2)),
        value=np.array([5, 7, 0, 11, 13]),
    )


def test_the_first_is_the_oldest() -> None:
    assert valuations().first().tolist() == [5, 0, 11, 13]


def test_the_newest_on_or_before_the_session_is_in_force() -> None:
    sessions = days(MONDAY, TUESDAY, THURSDAY, date(2025, 6, 30), date(2025, 7, 1))
    values, ages = valuations().in_force(sessions)
    assert values.tolist() == [[0, 0, 11, 0], [5, 0, 11, 0], [5, 0, 11, 0], [0, 0, 11, 0], [0, 0, 11, 0]]
    # A valuation of 0 is one.
    assert ages.tolist() == [[-1, -1, 0, -1], [0, -1, 0, -1], [0, -1, 0, -1], [0, -1, 0, -1], [0, -1, 0, -1]]
    assert ages.dtype == np.int8


def test_the_later_of_two_between_sessions_counts() -> None:
    found = Valuations(1, np.array([0, 0]), days(TUESDAY, WEDNESDAY), np.array([9, 2]))
    assert found.in_force(days(MONDAY, THURSDAY))[0].tolist() == [[0], [2]]
    assert found.in_force(days(TUESDAY, THURSDAY))[0].tolist() == [[9], [2]]


def test_no_lots_and_no_sessions() -> None:
    none = Valuations(0, np.zeros(0, dtype=np.int64), days(), np.zeros(0, dtype=np.int64))
    assert none.first().shape == (0,)
    assert none.in_force(days(MONDAY, FRIDAY))[0].shape == (2, 0)
    assert valuations().in_force(days())[0].shape == (0, 4)
