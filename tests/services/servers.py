"""Questions that the tests of the database server ask."""

from pathlib import Path

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from sigmasight_assets.services.postgres import EmbeddedPostgres


def query(server: EmbeddedPostgres, statement: str) -> list[object]:
    engine = create_engine(server.url(), poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        return list(result.scalars()) if result.returns_rows else []


def running_pid(server: EmbeddedPostgres) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def data_directory(server: EmbeddedPostgres) -> Path:
    directory = server.status().data_directory
    assert directory is not None
    return directory


def processes_in(directory: Path) -> list[int]:
    """Ids of the processes that work in a data directory, as far as this user may see."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(directory):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found
