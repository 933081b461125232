"""What snapshots are made from: how a range is cut, what has changed since, which sessions are spanned."""

from datetime import date

import pytest

from sigmasight_assets.errors import NotReadyError
from sigmasight_assets.orchestration.portfolio_inputs import Inputs, parts, read_inputs, without_waived
from sigmasight_assets.storage.database import Database
from tests.orchestration.books import DAYS, SOLID
from tests.orchestration.contents import execute
from tests.orchestration.portfolio_runs import correct_close, forget_symbols, waive


def inputs(
    *, sessions: str = "cd", consumed: str = "abcd", changed: dict[str, set[str] | None] | None = None
) -> Inputs:
    """Sessions named by letters."""
    days = dict(zip("abcdef", DAYS, strict=False))
    return Inputs(
        generations={days[name]: 2 for name in sessions},
        consumed={days[name]: 1 for name in consumed},
        changed={days[name]: symbols for name, symbols in (changed or {}).items()},
        gaps=[],
    )


@pytest.mark.parametrize(
    ("sessions", "consumed", "expected"),
    [
        ("", "", []),
        ("abc", "", ["abc"]),
        ("abc", "abc", ["abc"]),
        ("abcd", "abc", ["abc", "d"]),
        ("abcd", "acd", ["a", "b", "cd"]),
        ("bcd", "a", ["bcd"]),
    ],
)
def test_a_range_is_cut_where_snapshots_begin_and_end(sessions: str, consumed: str, expected: list[str]) -> None:
    days = dict(zip("abcd", DAYS, strict=False))
    found = parts([days[name] for name in sessions], {days[name]: 1 for name in consumed})
    assert found == [[days[name] for name in part] for part in expected]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (inputs(), {}),
        (inputs(changed={"c": {"AAA"}, "d": set()}), {DAYS[2]: {"AAA"}, DAYS[3]: set()}),
        (inputs(changed={"c": {"AAA"}, "d": None}), None),
        # One of the sessions has no snapshots yet.
        (inputs(consumed="abc", changed={"c": {"AAA"}}), None),
        (inputs(sessions="e"), None),
    ],
)
def test_which_symbols_differ_is_known_or_not(found: Inputs, expected: dict[date, set[str]] | None) -> None:
    assert found.changed_symbols == expected


def test_neighbours() -> None:
    found = inputs(consumed="abd")
    assert (found.sessions, found.previous) == (DAYS[2:4], DAYS[1])
    assert [found.before(day) for day in (DAYS[0], DAYS[1], DAYS[3])] == [None, DAYS[0], DAYS[1]]
    assert [found.newest_after(day) for day in DAYS[1:5]] == [DAYS[3], DAYS[3], None, None]
    assert inputs(consumed="").newest_after(DAYS[2]) is None


def test_missing_snapshots_are_named() -> None:
    found = inputs()
    found.require_earlier()
    message = f"Snapshots of {DAYS[0]} come before those of {DAYS[2]}: the gate runs {DAYS[0]} to {DAYS[1]} first"
    with pytest.raises(NotReadyError, match=message):
        Inputs(found.generations, found.consumed, found.changed, gaps=DAYS[:2]).require_earlier()


def test_inputs_are_those_of_the_database(done: Database) -> None:
    correct_close(done, SOLID, DAYS[6], last=DAYS[7])
    execute(done, "DELETE FROM snapshot_inputs WHERE session >= :day", day=DAYS[10])
    with done.begin() as connection:
        found = read_inputs(connection, DAYS[5:9])
        late = read_inputs(connection, DAYS[11:])
    assert found.generations == {DAYS[5]: 1, DAYS[6]: 3, DAYS[7]: 3, DAYS[8]: 1}
    assert found.consumed == dict.fromkeys(DAYS[:10], 1)
    assert found.changed == {DAYS[6]: {SOLID}, DAYS[7]: {SOLID}}
    assert (found.gaps, late.gaps) == ([], [DAYS[10]])
    assert late.changed_symbols is None


class TestWaived:
    def split_up(self, database: Database, sessions: list[date]) -> tuple[list[date], list[date]]:
        with database.begin() as connection:
            return without_waived(connection, sessions)

    def test_sessions_without_symbol_products_are_spanned(self, books: Database) -> None:
        for day in DAYS[2:5]:
            forget_symbols(books, day)
        for day in (DAYS[2], DAYS[4], DAYS[7]):
            waive(books, day)
        with pytest.raises(NotReadyError, match=f"The symbol products of {DAYS[3]} are not published"):
            self.split_up(books, DAYS)
        waive(books, DAYS[3])
        # One is waived and published all the same.
        assert self.split_up(books, DAYS) == ([*DAYS[:2], *DAYS[5:]], DAYS[2:5])
        assert self.split_up(books, DAYS[2:4]) == ([], DAYS[2:4])

    def test_a_session_that_is_closed_is_not_waived(self, books: Database) -> None:
        forget_symbols(books, DAYS[2])
        waive(books, DAYS[2], kind="closed")
        with pytest.raises(NotReadyError, match=str(DAYS[2])):
            self.split_up(books, DAYS)
