"""A disk of a few megabytes with tables on it, which can be filled to the last byte."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from tests.faults.own_server import OwnServer
from tests.orchestration.contents import rows_of

MEGABYTES = 48
UNMOUNT_TRIES = 10
TABLESPACE = "small"
# A table without partitions has no tree.
LEAVES = (
    "SELECT relid::regclass::text AS name FROM pg_partition_tree(:table) WHERE isleaf "
    "UNION SELECT :table WHERE NOT EXISTS (SELECT 1 FROM pg_partition_tree(:table))"
)


def leaves(database: Database, tables: Sequence[str]) -> list[str]:
    """The tables that hold the rows of these: their partitions, or they themselves."""
    return [leaf["name"] for table in tables for leaf in rows_of(database, LEAVES, table=table)]


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory, and the tablespace on it."""

    directory: Path

    def take(self, database: Database, tables: Sequence[str]) -> None:
        """Move tables here, written anew without the free pages that PostgreSQL keeps at their ends."""
        found = leaves(database, tables)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for leaf in found:
                connection.execute(sa.text(f"ALTER TABLE {leaf} SET TABLESPACE {TABLESPACE}"))
                connection.execute(sa.text(f"VACUUM FULL {leaf}"))
            connection.execute(sa.text("CHECKPOINT"))

    def fill(self) -> None:
        """Leave no byte."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))

    def make_room(self) -> None:
        """Undo that."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.directory / "ballast"


@contextmanager
def small_disk(server: OwnServer, parent: Path) -> Iterator[SmallDisk]:
    """The disk for the block, after which no table may be on it."""
    mount = Path(tempfile.mkdtemp(dir=parent))
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(mount)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        mount.rmdir()
        pytest.skip(f"no file system of its own may be mounted here: {mounted.stderr.strip()}")
    try:
        place = mount / "tables"
        place.mkdir(mode=0o700)
        mount.chmod(0o711)
        owner = server.data_directory.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        server.execute(f"CREATE TABLESPACE {TABLESPACE} LOCATION '{place}'")
        try:
            yield SmallDisk(mount)
        finally:
            server.execute(f"DROP TABLESPACE {TABLESPACE}")
    finally:
        _unmount(mount)
        mount.rmdir()


def _unmount(mount: Path) -> None:
    """The server may still have a file open for a moment; what stays open is gone with the last of its processes."""
    for _ in range(UNMOUNT_TRIES):
        if subprocess.run(["umount", str(mount)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.5)
    subprocess.run(["umount", "--lazy", str(mount)], check=True)
