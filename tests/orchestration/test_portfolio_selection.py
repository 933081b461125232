"""Who has to be computed when a symbol changed: whoever held it then, in whichever form it enters their numbers."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.orchestration.portfolio_inputs import Inputs
from sigmasight_assets.orchestration.portfolio_selection import (
    Selection,
    held_windows,
    mark_later,
    select_portfolios,
    settled_windows,
)
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.holders import HeldWindow
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from tests.orchestration.contents import execute, rows_of

DAYS = exchange_calendar().between(date(2025, 5, 19), date(2025, 6, 4))
BEFORE = date(2025, 4, 30)
# Expires on a Friday, and on the Saturday after another.
CALL, PUT = "AAA250523C00020000", "AAA250531P00030000"


class TestWindows:
    def test_from_the_first_session_to_the_last(self) -> None:
        changed = {DAYS[3]: {"AAA", "BBB"}, DAYS[5]: {"AAA"}, DAYS[4]: {"CCC"}, DAYS[6]: set[str]()}
        before = {DAYS[3]: None, DAYS[4]: DAYS[3], DAYS[5]: DAYS[4], DAYS[6]: DAYS[5]}
        assert held_windows(changed, before) == [
            HeldWindow("AAA", None, DAYS[5]),
            HeldWindow("BBB", None, DAYS[3]),
            HeldWindow("CCC", DAYS[3], DAYS[4]),
        ]
        assert held_windows({}, {}) == []

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ({DAYS[4]: {"AAA"}}, ["C"]),
            ({DAYS[4]: {"AAA", "BBB"}, DAYS[5]: {"AAA"}}, ["C", "D"]),
            ({DAYS[3]: {"AAA", "BBB"}, DAYS[4]: {"C"}}, []),
        ],
    )
    def test_contracts_settle_at_one_session(self, changed: Mapping[date, set[str]], expected: list[str]) -> None:
        contracts = {"D": ("BBB", DAYS[4]), "C": ("AAA", DAYS[4])}
        windows = [HeldWindow(name, DAYS[4], DAYS[4], begun_by=date.max) for name in expected]
        assert settled_windows(changed, contracts) == windows


def own(database: Database, *symbols: str, as_of: date = DAYS[0], **columns: Any) -> int:
    """A portfolio of lots whose snapshots are current; its number."""
    lots = [
        NewLot(symbol, Decimal(1), Decimal(1), investment_class="OPTIONS" if len(symbol) > 5 else "PUBLIC", **columns)
        for symbol in symbols
    ]
    with database.begin() as connection:
        count = len(rows_of(database, "SELECT * FROM portfolios"))
        number = create_portfolio(
            connection, user="ann", name=str(count), equity=Decimal(1), as_of=as_of, lots=lots
        ).portfolio_id
    execute(database, "UPDATE portfolios SET stale_from = NULL")
    return number


def inputs(
    changed: Mapping[date, set[str] | None], *, sessions: Sequence[date] = DAYS, consumed: Sequence[date] = DAYS
) -> Inputs:
    return Inputs(dict.fromkeys(sessions, 2), dict.fromkeys(consumed, 1), changed, gaps=[])


def select(database: Database, found: Inputs) -> Selection:
    with database.bulk() as transaction:
        return select_portfolios(transaction, exchange_calendar(), found)


def selected(database: Database, changed: Mapping[date, set[str] | None], **given: Any) -> list[int]:
    ids = select(database, inputs(changed, **given)).portfolio_ids
    assert ids is not None
    found: list[int] = ids.tolist()
    return found


class TestSelection:
    def test_holders_of_the_symbol(self, database: Database) -> None:
        holder, _ = own(database, "AAA", "BBB", entry_date=BEFORE), own(database, "BBB", entry_date=BEFORE)
        assert selected(database, {DAYS[3]: {"AAA"}}) == [holder]
        assert selected(database, {DAYS[3]: {"CCC"}}) == []
        assert selected(database, {DAYS[3]: set()}) == []
        assert selected(database, {}) == []

    def test_lots_that_were_closed(self, database: Database) -> None:
        """A lot closed on the session before is no part of it; one closed on the day is, for its last P&L."""
        exits = {day: own(database, "AAA", entry_date=BEFORE, exit_price=Decimal(1), exit_date=day) for day in DAYS}
        assert selected(database, {DAYS[3]: {"AAA"}}) == [exits[day] for day in DAYS[3:]]
        without = [day for day in DAYS if day != DAYS[2]]
        found = selected(database, {DAYS[3]: {"AAA"}}, sessions=without, consumed=without)
        assert found == [exits[day] for day in DAYS[2:]]
        assert selected(database, {DAYS[0]: {"AAA"}}) == list(exits.values())

    def test_lots_that_were_opened_later(self, database: Database) -> None:
        numbers = [own(database, "AAA", entry_date=day) for day in DAYS]
        assert selected(database, {DAYS[1]: {"AAA"}, DAYS[3]: {"AAA"}}) == numbers[:4]

    def test_portfolios_that_began_later(self, database: Database) -> None:
        numbers = [own(database, "AAA", as_of=day, entry_date=BEFORE) for day in DAYS]
        assert selected(database, {DAYS[1]: {"AAA"}, DAYS[3]: {"AAA"}}) == numbers[:4]
        late = own(database, CALL, as_of=DAYS[7], entry_date=BEFORE)
        assert selected(database, {DAYS[4]: {"AAA"}}) == [*numbers[:5], late]
        assert selected(database, {DAYS[4]: {CALL}}) == []

    def test_contracts_on_the_symbol(self, database: Database) -> None:
        calls, puts = own(database, CALL, entry_date=BEFORE), own(database, PUT, entry_date=BEFORE)
        own(database, "AAA1250523C00020000", "AAA", entry_date=DAYS[7])
        sold = own(database, CALL, entry_date=BEFORE, exit_price=Decimal(1), exit_date=DAYS[4])
        assert DAYS[4].isoformat() == "2025-05-23"
        assert DAYS[8].isoformat() == "2025-05-30"
        assert selected(database, {DAYS[4]: {"AAA"}}) == [calls]
        assert selected(database, {day: {"AAA"} for day in DAYS[3:6]}) == [calls]
        assert selected(database, {day: {"AAA"} for day in DAYS[3:6]}, sessions=DAYS[3:4]) == []
        assert selected(database, {DAYS[8]: {"AAA"}})[0] == puts
        # The contract's own close counts as that of a share.
        assert selected(database, {DAYS[4]: {CALL}}) == [calls, sold]
        assert selected(database, {DAYS[2]: {"BBB"}}) == []

    def test_everybody_when_any_symbol_may_differ(self, database: Database) -> None:
        own(database, "AAA", entry_date=BEFORE)
        assert select(database, inputs({DAYS[3]: {"AAA"}, DAYS[5]: None})).portfolio_ids is None
        assert select(database, inputs({}, consumed=DAYS[:-1])).portfolio_ids is None


class TestLaterStarts:
    """A contract that settled before its portfolio began is part of the first snapshot."""

    @pytest.fixture
    def numbers(self, database: Database) -> dict[date, int]:
        return {day: own(database, CALL, as_of=day, entry_date=BEFORE) for day in DAYS}

    def marked(self, database: Database, found: Inputs, last: date) -> dict[int, date]:
        with database.bulk() as transaction:
            selection = select_portfolios(transaction, exchange_calendar(), found)
            mark_later(transaction, selection, found, last=last)
        rows = rows_of(database, "SELECT portfolio_id, stale_from FROM portfolios WHERE stale_from IS NOT NULL")
        return {row["portfolio_id"]: row["stale_from"] for row in rows}

    @pytest.mark.parametrize("changed", [{"AAA"}, None])
    def test_portfolios_that_begin_after_the_slice(
        self, database: Database, numbers: dict[date, int], changed: set[str] | None
    ) -> None:
        found = inputs({DAYS[4]: changed}, sessions=DAYS[3:6], consumed=DAYS[:9])
        assert self.marked(database, found, DAYS[5]) == {numbers[day]: day for day in DAYS[6:9]}

    def test_nothing_when_the_slice_is_the_newest_or_settles_nothing(
        self, database: Database, numbers: dict[date, int]
    ) -> None:
        assert len(numbers) == len(DAYS)
        for found in (
            inputs({DAYS[4]: {"AAA"}}, sessions=DAYS[3:6], consumed=DAYS[:6]),
            inputs({DAYS[4]: None}, sessions=DAYS[3:6], consumed=DAYS[:6]),
            inputs({DAYS[4]: {"BBB"}}, sessions=DAYS[3:6]),
            inputs({DAYS[5]: {"AAA"}}, sessions=DAYS[5:6]),
            inputs({DAYS[5]: None}, sessions=DAYS[5:6]),
        ):
            assert self.marked(database, found, found.sessions[-1]) == {}
