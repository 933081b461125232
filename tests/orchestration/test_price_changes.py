"""What an answer changes, on paper: actions against those stated, and the published sessions that rest on either."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sigmasight_assets.orchestration.price_changes import (
    StoredFacts,
    change_reasons,
    compare_actions,
    find_marks,
    late_actions,
)
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.actions import ACTION_ROWS, ActionChange, Terms
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.invalidations import MARK_SCHEMA
from sigmasight_assets.storage.prices import PRICE_COLUMNS, PriceWindow

DAYS = exchange_calendar().between(date(2025, 6, 2), date(2025, 6, 30))
SYMBOLS = ("AAA", "BBB")
PUBLISHED = DAYS[-4]
QUARTER, THIRD, FOUR_FOR_ONE = Terms(None, None, 250_000), Terms(None, None, 333_333), Terms(4, 1, None)

Action = tuple[str, date, Terms]
# Close in USD, adjusted close in USD and volume by place of the session.
Bars = dict[int, tuple[float, float, int]]


def actions(*rows: Action) -> pa.Table:
    flat = [
        (symbol, day, "dividend" if terms.amount else "split", *(getattr(terms, name) for name in Terms.__slots__))
        for symbol, day, terms in rows
    ]
    return pa.Table.from_pylist([dict(zip(ACTION_ROWS.names, row, strict=True)) for row in flat], schema=ACTION_ROWS)


def compare(
    stated: Iterable[Action], sent: Iterable[Action], since: Mapping[str, date], kept: Iterable[str] = ()
) -> list[tuple[str, date, str]]:
    changes = compare_actions(actions(*stated), actions(*sent), since=since, kept=set(kept))
    return [(item.symbol, item.ex_date, item.sort) for item in changes]


class TestActions:
    def test_new_changed_and_withdrawn(self) -> None:
        stated = [("AAA", DAYS[0], QUARTER), ("AAA", DAYS[3], QUARTER), ("AAA", DAYS[3], FOUR_FOR_ONE)]
        sent = [("AAA", DAYS[0], QUARTER), ("AAA", DAYS[3], THIRD), ("AAA", DAYS[9], QUARTER)]
        changes = compare_actions(actions(*stated), actions(*sent), since={"AAA": DAYS[0]}, kept=())
        assert changes == [
            ActionChange("AAA", DAYS[3], "dividend", QUARTER, THIRD),
            ActionChange("AAA", DAYS[3], "split", FOUR_FOR_ONE, None),
            ActionChange("AAA", DAYS[9], "dividend", None, QUARTER),
        ]

    def test_the_same_is_no_change(self) -> None:
        known = [("AAA", DAYS[0], QUARTER), ("BBB", DAYS[3], FOUR_FOR_ONE)]
        assert compare(known, known, dict.fromkeys(SYMBOLS, DAYS[0])) == []
        assert compare([], [], {}) == []

    def test_what_lies_before_the_window_is_never_withdrawn(self) -> None:
        stated = [("AAA", DAYS[4], QUARTER), ("AAA", DAYS[5], QUARTER), ("BBB", DAYS[4], QUARTER)]
        assert compare(stated, [], {"AAA": DAYS[5], "BBB": DAYS[0]}) == [
            ("AAA", DAYS[5], "withdrawn"),
            ("BBB", DAYS[4], "withdrawn"),
        ]

    def test_symbols_without_an_answer_keep_theirs(self) -> None:
        stated = [("AAA", DAYS[4], QUARTER), ("BBB", DAYS[4], QUARTER)]
        assert compare(stated, [("BBB", DAYS[6], QUARTER)], {"AAA": DAYS[0]}) == [("AAA", DAYS[4], "withdrawn")]
        assert compare(stated, [("BBB", DAYS[6], QUARTER)], {}) == []

    def test_an_answer_that_cannot_be_read_whole_withdraws_nothing(self) -> None:
        stated = [("AAA", DAYS[4], QUARTER), ("AAA", DAYS[5], QUARTER), ("BBB", DAYS[4], QUARTER)]
        sent = [("AAA", DAYS[5], THIRD), ("AAA", DAYS[6], THIRD)]
        assert compare(stated, sent, dict.fromkeys(SYMBOLS, DAYS[0]), kept=["AAA"]) == [
            ("AAA", DAYS[5], "changed"),
            ("AAA", DAYS[6], "new"),
            ("BBB", DAYS[4], "withdrawn"),
        ]

    def test_the_reason_of_a_history_is_its_newest_split_or_action(self) -> None:
        changes = [
            ActionChange("AAA", DAYS[9], "dividend", None, QUARTER),
            ActionChange("AAA", DAYS[3], "split", None, FOUR_FOR_ONE),
            ActionChange("AAA", DAYS[1], "split", FOUR_FOR_ONE, None),
            ActionChange("BBB", DAYS[9], "dividend", QUARTER, THIRD),
            ActionChange("BBB", DAYS[3], "dividend", None, QUARTER),
        ]
        assert change_reasons(changes) == {
            "AAA": f"split 4:1 of {DAYS[3]}",
            "BBB": f"dividend 0.333333 of {DAYS[9]}, formerly 0.25",
        }


def window(**by_symbol: Bars) -> PriceWindow:
    """Bars of a day's range of one dollar."""
    grid = Grid(np.array(DAYS, "datetime64[D]"), SYMBOLS)
    prices = {name: np.zeros(grid.shape, dtype=np.int64) for name in PRICE_COLUMNS}
    adj_close, volume = np.full(grid.shape, np.nan), np.zeros(grid.shape, dtype=np.int64)
    for symbol, bars in by_symbol.items():
        for row, (close, adjusted, traded) in bars.items():
            cell = row, SYMBOLS.index(symbol)
            for name, off in zip(PRICE_COLUMNS, (0, 1, -1, 0), strict=True):
                prices[name][cell] = round((close + off) * 10_000)
            adj_close[cell], volume[cell] = adjusted, traded
    return PriceWindow(grid, prices, adj_close, volume)


