"""The documents of ``docs/`` as pages: Markdown in, HTML out.

They are read from the checkout; an installation without one has none.
"""

import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any, cast
from urllib.parse import urlsplit

from sigmasight_api.pages import DOCUMENTS
from sigmasight_assets.errors import NotFoundError

DOCUMENT_DIRECTORY = Path(__file__).resolve().parents[1] / "docs"
INDEX = "README"
PROJECT = "project"
SUFFIX = ".md"


class Documents:
    """Documents by their address below ``/docs``: the path of the file without its suffix.

    The README of the whole project, above the folder of documents, has the address ``project``.
    """

    def __init__(self, directory: Path = DOCUMENT_DIRECTORY) -> None:
        files = sorted(directory.rglob(f"*{SUFFIX}"))
        self._files = {str(path.relative_to(directory).with_suffix("").as_posix()): path for path in files}
        readme = directory.parent / f"{INDEX}{SUFFIX}"
        if files and readme.is_file():
            self._files[PROJECT] = readme

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def address(self, name: str) -> str:
        """Where the document of this name is served."""
        return f"{DOCUMENTS}/{name}".removesuffix(f"/{INDEX}")

    def render(self, address: str) -> tuple[str, str]:
        """Title and body of a document as HTML; ``NotFoundError`` when there is none of this address."""
        name = self._name(address)
        if name is None:
            raise NotFoundError("There is no such document")
        return self._rendered(name)

    def _name(self, address: str) -> str | None:
        wanted = address.strip("/")
        names = (wanted, f"{wanted}/{INDEX}".lstrip("/"))
        return next((name for name in names if name in self._files), None)

    @lru_cache(maxsize=64)  # noqa: B019 - there is one of these, and it lives as long as the process
    def _rendered(self, name: str) -> tuple[str, str]:
        # Only who reads documents pays for the parser.
        from markdown_it import MarkdownIt  # noqa: PLC0415

        parser = MarkdownIt("commonmark", {"html": False}).enable("table")
        tokens = parser.parse(self._files[name].read_text(encoding="utf-8"))
        title = _anchor_headings(tokens)
        for link in _links(tokens):
            link.attrs["href"] = self._target(name, str(link.attrs["href"]))
        body = cast("str", parser.renderer.render(tokens, parser.options, {}))
        # What is wider than the page scrolls by itself, and can be reached by keyboard for that.
        body = body.replace("<table>", '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>')
        body = body.replace("<pre>", '<pre tabindex="0" role="group" aria-label="Example">')
        return html.escape(title or name), body.replace("</table>", "</table></div>")

    def _target(self, name: str, href: str) -> str:
        """Where a link of the document leads: to another of them, or where it says."""
        parts = urlsplit(href)
        path = f"{parts.path}{INDEX}{SUFFIX}" if parts.path.endswith("/") else parts.path
        if parts.scheme or not path.endswith(SUFFIX):
            return href
        # Links are between files: the README's begin above the folder.
        place = PurePosixPath("docs") / name if name != PROJECT else PurePosixPath(INDEX)
        found = normpath(place.parent / path).removesuffix(SUFFIX)
        target = PROJECT if found == INDEX else found.removeprefix("docs/")
        anchor = f"#{parts.fragment}" if parts.fragment else ""
        return f"{self.address(target)}{anchor}" if target in self._files else f"{DOCUMENTS}{anchor}"


def _links(tokens: Iterable[Any]) -> Iterable[Any]:
    for token in tokens:
        yield from (child for child in token.children or () if child.type == "link_open")


def _anchor_headings(tokens: list[Any]) -> str:
    """Give each heading the name that links use, as code hosts do; the text of the first of them."""
    title, seen = "", dict[str, int]()
    for heading, inline in pairwise(tokens):
        if heading.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or ())
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
        heading.attrs["id"] = f"{slug}-{seen[slug]}" if seen[slug] else slug
        title = title or text
    return title
