"""Parts of a range of snapshots whose slices several runs compute at once, and which slices are done.

A run announces a part; it and its helpers take slices of it, each in a transaction under the slice's own lock, so the
slice of one that dies is free as soon as its connection is gone. The run that announced the part closes it. Slices are
by a hash of the portfolio's key: a portfolio is always in the same one of so many.

Of all parts only the newest has slices to take: two at once would write the same portfolios, and build on each other's
sessions while these change. Announcing a part ends those before it. They stay until somebody publishes, to tell which
sessions have rows that nobody has published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import sqlalchemy as sa

from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.ledger_tables import snapshot_parts, snapshot_slices

# Of the advisory locks with two keys, which others do not share: the number of the part, and the slice in it.
MAX_SLICES = 256
NEWEST = "SELECT max(part_id) FROM snapshot_parts"
# PostgreSQL's own hash of a bigint, which partitioning by hash rests on and which is the same in every version.
HASHED = "(hashint8extended(portfolio_id, 0) & 9223372036854775807)"


@dataclass(frozen=True, slots=True)
class Slice:
    """The portfolios whose hashed key leaves ``number`` when divided by ``count``."""

    number: int
    count: int

    @property
    def condition(self) -> str:
        """The same in SQL, over the column ``portfolio_id``."""
        return f"{HASHED} % {int(self.count)} = {int(self.number)}"


def condition_of(within: Slice | None) -> str:
    """The slice as a condition in SQL; of all portfolios without one."""
    return "true" if within is None else within.condition


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """A part of a range: T sessions by their symbol ``generations``, in ``slices`` slices.

    ``generation`` is that of the rows which slices write, and ``force`` whether they write what does not differ.
    """

    part_id: int
    generation: int
    generations: Mapping[date, int]
    slices: int
    run_id: str
    force: bool = False

    @property
    def sessions(self) -> list[date]:
        """The sessions, ascending."""
        return list(self.generations)

    def slice(self, number: int) -> Slice:
        """One of its slices."""
        return Slice(number, self.slices)


@dataclass(frozen=True)
class SlicesDone:
    """The slices of a part that are done: their ``numbers``, and snapshots by session that exist and that changed."""

    count: int
    numbers: Sequence[int] = ()
    exists: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    changed: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def left(self) -> list[int]:
        """The numbers of the slices that are not done."""
        return sorted(set(range(self.count)) - set(self.numbers))


def announce_part(
    transaction: BulkTransaction,
    generations: Mapping[date, int],
    *,
    generation: int,
    slices: int,
    run_id: str,
    force: bool,
) -> SnapshotPart:
    """Offer the slices of a part to whoever helps, and end those before it.

    The caller has the layer to itself: no slice of another part is in flight.
    """
    if not 1 <= slices <= MAX_SLICES:
        raise ValueError(f"{slices} slices: a part has 1 to {MAX_SLICES}")
    transaction.execute(
        "INSERT INTO snapshot_parts (generation, sessions, symbol_generations, slices, force, run_id) "
        "VALUES ($1, $2::text[]::date[], $3, $4, $5, $6)",
        (generation, [str(day) for day in generations], list(generations.values()), slices, force, run_id),
    )
    newest = transaction.read(f"SELECT part_id FROM ({NEWEST}) AS newest (part_id)")
    part_id = int(newest["part_id"][0].as_py())
    return SnapshotPart(part_id, generation, generations, slices, run_id, force)


def read_announced(connection: sa.Connection) -> SnapshotPart | None:
    """The part whose slices can be taken, if there is one."""
    row = connection.execute(sa.select(snapshot_parts).order_by(snapshot_parts.c.part_id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    generations = dict(zip(row.sessions, row.symbol_generations, strict=True))
    return SnapshotPart(row.part_id, row.generation, generations, row.slices, row.run_id, row.force)


def read_done(connection: sa.Connection, part: SnapshotPart) -> SlicesDone | None:
    """What is done of a part; None when it has ended, because it is closed or another one was announced."""
    if connection.execute(sa.text(NEWEST)).scalar_one() != part.part_id:
        return None
    done = sa.select(snapshot_slices).where(snapshot_slices.c.part_id == part.part_id)
    rows = connection.execute(done.order_by(snapshot_slices.c.slice)).all()
    none = np.zeros((1, len(part.generations)), dtype=np.int64)
    return SlicesDone(
        part.slices,
        [row.slice for row in rows],
        np.concatenate([none, *([row.existing] for row in rows)]).sum(axis=0),
        np.concatenate([none, *([row.changed] for row in rows)]).sum(axis=0),
    )


def try_slice(transaction: BulkTransaction, part: SnapshotPart, number: int) -> bool:
    """Take a slice until the transaction ends; False when another has it, it is done, or the part has ended."""
    key = part.part_id % 2**31
    taken = transaction.read(f"SELECT pg_try_advisory_xact_lock({key}, {number}) AS taken")
    if not taken["taken"][0].as_py():
        return False
    rows = transaction.read(
        f"SELECT FROM ({NEWEST}) AS newest (part_id) WHERE part_id = $1::bigint AND NOT EXISTS "
        "(SELECT FROM snapshot_slices AS done WHERE done.part_id = newest.part_id AND slice = $2::int)",
        (part.part_id, number),
    )
    return bool(rows.num_rows)


def finish_slice(
    transaction: BulkTransaction, part: SnapshotPart, number: int, *, existing: IntArray, changed: IntArray, run_id: str
) -> None:
    """Note a slice as done, with the snapshots by session (T,) that exist and that changed."""
    transaction.execute(
        "INSERT INTO snapshot_slices (part_id, slice, existing, changed, run_id) VALUES ($1, $2, $3, $4, $5)",
        (part.part_id, number, existing.tolist(), changed.tolist(), run_id),
    )


def undo_slices(transaction: BulkTransaction, sessions: Sequence[date], *, own: SnapshotPart) -> None:
    """Have slices computed again whose rows of these sessions were removed, but for those of one's ``own`` part."""
    transaction.execute(
        "DELETE FROM snapshot_slices USING snapshot_parts AS part WHERE part.part_id = snapshot_slices.part_id "
        f"AND part.part_id = ({NEWEST}) AND part.part_id <> $1 AND sessions && $2::text[]::date[]",
        (own.part_id, [str(day) for day in sessions]),
    )


