"""Where one machine keeps its state: the directories below ``SIGMASIGHT_HOME``."""

import os
from dataclasses import dataclass
from pathlib import Path

from sigmasight_assets.errors import ServiceError

OWNER_ONLY = 0o700
# The database server runs as another user than root; it must pass through, never list.
PASS_THROUGH = 0o711


@dataclass(frozen=True)
class Home:
    """The state directory; everything the services write is below ``root``."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "Home":
        """The home at ``path``, made absolute so that child processes with another directory find it too."""
        return cls(path.expanduser().resolve())

    @property
    def postgres(self) -> Path:
        """Data directory, password and location of the embedded PostgreSQL server."""
        return self.root / "postgres"

    @property
    def logs(self) -> Path:
        """One log file per service."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Process records, locks, ports and generated files of the services that run now."""
        return self.root / "run"

    @property
    def dagster(self) -> Path:
        """``DAGSTER_HOME``: instance settings and logs of runs."""
        return self.root / "dagster"

    def create(self) -> None:
        """Create the directories that are missing; ``ServiceError`` when this user may not."""
        passable = PASS_THROUGH if os.geteuid() == 0 else OWNER_ONLY
        try:
            self.root.mkdir(mode=passable, parents=True, exist_ok=True)
            self.postgres.mkdir(mode=passable, exist_ok=True)
            for directory in (self.logs, self.run, self.dagster):
                directory.mkdir(mode=OWNER_ONLY, exist_ok=True)
        except OSError as error:
            raise ServiceError(
                f"Cannot create the state directory {self.root}: {error.strerror}. "
                "Set SIGMASIGHT_HOME to a directory of this user."
            ) from error
        self.exists()

    def exists(self) -> bool:
        """Whether the directories are there; ``ServiceError`` when they are another user's."""
        try:
            if not self.run.is_dir():
                return False
            foreign = self._first_foreign()
        except PermissionError:
            foreign = self.root
        if foreign is not None:
            raise ServiceError(
                f"The state directory {self.root} is another user's: no access to {foreign}. "
                "Run as that user or set SIGMASIGHT_HOME to another directory."
            )
        return True

    def _first_foreign(self) -> Path | None:
        """The first thing this user cannot use, such as a file left by a command that once ran as root."""
        for directory in (self.postgres, self.logs, self.run, self.dagster):
            if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
                return directory
        files = [*self.logs.iterdir(), *self.run.iterdir()]
        return next((path for path in files if path.exists() and not os.access(path, os.R_OK | os.W_OK)), None)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file readable by its owner only; after a crash it has its old or its new content."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def read_text(path: Path) -> str | None:
    """The stripped content of a small file; ``None`` when there is none."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
