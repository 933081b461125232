"""Tests of access: every route of the application, with every kind of token and with every id that is not one's own."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.book_tables import api_tokens, portfolios, users
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA
from sigmasight_assets.storage.portfolios import PortfolioRecord
from sigmasight_assets.storage.tokens import revoke_token
from tests.api.conftest import Api
from tests.api.market import NOW, add_portfolio, add_token, delete_portfolio
from tests.api.operations import PUBLIC, TABLES_OF_IDS, Operation, operations
from tests.contents import contents

MALFORMED = "no-uuid"


@pytest.fixture
def every(api: Api) -> list[Operation]:
    return operations(api.app)


def newest_token(database: Database) -> int:
    with database.begin() as connection:
        return int(connection.execute(sa.select(sa.func.max(api_tokens.c.token_id))).scalar_one())


def refused_headers(database: Database, user: str, *, is_admin: bool) -> dict[str, dict[str, str]]:
    """Headers that must open nothing, beside a token of the user that would."""
    valid = add_token(database, user, is_admin=is_admin)
    expired = add_token(database, user, is_admin=is_admin, expires_at=datetime.fromisoformat(NOW))
    revoked = add_token(database, user, is_admin=is_admin)
    with database.begin() as connection:
        revoke_token(connection, newest_token(database))
    of_nobody = add_token(database, "gone", is_admin=is_admin)
    with database.begin() as connection:
        connection.execute(sa.delete(users).where(users.c.name == "gone"))
    values = {
        "empty": "",
        "scheme alone": "Bearer",
        "bare": valid,
        "basic": f"Basic {valid}",
        "truncated": f"Bearer {valid[:-1]}",
        "extended": f"Bearer {valid}x",
        "another case": f"Bearer {valid.swapcase()}",
        "twice": f"Bearer {valid}, Bearer {valid}",
        "injected": "Bearer ' OR 1=1--",
        "long": f"Bearer {'x' * 10_000}",
        "expired": f"Bearer {expired}",
        "revoked": f"Bearer {revoked}",
        "of nobody": f"Bearer {of_nobody}",
        "hash": f"Bearer {stored_hash(database)}",
    }
    named = {name: {"Authorization": value} for name, value in values.items()}
    elsewhere = {
        "Cookie": f"token={valid}; Authorization=Bearer {valid}",
        "X-API-Key": valid,
        "Proxy-Authorization": valid,
    }
    return {"none": {}, **named, "elsewhere": elsewhere}


def stored_hash(database: Database) -> str:
    with database.begin() as connection:
        return bytes(connection.execute(sa.select(api_tokens.c.token_hash).limit(1)).scalar_one()).hex()


@pytest.mark.fault(23)
def test_only_what_is_listed_is_public(every: list[Operation]) -> None:
    assert {item.path for item in every if not item.is_callers} == PUBLIC
    assert {item.path for item in every if item.is_public} == PUBLIC
    assert all(item.is_admins == item.path.startswith("/api/v1/admin/") for item in every)
    assert len(every) > 25


@pytest.mark.fault(23)
def test_no_route_but_the_public_ones_opens_without_a_valid_token(
    api: Api, database: Database, every: list[Operation]
) -> None:
    before = contents(database)
    headers = refused_headers(database, "ann", is_admin=True)
    tokens = contents(database)
    bodies = set()
    for operation in every:
        if operation.is_public:
            continue
        for kind, given in headers.items():
            answer = operation.send(api.http, headers=given)
            assert answer.status_code == 401, (operation.name, kind)
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="sigmasight"'
            bodies.add(answer.text)
    # One says how to send a token; all others are the same, whatever is wrong.
    assert len(bodies) == 2
    assert contents(database) == tokens != before


@pytest.mark.fault(23)
def test_a_token_in_the_query_is_no_token_anywhere(api: Api, database: Database, every: list[Operation]) -> None:
    token = add_token(database, "ann", is_admin=True)
    names = ("token", "access_token", "authorization", "Authorization", "api_key", "apikey", "bearer")
    for operation in every:
        if not operation.is_public:
            query = {**operation.parameters("query"), **dict.fromkeys(names, token)}
            assert operation.send(api.http, query=query).status_code == 401, operation.name


def test_public_routes_take_any_token_and_tell_nothing_of_it(
    api: Api, database: Database, every: list[Operation]
) -> None:
    for operation in every:
        if operation.is_public:
            answers = [operation.send(api.http, token) for token in (None, "wrong", add_token(database, "ann"))]
            assert {answer.status_code for answer in answers} == {200}, operation.name
            assert len({answer.text for answer in answers}) == 1


@pytest.mark.fault(23, 24)
def test_operators_routes_are_closed_to_owners_and_open_to_admins(
    api: Api, database: Database, every: list[Operation]
) -> None:
    owner, admin = add_token(database, "ann"), add_token(database, "root", is_admin=True)
    before = contents(database)
    closed = [item for item in every if item.is_admins]
    for operation in closed:
        answer = operation.send(api.http, owner)
        assert answer.status_code == 403, operation.name
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert contents(database) == before
    for operation in every:
        if not operation.is_public:
            assert operation.send(api.http, admin).status_code not in {401, 403}, operation.name


@pytest.mark.fault(23)
def test_the_caller_is_known_before_anything_else_is_looked_at(
    api: Api, database: Database, every: list[Operation]
) -> None:
    owner = add_token(database, "ann")
    for operation in every:
        if operation.is_public:
            continue
        path = dict.fromkeys(operation.parameters("path"), MALFORMED)
        query = dict.fromkeys(operation.query_types(), "\N{GRINNING FACE}")
        wrong: dict[str, Any] = {"path": path, "query": query, "content": b'{"a": NaN, '}
        assert operation.send(api.http, **wrong).status_code == 401, operation.name
        if operation.is_admins:
            assert operation.send(api.http, owner, **wrong).status_code == 403, operation.name


def test_the_document_says_which_routes_need_a_token(every: list[Operation]) -> None:
    for operation in every:
        if operation.is_callers:
            assert operation.described["security"] == [{"HTTPBearer": []}], operation.name
            assert {"401", "503"} <= operation.described["responses"].keys(), operation.name
            assert ("403" in operation.described["responses"]) is operation.is_admins, operation.name


@pytest.mark.fault(23)
def test_an_expiry_holds_to_the_second(api: Api, database: Database) -> None:
    now = datetime.fromisoformat(NOW).astimezone(UTC)
    for seconds, status in ((-1, 401), (0, 401), (1, 200)):
        token = add_token(database, "ann", expires_at=now + timedelta(seconds=seconds))
        assert api.get("/api/v1/portfolios", token).status_code == status


@pytest.mark.fault(23)
def test_a_revocation_holds_at_once(api: Api, database: Database) -> None:
    token = add_token(database, "ann")
    assert api.get("/api/v1/portfolios", token).status_code == 200
    with database.begin() as connection:
        revoke_token(connection, newest_token(database))
    assert api.get("/api/v1/portfolios", token).status_code == 401


@pytest.mark.fault(23)
def test_tokens_are_stored_as_hashes_alone(database: Database) -> None:
    token = add_token(database, "ann")
    secret = token.removeprefix("sgm_")
    assert not [row for _, row in contents(database) if token in row or secret in row]


class Ids:
    """Public ids by the names of parameters: ann's, bob's, and what nobody has."""

    def __init__(
        self, database: Database, mine: PortfolioRecord, theirs: PortfolioRecord, gone: PortfolioRecord
    ) -> None:
        self.mine = _ids_below(database, mine)
        self.theirs = _ids_below(database, theirs)
        self.gone = _ids_below(database, gone)
        delete_portfolio(database, gone.public_id)

    def of_others(self, name: str) -> dict[str, str]:
        """Every kind of id that must look like one that never was."""
        return {
            "theirs": self.theirs[name],
            "deleted": self.gone[name],
            "guessed": str(uuid4()),
            "near": self.theirs[name][:-1] + ("0" if self.theirs[name][-1] != "0" else "1"),
            "malformed": MALFORMED,
            "other spelling": self.theirs[name].upper(),
            "of another kind": self.theirs["position_id" if name != "position_id" else "portfolio_id"],
        }


def _ids_below(database: Database, portfolio: PortfolioRecord) -> dict[str, str]:
    """The public id of a portfolio, and of one row of each table that belongs to it."""
    found = {"portfolio_id": str(portfolio.public_id)}
    with database.begin() as connection:
        for name, table_name in TABLES_OF_IDS.items():
            table = METADATA.tables[table_name]
            if "public_id" in table.c:
                rows = sa.select(table.c.public_id).where(table.c.portfolio_id == portfolio.portfolio_id)
                found[name] = str(connection.execute(rows).scalars().first() or uuid4())
    return found


@pytest.fixture
def ids(database: Database) -> Ids:
    mine = add_portfolio(database, "ann", {"AAA": "1"}, name="Mine")
    theirs = add_portfolio(database, "bob", {"THEIRS": "1234.5"}, name="Marked theirs", equity="98765")
    gone = add_portfolio(database, "ann", {"AAA": "1"}, name="Gone")
    return Ids(database, mine, theirs, gone)


Send = Callable[[Operation, str], Any]


def ways_to_ask(operation: Operation, ids: Ids) -> Iterator[tuple[str, Callable[[str], Mapping[str, Any]]]]:
    """Each place in which the operation takes an id, and the request with an id there and ann's own elsewhere."""
    path = {name: ids.mine[name] for name in operation.parameters("path") if name in ids.mine}
    query = {name: _as_given(name, ids.mine) for name in operation.query_types() if _kind(name) in ids.mine}
    body = operation.body()
    own = (
        {name: _as_given(name, ids.mine) for name in body if _kind(name) in ids.mine} if isinstance(body, dict) else {}
    )
    json = {"json": {**body, **own}} if own else {}
    whole: dict[str, Any] = {"path": path, "query": query, **json}
    for place, names in (("path", path), ("query", query), ("json", own)):
        for name in names:
            yield (
                _kind(name),
                lambda value, place=place, name=name: {  # type: ignore[misc]
                    **whole,
                    place: {**whole[place], name: [value] if name.endswith("s") else value},
                },
            )


