"""Pages for people: the owner's at ``/``, the operators' at ``/ops``, the documents, and the files they are made of.

They hold nothing of anybody: what they show they ask the API for, with the token that is entered there.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from sigmasight_api.documents import Documents
from sigmasight_api.pages import DOCUMENTS, FILES, PageFile, Pages

router = APIRouter(include_in_schema=False)
READING = ["GET", "HEAD"]


async def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


async def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


ServedPages = Annotated[Pages, Depends(_pages)]


@router.api_route("/", methods=READING)
async def owners_page(request: Request, pages: ServedPages) -> Response:
    """The owner's page."""
    return await _sent(request, pages.page("index"))


@router.api_route("/ops", methods=READING)
async def operators_page(request: Request, pages: ServedPages) -> Response:
    """The operators' page."""
    return await _sent(request, pages.page("ops"))


@router.api_route(f"{FILES}/{{digest}}/{{name:path}}", methods=READING)
async def file(request: Request, pages: ServedPages, digest: str, name: str) -> Response:
    """A file of the pages."""
    return await _sent(request, pages.file(digest, name))


@router.api_route(DOCUMENTS, methods=READING)
@router.api_route(f"{DOCUMENTS}/{{address:path}}", methods=READING)
async def document(
    request: Request, pages: ServedPages, documents: Annotated[Documents, Depends(_documents)], address: str = ""
) -> Response:
    """A document."""
    title, body = await run_in_threadpool(documents.render, address)
    return await _sent(request, pages.filled("document", {"title": title, "body": body}))


async def _sent(request: Request, found: PageFile) -> Response:
    is_compressed = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = found.headers(is_compressed=is_compressed)
    # A proxy that compresses marks the tag as weak.
    if found.tag in request.headers.get("If-None-Match", "").replace("W/", "").split(", "):
        return Response(status_code=304, headers=headers)
    # The plotting library takes a moment to compress, the first time.
    body = await run_in_threadpool(lambda: found.compressed) if is_compressed else found.body
    return Response(body, headers=headers, media_type=found.media_type)
