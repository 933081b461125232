"""Which symbols a publication names: by the rows it changes, by actions that take effect, and by what is carried."""

from datetime import date

import numpy as np
import pytest

from sigmasight_assets.orchestration.symbol_ledger import (
    CarriedFigures,
    Names,
    changed_symbols,
    changes_in_force,
    merged,
    named,
    republications,
    symbols_with_actions,
)
from sigmasight_assets.quant.arrays import BoolArray
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.published_market import publish

DAYS = exchange_calendar().between(date(2025, 5, 19), date(2025, 6, 4))
TARGETS = Grid(np.array(DAYS[:3], dtype="datetime64[D]"), ("AAA", "BBB"))
FIGURES = 14


def cells(*marked: tuple[int, int]) -> BoolArray:
    found = np.zeros(TARGETS.shape, dtype=np.bool_)
    for cell in marked:
        found[cell] = True
    return found


def test_symbols_by_session() -> None:
    assert changed_symbols(TARGETS, cells((0, 1), (2, 0), (2, 1))) == {DAYS[0]: {"BBB"}, DAYS[2]: {"AAA", "BBB"}}
    assert changed_symbols(TARGETS, cells()) == {}


@pytest.mark.parametrize(
    ("kind", "ex_date", "expected"),
    [
        ("dividend", DAYS[1], DAYS[1:2]),
        # Between two complete sessions, and before and after all of them.
        ("dividend", DAYS[2], DAYS[3:4]),
        ("dividend", date(2020, 1, 2), DAYS[:1]),
        ("dividend", DAYS[5], []),
        ("split", DAYS[1], [*DAYS[:2], *DAYS[3:5]]),
        ("split", DAYS[5], [*DAYS[:2], *DAYS[3:5]]),
    ],
)
def test_sessions_at_which_an_action_counts(kind: str, ex_date: date, expected: list[date]) -> None:
    complete = {*DAYS[:2], *DAYS[3:5]}
    assert symbols_with_actions([("AAA", ex_date, kind)], complete) == {day: {"AAA"} for day in expected}


def test_actions_of_many_symbols_meet() -> None:
    actions = [("AAA", DAYS[1], "split"), ("BBB", DAYS[2], "dividend"), ("AAA", DAYS[0], "dividend")]
    expected = {DAYS[0]: {"AAA"}, DAYS[1]: {"AAA"}, DAYS[2]: {"AAA", "BBB"}}
    assert symbols_with_actions(actions[1:], DAYS[:3]) == {DAYS[0]: {"AAA"}, DAYS[2]: {"BBB"}}
    assert symbols_with_actions(actions, DAYS[:3]) == expected


def test_parts_are_merged() -> None:
    first: Names = {DAYS[0]: {"AAA"}}
    assert merged(first, {DAYS[0]: {"BBB"}, DAYS[1]: {"CCC"}}) == {DAYS[0]: {"AAA", "BBB"}, DAYS[1]: {"CCC"}}
    assert first == {DAYS[0]: {"AAA"}}
    assert merged() == {}


@pytest.mark.parametrize(("universe", "is_listed"), [(8, True), (7, False), (0, False), (1000, True)])
def test_more_than_a_quarter_are_as_good_as_any(universe: int, is_listed: bool) -> None:
    assert named({"BBB", "AAA"}, universe) == (("AAA", "BBB") if is_listed else None)


def test_nobody_is_named_where_no_figure_differs() -> None:
    assert named(set(), 0) == ()


def test_only_complete_sessions_name_symbols() -> None:
    published = {DAYS[0]: {"market_beta"}, DAYS[1]: set(SYMBOL_PRODUCTS), DAYS[2]: set(SYMBOL_PRODUCTS)}
    names = {DAYS[1]: {"BBB"}, DAYS[0]: {"AAA"}, DAYS[2]: {"AAA", "BBB"}}
    counts = {DAYS[1]: {"market_beta": 1, "ir_beta": 2}}
    coverage = {DAYS[0]: 0.5, DAYS[1]: None, DAYS[2]: 1.0}
    found = republications(names, published=published, coverage=coverage, counts=counts, universe=4)
    assert [(item.session, item.symbols, item.rows_written, item.coverage) for item in found] == [
        (DAYS[0], None, 0, 0.5),
        (DAYS[1], ("BBB",), 3, None),
        (DAYS[2], None, 0, 1.0),
    ]
    assert [item.products for item in found] == [("market_beta",), SYMBOL_PRODUCTS, SYMBOL_PRODUCTS]
    assert [item.counts for item in found] == [{}, {"market_beta": 1, "ir_beta": 2}, {}]


