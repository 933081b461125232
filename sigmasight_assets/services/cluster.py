"""The data directory of the embedded server: where it is, how it is made, and its password.

Normally it is ``postgres/data`` of the home. A command that runs as root in a directory which the server's user
cannot enter keeps it, with a copy of the programs, below ``/var/lib/sigmasight`` instead; no parent directory is
ever opened for that. The home records the place.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.binaries import Binaries
from sigmasight_assets.services.home import PASS_THROUGH, Home, read_text, write_atomically
from sigmasight_assets.services.postmaster import running_server, stop_server
from sigmasight_assets.services.privileges import ServerUser
from sigmasight_assets.services.processes import end_processes

RELOCATION_ROOT = Path("/var/lib/sigmasight")
SUPERUSER = "sigmasight"
INITDB_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Cluster:
    """The database files of one home."""

    home: Home
    relocation_root: Path = RELOCATION_ROOT

    @property
    def data(self) -> Path | None:
        """The complete data directory; ``None`` before the first start."""
        places = (self.home.postgres, self.relocated)
        return next((place / "data" for place in places if place and (place / "data" / "PG_VERSION").is_file()), None)

    @property
    def major(self) -> int | None:
        """Major version of PostgreSQL that made the data directory."""
        version = self.data and read_text(self.data / "PG_VERSION")
        return int(version) if version else None

    @property
    def relocated(self) -> Path | None:
        """The recorded place outside the home, if one was needed."""
        recorded = read_text(self.home.postgres / "relocated")
        return Path(recorded) if recorded else None

    @property
    def password(self) -> str | None:
        """The superuser's password, readable by the home's owner only."""
        return read_text(self.home.postgres / "password")

    def password_of(self, role: str) -> str:
        """The password of another role, made when there is none yet; readable by the home's owner only."""
        path = self.home.postgres / f"password.{role}"
        password = read_text(path)
        if password is None:
            password = secrets.token_urlsafe(32)
            write_atomically(path, password)
        return password

    def initialise(self, binaries: Binaries, user: ServerUser) -> Path:
        """Make the data directory under a temporary name and rename it, so an interrupted attempt is redone."""
        place = self.home.postgres if user.can_write_below(self.home.postgres) else self._relocate(user)
        final = place / "data"
        if final.is_dir() and any(final.iterdir()):
            raise ServiceError(f"{final} is not a PostgreSQL data directory: move it away and start again.")
        _remove_interrupted(place)
        unfinished = place / f"data.{os.getpid()}.incomplete"
        unfinished.mkdir(mode=0o700)
        user.give(unfinished)
        self._initdb(binaries, user, unfinished)
        unfinished.rename(final)
        return final

    def runnable(self, binaries: Binaries, user: ServerUser) -> Binaries:
        """The programs themselves, or a copy of them that the server's user can start."""
        if user.can_run(binaries.postgres):
            return binaries
        copy = binaries.copied_to(self._relocate(user))
        if not user.can_run(copy.postgres):
            raise ServiceError(f"User {user.uid} cannot run {copy.postgres}: is the file system mounted noexec?")
        return copy

    def _initdb(self, binaries: Binaries, user: ServerUser, directory: Path) -> None:
        with self._password_file(directory.parent, user) as password_file:
            completed = user.run(
                [
                    str(binaries.initdb),
                    f"--pgdata={directory}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--data-checksums",
                    "--no-instructions",
                ],
                timeout=300.0,
            )
        if completed.returncode != 0:
            shutil.rmtree(directory, ignore_errors=True)
            raise ServiceError(f"Cannot make the PostgreSQL data directory:\n{completed.stdout[-2000:].strip()}")

    @contextmanager
    def _password_file(self, place: Path, user: ServerUser) -> Iterator[Path]:
        """The password as a file of the server's user for as long as initdb runs."""
        password = self.password
        if password is None:
            password = secrets.token_urlsafe(32)
            write_atomically(self.home.postgres / "password", password)
        path = place / f"password.{os.getpid()}.incomplete"
        write_atomically(path, password)
        try:
            user.give(path)
            yield path
        finally:
            path.unlink()

    def _relocate(self, user: ServerUser) -> Path:
        recorded = self.relocated
        if recorded is not None and recorded.is_dir():
            return recorded
        place = self.relocation_root / hashlib.sha256(os.fsencode(self.home.root)).hexdigest()[:16]
        try:
            _make_passable(self.relocation_root)
            if place.exists():
                _set_aside(place)
            _make_passable(place)
        except OSError as error:
            raise ServiceError(
                f"User {user.uid}, who runs PostgreSQL for root, cannot enter {self.home.root}, and {place} cannot be "
                f"made instead: {error.strerror}. Set SIGMASIGHT_HOME to a directory that every user may enter."
            ) from error
        if not user.can_write_below(place):
            raise ServiceError(
                f"User {user.uid}, who runs PostgreSQL for root, can enter neither {self.home.root} nor {place}. "
                "Set SIGMASIGHT_HOME to a directory that every user may enter."
            )
        write_atomically(self.home.postgres / "relocated", str(place))
        return place


def _remove_interrupted(place: Path) -> None:
    """Remove what initialisations left whose command was killed; their initdb may still be at work."""
    for password_file in place.glob("password.*.incomplete"):
        password_file.unlink()
    for directory in place.glob("data.*.incomplete"):
        end_processes(partial(_initialises, directory=directory), stop_seconds=INITDB_STOP_SECONDS)
        shutil.rmtree(directory)


def _initialises(process: psutil.Process, *, directory: Path) -> bool:
    return f"--pgdata={directory}" in process.cmdline()


def _make_passable(directory: Path) -> None:
    """Make one directory that others may pass through; one that is there stays as it is."""
    if not directory.exists():
        directory.mkdir()
        directory.chmod(PASS_THROUGH)


def _set_aside(place: Path) -> None:
    """Keep, once, what a removed home of the same path left: its password is gone, its data is not ours to delete."""
    server = running_server(place / "data")
    if server is not None:
        stop_server(server, place / "data")
    previous = place.with_name(f"{place.name}.previous")
    shutil.rmtree(previous, ignore_errors=True)
    place.rename(previous)