def close_parts(transaction: BulkTransaction, *, own: SnapshotPart | None) -> list[date]:
    """End every announced part: what slices were computed from may be something else after this transaction.

    Returns the sessions of parts other than one's ``own`` that have slices done: nobody has published those.
    """
    rows = transaction.read(
        "SELECT DISTINCT unnest(sessions) AS session FROM snapshot_parts JOIN snapshot_slices USING (part_id) "
        "WHERE part_id <> $1::bigint ORDER BY session",
        (0 if own is None else own.part_id,),
    )
    transaction.execute("DELETE FROM snapshot_parts")
    sessions: list[date] = rows.column("session").to_pylist()
    return sessions


def read_unpublished(connection: sa.Connection) -> set[date]:
    """The sessions of parts that have slices done, ended ones among them."""
    query = sa.select(sa.func.unnest(snapshot_parts.c.sessions)).join_from(snapshot_parts, snapshot_slices)
    return set(connection.execute(query.distinct()).scalars())


def read_members(transaction: BulkTransaction, numbers: Sequence[int], count: int) -> IntArray:
    """The portfolios in these of ``count`` slices, ascending."""
    rows = transaction.read(
        f"SELECT portfolio_id FROM portfolios WHERE {HASHED} % {int(count)} = ANY($1::bigint[]) ORDER BY portfolio_id",
        (list(numbers) or [-1],),
    )
    return numpy_column(rows, "portfolio_id")
