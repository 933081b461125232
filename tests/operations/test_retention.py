"""Old figures: the archive is exact, dropping takes them and nothing else, later nights are as if they were there."""

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sigmasight_assets.errors import DecisionError, StorageError, TransientStorageError
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.retention import archive_years, drop_figures, list_partitions
from sigmasight_assets.operations.status import read_status
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar, exchange_calendar
from sigmasight_assets.storage import closures
from sigmasight_assets.storage.archives import ARCHIVED
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.retention import FIGURE_TABLES, SIDE_TABLES
from sigmasight_assets.storage.universe import import_listings
from tests.contents import contents
from tests.operations.ledger_rows import publish as publish_ledger
from tests.operations.ledger_rows import run_step
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.portfolio_runs import run_gate_until
from tests.orchestration.states import States
from tests.orchestration.symbol_runs import mark

OLD = exchange_calendar().between(date(2024, 12, 23), date(2024, 12, 31))
NEW = exchange_calendar().between(date(2025, 1, 2), date(2025, 1, 14))
NIGHT = exchange_calendar().offset(NEW[-1], 1)
HISTORY_START = exchange_calendar().offset(OLD[0], -150)
AS_OF = NEW[5]
WHY = {"actor": "ann", "reason": "disk is full"}


def run_symbols(database: Database, sessions: Sequence[date]) -> None:
    """Prices and products as the market knows them on the evening of the last session."""
    calendar = exchange_calendar()
    market = SimulatedMarket(calendar, stocks=20, seed=16, as_of=sessions[-1])
    with database.begin() as connection:
        import_listings(connection, market.listings())
    update_prices(database, market, calendar, sessions=sessions, history_start=HISTORY_START, run_id="prices")
    publish_symbol_products(database, calendar, sessions=sessions, min_coverage=0.5, run_id="symbols")


def run_portfolios(database: Database, evening: date) -> None:
    """What the gate starts."""
    assert run_gate_until(database, datetime.combine(evening, time(22), NEW_YORK)) is not None


@pytest.fixture
def stored(states: States, calendar: SessionCalendar) -> Database:  # noqa: ARG001
    """Seven sessions of 2024 and nine of 2025 published, in runs of one year each, and one portfolio since 2025."""

    def fill(database: Database) -> None:
        run_symbols(database, OLD)
        run_symbols(database, NEW)
        execute(database, "INSERT INTO symbol_exclusions VALUES (:day, 'LATE', 'ir_beta', 'no_price')", day=OLD[0])
        add_portfolio(database, AS_OF)
        run_portfolios(database, NEW[-1])

    return states.enter("retention", fill)


def add_portfolio(database: Database, as_of: date, name: str = "own") -> None:
    with database.begin() as connection:
        lots = [NewLot("SPY", Decimal(10), Decimal(100), as_of)]
        create_portfolio(connection, user="owner", name=name, equity=Decimal(10_000), as_of=as_of, lots=lots)


def figures_before(database: Database, year: int) -> dict[str, int]:
    """Rows dated before a year of every table that is dropped."""
    only = {"publications": "AND layer = 'symbol'"}
    counts = {
        table: rows_of(
            database,
            f"SELECT count(*) AS n FROM {table} WHERE {column} < make_date(:year, 1, 1) {only.get(table, '')}",
            year=year,
        )[0]["n"]
        for table, column in {**FIGURE_TABLES, **SIDE_TABLES}.items()
    }
    return {table: count for table, count in counts.items() if count}


def drop(database: Database, archive: Path | None, *, before: int = 2025) -> None:
    drop_figures(database, before=before, archive=archive, actor=WHY["actor"], reason=WHY["reason"])