def rising(first: int, last: int, *, without: Iterable[int] = ()) -> Bars:
    """A close of 100 plus the place of the session."""
    return {row: (100.0 + row, 100.0 + row, 1000) for row in range(first, last) if row not in set(without)}


def new(symbol: str, row: int, terms: Terms = QUARTER, old: Terms | None = None) -> ActionChange:
    return ActionChange(symbol, DAYS[row], "dividend" if terms.amount else "split", old, terms)


class TestLateActions:
    stored = window(AAA=rising(3, 10, without=[5]))

    @pytest.mark.parametrize(("row", "is_late"), [(2, False), (3, True), (5, True), (9, True), (10, False)])
    def test_new_actions_are_late_inside_the_stored_history(self, row: int, is_late: bool) -> None:
        assert bool(late_actions([new("AAA", row)], self.stored)) == is_late
        assert late_actions([new("BBB", row)], self.stored) == []

    @pytest.mark.parametrize("row", [2, 5, 10])
    def test_other_terms_always_are(self, row: int) -> None:
        changed, gone = new("AAA", row, old=THIRD), ActionChange("BBB", DAYS[row], "dividend", QUARTER, None)
        assert late_actions([changed, gone], self.stored) == [changed, gone]


Mark = tuple[str, date, date, bool, date | None]


def marks(
    stored: PriceWindow,
    sent: PriceWindow,
    *changes: ActionChange,
    stated: Iterable[Action] = (),
    newest_published: date | None = PUBLISHED,
    **options: Any,
) -> list[Mark]:
    facts = StoredFacts(stored, actions(*stated), newest_published)
    found = find_marks(facts, sent, changes, **options)
    assert found.schema == MARK_SCHEMA
    return [tuple(row.values()) for row in found.to_pylist()]


def changed(bars: Bars, row: int, change: Callable[[float, float, int], tuple[float, float, int]]) -> Bars:
    return {**bars, row: change(*bars[row])}


LAST = len(DAYS) - 4  # the place of the newest published session
KNOWN = rising(0, len(DAYS) - 1)


