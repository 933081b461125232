"""Tests of settlements: which snapshot settles a lot, and which stored rows are replaced with it."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.quant.arrays import BoolArray
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import option_expiries
from sigmasight_assets.storage.option_expiries import Settlements, SnapshotRange, replace_option_expiries
from tests.orchestration.contents import rows_of
from tests.storage.conftest import SESSIONS
from tests.storage.rows import insert
from tests.storage.settlements import no_settlements, settlements

BEFORE = date(2025, 6, 20)
IDS = np.array([11, 12])


def snapshots(previous: list[str] | None = None) -> SnapshotRange:
    """Portfolio 11 has snapshots from the first session on, 12 from the third; none before unless said otherwise."""
    exists = np.ones((5, 2), dtype=np.bool_)
    exists[:2, 1] = False
    return SnapshotRange(
        portfolio_ids=IDS,
        previous=np.array(previous or ["NaT", "NaT"], dtype="datetime64[D]"),
        sessions=np.array(SESSIONS, dtype="datetime64[D]"),
        exists=exists,
    )


def settled(*lots: tuple[int, int, date]) -> Settlements:
    """Lots by portfolio, position and session."""
    return settlements(*((*lot, "AAA250624C00010000", "AAA", 10, 1) for lot in lots))


class TestSettledAt:
    def test_the_first_snapshot_at_or_after_the_session_settles(self) -> None:
        lots = settled((0, 1, SESSIONS[0]), (0, 2, SESSIONS[3]), (1, 3, SESSIONS[3]), (1, 4, SESSIONS[1]))
        assert lots.settled_at(snapshots()).tolist() == [0, 3, 3, 2]

    def test_a_portfolio_settles_what_ended_before_its_first_snapshot(self) -> None:
        assert settled((0, 1, BEFORE), (1, 2, BEFORE)).settled_at(snapshots()).tolist() == [0, 2]

    def test_a_snapshot_before_the_range_has_settled_it(self) -> None:
        lots = settled((0, 1, BEFORE), (0, 2, date(2025, 6, 21)), (1, 3, BEFORE))
        assert lots.settled_at(snapshots([str(BEFORE), "NaT"])).tolist() == [-1, 0, 2]

    def test_a_session_after_the_range_or_a_portfolio_without_snapshots(self) -> None:
        nowhere = snapshots()
        nowhere.exists[:, 1] = False
        assert settled((0, 1, date(2025, 6, 30)), (1, 2, BEFORE)).settled_at(nowhere).tolist() == [-1, -1]

    def test_no_lots(self) -> None:
        assert no_settlements().settled_at(snapshots()).shape == (0,)


class TestReplacement:
    @pytest.fixture(autouse=True)
    def stored(self, database: Database) -> None:
        """Two old settlements of portfolio 11, one of each day of the range, and one of portfolio 12."""
        for position, (owner, day) in enumerate([(11, BEFORE), *((11, day) for day in SESSIONS), (12, SESSIONS[2])]):
            self.store(database, owner, position, day)

    def store(self, database: Database, owner: int, position: int, day: date) -> None:
        row = {"portfolio_id": owner, "position_id": position, "session": day, "generation": 1}
        prices = {"underlying_price": 1, "settlement_price": 0}
        insert(database, option_expiries, {**row, **prices, "symbol": "AAA250624C00010000", "underlying": "AAA"})

    def replace(
        self, database: Database, changed: BoolArray, lots: Settlements, *, previous: list[str] | None = None
    ) -> list[tuple[Any, ...]]:
        with database.bulk() as transaction:
            replace_option_expiries(transaction, snapshots(previous), changed, lots, generation=2)
        rows = rows_of(database, "SELECT * FROM option_expiries ORDER BY portfolio_id, position_id")
        return [(row["portfolio_id"], row["position_id"], row["session"], row["generation"]) for row in rows]

    def changes(self, *cells: tuple[int, int]) -> BoolArray:
        changed = np.zeros((5, 2), dtype=np.bool_)
        for cell in cells:
            changed[cell] = True
        return changed

    def test_those_of_the_changed_snapshots_are_replaced(self, database: Database) -> None:
        lots = settled((0, 2, SESSIONS[1]), (0, 3, SESSIONS[2]), (0, 50, SESSIONS[4]), (1, 6, SESSIONS[2]))
        found = self.replace(database, self.changes((1, 0), (3, 0)), lots)
        assert found == [
            (11, 0, BEFORE, 1),
            (11, 1, SESSIONS[0], 1),
            (11, 2, SESSIONS[1], 2),
            (11, 3, SESSIONS[2], 2),
            (11, 5, SESSIONS[4], 1),
            (12, 6, SESSIONS[2], 1),
        ]

    def test_a_first_snapshot_takes_along_what_came_before(self, database: Database) -> None:
        found = self.replace(database, self.changes((0, 0), (2, 1)), settled((1, 6, BEFORE)))
        assert (11, 0, BEFORE, 1) not in found
        assert found[-1] == (12, 6, BEFORE, 2)
        assert len(found) == 5

    def test_a_snapshot_before_the_range_keeps_its_own(self, database: Database) -> None:
        found = self.replace(database, self.changes((0, 0)), no_settlements(), previous=[str(BEFORE), "NaT"])
        assert found[:2] == [(11, 0, BEFORE, 1), (11, 2, SESSIONS[1], 1)]

    def test_a_lot_has_one_settlement_wherever_its_last_one_was(self, database: Database) -> None:
        """Its contract was corrected to one that ended earlier."""
        found = self.replace(database, self.changes((0, 0), (1, 0)), settled((0, 5, SESSIONS[1])))
        assert found == [
            (11, 3, SESSIONS[2], 1),
            (11, 4, SESSIONS[3], 1),
            (11, 5, SESSIONS[1], 2),
            (12, 6, SESSIONS[2], 1),
        ]

    def test_nothing_changed(self, database: Database) -> None:
        assert len(self.replace(database, self.changes(), settled((0, 50, SESSIONS[0])))) == 7