def test_each_file_of_an_archive_is_told_of_as_it_is_written_and_compared(stored: Database, tmp_path: Path) -> None:
    written: list[tuple[int, int]] = []
    files = archive_years(
        stored, before=2025, directory=tmp_path, progress=lambda done, total: written.append((done, total))
    )
    expected = [(done, len(files)) for done in range(len(files) + 1)]
    assert written == expected
    compared: list[tuple[int, int]] = []
    drop_figures(
        stored,
        before=2025,
        archive=tmp_path,
        actor="ann",
        reason="disk is full",
        progress=lambda done, total: compared.append((done, total)),
    )
    assert compared == expected


def test_an_archive_holds_every_row_exactly(stored: Database, tmp_path: Path) -> None:
    files = archive_years(stored, before=2025, directory=tmp_path)
    expected = figures_before(stored, 2025)
    assert {item.table: item.rows for item in files if item.rows} == expected
    assert expected.keys() == set(ARCHIVED)
    found = pq.read_table(tmp_path / "symbol_daily_metrics_y2024.parquet").sort_by([("symbol", "ascending")])
    rows = rows_of(stored, "SELECT * FROM symbol_daily_metrics WHERE metrics_date < '2025-01-01'")
    by_key = {(row["metrics_date"], row["symbol"]): row for row in rows}
    for row in found.to_pylist():
        assert row == by_key.pop((row["metrics_date"], row["symbol"]))
    assert not by_key
    (ledger,) = [item for item in files if item.table == "publications"]
    counts = pq.read_table(tmp_path / ledger.file).column("counts").to_pylist()
    assert all(isinstance(json.loads(text), dict) for text in counts)


def test_a_drop_takes_old_figures_and_nothing_else(stored: Database, tmp_path: Path) -> None:
    archive_years(stored, before=2025, directory=tmp_path)
    before, expected = contents(stored), sum(figures_before(stored, 2025).values())
    drop(stored, tmp_path)
    after = contents(stored)
    assert figures_before(stored, 2025) == {}
    gone = [row for row in before if row not in set(after)]
    assert len(gone) == expected
    assert {table for table, _ in gone} == set(ARCHIVED)
    ((table, _),) = [row for row in after if row not in set(before)]
    assert table == "operator_actions"
    (action,) = rows_of(stored, "SELECT kind, actor, reason, details FROM operator_actions")
    assert (action["kind"], action["actor"], action["reason"]) == ("drop_figures", "ann", "disk is full")
    assert (action["details"]["years"], action["details"]["archive"]) == ([2024], str(tmp_path))
    sizes = {(item.table, item.year): item.bytes for item in list_partitions(stored)}
    assert all(sizes[table, 2024] == sizes[table, 2030] for table in FIGURE_TABLES)


def results(database: Database) -> list[dict[str, object]]:
    """Figures and snapshots since 2025, without the numbers of publications."""
    found = []
    for table, column in {**FIGURE_TABLES, "portfolio_snapshots": "session", "position_values": "session"}.items():
        sql = f"SELECT to_jsonb(held) - 'generation' - 'symbol_generation' AS row FROM {table} AS held"
        found += rows_of(database, f"{sql} WHERE {column} >= '2025-01-01' ORDER BY to_jsonb(held)::text")
    return found


def test_the_night_after_a_drop_is_as_without_it(stored: Database, states: States) -> None:
    run_symbols(stored, [NIGHT])
    run_portfolios(stored, NIGHT)
    expected = results(stored)
    database = states.enter("retention", lambda _: None)
    drop(database, None)
    run_symbols(database, [NIGHT])
    run_portfolios(database, NIGHT)
    assert results(database) == expected
    assert figures_before(database, 2025) == {}


def test_nobody_waits_for_what_was_dropped(stored: Database) -> None:
    drop(stored, None)
    clock = datetime(2025, 1, 14, 22, tzinfo=NEW_YORK)
    status = read_status(stored, clock=clock, pause=timedelta(minutes=15), sessions=20)
    assert {item.state for item in status.sessions if item.session in NEW} == {"published"}
    assert {item.state for item in status.sessions if item.session in OLD} == {"not_published"}
    assert {item.next_step for item in status.sessions if item.session in OLD} <= {
        None,
        *(item.next_step for item in status.sessions if item.session < OLD[0]),
    }
    assert status.failures == []
    assert plan(read_gate_state(stored, now=clock)).range is None


