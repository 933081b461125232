"""Tests of the pages over HTTP: public, guarded by a policy, compressed and sent once."""

import gzip

import pytest

from tests.api.conftest import Api

ADDRESSES = ["/", "/ops", "/docs/api", "/docs/formulas"]


def file_of(api: Api, name: str) -> str:
    page = api.get("/").text
    return page.split(f'{name}"')[0].rsplit('"', 1)[1] + name


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_may_load_and_ask_nothing_but_its_own_server(api: Api, address: str) -> None:
    answer = api.get(address)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_page_that_has_not_changed_is_not_sent_again(api: Api) -> None:
    tag = api.get("/").headers["ETag"]
    again = api.http.get("/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert api.http.get("/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_files_are_compressed_for_who_takes_them_so(api: Api) -> None:
    path = file_of(api, "/page.css")
    plain = api.http.get(path, headers={"Accept-Encoding": "identity"})
    small = api.http.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert plain.content == small.content
    assert int(small.headers["Content-Length"]) == len(gzip.compress(plain.content, 6, mtime=0))
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"
    assert "immutable" in plain.headers["Cache-Control"]


def test_heads_are_answered(api: Api) -> None:
    answer = api.http.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/page/0/page.css", "/page/x/../../app.py", "/docs/none", "/docs/../README", "/page"])
def test_what_there_is_not_is_a_problem(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_pages_are_not_part_of_the_api_document(api: Api) -> None:
    assert not {"/", "/ops", "/docs"} & set(api.get("/openapi.json").json()["paths"])
