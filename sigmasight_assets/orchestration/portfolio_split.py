"""The slices of a part of snapshots, computed by several runs at once: the one that publishes them and its helpers.

Whoever is free takes the next slice, so it does not matter how many runs help, where, and whether one of them dies:
its connection goes, and with it the lock on its slice. What a slice cannot do (a ledger that does not add up, amounts
that are too large) it leaves to the run that publishes, which does as without helpers.
"""

import time
from collections.abc import Callable, Sequence
from datetime import date
from enum import Enum, auto

from sigmasight_assets.orchestration.portfolio_inputs import Inputs
from sigmasight_assets.orchestration.portfolio_slices import (
    BrokenIdentityError,
    PortfolioRun,
    PublishedSlice,
    compute_selected,
)
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.lot_terms import OversizedBooksError
from sigmasight_assets.storage.publications import Publication, next_generation, record_publications
from sigmasight_assets.storage.snapshot_parts import (
    MAX_SLICES,
    SlicesDone,
    SnapshotPart,
    announce_part,
    finish_slice,
    read_announced,
    read_done,
    try_slice,
)

# Snapshots (sessions x portfolios) from which on helpers gain more than they cost.
SPLIT_CELLS = 20_000
# Those who are done early take what is left of others.
SLICES_A_WORKER = 4
# How long until it is looked again whether a slice has become free.
PAUSE_SECONDS = 0.2

# Whether a helper has nothing more to wait for, told for how many seconds there was no slice to take.
IsOver = Callable[[float], bool]


class Taken(Enum):
    """What came of taking a slice."""

    DONE = auto()
    # Another run has it, or has done it.
    BUSY = auto()
    # Left to the run that publishes.
    REFUSED = auto()


def share_part(run: PortfolioRun, sessions: Sequence[date]) -> SnapshotPart | None:
    """Announce a part, and work at its slices until all are done that can be; the caller closes it.

    Returns None when another run has published or announced meanwhile: then nothing of the part counts.
    """
    part = _announce(run, sessions)
    refused: set[int] = set()
    while True:
        done = _read_done(run, part)
        if done is None:
            return None
        if not set(done.left) - refused:
            return part
        if not _work(run, part, done, refused):
            time.sleep(PAUSE_SECONDS)


def help_out(run: PortfolioRun, is_over: IsOver) -> int:
    """Take slices of whatever is announced until it is over; how many were computed."""
    refused: dict[int, set[int]] = {}
    total, idle_since = 0, time.monotonic()
    while True:
        did = 0
        part = _read_announced(run)
        done = None if part is None else _read_done(run, part)
        if part is not None and done is not None:
            did = _work(run.forcing(part.force), part, done, refused.setdefault(part.part_id, set()))
        total += did
        if did:
            idle_since = time.monotonic()
        elif is_over(time.monotonic() - idle_since):
            return total
        else:
            time.sleep(PAUSE_SECONDS)


def read_helped(run: PortfolioRun, part: SnapshotPart, inputs: Inputs) -> SlicesDone | None:
    """What counts of a part's slices when snapshots are published from these inputs: all that are done, if any."""
    done = _read_done(run, part) if dict(part.generations) == dict(inputs.generations) else None
    return done if done is not None and done.numbers else None


def _announce(run: PortfolioRun, sessions: Sequence[date]) -> SnapshotPart:
    """Announce a part, with a generation for the rows that become visible slice by slice.

    It is in the ledger for them, of no product: the products are published by the one that closes the part. Under the
    lock of whoever publishes, so that no slice of another part is in flight when this one takes its place.
    """
    slices = min(MAX_SLICES, SLICES_A_WORKER * run.workers)
    with run.transaction() as transaction:
        inputs = run.read_inputs(sessions)
        inputs.require_earlier()
        generation = next_generation(transaction)
        ledger = [
            Publication(session=day, products=(), rows_written=0, coverage=None, counts={"slices": slices})
            for day in sessions
        ]
        record_publications(transaction, generation, "portfolio", ledger, run_id=run.run_id)
        return announce_part(
            transaction, inputs.generations, generation=generation, slices=slices, run_id=run.run_id, force=run.force
        )


def _read_done(run: PortfolioRun, part: SnapshotPart) -> SlicesDone | None:
    with run.database.begin() as connection:
        return read_done(connection, part)


def _read_announced(run: PortfolioRun) -> SnapshotPart | None:
    with run.database.begin() as connection:
        return read_announced(connection)


def _work(run: PortfolioRun, part: SnapshotPart, done: SlicesDone, refused: set[int]) -> int:
    """Take every slice that is free, one after the other; how many were done."""
    count = 0
    for number in sorted(set(done.left) - refused):
        taken = _take(run, part, number)
        if taken is Taken.REFUSED:
            refused.add(number)
        count += taken is Taken.DONE
    return count


def _take(run: PortfolioRun, part: SnapshotPart, number: int) -> Taken:
    try:
        with run.transaction(shared=True) as transaction:
            if not try_slice(transaction, part, number):
                return Taken.BUSY
            require_calendar(transaction, run.calendar)
            inputs = run.read_inputs(part.sessions)
            if dict(inputs.generations) != dict(part.generations) or inputs.gaps:
                return Taken.REFUSED
            done = PublishedSlice.empty(part.sessions)
            done.generation = part.generation
            compute_selected(transaction, run, inputs, done, within=part.slice(number))
            finish_slice(transaction, part, number, existing=done.exists, changed=done.changed, run_id=run.run_id)
    except (BrokenIdentityError, OversizedBooksError):
        return Taken.REFUSED
    return Taken.DONE
