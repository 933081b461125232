"""The files that the operators' documents give in full, and a place where a test can install them."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from sigmasight_assets.services.stack import CHECKOUT
from tests.documents import DOCS, blocks

PAGES = [DOCS / "operator.md", *sorted((DOCS / "operator").glob("*.md"))]
# Content by path: a fenced block whose second word is one.
FILES = {
    block.info.split()[1]: block.body
    for page in PAGES
    for block in blocks(page.read_text(encoding="utf-8"))
    if len(block.info.split()) == 2 and block.info.split()[1].startswith("/")
}


def program(name: str) -> str:
    """The program; the test is skipped where it is not installed."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def installed(name: str, root: Path, changes: Mapping[str, str] | None = None) -> Path:
    """A script of the documents below a directory, with paths of that directory."""
    body = FILES[name].replace("/opt/sigmasight", str(CHECKOUT))
    for path in ("/etc/sigmasight", "/var/lib/sigmasight"):
        body = body.replace(path, f"{root}{path}")
    for old, new in (changes or {}).items():
        assert old in body, old
        body = body.replace(old, new)
    script = root / Path(name).name
    script.write_text(body)
    script.chmod(0o755)
    return script


def quoted(value: str) -> str:
    """The value as the documents write one in the file of settings, with the marks of their first line around it."""
    assert "'" not in value
    _, _, documented = FILES["/etc/sigmasight/sigmasight.env"].splitlines()[0].partition("=")
    mark = documented[0] if documented[0] in "'\"" else ""
    return f"{mark}{value}{mark}"


def unusual(url: str) -> str:
    """The same database, by an address whose characters mean something to a shell."""
    return f"{url}{'&' if '?' in url else '?'}application_name=night $HOME&connect_timeout=30"


def environment(root: Path, **settings: str) -> dict[str, str]:
    """The file of settings below the directory, and an environment without any of them."""
    for path in ("etc/sigmasight", "var/lib/sigmasight"):
        (root / path).mkdir(parents=True, exist_ok=True)
    lines = [f"{name}={quoted(value)}\n" for name, value in settings.items()]
    (root / "etc/sigmasight/sigmasight.env").write_text("".join(lines))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SIGMASIGHT_", "DAGSTER_"))}
    return clean | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])}
