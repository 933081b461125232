"""Tests of ``make audit``: what fails it, what is accepted, and what it says when a source is away."""

import hashlib
import importlib.util
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.webservers import LOOPBACK, webserver

ROOT = Path(__file__).resolve().parents[1]
AWAY = f"http://{LOOPBACK}:9/v1/querybatch"


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look themselves up there.
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


def pin(audit: ModuleType, name: str = "jinja2", version: str = "2.4.1") -> Any:
    return audit.Pin(name, version, True)


def answered(audit: ModuleType, results: object, accepted: dict[str, str], *, status: int = 200) -> Any:
    """What is found when the source answers so for one pin."""
    findings = audit.Findings()
    with webserver() as source:
        source.status, source.content = status, json.dumps({"results": results}).encode()
        audit.look_at_advisories([pin(audit)], findings, source.url, accepted)
        assert source.requests == [
            {"queries": [{"package": {"name": "jinja2", "ecosystem": "PyPI"}, "version": "2.4.1"}]}
        ]
    return findings


def test_a_known_vulnerability_is_wrong_unless_it_is_accepted(audit: ModuleType) -> None:
    found = [{"vulns": [{"id": "GHSA-1", "modified": ""}, {"id": "PYSEC-2", "modified": ""}]}]
    assert len(answered(audit, found, {}).wrong) == 2
    (wrong,) = answered(audit, found, {"GHSA-1": "not reached"}).wrong
    assert wrong.startswith("jinja2==2.4.1 has the known vulnerability PYSEC-2")
    assert answered(audit, [{}], {}).wrong == []


def test_what_is_accepted_in_vain_is_wrong(audit: ModuleType) -> None:
    assert answered(audit, [{}], {"GHSA-1": "gone"}).wrong == ["GHSA-1 is accepted and concerns no pin any more"]


@pytest.mark.parametrize("results", [[], [{}, {}], [None], "text", None])
def test_an_answer_that_leaves_a_package_out_is_no_audit(audit: ModuleType, results: object) -> None:
    findings = answered(audit, results, {"GHSA-1": "kept while nothing is known"})
    assert (findings.wrong, len(findings.unknown)) == ([], 1)


def test_a_source_that_fails_or_is_away_is_said_and_not_passed_over(audit: ModuleType) -> None:
    findings = answered(audit, [{}], {}, status=500)
    audit.look_at_advisories([pin(audit)], findings, AWAY, {})
    assert findings.wrong == []
    assert [line.partition(":")[0] for line in findings.unknown] == ["known vulnerabilities"] * 2


def test_every_page_is_read(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: dict[str | None, dict[str, Any]] = {
        None: {"vulns": [{"id": "A"}], "next_page_token": "2"},
        "2": {"vulns": [{"id": "B"}]},
    }
    monkeypatch.setattr(audit, "_answer", lambda asked, _: [pages[token] for _, token in asked])
    assert audit.advisories([pin(audit)], "") == {"jinja2==2.4.1": {"A", "B"}}
    pages["2"]["next_page_token"] = "2"
    with pytest.raises(audit.Unreachable, match="pages"):
        audit.advisories([pin(audit)], "")


def test_a_pin_without_a_hash_is_wrong_and_a_line_without_a_pin_is_refused(audit: ModuleType) -> None:
    findings = audit.Findings()
    hashed = f"a-b[c]==1.0 ; python_version < '3' \\\n    --hash=sha256:{'0' * 64}\n"
    audit.look_at_pins(audit.read_pins(hashed + "# no line\nC_d==2\n"), findings)
    assert findings.wrong == ["c-d==2 has no hash"]
    for line in ("a>=1", "a", "-e .", "git+https://x/y"):
        with pytest.raises(ValueError, match="is no pin"):
            audit.read_pins(line)


def test_what_is_installed_beside_the_lock_is_wrong(audit: ModuleType) -> None:
    pins = audit.read_pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    findings = audit.Findings()
    audit.look_at_environment(pins, findings)
    assert findings.wrong == []
    audit.look_at_environment([item for item in pins if item.name not in {"httpx", "numpy"}], findings)
    assert [line.split()[0] for line in sorted(findings.wrong)] == ["httpx", "numpy"]


def test_what_is_imported_beside_the_lock_is_wrong(audit: ModuleType, tmp_path: Path) -> None:
    pins = audit.read_pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    findings = audit.Findings()
    audit.look_at_imports(pins, findings, ROOT)
    assert findings.wrong == []
    for folder, line in (("benchmarks", "polars==1\n"), ("tests/mutation", "mutmut==1\n")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "requirements.txt").write_text(line)
    (tmp_path / "sigmasight_api").mkdir()
    (tmp_path / "sigmasight_api/new.py").write_text(
        "import os, polars, httpx\ndef f():\n    from left_pad.x import y\n"
    )
    audit.look_at_imports(pins, findings, tmp_path)
    assert findings.wrong == ["sigmasight_api/new.py imports left_pad, which no pinned package provides"]


def test_a_withdrawn_package_is_wrong_and_an_index_that_is_away_is_said(
    audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    lock = tmp_path / "requirements.lock"
    for is_yanked, wrong in ((False, 0), (True, 1)):
        with package_index(tmp_path, is_yanked=is_yanked) as (url, digest):
            monkeypatch.setenv("UV_DEFAULT_INDEX", url)
            lock.write_text(f"withdrawn==1.0 --hash=sha256:{digest}\n")
            findings = audit.Findings()
            audit.look_at_index(lock, findings)
            assert (len(findings.wrong), findings.unknown) == (wrong, [])
    audit.look_at_index(lock, findings)
    assert [line.partition(":")[0] for line in findings.unknown] == ["withdrawn packages"]


@contextmanager
def package_index(directory: Path, *, is_yanked: bool) -> Iterator[tuple[str, str]]:
    """An index with one wheel, and the wheel's digest."""
    wheel = directory / "withdrawn-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        about = "withdrawn-1.0.dist-info"
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: withdrawn\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    content = wheel.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    file = {"filename": wheel.name, "url": f"/{wheel.name}", "hashes": {"sha256": digest}, "yanked": is_yanked}
    page = json.dumps({"meta": {"api-version": "1.0"}, "name": "withdrawn", "files": [file]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_file = self.path.endswith(".whl")
            answer = content if is_file else page
            self.send_response(200)
            self.send_header("Content-Type", "application/zip" if is_file else "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/simple", digest
        finally:
            server.shutdown()
            thread.join()


def test_the_command_says_what_it_could_not_ask_and_goes_on(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for slow in ("look_at_index", "look_at_imports"):
        monkeypatch.setattr(audit, slow, lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["audit", "--advisories", AWAY])
    with pytest.raises(SystemExit) as ended:
        audit.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("NOT AUDITED: known vulnerabilities")