class TestMarks:
    def test_the_same_bars_and_new_ones_after_the_published_make_none(self) -> None:
        assert marks(window(AAA=KNOWN), window(AAA=rising(LAST, len(DAYS)))) == []
        first_night = rising(0, LAST + 1)
        assert marks(window(AAA=first_night), window(AAA=rising(LAST - 2, len(DAYS)))) == []

    def test_nothing_published_makes_none(self) -> None:
        sent = window(AAA=changed(KNOWN, 5, lambda close, adjusted, volume: (close + 1, adjusted + 1, volume)))
        assert len(marks(window(AAA=KNOWN), sent, new("AAA", 3))) == 1
        assert marks(window(AAA=KNOWN), sent, new("AAA", 3), newest_published=None) == []

    def test_a_restated_bar_changes_its_return_and_the_next(self) -> None:
        sent = changed(KNOWN, 5, lambda close, adjusted, volume: (close + 1, adjusted + 1, volume))
        assert marks(window(AAA=KNOWN), window(AAA={5: sent[5]})) == [("AAA", DAYS[5], DAYS[6], True, None)]

    @pytest.mark.parametrize(
        "change",
        [
            lambda close, adjusted, volume: (close, adjusted, volume + 1),
            lambda close, adjusted, volume: (close + 1e-4, adjusted, volume),
        ],
    )
    def test_other_values_without_another_return(self, change: Callable[..., Any]) -> None:
        sent = changed(KNOWN, 5, change)
        assert marks(window(AAA=KNOWN), window(AAA=sent)) == [("AAA", DAYS[5], DAYS[5], False, None)]

    @pytest.mark.parametrize("name", PRICE_COLUMNS)
    def test_each_price_counts(self, name: str) -> None:
        sent = window(AAA=KNOWN)
        sent.prices[name][7, 0] += 1
        assert marks(window(AAA=KNOWN), sent) == [("AAA", DAYS[7], DAYS[7], False, None)]

    @pytest.mark.parametrize(("error", "is_marked"), [(1e-12, False), (1e-6, True)])
    def test_only_a_rescaled_adjusted_close_is_no_change(self, error: float, is_marked: bool) -> None:
        """A dividend that comes with its ex-date lowers every earlier adjusted close by one factor."""
        sent = {row: (close, adjusted * 0.98, volume) for row, (close, adjusted, volume) in KNOWN.items()}
        sent[7] = (sent[7][0], sent[7][1] * (1 + error), sent[7][2])
        expected = [("AAA", DAYS[7], DAYS[8], True, None)] if is_marked else []
        assert marks(window(AAA=KNOWN), window(AAA=sent), new("AAA", len(DAYS) - 2)) == expected

    def test_a_dividend_learnt_late_changes_the_return_of_its_ex_date(self) -> None:
        sent = {
            row: (close, adjusted * (0.98 if row < 9 else 1), volume)
            for row, (close, adjusted, volume) in KNOWN.items()
        }
        assert marks(window(AAA=KNOWN), window(AAA=sent), new("AAA", 9)) == [("AAA", DAYS[9], DAYS[9], True, DAYS[9])]

    def test_a_split_changes_all_closes_and_no_return(self) -> None:
        sent = {row: (close / 4, adjusted / 4, volume * 4) for row, (close, adjusted, volume) in KNOWN.items()}
        split = new("AAA", len(DAYS) - 1, FOUR_FOR_ONE)
        assert marks(window(AAA=KNOWN), window(AAA=sent), split) == [("AAA", DAYS[0], PUBLISHED, False, None)]

    def test_a_late_bar_brings_two_returns(self) -> None:
        stored = window(AAA=rising(0, len(DAYS) - 1, without=[6]))
        assert marks(stored, window(AAA={6: KNOWN[6]})) == [("AAA", DAYS[6], DAYS[7], True, None)]

    def test_a_late_bar_without_neighbours_brings_none(self) -> None:
        stored = window(AAA=rising(0, len(DAYS) - 1, without=[5, 6, 7]))
        assert marks(stored, window(AAA={6: KNOWN[6]})) == [("AAA", DAYS[6], DAYS[6], False, None)]

    def test_earlier_history_and_a_new_symbol_are_late_bars(self) -> None:
        stored = window(AAA=rising(5, len(DAYS) - 1))
        assert marks(stored, window(AAA=rising(0, 5), BBB=KNOWN)) == [
            ("AAA", DAYS[0], DAYS[5], True, None),
            ("BBB", DAYS[0], PUBLISHED, True, None),
        ]

    def test_only_published_sessions_count(self) -> None:
        def dearer(close: float, adjusted: float, volume: int) -> tuple[float, float, int]:
            return close + 1, adjusted + 1, volume

        sent = changed(KNOWN, LAST, dearer)
        assert marks(window(AAA=KNOWN), window(AAA=sent)) == [("AAA", PUBLISHED, PUBLISHED, True, None)]
        sent = changed(
            changed(KNOWN, LAST + 1, dearer), 2, lambda close, adjusted, volume: (close, adjusted, volume + 1)
        )
        assert marks(window(AAA=KNOWN), window(AAA=sent)) == [("AAA", DAYS[2], DAYS[2], False, None)]

    def test_actions_extend_the_mark_to_their_ex_dates(self) -> None:
        sent = window(AAA=changed(KNOWN, 6, lambda close, adjusted, volume: (close, adjusted, volume + 1)))
        known = window(AAA=KNOWN)
        assert marks(known, sent, new("AAA", 4), new("AAA", 8), new("AAA", 2, THIRD, QUARTER)) == [
            ("AAA", DAYS[2], DAYS[8], False, DAYS[2])
        ]
        gone = ActionChange("BBB", DAYS[4], "dividend", QUARTER, None)
        assert marks(known, known, gone) == [("BBB", DAYS[4], DAYS[4], False, DAYS[4])]
        assert marks(known, known, new("BBB", LAST)) == [("BBB", PUBLISHED, PUBLISHED, False, PUBLISHED)]
        assert marks(known, known, new("BBB", LAST + 1)) == []


