"""Audit what is installed: ``python .ci/audit.py``, which is ``make audit``.

Known vulnerabilities of every pinned package (OSV, one request), whether a pin was withdrawn from the index, and what
can be said without any network: every pin has hashes, what is installed is what is pinned, and only that is imported.
Exit code 1 where something is wrong. A source that cannot be reached is no finding, and is said plainly.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
ADVISORIES = "https://api.osv.dev/v1/querybatch"
ACCEPTED = ROOT / ".ci" / "accepted-advisories.toml"
# What makes the environment; the project itself is not pinned.
UNPINNED = {"pip", "sigmasight"}
OWN = ("sigmasight_assets", "sigmasight_api", "migrations", "tests", "benchmarks", ".ci")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?: |$)")
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)(?P<rest>.*)")
MOST_PAGES = 20
INDEX_SECONDS = 120.0
ADVISORIES_SECONDS = 60.0


@dataclass
class Findings:
    """What is wrong, and what could not be looked at."""

    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pin:
    """A line of the lock."""

    name: str
    version: str
    is_hashed: bool


class Unreachable(Exception):  # noqa: N818 - no error of the audit
    """A source of advisories that gives no answer that could be read."""


def read_pins(text: str) -> list[Pin]:
    """The pins of a requirements file; ``ValueError`` for a line that is none."""
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = PIN.fullmatch(line.strip())
        if found is None:
            raise ValueError(f"{line.strip()!r} is no pin")
        pins.append(Pin(canonical(found["name"]), found["version"], bool(HASH.search(found["rest"]))))
    return pins


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def look_at_pins(pins: list[Pin], findings: Findings) -> None:
    """Every pin has hashes."""
    findings.wrong += [f"{pin.name}=={pin.version} has no hash" for pin in pins if not pin.is_hashed]


def look_at_environment(pins: list[Pin], findings: Findings) -> None:
    """What is installed is what is pinned, for one version of Python or another."""
    pinned = {(pin.name, pin.version) for pin in pins}
    for installed in distributions():
        name = canonical(installed.metadata["Name"])
        if name not in UNPINNED and (name, installed.version) not in pinned:
            findings.wrong.append(f"{name} {installed.version} is installed and not pinned")


def look_at_imports(pins: list[Pin], findings: Findings, root: Path) -> None:
    """Only what is pinned, the standard library and the project itself are imported."""
    known = {pin.name for pin in pins} | _apart(root)
    providers = _providers()
    for module, where in sorted(imported_modules(root).items()):
        if module in sys.stdlib_module_names or module in OWN:
            continue
        given = {canonical(name) for name in providers.get(module, ())} or {canonical(module)}
        if not given & known:
            findings.wrong.append(f"{where} imports {module}, which no pinned package provides")


@cache
def _providers() -> Mapping[str, list[str]]:
    return packages_distributions()


def imported_modules(root: Path) -> dict[str, str]:
    """Top-level names that the project's files import, each with one of the files."""
    found: dict[str, str] = {}
    for path in (path for package in OWN for path in sorted((root / package).rglob("*.py"))):
        for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(name.partition(".")[0], str(path.relative_to(root)))
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def _apart(root: Path) -> set[str]:
    """What ``make bench`` and ``make mutants`` install for themselves."""
    lists = [root / folder / "requirements.txt" for folder in ("benchmarks", "tests/mutation")]
    return {pin.name for path in lists for pin in read_pins(path.read_text(encoding="utf-8"))}


