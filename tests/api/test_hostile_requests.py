"""Tests of hostile values in every parameter and every field of every route: refused as such, never a 500."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import add_capital_flow
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_portfolio, add_token
from tests.api.operations import Operation, give_example_ids, operations

TEXTS = {
    "injection": "' OR 1=1--",
    "stacked": "1; DROP TABLE users; --",
    "union": "' UNION TABLE api_tokens--",
    # Longer than anybody waits here.
    "sleep": "'||pg_sleep(60)||'",
    "stacked sleep": "AAPL;CALL pg_sleep(60)--",
    "by its error": "AAPL' AND 1=CAST(version() AS int)--",
    "of a dollar": "$$||current_user||$$",
    "json path": "$.a ? (@ == 1)",
    "nul": "\x00AAPL",
    "line end": "AAPL\r\nX-Forged: 1",
    "escape": "\x1b[2J",
    "right to left": "\u202eLPAA",
    "emoji": "\N{GRINNING FACE}",
    "combining": "e\u0301" * 20,
    "long": "A" * 10_000,
    "path": "../../../../etc/passwd",
    "template": "{{7*7}}${7*7}%s%n",
    "far date": "9999-12-31",
    "first date": "0001-01-01",
    "no date": "2025-02-30",
    "seconds": "1704412800",
    "milliseconds": "1704412800000",
    "empty": "",
    "blank": " ",
    "null": "null",
}
# Whoever puts them into a statement asks for something true, or for something false.
PAIRS = (
    ("AAPL' AND '1'='1", "AAPL' AND '1'='2"),
    ("1) OR (1=1", "1) OR (1=2"),
)
# None of them is a number that any field or parameter takes.
NO_NUMBERS = (
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "1e400",
    "-1e400",
    "1e-400",
    "true",
    "9" * 40,
    "0." + "1" * 40,
)
NO_WHOLE_NUMBERS = ("-0", "+1", " 1", "1_0", "1.0", "0x1", "\u0661", "1e1")
LITERALS = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "true", "false", "9" * 40, "9" * 5_000)
STRUCTURES = ("null", "[]", "{}", "[[]]", '{"a":1}', '"\\ud800"', '"\\u0000"', '[{"a":[{"a":[]}]}]', '""')
INSIDES = re.compile(r"Traceback|psycopg|sqlalchemy|SELECT |INSERT |/sigmasight_|\.py\b|postgresql", re.IGNORECASE)


@pytest.fixture
def every(api: Api) -> list[Operation]:
    return [item for item in operations(api.app) if item.is_callers]


@pytest.fixture
def lasting(every: list[Operation]) -> list[Operation]:
    """Those that leave the rows of the examples where they are."""
    return [item for item in every if item.method != "DELETE"]


@pytest.fixture
def admin(api: Api, database: Database) -> str:
    """The token of a user who owns what the examples name, so that routes get to look at all else."""
    portfolio = add_portfolio(database, "root", {"AAA": "1"})
    with database.begin() as connection:
        add_capital_flow(connection, portfolio.portfolio_id, flow_date=SESSIONS[1], amount=Decimal(1))
    give_example_ids(database, api.app)
    return add_token(database, "root", is_admin=True)


def check(answer: httpx.Response, *what: object) -> None:
    """An answer of the right form, whatever its status; a 503 only where Dagster is asked, which is away."""
    assert answer.status_code in {200, 201, 202, 204, 400, 404, 409, 414, 422, 503}, (*what, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json", what
        assert answer.json().keys() >= {"type", "title", "status", "detail"}
    if answer.status_code == 503:
        assert "Dagster" in answer.json()["detail"], (*what, answer.text)
    assert "x-forged" not in answer.headers
    assert not INSIDES.search(answer.text), (*what, answer.text)
    if answer.content and answer.headers["Content-Type"].endswith("json"):
        json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{what}: {name} was sent"))


def fields(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where the leaves of a document are."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = False
    for key, part in parts:
        found = True
        yield from fields(part, (*path, key))
    if path and not found:
        yield path


def with_raw(document: Any, path: tuple[str | int, ...], raw: str) -> bytes:
    """The document as JSON with this text in one place."""
    marker = "0bd6c8ae-marker"
    copied = json.loads(json.dumps(document))
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = marker
    return json.dumps(copied).replace(f'"{marker}"', raw).encode("utf-8", "surrogatepass")


@pytest.mark.fault(25)
def test_no_text_in_a_path_is_more_than_unknown(api: Api, admin: str, every: list[Operation]) -> None:
    for operation in every:
        for name in operation.parameters("path"):
            for kind, text in TEXTS.items():
                answer = operation.send(api.http, admin, path={name: quote(text, safe="")})
                check(answer, operation.name, name, kind)
                # Dates are values of some paths, digits may be a ticker.
                if "date" not in kind and "seconds" not in kind:
                    assert answer.status_code in {404, 405, 422}, (operation.name, name, kind)


@pytest.mark.fault(25)
def test_no_text_in_a_query_is_more_than_wrong(api: Api, admin: str, lasting: list[Operation]) -> None:
    for operation in lasting:
        for name in operation.query_types():
            for kind, text in TEXTS.items():
                check(operation.send(api.http, admin, query={name: text}), operation.name, name, kind)
        unknown = dict(zip(TEXTS.values(), TEXTS.values(), strict=True)) | dict.fromkeys(("sort", "__proto__"), "x")
        check(operation.send(api.http, admin, query=unknown), operation.name)


@pytest.mark.fault(25)
def test_what_would_be_true_and_what_would_be_false_is_answered_the_same(
    api: Api, admin: str, lasting: list[Operation]
) -> None:
    checked = 0
    for operation in lasting:
        for place, names in (("path", operation.parameters("path")), ("query", operation.query_types())):
            for name in names:
                for pair in PAIRS:
                    told = set()
                    for text in pair:
                        given = {name: quote(text, safe="") if place == "path" else text}
                        answer = operation.send(api.http, admin, **{place: given})
                        # Some refusals repeat what was sent, and what was made has a number of its own.
                        words = answer.text.replace(text, "") if operation.method == "GET" else ""
                        told.add((answer.status_code, words))
                    assert len(told) == 1, (operation.name, name, told)
                    checked += 1
    assert checked > 100


@pytest.mark.fault(26)
def test_no_number_of_a_query_is_taken_that_is_none(api: Api, admin: str, lasting: list[Operation]) -> None:
    checked = 0
    for operation in lasting:
        for name, kind in operation.query_types().items():
            if kind not in {"integer", "number"}:
                continue
            checked += 1
            for text in NO_NUMBERS + NO_WHOLE_NUMBERS * (kind == "integer"):
                answer = operation.send(api.http, admin, query={name: text})
                assert answer.status_code == 422, (operation.name, name, text)
                check(answer, operation.name, name, text)
    assert checked > 10


@pytest.mark.fault(25, 26)
@pytest.mark.campaign
def test_no_field_of_a_body_takes_what_is_no_number_or_is_hostile(
    api: Api, admin: str, lasting: list[Operation]
) -> None:
    checked = 0
    for operation in lasting:
        if operation.media_type != "application/json":
            continue
        body = operation.body()
        for field in fields(body):
            checked += 1
            for raw in LITERALS:
                answer = operation.send(api.http, admin, content=with_raw(body, field, raw))
                # Five thousand digits are too many for JSON's own reader.
                assert answer.status_code in ({400, 422} if len(raw) > 4_000 else {422}), (operation.name, field, raw)
                check(answer, operation.name, field, raw)
            texts = [json.dumps(text) for text in (*TEXTS.values(), *NO_NUMBERS)]
            for raw in (*STRUCTURES, *texts, "-0", "1e-400", "-0.0"):
                answer = operation.send(api.http, admin, content=with_raw(body, field, raw))
                check(answer, operation.name, field, raw)
    assert checked > 10


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"NaN",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"\\ud800": 1}',
        b'{"' + b"k" * 100_000 + b'": 1}',
        b'{"__proto__": {"a": 1}}',
        b"<x/>",
        b"a=1&b=2",
        json.dumps([{"a": number} for number in range(10_000)]).encode(),
    ],
)
def test_whatever_the_body_is_it_is_refused_in_few_words(
    api: Api, admin: str, lasting: list[Operation], content: bytes
) -> None:
    for operation in lasting:
        answer = operation.send(api.http, admin, content=content, headers={"Content-Type": "application/json"})
        check(answer, operation.name, content[:20])
        if operation.media_type == "application/json":
            assert answer.status_code in {400, 422}, (operation.name, content[:20], answer.text)
            assert len(answer.content) < 30_000


def test_every_other_method_is_refused_with_the_right_ones(api: Api, admin: str, every: list[Operation]) -> None:
    allowed: dict[str, set[str]] = {}
    for operation in every:
        allowed.setdefault(operation.path, set()).add(operation.method)
    for path, methods in allowed.items():
        concrete = re.sub(r"\{[a-z_]+\}", "x", path)
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - methods:
            answer = api.http.request(method, concrete, headers={"Authorization": f"Bearer {admin}"})
            assert answer.status_code in {404, 405}, (method, path)
            if answer.status_code == 405:
                assert set(answer.headers["Allow"].split(", ")) <= methods
            assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.fault(27)
def test_dates_far_away_are_answered(api: Api, admin: str, every: list[Operation]) -> None:
    (snapshots,) = (item for item in every if item.path == "/api/v1/portfolios/{portfolio_id}/snapshots")
    for query, status in (
        ("from=9999-12-31", 200),
        ("to=0001-01-01", 200),
        ("from=0001-01-01&to=9999-12-31", 200),
        ("from=9999-12-31&to=0001-01-01", 422),
        ("from=1704412800", 422),
        ("to=1704412800.5", 422),
        ("from=2024-01-05T00:00:00", 422),
        ("from=10000-01-01", 422),
    ):
        given = dict(part.split("=") for part in query.split("&"))
        assert snapshots.send(api.http, admin, query=given).status_code == status, query
    for date in ("9999-12-31", "0001-01-01", "1704412800"):
        answer = api.post(f"/api/v1/admin/sessions/{date}/waive", admin, json={"reason": "far"})
        assert answer.status_code in {409, 422}, (date, answer.text)
        body = {"first": date, "last": date}
        assert api.post("/api/v1/admin/symbol-batch/run", admin, json=body).status_code == 422
