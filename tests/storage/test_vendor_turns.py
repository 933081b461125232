"""Turns at a vendor, taken by several callers at once from a real database."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations_tables import vendor_limits, vendor_waiters
from sigmasight_assets.storage.vendor_turns import BACKFILL, NIGHTLY, ONBOARDING, VendorTurns

SLOW, FAST = 2.0, 20.0


def turns(database: Database, *, priority: int = BACKFILL, rate: float = FAST, vendor: str = "yahoo") -> VendorTurns:
    return VendorTurns(database, vendor, rate, priority)


def waiting(database: Database) -> list[int]:
    with database.begin() as connection:
        return list(connection.execute(sa.select(vendor_waiters.c.priority)).scalars())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def callers(*work: Callable[[], None]) -> Iterator[None]:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_the_first_call_is_free_and_the_next_one_waits(database: Database) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time.sleep(seconds)

    caller = VendorTurns(database, "yahoo", SLOW, BACKFILL, sleep)
    caller.wait()
    assert pauses == []
    caller.wait()
    assert pauses
    assert all(0 < pause <= 0.5 for pause in pauses)
    assert waiting(database) == []


def test_the_rate_holds_for_all_callers_together(database: Database) -> None:
    taken: list[float] = []

    def call() -> None:
        own = turns(database)
        for _ in range(4):
            own.wait()
            taken.append(time.monotonic())

    with callers(call, call, call):
        pass
    # Twelve calls have eleven pauses; no wait can be shorter than the rate says, whatever the machine.
    assert max(taken) - min(taken) >= 11 / FAST * 0.95


def test_vendors_do_not_wait_for_each_other(database: Database) -> None:
    turns(database, rate=0.001).wait()
    turns(database, rate=0.001, vendor="polygon").wait()
    with database.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(vendor_limits)).scalar_one() == 2


@pytest.mark.parametrize("urgent", [NIGHTLY, ONBOARDING])
def test_the_larger_priority_goes_first_whoever_came_first(database: Database, urgent: int) -> None:
    order: list[int] = []
    turns(database, rate=SLOW).wait()

    def call(priority: int) -> Callable[[], None]:
        def work() -> None:
            turns(database, priority=priority, rate=SLOW).wait()
            order.append(priority)

        return work

    with callers(call(BACKFILL)):
        until(lambda: waiting(database) == [BACKFILL])
        with callers(call(urgent)):
            pass
    assert order == [urgent, BACKFILL]


def test_who_died_while_waiting_holds_nobody_up(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.insert(vendor_waiters).values(
                waiter="dead",
                vendor="yahoo",
                priority=ONBOARDING,
                seen_at=sa.text("clock_timestamp() - interval '6 s'"),
            )
        )
    turns(database).wait()
    with database.begin() as connection:
        connection.execute(sa.update(vendor_waiters).values(seen_at=sa.text("clock_timestamp() - interval '2 h'")))
    turns(database, rate=1_000.0).wait()
    assert waiting(database) == []


def test_a_pause_that_one_caller_asks_for_holds_for_all(database: Database) -> None:
    turns(database).wait()
    turns(database).slow_down(0.4)
    began = time.monotonic()
    turns(database, priority=ONBOARDING).wait()
    assert time.monotonic() - began >= 0.35


def test_a_shorter_pause_does_not_end_a_longer_one(database: Database) -> None:
    turns(database).slow_down(60.0)
    turns(database).slow_down(0.0)
    with database.begin() as connection:
        pause = "SELECT extract(epoch FROM next_call_at - clock_timestamp()) FROM vendor_limits"
        assert connection.exec_driver_sql(pause).scalar_one() > 30