LEAP = {**rising(0, LAST), LAST: (300.0, 300.0, 1000)}
AFTER = {LAST: LEAP[LAST], LAST + 1: (301.0, 301.0, 1000)}
CONFIRMED = [("AAA", PUBLISHED, PUBLISHED, False, None)]


class TestConfirmedMoves:
    """The newest stored bar is more than twice the one before, and later bars are sent."""

    def test_the_session_is_marked_once_a_later_bar_comes(self) -> None:
        assert marks(window(AAA=LEAP), window(AAA=AFTER)) == CONFIRMED
        assert marks(window(AAA=LEAP), window(AAA={LAST: LEAP[LAST]})) == []

    def test_a_bar_sent_without_the_move_itself_confirms_it_too(self) -> None:
        assert marks(window(AAA=LEAP), window(AAA={LAST + 1: (301.0, 301.0, 1000)})) == CONFIRMED

    def test_a_move_confirmed_before_is_not_marked_again(self) -> None:
        both = {**LEAP, **AFTER}
        assert marks(window(AAA=both), window(AAA={LAST + 2: (302.0, 302.0, 1000)})) == []

    def test_an_ordinary_move_is_not(self) -> None:
        assert marks(window(AAA=rising(0, LAST + 1)), window(AAA=rising(LAST, LAST + 2))) == []

    def test_a_move_that_an_action_explains_is_not(self) -> None:
        stored, sent = window(AAA=LEAP), window(AAA=AFTER)
        assert marks(stored, sent, stated=[("AAA", PUBLISHED, QUARTER)]) == []
        elsewhere = [("AAA", DAYS[LAST - 1], QUARTER), ("BBB", PUBLISHED, QUARTER), ("ZZZ", PUBLISHED, QUARTER)]
        assert marks(stored, sent, stated=elsewhere) == CONFIRMED

    def test_an_unpublished_session_is_not(self) -> None:
        assert marks(window(AAA=LEAP), window(AAA=AFTER), newest_published=DAYS[LAST - 1]) == []

    def test_options_are_not(self) -> None:
        stored, sent = window(AAA=LEAP, BBB=LEAP), window(AAA=AFTER, BBB=AFTER)
        assert [row[0] for row in marks(stored, sent, without_moves={"AAA"})] == ["BBB"]