def test_a_backfill_brings_the_same_figures_back(stored: Database) -> None:
    sql = "SELECT to_jsonb(held) - 'generation' AS row FROM symbol_spread_factors AS held WHERE session < '2025-01-01'"
    expected = rows_of(stored, f"{sql} ORDER BY session, symbol")
    drop(stored, None)
    run_symbols(stored, OLD)
    assert rows_of(stored, f"{sql} ORDER BY session, symbol") == expected
    assert expected


def refused(database: Database, match: str, archive: Path | None = None, *, before: int = 2025) -> None:
    held = contents(database)
    with pytest.raises(DecisionError, match=match):
        drop(database, archive, before=before)
    assert contents(database) == held


def test_closes_of_an_owners_sessions_are_kept(stored: Database) -> None:
    add_portfolio(stored, NEW[4], "early")
    refused(stored, "1 portfolio since 2025-01-08 would lose published closes")


def test_marks_of_old_sessions_are_settled_first(stored: Database) -> None:
    mark(stored, "SPY", OLD[2], OLD[2])
    refused(stored, "Published figures of SPY before 2025-01-01 await recomputation")


def test_nothing_is_dropped_during_a_run(stored: Database) -> None:
    run_step(stored, "busy", NEW[-1], ended_ago=None)
    refused(stored, "Run busy is under way")


def test_a_publication_in_flight_is_waited_for(stored: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closures, "LOCK_TIMEOUT", "50ms")
    with stored.bulk() as transaction:
        lock_layer(transaction, "symbol")
        with pytest.raises(TransientStorageError, match="busy"):
            drop(stored, None)
    assert figures_before(stored, 2025)


def test_something_published_is_left(stored: Database) -> None:
    execute(stored, "DELETE FROM portfolios")
    refused(stored, "No session since 2026-01-01 is published", before=2026)


def test_the_newest_publication_is_left(stored: Database) -> None:
    publish_ledger(stored, OLD[0])
    refused(stored, "The newest publication is of a session before 2025-01-01")


def test_there_are_figures_to_drop(stored: Database) -> None:
    refused(stored, "No figures of a year before 2024 are stored", before=2024)


def test_years_without_a_partition_stay(stored: Database) -> None:
    execute(stored, "INSERT INTO symbol_exclusions VALUES ('2019-12-31', 'SPY', 'ir_beta', 'constant')")
    refused(stored, "Figures of 2019 have no partition of their own")


def test_an_archive_must_hold_what_is_stored(stored: Database, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is no archive"):
        drop(stored, tmp_path)
    archive_years(stored, before=2025, directory=tmp_path)
    file = tmp_path / "symbol_ir_beta_y2024.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(stored, "symbol_ir_beta_y2024.parquet is missing or was changed", tmp_path)
    file.unlink()
    refused(stored, "symbol_ir_beta_y2024.parquet is missing or was changed", tmp_path)
    file.write_bytes(whole)
    execute(stored, "UPDATE symbol_ir_beta SET generation = generation + 100 WHERE session = :day", day=OLD[0])
    refused(stored, "symbol_ir_beta of 2024 has changed since", tmp_path)


def test_an_archive_grows_by_years(stored: Database, tmp_path: Path) -> None:
    archive_years(stored, before=2025, directory=tmp_path)
    drop(stored, tmp_path)
    archive_years(stored, before=2026, directory=tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text())
    assert {(item["table"], item["year"]) for item in document["files"]} == {
        (table, year) for table in ARCHIVED for year in (2024, 2025)
    }
    assert not list(tmp_path.glob("*.partial"))


def test_an_archive_needs_a_place(stored: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        archive_years(stored, before=2025, directory=tmp_path / "file")
