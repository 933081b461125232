"""The unprivileged user that runs the database server when the command itself runs as root.

PostgreSQL refuses to run as root. What that user can reach is found by trying as that user, because modes,
access lists and mount options of every parent directory decide together.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sigmasight_assets.errors import ServiceError

PREFERRED_USERS = ("postgres", "nobody")


@dataclass(frozen=True)
class ServerUser:
    """User and group ids of the server; ``None`` for both: the user of this process."""

    uid: int | None = None
    gid: int | None = None

    @property
    def groups(self) -> list[int] | None:
        """Supplementary groups: none at all for another user, so that nothing of root's is kept."""
        return None if self.uid is None else []

    def run(self, command: list[str], *, timeout: float = 30.0) -> "subprocess.CompletedProcess[str]":
        """Run a command as this user and capture its output; the working directory is the root."""
        return subprocess.run(
            command,
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            cwd="/",
            env=server_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            start_new_session=True,
        )

    def can_run(self, program: Path) -> bool:
        """Whether this user can really start the program."""
        try:
            return self.run([str(program), "--version"]).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    def can_write_below(self, directory: Path) -> bool:
        """Whether a directory of this user, made in ``directory`` by root, could be reached and written by it."""
        if self.uid is None:
            return os.access(directory, os.W_OK | os.X_OK)
        probe = directory / f"probe-{os.getpid()}"
        probe.mkdir(mode=0o700)
        try:
            self.give(probe)
            return self.run([_test_program(), "-w", str(probe)]).returncode == 0
        finally:
            probe.rmdir()

    def give(self, path: Path) -> None:
        """Make this user the owner of one file or directory, not of what is below it."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_environment() -> dict[str, str]:
    """What PostgreSQL programs need of the environment, and nothing that could carry a secret to another user."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {"LC_ALL": "C"} | {name: os.environ[name] for name in kept if name in os.environ}


def server_user(data_directory: Path) -> ServerUser:
    """The user to run the server as: this one, or for root the owner of the data, ``postgres`` or ``nobody``.

    Raises ``ServiceError`` when root has no user to become.
    """
    if os.geteuid() != 0:
        return ServerUser()
    user = _owner(data_directory) or _unprivileged_account()
    if user is None:
        raise ServiceError(
            "PostgreSQL does not run as root and this machine has neither a user postgres nor nobody. "
            "Run as an ordinary user or set SIGMASIGHT_DATABASE_URL to a PostgreSQL server."
        )
    try:
        user.run([_test_program(), "-d", "/"])
    except (OSError, subprocess.SubprocessError) as error:
        raise ServiceError(
            f"PostgreSQL does not run as root and this process may not become user {user.uid}: {error}. "
            "Run as an ordinary user or set SIGMASIGHT_DATABASE_URL to a PostgreSQL server."
        ) from error
    return user


def _owner(data_directory: Path) -> ServerUser | None:
    """An existing database keeps its owner, for example the user who made it before root ran this command."""
    try:
        status = data_directory.stat()
    except FileNotFoundError:
        return None
    return ServerUser(status.st_uid, status.st_gid) if status.st_uid != 0 else None


def _unprivileged_account() -> ServerUser | None:
    for name in PREFERRED_USERS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(account.pw_uid, account.pw_gid)
    return None


def _test_program() -> str:
    return shutil.which("test", path="/usr/bin:/bin") or "test"