class TestChangesInForce:
    """Sessions of one symbol with one figure, a digit; ``.`` is a session without it."""

    def differing(self, before: str, after: str) -> list[int]:
        figures = [np.array([[[np.nan if sign == "." else float(sign)]] for sign in line]) for line in (before, after)]
        found: list[int] = np.flatnonzero(changes_in_force(*figures)).tolist()
        return found

    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            ("1111111111", "1111111111", []),
            ("1111111111", "1211111111", [1]),
            ("11.1111111", "12.1111111", [1, 2]),
            ("11........", "12........", [1, 2, 3, 4, 5, 6]),
            ("11.1......", "12.1......", [1, 2]),
            # A new one, and one that goes.
            ("1...111111", "12..111111", [1, 2, 3]),
            ("12..111111", "1...111111", [1, 2, 3]),
            ("..........", "...1......", [3, 4, 5, 6, 7, 8]),
            # What was carried stays.
            ("11..111111", "1...111111", []),
            ("1.........", "1.........", []),
        ],
    )
    def test_it_reaches_five_sessions(self, before: str, after: str, expected: list[int]) -> None:
        assert self.differing(before, after) == expected

    @pytest.mark.parametrize("length", [1, 2, 6, 7])
    def test_short_windows(self, length: int) -> None:
        rest = "." * (length - 1)
        assert self.differing(f"1{rest}", f"2{rest}") == list(range(length))[:6]

    def test_each_figure_is_carried_by_itself(self) -> None:
        """The close is there at every session, the beta of the first session alone."""
        before = np.array([[[1.0, 1.0]], [[1.0, np.nan]], [[1.0, np.nan]]])
        after = before.copy()
        after[0, 0, 0] = 2.0
        assert changes_in_force(before, after).ravel().tolist() == [True, False, False]
        after[0, 0, 1] = 2.0
        assert changes_in_force(before, after).all()


class TestCarriedFigures:
    """AAA has closes at all sessions but the fourth and the fifth, BBB at the first alone."""

    @pytest.fixture
    def market(self, database: Database) -> Database:
        days = [day for place, day in enumerate(DAYS) if place not in (3, 4)]
        publish(database, {"AAA": dict.fromkeys(days, "10"), "BBB": {DAYS[0]: "20"}})
        return database

    def carried(
        self, database: Database, marked: BoolArray, wanted: list[date], *, calendar: SessionCalendar | None = None
    ) -> Names | None:
        """The names when the closes of the marked cells are changed."""
        change = "UPDATE symbol_daily_metrics SET close_price = close_price + 1 WHERE (metrics_date, symbol) = ($1, $2)"
        with database.bulk() as transaction:
            calendar = calendar or exchange_calendar()
            found = CarriedFigures.before_write(transaction, calendar, TARGETS, marked, wanted)
            for row, column in np.argwhere(marked).tolist():
                transaction.execute(change, (DAYS[row], TARGETS.symbols[column]))
            return None if found is None else found.symbols(transaction)

    def test_to_the_sessions_without_their_own(self, market: Database) -> None:
        assert self.carried(market, cells((2, 0)), DAYS) == {day: {"AAA"} for day in DAYS[2:5]}
        both = cells((2, 0), (0, 1))
        expected = {day: {"AAA", "BBB"} if day in DAYS[2:5] else {"BBB"} for day in DAYS[:6]}
        assert self.carried(market, both, DAYS) == expected
        assert self.carried(market, both, [DAYS[3]]) == {DAYS[3]: {"AAA", "BBB"}}

    def test_nothing_is_read_when_nothing_can_be_carried(self, market: Database) -> None:
        for marked, wanted in ((cells((2, 0)), DAYS[:3]), (cells((0, 1)), DAYS[6:]), (cells(), DAYS)):
            assert self.carried(market, marked, wanted) is None

    def test_sessions_that_were_closed_do_not_count(self, market: Database) -> None:
        """One more session is reached then."""
        calendar = exchange_calendar().without({DAYS[2]: "closed"})
        assert self.carried(market, cells((2, 0)), DAYS, calendar=calendar) is None
        found = self.carried(market, cells((0, 1)), DAYS, calendar=calendar)
        assert found == {day: {"BBB"} for day in (*DAYS[:2], *DAYS[3:7])}

    def test_rows_that_go_or_stay_as_they_are(self, market: Database) -> None:
        with market.bulk() as transaction:
            found = CarriedFigures.before_write(transaction, exchange_calendar(), TARGETS, cells((0, 1)), DAYS)
            assert found is not None
            assert (found.figures.shape, found.grid.symbols) == ((*found.grid.shape, FIGURES), ("BBB",))
            assert found.symbols(transaction) == {}
            transaction.execute("DELETE FROM symbol_daily_metrics WHERE symbol = 'BBB'")
            assert found.symbols(transaction) == {day: {"BBB"} for day in DAYS[:6]}
