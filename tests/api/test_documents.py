"""Tests of the documents as pages: every one of them, with links that lead to another of them."""

import re
from pathlib import Path

import pytest

from sigmasight_api.documents import DOCUMENT_DIRECTORY, Documents
from sigmasight_assets.errors import NotFoundError

DOCUMENTS = Documents()
ANCHORS: dict[str, set[str]] = {}


def rendered(address: str) -> str:
    return DOCUMENTS.render(address)[1]


@pytest.mark.parametrize("name", list(DOCUMENTS))
def test_every_document_is_a_page_whose_links_lead_somewhere(name: str) -> None:
    address = DOCUMENTS.address(name).removeprefix("/docs").strip("/")
    title, body = DOCUMENTS.render(address)
    assert title
    assert body.startswith("<h1 id=")
    for href in re.findall(r'href="([^"]+)"', body):
        path, _, anchor = href.partition("#")
        if path.startswith("http"):
            continue
        assert not path or path == "/docs" or path.startswith("/docs/"), href
        there = rendered(path.removeprefix("/docs").strip("/")) if path not in ("", "/docs") else body
        assert not anchor or f'id="{anchor}"' in there, href


def test_a_document_has_its_tables_and_headings() -> None:
    body = rendered("demo")
    assert body.count("<table>") == (DOCUMENT_DIRECTORY / "demo.md").read_text(encoding="utf-8").count("\n| ---")
    assert '<h2 id="where-the-equity-comes-from">' in body


def test_a_folder_leads_to_its_index() -> None:
    assert rendered("formulas") == rendered("formulas/README")
    assert DOCUMENTS.address("formulas/README") == "/docs/formulas"


@pytest.mark.parametrize(
    "address", ["none", "../README", "formulas/../../README", "/etc/passwd", "demo.md", "..", "\0"]
)
def test_nothing_but_documents_can_be_reached(address: str) -> None:
    with pytest.raises(NotFoundError):
        DOCUMENTS.render(address)


def test_markup_in_a_document_is_text(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_text("# A <b>\n\n<script>1</script> [x](javascript:1)\n", encoding="utf-8")
    title, body = Documents(tmp_path).render("bad")
    assert title == "A &lt;b&gt;"
    assert "<script" not in body
    assert "javascript:1" not in re.findall(r'href="([^"]*)"', body)


def test_an_installation_without_documents_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such document"):
        Documents(tmp_path / "none").render("api")
