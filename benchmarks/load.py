"""Load over HTTP: wrk, which costs the machine far less than the server that it measures."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

SCRIPT = Path(__file__).with_name("load.lua")
MISSING = "wrk is not installed, and this subject needs it: apt-get install wrk (brew install wrk on a Mac)."


@dataclass(frozen=True)
class Load:
    """What became of the requests; ``refused`` had a status other than 2xx or 3xx, ``broken`` no answer at all.

    ``mixed`` answers had another generation in the header than in the body; 0 where that was not looked at.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    refused: int
    broken: int
    mixed: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def is_clean(self) -> bool:
        """Whether every request was answered, and right as far as was looked."""
        return self.requests > 0 and not (self.refused or self.broken or self.mixed)


def require_wrk() -> None:
    """End the program with the way out when the load generator is not there."""
    if shutil.which("wrk") is None:
        raise SystemExit(MISSING)


def load(
    address: str,
    paths: Sequence[str],
    *,
    token: str,
    connections: int,
    seconds: int,
    checked: bool = False,
    once: bool = False,
) -> Load:
    """Ask for the paths in turn over so many connections, each of which asks again as soon as it is answered.

    ``checked`` compares the generations in header and body of every answer; ``once`` ends with the last path, whatever
    time is left, which makes the rate meaningless.
    """
    with NamedTemporaryFile("w", prefix="sigmasight-paths-", suffix=".txt") as file:
        file.write("\n".join(paths) + "\n")
        file.flush()
        flags = [name for name, is_set in (("checked", checked), ("once", once)) if is_set]
        # wrk counts a request without an answer after this time as broken.
        settings = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
        command = ["wrk", *settings, "-H", f"Authorization: Bearer {token}", address, "--", file.name, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Load(**json.loads(done.stdout.splitlines()[-1]))
