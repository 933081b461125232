"""Tests of the portfolio layer's rows: stored as the ledger computed them, written again only when they differ."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.quant.money import from_units
from sigmasight_assets.quant.snapshots import LotStatus
from sigmasight_assets.storage.book_tables import positions, private_valuations
from sigmasight_assets.storage.books import read_books, read_ledger_state
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.option_expiries import Settlements
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio
from sigmasight_assets.storage.published import BETA_COLUMNS
from sigmasight_assets.storage.snapshots import (
    COUNT_COLUMNS,
    MONEY_COLUMNS,
    PortfolioRows,
    SnapshotChange,
    count_snapshots,
    find_changed_snapshots,
    read_consumed,
    record_consumed,
    replace_snapshots,
)
from sigmasight_assets.storage.tables import FACTOR_COLUMNS, corporate_actions
from tests.contents import contents
from tests.storage.conftest import SESSIONS
from tests.storage.rows import PRIVATE_LOT, SPLIT, insert
from tests.storage.settlements import no_settlements, settlements

FIRST, SECOND = SESSIONS[:2]
# Closes in 1e-4 USD of AAA, BBB and CCC: BBB is missing in the middle, CCC never had one.
CLOSES = np.array(
    [[100_000, 50_001, 0], [110_000, 0, 0], [120_000, 0, 0], [115_000, 52_503, 0], [125_000, 51_001, 0]],
    dtype=np.int64,
)
LOTS = {
    "ann": [
        NewLot("AAA", Decimal("10.0001"), Decimal("9.5"), FIRST),
        NewLot("BBB", Decimal(-3), Decimal("5.25"), FIRST),
        NewLot("CCC", Decimal(7), Decimal("1.0001"), SECOND),
        NewLot("AAA", Decimal(2), Decimal(11), SECOND, Decimal("12.5"), SESSIONS[3]),
    ],
    "bob": [NewLot("AAA", Decimal(5), Decimal(10), FIRST)],
    "cat": [],
}


@pytest.fixture
def rows(database: Database, grid: Grid) -> PortfolioRows:
    """Three portfolios over five sessions; the last starts at the fourth."""
    with database.begin() as connection:
        for user, lots in LOTS.items():
            as_of = SESSIONS[3] if user == "cat" else FIRST
            portfolio = create_portfolio(
                connection, user=user, name="Main", equity=Decimal("1000.00000001"), as_of=as_of, lots=lots
            )
        add_capital_flow(connection, portfolio.portfolio_id, flow_date=SESSIONS[4], amount=Decimal("-12.5"))
    return compute(database, grid)


def compute(
    database: Database,
    grid: Grid,
    closes: np.ndarray[Any, np.dtype[np.int64]] = CLOSES,
    *,
    settled: Settlements | None = None,
    betas: np.ndarray[Any, np.dtype[np.float64]] | None = None,
) -> PortfolioRows:
    if betas is None:
        columns = len(BETA_COLUMNS)
        betas = np.linspace(-2.0, 2.0, closes.size * columns).reshape(*closes.shape, columns)
        betas[:, 1, 3] = np.nan
        # The vendor knows a beta of AAA alone.
        betas[:, 1, -1] = np.nan
    with database.bulk(read_only=True) as transaction:
        books = read_books(transaction, last=SESSIONS[-1])
        state = read_ledger_state(transaction, books, None)
    return compute_portfolio_rows(
        books, state, grid, rows=np.arange(5), closes=closes, betas=betas, settlements=settled or no_settlements()
    )


def publish(database: Database, rows: PortfolioRows, generation: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which snapshots (T, P) were new or different."""
    with database.bulk() as transaction:
        change = find_changed_snapshots(transaction, rows)
        replace_snapshots(transaction, rows, change, generation=generation)
    return change.write


