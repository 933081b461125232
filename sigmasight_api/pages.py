"""The pages for people, as they are sent: the files of ``page/`` and plotly's library, from memory.

The address of a file has a digest of all of them in it, so a browser may keep it for good and never mixes versions;
the pages themselves are asked for anew each time.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sigmasight_assets.errors import NotFoundError

PAGE_DIRECTORY = Path(__file__).parent / "page"
FILES = "/page"
DOCUMENTS = "/docs"
PLOTTING = "plotly.js"
# In the pages; replaced by where their files are.
BASE, LIBRARY = "{{files}}", "{{plotting}}"
DIGITS_OF_DIGEST = 16
REVALIDATED, KEPT = "no-cache", "public, max-age=31536000, immutable"
# What a page may do: its own files, its own API, and the pictures that it draws itself. Plots set their own styles.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent, compressed when it is first asked for so."""

    body: bytes
    media_type: str
    caching: str
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tag", f'"{hashlib.sha256(self.body).hexdigest()[:DIGITS_OF_DIGEST]}"')

    @cached_property
    def compressed(self) -> bytes:
        """The body under gzip; the same bytes each time."""
        return gzip.compress(self.body, compresslevel=6, mtime=0)

    def headers(self, *, is_compressed: bool) -> dict[str, str]:
        """What is sent beside the body."""
        encoding = {"Content-Encoding": "gzip"} if is_compressed else {}
        return {**HEADERS, "Cache-Control": self.caching, "ETag": self.tag, "Vary": "Accept-Encoding", **encoding}


class Pages:
    """Every page and file, read once."""

    def __init__(self, directory: Path = PAGE_DIRECTORY) -> None:
        own = {str(path.relative_to(directory)): path for path in sorted(directory.rglob("*")) if path.is_file()}
        contents = {name: path.read_bytes() for name, path in own.items()}
        self.digest = _digest(contents)
        self._pages = {
            Path(name).stem: self._page(text) for name, text in contents.items() if Path(name).suffix == ".html"
        }
        self._files = {
            name: PageFile(body, _type(name), KEPT) for name, body in contents.items() if Path(name).suffix != ".html"
        }
        self._files[PLOTTING] = _plotting_library()

    def page(self, name: str) -> PageFile:
        """The page of this name, ``index`` or another; ``NotFoundError`` when there is none."""
        return _known(self._pages, name)

    def file(self, digest: str, name: str) -> PageFile:
        """What a page needs: style, scripts; ``NotFoundError`` when it is not of this version, or not at all."""
        if digest != self.digest:
            raise NotFoundError("This file is of another version of the page: load the page again")
        return _known(self._files, name)

    def filled(self, page: str, values: dict[str, str]) -> PageFile:
        """A page with texts put in the places of ``{{names}}``; they are HTML already."""
        text = self.page(page).body.decode()
        for name, value in values.items():
            text = text.replace("{{" + name + "}}", value)
        return PageFile(text.encode(), _type("x.html"), REVALIDATED)

    def _page(self, text: bytes) -> PageFile:
        filled = text.decode().replace(BASE, f"{FILES}/{self.digest}").replace(LIBRARY, PLOTTING)
        return PageFile(filled.encode(), _type("x.html"), REVALIDATED)


@cache
def _plotting_library() -> PageFile:
    """What the package plotly brings for browsers; importing the package would take a while."""
    found = find_spec("plotly")
    if found is None or found.origin is None:
        raise NotFoundError("The package plotly is not installed")
    return PageFile((Path(found.origin).parent / "package_data" / "plotly.min.js").read_bytes(), _type(PLOTTING), KEPT)


def _digest(contents: dict[str, bytes]) -> str:
    summed = hashlib.sha256(version("plotly").encode())
    for name, body in contents.items():
        summed.update(f"{name} {len(body)} ".encode() + body)
    return summed.hexdigest()[:DIGITS_OF_DIGEST]


def _known(files: dict[str, PageFile], name: str) -> PageFile:
    try:
        return files[name]
    except KeyError:
        raise NotFoundError("Not Found") from None


def _type(name: str) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