def _kind(name: str) -> str:
    return name.removesuffix("s")


def _as_given(name: str, ids: Mapping[str, str]) -> Any:
    return [ids[_kind(name)]] if name.endswith("s") else ids[_kind(name)]


def test_every_parameter_that_is_an_id_is_known_here(every: list[Operation]) -> None:
    for operation in every:
        named = {name for name in operation.parameters("path") if name.endswith("_id")}
        assert named <= set(TABLES_OF_IDS), operation.name


@pytest.mark.fault(24)
def test_what_is_not_ones_own_is_what_never_was_on_every_route(
    api: Api, database: Database, every: list[Operation], ids: Ids
) -> None:
    token = add_token(database, "ann")
    before = contents(database)
    asked = 0
    for operation in every:
        if operation.is_public or operation.is_admins:
            continue
        for kind, request in ways_to_ask(operation, ids):
            asked += 1
            bodies = set()
            for meaning, value in ids.of_others(kind).items():
                answer = operation.send(api.http, token, **request(value))
                assert answer.status_code == 404, (operation.name, kind, meaning, answer.text)
                assert answer.headers["Content-Type"] == "application/problem+json"
                bodies.add(answer.text)
            assert len(bodies) == 1, operation.name
    assert asked >= 5
    assert contents(database) == before


@pytest.mark.fault(24)
def test_nothing_of_another_owner_is_in_any_answer(
    api: Api, database: Database, every: list[Operation], ids: Ids
) -> None:
    token = add_token(database, "ann")
    marks = ["Marked theirs", "THEIRS", "1234.5", "98765", "bob", *ids.theirs.values()]
    for operation in every:
        if operation.method == "GET" and operation.is_callers and not operation.is_admins:
            path = {name: ids.mine[name] for name in operation.parameters("path") if name in ids.mine}
            answer = operation.send(api.http, token, path=path)
            assert answer.status_code in {200, 404}, (operation.name, answer.text)
            assert not [mark for mark in marks if mark in answer.text], operation.name


@pytest.mark.fault(24)
def test_admins_see_owners_portfolios_no_more_than_anybody(api: Api, database: Database, ids: Ids) -> None:
    admin = add_token(database, "root", is_admin=True)
    assert api.get(f"/api/v1/portfolios/{ids.mine['portfolio_id']}", admin).status_code == 404
    assert api.get("/api/v1/portfolios", admin).json() == {"items": [], "total": 0}
    with database.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(portfolios)).scalar_one() == 2