def select(database: Database, table: str, *key: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    with database.begin() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {table}").mappings()
        return {tuple(row[name] for name in key): dict(row) for row in found}


class TestStoredRows:
    def test_snapshots_are_the_ledgers_to_the_last_digit(self, database: Database, rows: PortfolioRows) -> None:
        changed = publish(database, rows, generation=3)
        snapshots = rows.ledger.snapshots
        assert (changed == snapshots.exists).all()
        stored = select(database, "portfolio_snapshots", "session", "portfolio_id")
        assert len(stored) == changed.sum() == 12
        for cell in zip(*np.nonzero(changed), strict=True):
            row = stored[SESSIONS[cell[0]], int(rows.books.portfolio_ids[cell[1]])]
            assert {name: row[name] for name in MONEY_COLUMNS} == {
                name: from_units(getattr(snapshots, name)[cell], 8) for name in MONEY_COLUMNS
            }
            assert {name: row[name] for name in COUNT_COLUMNS} == {
                name: getattr(snapshots, field)[cell] for name, field in COUNT_COLUMNS.items()
            }
            for name in ("daily_return", "priced_share"):
                value = float(getattr(snapshots, name)[cell])
                assert row[name] == (None if np.isnan(value) else value)
            assert (row["is_partial"], row["generation"]) == (snapshots.is_partial[cell], 3)
            assert row["fingerprint"] == rows.fingerprint[cell]

    def test_symbols_without_a_price_of_the_session_are_named(self, database: Database, rows: PortfolioRows) -> None:
        publish(database, rows, generation=1)
        stored = select(database, "portfolio_snapshots", "session", "portfolio_id")
        ann, bob, cat = rows.books.portfolio_ids.tolist()
        missing = [stored[day, ann]["missing_symbols"] for day in SESSIONS]
        assert missing == [[], ["BBB", "CCC"], ["BBB", "CCC"], ["CCC"], ["CCC"]]
        assert all(stored[day, bob]["missing_symbols"] == [] for day in SESSIONS)
        assert {day for day, owner in stored if owner == cat} == set(SESSIONS[3:])

    def test_each_missing_symbol_is_named_once_in_order(
        self, database: Database, grid: Grid, rows: PortfolioRows
    ) -> None:
        """Private lots come after the symbols whatever they are called, and two of them may be called the same."""
        for owner, name in ((0, "Barn"), (0, "\u00c9tang"), (0, "Barn"), (1, "Atelier"), (2, "barn")):
            lot = {**PRIVATE_LOT, "portfolio_id": int(rows.books.portfolio_ids[owner]), "entry_date": FIRST}
            insert(database, positions, {**lot, "symbol": name})
        publish(database, compute(database, grid), generation=1)
        stored = select(database, "portfolio_snapshots", "session", "portfolio_id")
        ann, bob, cat = rows.books.portfolio_ids.tolist()
        missing = [stored[day, ann]["missing_symbols"] for day in SESSIONS]
        private = ["Barn", "\u00c9tang"]
        both = ["BBB", "Barn", "CCC", "\u00c9tang"]
        assert missing == [private, both, both, ["Barn", "CCC", "\u00c9tang"], ["Barn", "CCC", "\u00c9tang"]]
        assert {tuple(stored[day, bob]["missing_symbols"]) for day in SESSIONS} == {("Atelier",)}
        assert {tuple(stored[day, cat]["missing_symbols"]) for day in SESSIONS[3:]} == {("barn",)}

    def test_position_values_are_of_the_lots_held(self, database: Database, rows: PortfolioRows) -> None:
        publish(database, rows, generation=1)
        values = rows.ledger.position_values
        expected = {
            (SESSIONS[row], int(rows.books.position_ids[lot])): {
                "portfolio_id": int(rows.books.portfolio_ids[rows.books.lots.portfolio[lot]]),
                "session": SESSIONS[row],
                "position_id": int(rows.books.position_ids[lot]),
                "price_used": from_units(values.price[row, lot], 4) if values.has_mark[row, lot] else None,
                "split_numerator": 1,
                "split_denominator": 1,
                "market_value": from_units(values.value[row, lot], 8),
                "daily_pnl": from_units(values.pnl[row, lot], 8),
                "status": LotStatus(values.status[row, lot]).label,
            }
            for row, lot in zip(*np.nonzero(values.held), strict=True)
        }
        assert {row["status"] for row in expected.values()} == {"priced", "stale", "unpriced"}
        # CCC never had a price, and is held at its cost.
        assert {row["price_used"] is None for row in expected.values()} == {True, False}
        assert select(database, "position_values", "session", "position_id") == expected

    def test_lots_are_listed_in_order_and_a_snapshot_without_any_has_no_row(
        self, database: Database, grid: Grid, rows: PortfolioRows
    ) -> None:
        """Bob sells his only lot at the third session, and cat never had one."""
        ann, bob, _ = rows.books.portfolio_ids.tolist()
        with database.begin() as connection:
            sold = {"exit_date": SESSIONS[2], "exit_price": 12}
            connection.execute(sa.update(positions).where(positions.c.portfolio_id == bob).values(sold))
        rows = compute(database, grid)
        publish(database, rows, generation=1)
        stored = select(database, "portfolio_lot_values", "portfolio_id", "session")
        assert stored.keys() == {(ann, day) for day in SESSIONS} | {(bob, day) for day in SESSIONS[:2]}
        held = rows.ledger.position_values.held
        for (owner, day), row in stored.items():
            lots = held[SESSIONS.index(day)] & (rows.books.owners == owner)
            assert row["position_ids"] == sorted(rows.books.position_ids[lots].tolist())

    def test_rows_are_sent_in_the_order_of_their_index(
        self, database: Database, rows: PortfolioRows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: dict[str, list[tuple[int, date]]] = {}
        append = BulkTransaction.append

        def listen(self: BulkTransaction, table: str, sending: pa.Table, **options: Any) -> int:
            if "portfolio_id" in sending.column_names and table.startswith("portfolio_"):
                sent[table] = list(
                    zip(*(sending[name].to_pylist() for name in ("portfolio_id", "session")), strict=True)
                )
            return append(self, table, sending, **options)

        monkeypatch.setattr(BulkTransaction, "append", listen)
        publish(database, rows, generation=1)
        assert sent.keys() == {"portfolio_snapshots", "portfolio_lot_values", "portfolio_exposures"}
        assert {table: sorted(keys) for table, keys in sent.items()} == sent
        assert all(len({owner for owner, _ in keys}) > 1 for keys in sent.values())

    def test_exposures_have_a_row_per_factor_with_a_number(self, database: Database, rows: PortfolioRows) -> None:
        publish(database, rows, generation=4)
        stored = select(database, "portfolio_factor_exposures", "session", "portfolio_id", "factor")
        expected = {}
        for (row, portfolio), exists in np.ndenumerate(rows.ledger.snapshots.exists):
            exposures = rows.exposures[row]
            for place, factor in enumerate(FACTORS):
                if exists and np.isfinite(exposures.dollars[portfolio, place]):
                    owner = int(rows.books.portfolio_ids[portfolio])
                    columns = {
                        "exposure": exposures.exposures,
                        "dollars": exposures.dollars,
                        "per_invested": exposures.per_invested,
                        "coverage": exposures.factor_coverage,
                    }
                    numbers = {name: float(values[portfolio, place]) for name, values in columns.items()}
                    expected[SESSIONS[row], owner, factor.name] = {
                        "portfolio_id": owner,
                        "session": SESSIONS[row],
                        "factor": factor.name,
                        **{name: None if np.isnan(number) else number for name, number in numbers.items()},
                        "generation": 4,
                    }
        assert stored == expected
        # The view leaves nothing out that is stored.
        assert len(select(database, "portfolio_exposures", "session", "portfolio_id")) == len(
            {key[:2] for key in stored}
        )
        # Nothing invested is an exposure of 0 to which no share is covered.
        _, _, cat = rows.books.portfolio_ids.tolist()
        assert stored[SESSIONS[4], cat, "Market Beta"]["dollars"] == 0.0
        assert stored[SESSIONS[4], cat, "Market Beta"]["coverage"] is None

    def test_a_factor_without_a_number_is_null_and_a_portfolio_without_any_has_no_row(
        self, database: Database, grid: Grid, rows: PortfolioRows
    ) -> None:
        """Only AAA has betas, and none of Momentum: ann holds it and others, bob another, and cat nothing."""
        ann, bob, cat = rows.books.portfolio_ids.tolist()
        with database.begin() as connection:
            of_bob = positions.c.portfolio_id == bob
            connection.execute(sa.update(positions).where(of_bob).values(symbol="BBB"))
        betas = np.full((*CLOSES.shape, len(BETA_COLUMNS)), np.nan)
        betas[:, 0] = 0.5
        betas[:, 0, FACTOR_COLUMNS.index("momentum")] = np.nan
        publish(database, compute(database, grid, betas=betas), generation=1)
        stored = select(database, "portfolio_exposures", "portfolio_id", "session")
        expected = {(ann, day) for day in SESSIONS} | {(cat, day) for day in SESSIONS[3:]}
        assert stored.keys() == expected
        for row in stored.values():
            missing = {name for name, value in row.items() if value is None and not name.endswith("coverage")}
            invested = row["portfolio_id"] == ann
            assert missing == (
                {f"momentum_{name}" for name in ("exposure", "dollars", "per_invested")}
                if invested
                else {f"{factor}_per_invested" for factor in FACTOR_COLUMNS}
            )
            # A coverage of 0 would be a number of a factor that has none.
            assert (row["momentum_coverage"], row["value_coverage"] is None) == (None, not invested)

    def test_the_vendors_own_beta_is_a_column_of_the_snapshot(self, database: Database, rows: PortfolioRows) -> None:
        publish(database, rows, generation=1)
        stored = select(database, "portfolio_snapshots", "session", "portfolio_id")
        ann, bob, cat = rows.books.portfolio_ids.tolist()
        snapshots, values = rows.ledger.snapshots, rows.ledger.position_values
        for row, day in enumerate(SESSIONS):
            beta = np.linspace(-2.0, 2.0, CLOSES.size * 13).reshape(5, 3, 13)[row, 0, 12]
            of_aaa = values.value[row, rows.books.lots.symbol == 0]
            expected = beta * of_aaa[:-1].sum() / snapshots.equity[row, 0]
            assert stored[day, ann]["provider_beta"] == pytest.approx(expected, rel=1e-12)
            bbb = abs(float(values.value[row, 1])) if values.status[row, 1] != 3 else 0.0
            assert stored[day, ann]["provider_beta_coverage"] == pytest.approx(
                of_aaa[:-1].sum() / (of_aaa[:-1].sum() + bbb), rel=1e-12
            )
            assert stored[day, bob]["provider_beta_coverage"] == 1.0
        # Nothing invested is no beta at all and no share that has one.
        assert (stored[SESSIONS[4], cat]["provider_beta"], stored[SESSIONS[4], cat]["provider_beta_coverage"]) == (
            0,
            None,
        )

    def test_the_split_factor_of_the_price_is_stored(self, database: Database, grid: Grid, rows: PortfolioRows) -> None:
        """AAA was split 3:2 on the second session, where two of its lots were held already."""
        assert rows.books.symbols[0] == "AAA"
        insert(database, corporate_actions, {**SPLIT, "ex_date": SECOND, "ratio_numerator": 3, "ratio_denominator": 2})
        again = compute(database, grid)
        publish(database, again, generation=1)
        stored = select(database, "position_values", "session", "position_id")
        factors = {
            position: (row["split_numerator"], row["split_denominator"]) for (_, position), row in stored.items()
        }
        assert list(factors.values()).count((3, 2)) == 2
        assert list(factors.values()).count((1, 1)) == 3
        first = int(again.books.position_ids[0])
        assert stored[FIRST, first]["price_used"] == Decimal(10)
        assert stored[FIRST, first]["market_value"] == Decimal("150.0015")

    def test_a_private_lot_has_a_value_and_no_price(self, database: Database, grid: Grid, rows: PortfolioRows) -> None:
        owner = int(rows.books.portfolio_ids[1])
        lot = {**PRIVATE_LOT, "portfolio_id": owner, "entry_date": FIRST}
        position = insert(database, positions, lot)
        valuation = {"position_id": position, "valued_on": SECOND, "market_value": Decimal("123456.78901234")}
        insert(database, private_valuations, valuation)
        publish(database, compute(database, grid), generation=1)
        stored = select(database, "position_values", "position_id", "session")
        assert [stored[position, day]["price_used"] for day in SESSIONS] == [None] * 5
        assert [stored[position, day]["status"] for day in SESSIONS] == ["unpriced"] + ["priced"] * 4
        assert {stored[position, day]["market_value"] for day in SESSIONS} == {Decimal("123456.78901234")}
        snapshots = select(database, "portfolio_snapshots", "portfolio_id", "session")
        assert snapshots[owner, FIRST]["missing_symbols"] == ["Vineyard"]
        assert snapshots[owner, SECOND]["missing_symbols"] == []

    def test_nothing_changed_is_nothing_written(self, database: Database, rows: PortfolioRows) -> None:
        before = contents(database)
        with database.bulk() as transaction:
            nothing = np.zeros_like(rows.ledger.snapshots.exists)
            replace_snapshots(transaction, rows, SnapshotChange(nothing, nothing, nothing), generation=1)
        assert contents(database) == before


class TestChanges:
    def test_the_same_again_is_no_change(self, database: Database, grid: Grid, rows: PortfolioRows) -> None:
        publish(database, rows, generation=1)
        before = contents(database)
        assert not publish(database, compute(database, grid), generation=2).any()
        assert contents(database) == before

    def test_a_corrected_close_changes_who_held_it_from_then_on(
        self, database: Database, grid: Grid, rows: PortfolioRows
    ) -> None:
        publish(database, rows, generation=1)
        corrected = CLOSES.copy()
        corrected[3, 1] += 1
        again = compute(database, grid, corrected)
        changed = publish(database, again, generation=2)
        ann = [False, False, False, True, True]
        assert changed.T.tolist() == [ann, [False] * 5, [False] * 5]
        stored = select(database, "portfolio_snapshots", "portfolio_id", "session")
        owner = int(rows.books.portfolio_ids[0])
        assert [stored[owner, day]["generation"] for day in SESSIONS] == [1, 1, 1, 2, 2]
        for table in ("position_values", "portfolio_factor_exposures"):
            key = "position_id" if table == "position_values" else "factor"
            assert len(select(database, table, "session", "portfolio_id", key)) > len(stored)

    def test_a_lot_that_is_gone_takes_its_values_along(
        self, database: Database, grid: Grid, rows: PortfolioRows
    ) -> None:
        publish(database, rows, generation=1)
        with database.begin() as connection:
            connection.exec_driver_sql("DELETE FROM positions WHERE symbol = 'CCC'")
        changed = publish(database, compute(database, grid), generation=2)
        assert changed[:, 0].tolist() == [False, True, True, True, True]
        gone = int(rows.books.position_ids[rows.books.symbols.index("CCC")])
        held = select(database, "position_values", "position_id", "session")
        assert gone not in {position for position, _ in held}
        assert len(held) == rows.ledger.position_values.held.sum() - 4

    def test_rows_of_other_sessions_and_portfolios_count_for_nothing(
        self, database: Database, rows: PortfolioRows
    ) -> None:
        publish(database, rows, generation=1)
        with database.begin() as connection:
            connection.exec_driver_sql("UPDATE portfolio_snapshots SET session = session + 300 WHERE fingerprint > 0")
            connection.exec_driver_sql("UPDATE portfolio_snapshots SET portfolio_id = portfolio_id + 900")
        with database.bulk(read_only=True) as transaction:
            assert (find_changed_snapshots(transaction, rows).write == rows.ledger.snapshots.exists).all()

    def test_a_session_without_a_snapshot_is_never_new(self, database: Database, rows: PortfolioRows) -> None:
        nothing = np.zeros_like(rows.ledger.snapshots.exists)
        ledger = replace(rows.ledger, snapshots=replace(rows.ledger.snapshots, exists=nothing))
        with database.bulk(read_only=True) as transaction:
            assert not find_changed_snapshots(transaction, replace(rows, ledger=ledger)).write.any()


class TestOptionExpiries:
    def test_they_come_and_go_with_the_snapshots_that_settled_them(
        self, database: Database, grid: Grid, rows: PortfolioRows
    ) -> None:
        ann, bob, _ = rows.books.portfolio_ids.tolist()
        call = (0, 9001, SECOND, "AAA250624C00010000", "AAA", 110_000, 10_000)
        old = (1, 9002, date(2025, 6, 6), "AAA250606P00010000", "AAA", 110_000, 0)
        both = compute(database, grid, settled=settlements(call, old))
        # Only the snapshots that settle them differ from those without; the first one settles what came before it.
        assert np.argwhere(both.fingerprint != rows.fingerprint).tolist() == [[0, 1], [1, 0]]
        publish(database, both, generation=1)
        stored = select(database, "option_expiries", "portfolio_id", "position_id")
        assert stored == {
            (ann, 9001): {
                "portfolio_id": ann,
                "position_id": 9001,
                "session": SECOND,
                "symbol": "AAA250624C00010000",
                "underlying": "AAA",
                "underlying_price": Decimal(11),
                "settlement_price": Decimal(1),
                "generation": 1,
            },
            (bob, 9002): {**stored[bob, 9002], "session": date(2025, 6, 6), "settlement_price": Decimal(0)},
        }
        dearer = compute(database, grid, settled=settlements((*call[:5], 110_001, 10_001), old))
        changed = publish(database, dearer, generation=2)
        assert np.argwhere(changed).tolist() == [[1, 0]]
        again = select(database, "option_expiries", "portfolio_id", "position_id")
        assert again[ann, 9001]["settlement_price"] == Decimal("1.0001")
        assert (again[ann, 9001]["generation"], again[bob, 9002]) == (2, stored[bob, 9002])
        publish(database, rows, generation=3)
        assert select(database, "option_expiries", "position_id") == {}


class TestConsumed:
    def consume(self, database: Database, generations: dict[date, int], run_id: str = "r1") -> None:
        with database.bulk() as transaction:
            record_consumed(transaction, generations, run_id=run_id)

    def consumed(self, database: Database) -> dict[date, int]:
        with database.begin() as connection:
            return read_consumed(connection)

    def test_the_last_generation_of_each_session_is_remembered(self, database: Database) -> None:
        assert self.consumed(database) == {}
        self.consume(database, {SECOND: 7, FIRST: 5})
        assert list(self.consumed(database).items()) == [(FIRST, 5), (SECOND, 7)]
        self.consume(database, {SECOND: 9})
        assert self.consumed(database) == {FIRST: 5, SECOND: 9}

    def test_the_same_again_changes_nothing(self, database: Database) -> None:
        self.consume(database, {FIRST: 5})
        before = contents(database)
        self.consume(database, {FIRST: 5}, run_id="r2")
        self.consume(database, {})
        assert contents(database) == before


def test_snapshots_are_counted_by_range(database: Database, rows: PortfolioRows) -> None:
    publish(database, rows, generation=1)
    with database.begin() as connection:
        assert count_snapshots(connection, first=SECOND, last=SESSIONS[3]) == 7
        assert count_snapshots(connection, first=SESSIONS[3], last=FIRST) == 0
