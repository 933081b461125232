"""Tests of the pages as they are sent: whole, of one version, and kept by browsers no longer than they are right."""

import gzip
import re
from pathlib import Path

import pytest

from sigmasight_api.documents import Documents
from sigmasight_api.pages import FILES, KEPT, PAGE_DIRECTORY, PLOTTING, REVALIDATED, Pages
from sigmasight_assets.errors import NotFoundError

PAGES = Pages()
OWN = sorted(str(path.relative_to(PAGE_DIRECTORY)) for path in PAGE_DIRECTORY.rglob("*") if path.is_file())
SCRIPTS = [name for name in OWN if name.endswith(".js")]
REFERRED = re.compile(rf'{FILES}/([0-9a-f]+)/([^"]+)"')


@pytest.mark.parametrize("name", ["index", "ops", "document"])
def test_every_file_that_a_page_refers_to_exists(name: str) -> None:
    page = PAGES.page(name)
    found = REFERRED.findall(page.body.decode())
    assert {"page.css", "js/theme.js"} <= {path for _, path in found}
    for digest, path in found:
        assert PAGES.file(digest, path).body
    assert "{{files}}" not in page.body.decode()
    assert (page.caching, page.media_type) == (REVALIDATED, "text/html; charset=utf-8")


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_module_that_a_script_imports_exists_and_names_are_exported(script: str) -> None:
    source = PAGES.file(PAGES.digest, script).body.decode()
    for names, module in re.findall(r'^import \{([^}]+)\} from "\./([^"]+)";$', source, re.MULTILINE):
        imported = PAGES.file(PAGES.digest, f"js/{module}").body.decode()
        for name in (name.strip() for name in names.split(",")):
            assert re.search(rf"^export (async )?(function|class|const) {name}\b", imported, re.MULTILINE), (
                script,
                name,
            )
            assert len(re.findall(rf"\b{name}\b", source)) > 1, f"{script} imports {name} and does not use it"


def test_what_explains_a_panel_exists() -> None:
    documents = Documents()
    pages = "".join(
        (PAGE_DIRECTORY / name).read_text(encoding="utf-8") for name in OWN if name.endswith((".js", ".html"))
    )
    explained = re.findall(r'help: "([^"]+)"|href[:=] ?"/docs/([^"]+)"', pages)
    assert len(explained) > 8
    for address, _, anchor in ((panel or link).partition("#") for panel, link in explained):
        assert not anchor or f'id="{anchor}"' in documents.render(address)[1], (address, anchor)


@pytest.mark.parametrize("name", ["index", "ops"])
def test_modules_are_fetched_beside_each_other_and_not_one_after_the_other(name: str) -> None:
    page = PAGES.page(name).body.decode()
    named = set(re.findall(r"/js/([a-z]+)\.js", page))
    todo, needed = [name.replace("index", "owner")], set()
    while todo:
        module = todo.pop()
        needed.add(module)
        source = PAGES.file(PAGES.digest, f"js/{module}.js").body.decode()
        todo += [other for other in re.findall(r'from "\./([a-z]+)\.js"', source) if other not in needed]
    assert named == {*needed, "theme"}


def test_nothing_in_the_pages_comes_from_another_host() -> None:
    for name in OWN:
        text = (PAGE_DIRECTORY / name).read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|[\"'(]//", text), name


def test_pages_never_make_markup_of_text() -> None:
    for script in SCRIPTS:
        source = (PAGE_DIRECTORY / script).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source), (
            script
        )


def test_a_file_has_its_type_and_is_kept_for_good_under_the_address_of_its_version() -> None:
    for name, kind in (("page.css", "text/css"), ("js/owner.js", "text/javascript"), ("favicon.svg", "image/svg+xml")):
        file = PAGES.file(PAGES.digest, name)
        assert file.media_type.startswith(kind)
        assert file.headers(is_compressed=False)["Cache-Control"] == KEPT
    with pytest.raises(NotFoundError, match="another version"):
        PAGES.file("0" * 16, "page.css")
    for name in ("index.html", "../app.py", "js/none.js", ""):
        with pytest.raises(NotFoundError):
            PAGES.file(PAGES.digest, name)


def test_the_plotting_library_is_that_of_the_installed_package() -> None:
    library = PAGES.file(PAGES.digest, PLOTTING)
    assert b"plotly.js" in library.body[:200]
    assert gzip.decompress(library.compressed) == library.body
    assert len(library.compressed) < len(library.body) / 2


def test_a_changed_file_gives_every_file_another_address(tmp_path: Path) -> None:
    for name, text in (("index.html", '<link href="{{files}}/page.css">'), ("page.css", "a {}")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    before = Pages(tmp_path)
    (tmp_path / "page.css").write_text("a { color: red; }", encoding="utf-8")
    after = Pages(tmp_path)
    assert before.digest != after.digest
    assert before.page("index").tag != after.page("index").tag
    assert f"{FILES}/{after.digest}/page.css" in after.page("index").body.decode()