def look_at_index(lock: Path, findings: Findings) -> None:
    """Whether the index still offers each pin, and none was withdrawn (yanked)."""
    command = [*(sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--reinstall", "--no-deps")]
    command += ["--no-build", "--require-hashes", "-r", str(lock)]
    try:
        with tempfile.TemporaryDirectory() as nowhere:
            command += ["--target", nowhere]
            done = subprocess.run(command, capture_output=True, text=True, timeout=INDEX_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        findings.unknown.append(f"withdrawn packages: the index does not answer within {INDEX_SECONDS:g} s")
        return
    findings.wrong += [line for line in done.stderr.splitlines() if "yanked" in line]
    if done.returncode and any(words in done.stderr for words in ("No solution found", "--require-hashes")):
        # The index answers, and has not what the lock asks for.
        findings.wrong.append(" ".join(done.stderr.split())[:500])
    elif done.returncode:
        findings.unknown.append(f"withdrawn packages: {' '.join(done.stderr.split())[:500]}")


def look_at_advisories(pins: list[Pin], findings: Findings, url: str, accepted: dict[str, str]) -> None:
    """No pin has a known vulnerability but those that are accepted with a reason."""
    try:
        found = advisories(pins, url)
    except Unreachable as error:
        findings.unknown.append(f"known vulnerabilities: {error}")
        return
    for number, pin in sorted((number, pin) for pin, numbers in found.items() for number in numbers):
        if number not in accepted:
            findings.wrong.append(
                f"{pin} has the known vulnerability {number} (https://osv.dev/vulnerability/{number})"
            )
    current = set().union(*found.values())
    findings.wrong += [
        f"{number} is accepted and concerns no pin any more" for number in accepted if number not in current
    ]


def advisories(pins: list[Pin], url: str) -> dict[str, set[str]]:
    """Identifiers of the advisories by pin; ``Unreachable`` when the source does not tell those of every pin."""
    found: dict[str, set[str]] = {f"{pin.name}=={pin.version}": set() for pin in pins}
    asked: list[tuple[Pin, str | None]] = [(pin, None) for pin in pins]
    deadline = time.monotonic() + ADVISORIES_SECONDS
    for _ in range(MOST_PAGES):
        if time.monotonic() > deadline:
            raise Unreachable(f"{url} takes longer than {ADVISORIES_SECONDS:g} s")
        rest: list[tuple[Pin, str | None]] = []
        for (pin, _), result in zip(asked, _answer(asked, url), strict=True):
            found[f"{pin.name}=={pin.version}"] |= {str(item["id"]) for item in result.get("vulns") or ()}
            if result.get("next_page_token"):
                rest.append((pin, str(result["next_page_token"])))
        if not rest:
            return found
        asked = rest
    raise Unreachable(f"{url} gives more than {MOST_PAGES} pages")


def _answer(asked: Sequence[tuple[Pin, str | None]], url: str) -> list[dict[str, list[dict[str, str]]]]:
    queries = [
        {"package": {"name": pin.name, "ecosystem": "PyPI"}, "version": pin.version}
        | ({"page_token": token} if token else {})
        for pin, token in asked
    ]
    try:
        answer = httpx.post(url, json={"queries": queries}, timeout=30.0)
        answer.raise_for_status()
        results = answer.json()["results"]
        if [isinstance(item, dict) for item in results] != [True] * len(asked):
            raise Unreachable(f"{url} does not answer for every package")
    except (httpx.HTTPError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise Unreachable(f"{url} gives no list of advisories ({type(error).__name__})") from error
    return list(results)


def audit(root: Path, url: str) -> Findings:
    """Everything that can be found."""
    findings = Findings()
    lock = root / "requirements.lock"
    pins = read_pins(lock.read_text(encoding="utf-8"))
    accepted = tomllib.loads(ACCEPTED.read_text(encoding="utf-8")).get("accepted", {})
    look_at_pins(pins, findings)
    look_at_environment(pins, findings)
    look_at_imports(pins, findings, root)
    look_at_index(lock, findings)
    look_at_advisories(pins, findings, url, accepted)
    return findings


def main() -> None:
    """Print what was found; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="Audit the pinned packages.")
    parser.add_argument("--advisories", default=ADVISORIES, help="address that answers as OSV's querybatch")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    arguments = parser.parse_args()
    findings = audit(arguments.root, arguments.advisories)
    lines = [*(f"NOT AUDITED: {item}" for item in findings.unknown), *(f"WRONG: {item}" for item in findings.wrong)]
    sys.stdout.write("\n".join(lines or ["Audited: nothing is known against any pinned package."]) + "\n")
    sys.exit(1 if findings.wrong else 0)


if __name__ == "__main__":
    main()
