"""Archives of figures: one Parquet file for each table and year, and a manifest that tells what they hold.

Amounts are exact decimals. Rows pass through memory a batch at a time. What an archive is for is in
``operations.retention``.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.metadata import METADATA
from sigmasight_assets.storage.retention import FIGURE_TABLES, SIDE_TABLES, condition, year_bounds

MANIFEST = "manifest.json"
ARCHIVED = (*FIGURE_TABLES, *SIDE_TABLES)
# The first that a column's type is one of; all others are text.
ARROW_TYPES = {
    sa.Double: pa.float64(),
    sa.DateTime: pa.timestamp("us", tz="UTC"),
    sa.Date: pa.date32(),
    sa.SmallInteger: pa.int16(),
    sa.BigInteger: pa.int64(),
    sa.Integer: pa.int32(),
    sa.Boolean: pa.bool_(),
}
# Bytes that are read at once to hash a file.
BLOCK = 1 << 20
# Told how many of so many files are done.
FilesDone = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ArchivedYear:
    """A file of an archive; ``generation`` is the newest of its rows, 0 where rows have none."""

    table: str
    year: int
    rows: int
    generation: int
    file: str
    sha256: str


def ignore_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


def write_archive(
    transaction: BulkTransaction, years: Sequence[int], directory: Path, *, progress: FilesDone = ignore_progress
) -> list[ArchivedYear]:
    """Write every table of the years into a directory, read the files back, and name them in its manifest.

    Files of other years that the manifest names already stay in it. ``progress`` is told of each file. Raises
    ``StorageError`` when the directory cannot be written or a file holds other rows than the table.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        known = {item.file: item for item in read_manifest(directory)} if (directory / MANIFEST).exists() else {}
        written: list[ArchivedYear] = []
        wanted = [(table, year) for year in years for table in ARCHIVED]
        for table, year in wanted:
            progress(len(written), len(wanted))
            written.append(_write_year(transaction, table, year, directory))
        progress(len(written), len(wanted))
        known |= {item.file: item for item in written}
        text = json.dumps({"files": [asdict(item) for item in known.values()]}, indent=1) + "\n"
        # A manifest that is there is whole.
        partial = directory / f"{MANIFEST}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(directory / MANIFEST)
    except OSError as error:
        raise StorageError(f"The archive {directory} cannot be written: {error}") from error
    return written


def read_manifest(directory: Path) -> list[ArchivedYear]:
    """The files that an archive says it has; ``StorageError`` when there is no manifest that can be read."""
    try:
        document = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        return [ArchivedYear(**item) for item in document["files"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(f"{directory} is no archive: {MANIFEST} cannot be read ({error})") from error


def find_gaps(
    transaction: BulkTransaction, years: Sequence[int], directory: Path, *, progress: FilesDone = ignore_progress
) -> list[str]:
    """Why an archive does not hold what is stored of the years: files that are missing, changed or outdated."""
    known = {(item.table, item.year): item for item in read_manifest(directory)}
    gaps = []
    wanted = [(table, year) for year in years for table in ARCHIVED]
    for done, (table, year) in enumerate(wanted):
        progress(done, len(wanted))
        stored = _count(transaction, table, year)
        item = known.get((table, year))
        if item is None:
            gaps.append(f"{table} of {year} is not in it")
        elif (item.rows, item.generation) != stored:
            gaps.append(f"{table} of {year} has changed since")
        elif not _is_intact(directory / item.file, item):
            gaps.append(f"{item.file} is missing or was changed")
    progress(len(wanted), len(wanted))
    return gaps


def _write_year(transaction: BulkTransaction, table: str, year: int, directory: Path) -> ArchivedYear:
    path = directory / f"{table}_y{year}.parquet"
    partial = path.with_suffix(".partial")
    schema = _schema(table)
    query = f"SELECT {_columns(table)} FROM {table} WHERE {condition(table)}"
    with (
        pq.ParquetWriter(partial, schema, compression="zstd") as writer,
        transaction.batches(query, year_bounds(year)) as batches,
    ):
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    rows, generation = _count(transaction, table, year)
    found = pq.read_metadata(partial).num_rows
    if found != rows:
        raise StorageError(f"{partial} holds {found} rows, {table} of {year} has {rows}: nothing was archived of it")
    partial.replace(path)
    return ArchivedYear(table, year, rows, generation, path.name, _sha256(path))


def _count(transaction: BulkTransaction, table: str, year: int) -> tuple[int, int]:
    """Rows of a year, and the newest generation among them."""
    newest = "max(generation)" if "generation" in METADATA.tables[table].c else "0"
    sql = f"SELECT count(*) AS rows, coalesce({newest}, 0)::bigint AS newest FROM {table} WHERE {condition(table)}"
    row = transaction.read(sql, year_bounds(year)).to_pylist()[0]
    return row["rows"], row["newest"]


def _is_intact(path: Path, item: ArchivedYear) -> bool:
    try:
        return _sha256(path) == item.sha256
    except OSError:
        return False


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _columns(table: str) -> str:
    """The columns as the driver can read them: amounts and documents as text."""
    return ", ".join(
        f"{column.name}::text AS {column.name}"
        if _is_amount(column.type) or isinstance(column.type, JSONB)
        else column.name
        for column in METADATA.tables[table].columns
    )


def _schema(table: str) -> pa.Schema:
    return pa.schema([(column.name, _arrow_type(column.type)) for column in METADATA.tables[table].columns])


def _is_amount(kind: object) -> TypeGuard[sa.Numeric[Any]]:
    # SQLAlchemy's doubles are numerics of another kind.
    return isinstance(kind, sa.Numeric) and not isinstance(kind, sa.Float)


def _arrow_type(kind: object) -> pa.DataType:
    if _is_amount(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if isinstance(kind, ARRAY):
        return pa.list_(_arrow_type(kind.item_type))
    return next((found for known, found in ARROW_TYPES.items() if isinstance(kind, known)), pa.string())
