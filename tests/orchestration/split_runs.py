"""Publications whose slices several runs share, as tests start them: helpers, runs that die, what comes in between."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from sigmasight_assets.orchestration import portfolio_publication, portfolio_split
from sigmasight_assets.orchestration.portfolio_publication import (
    PortfolioPublication,
    help_with_snapshots,
    publish_portfolio_products,
)
from sigmasight_assets.orchestration.portfolio_slices import PortfolioRun
from sigmasight_assets.orchestration.portfolio_split import share_part
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invariants import find_broken
from sigmasight_assets.storage.snapshot_parts import SnapshotPart
from tests.orchestration.books import DAYS, enter_books
from tests.orchestration.contents import Contents, rows_of
from tests.orchestration.portfolio_runs import content, run
from tests.orchestration.states import States

WORKERS = 4
LEDGER = (
    "SELECT session, products, rows_written, counts FROM publications "
    "WHERE layer = 'portfolio' AND products <> '{}' ORDER BY session"
)


def split_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the snapshots are."""
    monkeypatch.setattr(portfolio_split, "SPLIT_CELLS", 1)
    monkeypatch.setattr(portfolio_publication, "SPLIT_CELLS", 1)


def split_run(database: Database, sessions: list[date] = DAYS, *, run_id: str = "second") -> PortfolioPublication:
    return publish_portfolio_products(database, exchange_calendar(), sessions=sessions, run_id=run_id, workers=WORKERS)


@contextmanager
def helpers(database: Database, count: int) -> Iterator[list[int]]:
    """So many helpers beside the block, and how many slices each has computed once it is left."""
    over, taken = threading.Event(), [0] * count

    def help_until_over(place: int) -> None:
        own = Database(database.url)
        taken[place] = help_with_snapshots(
            own, exchange_calendar(), run_id=f"helper {place}", is_over=lambda _: over.is_set()
        )
        own.close()

    threads = [threading.Thread(target=help_until_over, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def of_one_run(database: Database, states: States, calendar: SessionCalendar) -> tuple[Contents, list[dict[str, Any]]]:
    """What one run makes of the books, and its ledger; they are as they were before it then."""
    run(database)
    whole, ledger = content(database), rows_of(database, LEDGER)
    enter_books(states, calendar)
    return whole, ledger


def slices_left(database: Database) -> list[dict[str, Any]]:
    return rows_of(database, "SELECT * FROM snapshot_parts")


def broken(database: Database) -> list[str]:
    with database.begin() as connection:
        return find_broken(connection)


def shared(database: Database, sessions: list[date] = DAYS, *, run_id: str = "dead") -> SnapshotPart | None:
    """All slices done, and not published yet."""
    return share_part(PortfolioRun(database, exchange_calendar(), run_id, workers=WORKERS), sessions)


def publish_shared(
    database: Database, sessions: list[date], part: SnapshotPart | None, *, run_id: str
) -> PortfolioPublication:
    """What the run that has shared a part does afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portfolio_publication, "share_part", lambda *_: part)
        return split_run(database, sessions, run_id=run_id)


def let_happen_after_slices(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], None]) -> None:
    """Between the last slice and the publication of what slices have written."""

    def shared_then_happened(*arguments: Any) -> Any:
        part = share_part(*arguments)
        happen()
        return part

    monkeypatch.setattr(portfolio_publication, "share_part", shared_then_happened)
