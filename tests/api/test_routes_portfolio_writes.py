"""Tests of opening, changing and deleting portfolios over HTTP, by JSON and by file, and of their capital flows."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from sigmasight_api.components import Timing
from sigmasight_assets.storage.book_tables import positions
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import require_portfolio
from tests.api.conftest import Api, Serve
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures
from tests.api.writing import (
    AS_OF,
    BOOK,
    CSV,
    HEADER,
    HOUSE,
    LAST,
    LATER,
    LINE,
    LOT,
    PORTFOLIOS,
    listed,
    open_book,
    publish_market,
    send,
    send_text,
    settle,
    stale_from,
    stored,
)
from tests.storage.onboarding_queue import statuses

NOT_POSITIVE = "is not a positive number with at most 4 decimal places"
QUERY = {"name": "Main", "stated_equity": "100000.25", "as_of": AS_OF}


@pytest.fixture
def token(database: Database) -> str:
    return add_token(database, "ann")


def upload(api: Api, token: str, content: str | bytes, *, path: str = f"{PORTFOLIOS}.csv", **query: Any) -> Any:
    data = content if isinstance(content, bytes) else content.encode()
    return api.http.post(
        path, params={**QUERY, **query}, content=data, headers={"Authorization": f"Bearer {token}", **CSV}
    )


class TestOpening:
    def test_a_portfolio_is_stored_told_of_and_analysed_at_once(self, api: Api, database: Database, token: str) -> None:
        publish_market(api, database)
        before = api.get(PORTFOLIOS, token).json()["total"]
        answer = api.post(PORTFOLIOS, token, json={**BOOK, "positions": [LOT, {**LOT, "symbol": "NEWCO"}, HOUSE]})
        assert (before, answer.status_code) == (0, 201)
        made = answer.json()
        assert {
            name: made[name] for name in ("name", "stated_equity", "as_of", "equity", "positions", "stale_from")
        } == {
            "name": "Main",
            "stated_equity": "100000.00",
            "as_of": AS_OF,
            "equity": None,
            "positions": 3,
            "stale_from": AS_OF,
        }
        assert made["pending_symbols"] == ["NEWCO"]
        assert statuses(database) == {"NEWCO": "pending"}
        assert answer.headers["Location"] == f"{PORTFOLIOS}/{made['portfolio_id']}"
        told = {name: made[name] for name in made if name not in ("positions", "pending_symbols")}
        assert api.get(answer.headers["Location"], token).json() == told
        weights = api.get(f"/api/v1/analytics/portfolio/{made['portfolio_id']}/concentration", token).json()
        assert {item["symbol"] for item in weights["excluded"]} == {"NEWCO"}
        by_symbol = {item["symbol"]: item for item in listed(api, token, made["portfolio_id"])}
        assert {symbol: item["status"] for symbol, item in by_symbol.items()} == {
            "AAA": "priced",
            "NEWCO": "unpriced",
            "A house": "private",
        }
        assert by_symbol["AAA"]["quantity"] == "10.0000"

    def test_a_portfolio_without_positions_is_one(self, api: Api, token: str) -> None:
        made = api.post(PORTFOLIOS, token, json=BOOK).json()
        assert (made["positions"], made["pending_symbols"]) == (0, [])

    def test_numbers_of_json_keep_every_digit(self, api: Api, database: Database, token: str) -> None:
        publish_market(api, database)
        lots = [
            f'{{"symbol": "AAA", "quantity": {quantity}, "entry_price": {price}, "entry_date": "{AS_OF}"}}'
            for quantity, price in (("-12345.6789", "99999.9999"), ("1E+2", "1.50000000"))
        ]
        terms = f'"name": "Main", "stated_equity": 1234567890.12345678, "as_of": "{AS_OF}"'
        body = f'{{{terms}, "positions": [{", ".join(lots)}]}}'
        answer = send_text(api, "POST", PORTFOLIOS, token, body)
        assert answer.status_code == 201, answer.text
        with database.begin() as connection:
            rows = connection.execute(sa.select(positions.c.quantity, positions.c.entry_price).order_by("position_id"))
            record = require_portfolio(connection, UUID(answer.json()["portfolio_id"]))
            assert [tuple(row) for row in rows] == [
                (Decimal("-12345.6789"), Decimal("99999.9999")),
                (Decimal(100), Decimal("1.5")),
            ]
        assert record.stated_equity == Decimal("1234567890.12345678")

    @pytest.mark.fault(26)
    @pytest.mark.parametrize(
        "number", ["NaN", "Infinity", "-Infinity", "1e400", "1e-400", "-0", "-0.0", "true", "null"]
    )
    @pytest.mark.parametrize("field", ["stated_equity", "quantity", "entry_price"])
    def test_what_is_no_number_is_refused_by_name(
        self, api: Api, database: Database, token: str, field: str, number: str
    ) -> None:
        numbers = {"stated_equity": "1", "quantity": "1", "entry_price": "1", field: number}
        lot = f'"quantity": {numbers["quantity"]}, "entry_price": {numbers["entry_price"]}, "entry_date": "{AS_OF}"'
        body = (
            f'{{"name": "Main", "stated_equity": {numbers["stated_equity"]}, "as_of": "{AS_OF}", '
            f'"positions": [{{"symbol": "AAA", {lot}}}]}}'
        )
        before = stored(database)
        answer = send_text(api, "POST", PORTFOLIOS, token, body)
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
        assert field in answer.text
        assert stored(database) == before

    @pytest.mark.parametrize(
        "text", ["NaN", "inf", "1e5", "-0", "-0.00", "0x10", "1_000", "", "9" * 40, "1." + "0" * 40]
    )
    @pytest.mark.parametrize("field", ["stated_equity", "quantity", "entry_price"])
    def test_what_is_no_decimal_text_is_refused_by_name(
        self, api: Api, database: Database, token: str, field: str, text: str
    ) -> None:
        lot = {**LOT, **({field: text} if field in LOT else {})}
        terms = {**BOOK, **({field: text} if field in BOOK else {})}
        before = stored(database)
        answer = api.post(PORTFOLIOS, token, json={**terms, "positions": [LOT, lot]})
        assert answer.status_code == 422
        place = ["body", "stated_equity"] if field in BOOK else ["body", "positions", "1"]
        assert answer.json()["errors"][0]["location"][: len(place)] == place
        assert field in answer.json()["detail"]
        assert stored(database) == before

    @pytest.mark.parametrize(
        "change",
        [
            {"name": ""},
            {"name": "  "},
            {"name": "x" * 101},
            {"name": "a\u0000b"},
            {"name": "a\nb"},
            {"name": "\u202eevil"},
            {"name": None},
            {"name": 5},
            {"as_of": "2025-07-19"},
            {"as_of": "2025-08-01"},
            {"as_of": "9999-12-31"},
            {"as_of": "1970-01-02"},
            {"as_of": 1704412800},
            {"as_of": "2025-07-18T00:00"},
            {"stated_equity": "50000000000.01"},
            {"stated_equity": "1.123456789"},
            {"stated_equity": []},
            {"positions": {}},
            {"positions": None},
            {"user": "bob"},
            {"positions": [LOT] * 10_001},
            {"positions": [{**LOT, "symbol": "a" * 10_000}]},
            {"positions": [{**LOT, "symbol": "' OR 1=1--"}]},
            {"positions": [{**LOT, "symbol": "A\u0000"}]},
            {"positions": [{**LOT, "symbol": "AAPL250718C00150000"}]},
            {"positions": [{**LOT, "entry_date": "2025-08-01"}]},
            {"positions": [{**LOT, "entry_date": "1899-12-31"}]},
            {"positions": [{**LOT, "entry_date": "9999-12-31"}]},
            {"positions": [{**LOT, "entry_date": 20250718}]},
            {"positions": [{**LOT, "investment_class": "BONDS"}]},
            {"positions": [{**LOT, "exit_price": "1"}]},
            {"positions": [{**LOT, "notes": "a\nb"}]},
            {"positions": [{**LOT, "notes": "x" * 1_001}]},
            {"positions": [{**LOT, "currency": "USD"}]},
            {"positions": [{**LOT, "market_value": "1", "valued_on": AS_OF}]},
            {"positions": [{**HOUSE, "market_value": "-1"}]},
            {"positions": [{**HOUSE, "quantity": "-1"}]},
            {"positions": [{**LOT, "quantity": "50000001", "entry_price": "1000"}]},
            {"positions": [{**LOT, "symbol": "UNHEARD", "quantity": "1000001"}]},
        ],
        ids=lambda change: str(change)[:60],
    )
    def test_what_cannot_be_is_refused_and_nothing_is_stored(
        self, api: Api, database: Database, token: str, change: dict[str, Any]
    ) -> None:
        before = stored(database)
        answer = api.post(PORTFOLIOS, token, json={**BOOK, **change})
        assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json"), answer.text
        assert len(answer.content) < 5_000
        assert stored(database) == before

    @pytest.mark.parametrize(
        "body",
        ["", "{", "[]", "null", "5", '"x"', "NaN", '{"name": "\\ud800"}', '{"name": "a", "name": "b"}', "[" * 100_000],
        ids=lambda body: body[:20],
    )
    def test_what_is_no_document_is_refused(self, api: Api, database: Database, token: str, body: str) -> None:
        before = stored(database)
        answer = send_text(api, "POST", PORTFOLIOS, token, body)
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert stored(database) == before

    @pytest.mark.parametrize("place", ["name", "symbol", "notes", "entry_date", "investment_class", "quantity"])
    def test_half_a_surrogate_pair_is_refused_wherever_there_is_text(
        self, api: Api, database: Database, token: str, place: str
    ) -> None:
        half = '"20\\ud80025-07"' if place == "entry_date" else '"\\ud800"'
        texts = {"name": '"Main"', "symbol": '"A house"', "notes": '""', "entry_date": f'"{AS_OF}"', "quantity": '"1"'}
        texts = {**texts, "investment_class": '"PRIVATE"', place: half}
        lot = ", ".join(f'"{name}": {text}' for name, text in texts.items() if name != "name")
        body = (
            f'{{"name": {texts["name"]}, "stated_equity": 1, "as_of": "{AS_OF}", '
            f'"positions": [{{{lot}, "market_value": 1, "valued_on": "{AS_OF}"}}]}}'
        )
        before = stored(database)
        assert send_text(api, "POST", PORTFOLIOS, token, body).status_code == 422
        assert stored(database) == before

    def test_every_wrong_position_is_named(self, api: Api, token: str) -> None:
        wrong = [{**LOT, "quantity": "0"}, LOT, {**LOT, "symbol": "aaa", "exit_price": "-1"}]
        answer = api.post(PORTFOLIOS, token, json={**BOOK, "positions": wrong})
        assert answer.json()["errors"] == [
            {"location": ["body", "positions", "0"], "message": "quantity is zero"},
            {"location": ["body", "positions", "2"], "message": "symbol 'aaa' is not a ticker"},
            {
                "location": ["body", "positions", "2"],
                "message": "exit_price '-1' is not a positive number with at most 4 decimal places",
            },
        ]
        assert answer.json()["detail"].endswith("decimal places. Nothing was stored")

    def test_a_name_is_taken_once_by_an_owner(self, api: Api, database: Database, token: str) -> None:
        open_book(api, token)
        answer = api.post(PORTFOLIOS, token, json={**BOOK, "name": " Main "})
        assert (answer.status_code, answer.json()["detail"]) == (
            409,
            "There is a portfolio named 'Main' already; choose another name",
        )
        open_book(api, add_token(database, "bob"))

    def test_a_date_that_is_no_session_is_told_with_its_neighbours(self, api: Api, token: str) -> None:
        answer = api.post(PORTFOLIOS, token, json={**BOOK, "as_of": "2025-07-20"})
        assert answer.json()["detail"].endswith("the nearest are 2025-07-18 and 2025-07-21")


class TestRepeating:
    def test_a_named_request_is_done_once(self, api: Api, database: Database, token: str) -> None:
        first = send(api, "POST", PORTFOLIOS, token, key="k-1", json={**BOOK, "positions": [LOT]})
        before = stored(database)
        again = send(api, "POST", PORTFOLIOS, token, key="k-1", json={**BOOK, "positions": [LOT]})
        assert (first.status_code, again.status_code) == (201, 201)
        assert (again.content, again.headers["Location"]) == (first.content, first.headers["Location"])
        assert stored(database) == before

    def test_at_once_it_is_done_once_too(self, api: Api, token: str) -> None:
        portfolio = open_book(api, token)

        def attempt(_: int) -> bytes:
            path = f"{PORTFOLIOS}/{portfolio}/positions"
            answer = send(api, "POST", path, token, key="same", json={"positions": [LOT, LOT]})
            assert answer.status_code == 201
            return answer.content

        with ThreadPoolExecutor(6) as pool:
            assert len(set(pool.map(attempt, range(12)))) == 1
        assert len(listed(api, token, portfolio)) == 2

    def test_without_a_name_it_is_done_again(self, api: Api, token: str) -> None:
        portfolio = open_book(api, token)
        for _ in range(2):
            assert api.post(f"{PORTFOLIOS}/{portfolio}/positions", token, json={"positions": [LOT]}).status_code == 201
        assert len(listed(api, token, portfolio)) == 2

    def test_a_name_is_that_of_one_request_of_one_user(self, api: Api, database: Database, token: str) -> None:
        first = send(api, "POST", PORTFOLIOS, token, key="k-1", json=BOOK)
        other = send(api, "POST", PORTFOLIOS, token, key="k-1", json={**BOOK, "name": "Other"})
        assert (other.status_code, other.json()["detail"]) == (
            409,
            "The key 'k-1' was used for a different request; choose another",
        )
        bobs = send(api, "POST", PORTFOLIOS, add_token(database, "bob"), key="k-1", json=BOOK)
        assert bobs.json()["portfolio_id"] != first.json()["portfolio_id"]

    def test_a_refused_request_keeps_its_name_free(self, api: Api, token: str) -> None:
        assert send(api, "POST", PORTFOLIOS, token, key="k", json={**BOOK, "as_of": "2025-07-20"}).status_code == 422
        assert send(api, "POST", PORTFOLIOS, token, key="k", json=BOOK).status_code == 201

    @pytest.mark.parametrize("key", ["", "x" * 101, "a b"])
    def test_a_name_is_of_visible_characters(self, api: Api, database: Database, token: str, key: str) -> None:
        before = stored(database)
        assert send(api, "POST", PORTFOLIOS, token, key=key, json=BOOK).status_code == 422
        assert stored(database) == before


class TestFiles:
    @pytest.mark.parametrize("path", [f"{PORTFOLIOS}.csv", PORTFOLIOS])
    def test_a_file_becomes_a_portfolio(self, api: Api, database: Database, token: str, path: str) -> None:
        publish_market(api, database)
        answer = upload(api, token, f"\ufeff{HEADER},notes\n{LINE},kept\nNEWCO,-1,1,{LATER},\n", path=path)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["stated_equity"], made["positions"], made["pending_symbols"]) == ("100000.25", 2, ["NEWCO"])
        assert [
            (item["symbol"], item["quantity"], item["notes"]) for item in listed(api, token, made["portfolio_id"])
        ] == [
            ("AAA", "10.0000", "kept"),
            ("NEWCO", "-1.0000", None),
        ]

    @pytest.mark.parametrize("suffix", [".csv", ""])
    def test_a_file_is_added_to_a_portfolio(self, api: Api, database: Database, token: str, suffix: str) -> None:
        portfolio = open_book(api, token, LOT)
        settle(database)
        path = f"{PORTFOLIOS}/{portfolio}/positions{suffix}"
        answer = upload(api, token, f"{HEADER}\nBBB,1,1,{LATER}\nCCC,1,1,{LAST}\n", path=path)
        assert (answer.status_code, answer.json()) == (
            201,
            {
                "portfolio_id": portfolio,
                "positions": 2,
                "stale_from": LATER,
                "pending_symbols": ["BBB", "CCC"],
            },
        )
        assert [item["symbol"] for item in listed(api, token, portfolio)] == ["AAA", "BBB", "CCC"]

    @pytest.mark.fault(30)
    def test_a_dry_run_tells_what_would_be_stored(self, api: Api, database: Database, token: str) -> None:
        publish_market(api, database)
        portfolio = open_book(api, token)
        before = stored(database)
        content = f"{HEADER}\n{LINE}\nNEWCO,1,1,{LATER}\n"
        told = {"positions": 2, "problems": [], "problems_total": 0, "pending_symbols": ["NEWCO"]}
        for path in (f"{PORTFOLIOS}.csv", f"{PORTFOLIOS}/{portfolio}/positions.csv"):
            answer = upload(api, token, content, path=path, name="Other", dry_run="true")
            assert (answer.status_code, answer.json()) == (200, told)
        assert upload(api, token, content, dry_run="true").status_code == 409
        assert stored(database) == before

    @pytest.mark.fault(30)
    @pytest.mark.parametrize(
        ("content", "problems"),
        [
            (f"{HEADER}\n{LINE}\naaa,0,1,{AS_OF}\n", [(3, "symbol 'aaa' is not a ticker"), (3, "quantity is zero")]),
            (f"{HEADER}\nAAA,10,12.5\n", [(2, "3 cells, the header names 4")]),
            (f"{HEADER},symbol\n{LINE},AAA\n", [(1, "the column symbol stands there twice")]),
            (f"{HEADER},x\r\nX-Evil: 1\r\n", [(1, "the column 'x' is not known")]),
            (
                "symbol;quantity\nAAA;1\n",
                [(1, "the columns are separated by ';'; save the file with commas between them")],
            ),
            (
                f'{HEADER}\nAAA,10,"12,5",{AS_OF}\n',
                [
                    (2, f"entry_price '12,5' {NOT_POSITIVE}; write it like 1000.50, without commas"),
                ],
            ),
            (
                f"{HEADER},investment_class\nAAA250719C00150000,1,1,{LATER},OPTIONS\n",
                [(2, f"expiry 2025-07-19 is before entry_date {LATER}")],
            ),
            (
                f"{HEADER},investment_class\nA house,1,,{AS_OF},PRIVATE\n",
                [(2, "market_value is missing"), (2, "valued_on is missing")],
            ),
            (
                f"{HEADER},investment_class\nA house,1,,{AS_OF},PRIVAT\n",
                [(2, "investment_class 'PRIVAT' is not PUBLIC, OPTIONS or PRIVATE")],
            ),
            ("\n", [(None, "the first line must name symbol, quantity, entry_price, entry_date")]),
        ],
    )
    def test_every_wrong_line_is_named_dry_or_not(
        self, api: Api, database: Database, token: str, content: str, problems: list[tuple[int | None, str]]
    ) -> None:
        before = stored(database)
        report = upload(api, token, content, dry_run="true")
        assert report.status_code == 200
        assert (report.json()["positions"], report.json()["problems_total"]) == (0, len(problems))
        assert [(item["line"], item["message"]) for item in report.json()["problems"]] == problems
        refused = upload(api, token, content)
        assert refused.status_code == 422
        assert refused.json()["errors"] == [
            {"location": ["body"] if line is None else ["body", f"line {line}"], "message": message}
            for line, message in problems
        ]
        assert stored(database) == before

    def test_a_file_is_no_single_position(self, api: Api, token: str) -> None:
        assert upload(api, token, f"{HEADER}\n{LINE}\n", path="/api/v1/positions").status_code == 422

    def test_another_encoding_is_refused_with_its_place(self, api: Api, token: str) -> None:
        answer = upload(api, token, f"{HEADER},notes\n{LINE},Z\u00fcrich\n".encode("cp1252"))
        assert (answer.status_code, answer.json()["errors"]) == (
            422,
            [
                {
                    "location": ["body", "line 2"],
                    "message": f"byte {len(HEADER) + len(LINE) + 9} cannot be read; save the file as UTF-8",
                }
            ],
        )

    @pytest.mark.fault(30)
    def test_too_many_lines_are_counted(self, api: Api, database: Database, token: str) -> None:
        before = stored(database)
        answer = upload(api, token, f"{HEADER}\n" + f"{LINE}\n" * 250_000)
        assert answer.status_code == 422
        assert "250000 positions, at most 10000 are read" in answer.json()["detail"]
        assert stored(database) == before

    @pytest.mark.fault(30)
    def test_no_more_problems_are_named_than_help(self, api: Api, token: str) -> None:
        content = f"{HEADER}\n" + "aaa,0,0,2025\n" * 3_000
        report = upload(api, token, content, dry_run="true").json()
        assert (len(report["problems"]), report["problems_total"]) == (1_000, 12_000)
        refused = upload(api, token, content).json()
        assert len(refused["errors"]) == 100
        assert "and 11,995 more" in refused["detail"]

    @pytest.mark.parametrize("missing", ["name", "stated_equity", "as_of"])
    def test_the_terms_of_the_portfolio_are_needed(self, api: Api, token: str, missing: str) -> None:
        answer = upload(api, token, f"{HEADER}\n{LINE}\n", **{missing: ""})
        assert answer.status_code == 422
        assert missing in answer.json()["detail"]


class TestChanging:
    def test_another_name_changes_nothing_else(self, api: Api, database: Database, token: str) -> None:
        portfolio = open_book(api, token, LOT)
        settle(database)
        before = api.get(f"{PORTFOLIOS}/{portfolio}", token).json()
        answer = send(api, "PATCH", f"{PORTFOLIOS}/{portfolio}", token, json={"name": "Renamed"})
        assert (answer.status_code, answer.json()) == (200, {**before, "name": "Renamed"})

    def test_a_name_that_is_taken_is_refused(self, api: Api, token: str) -> None:
        portfolio = open_book(api, token)
        open_book(api, token, name="Other")
        answer = send(api, "PATCH", f"{PORTFOLIOS}/{portfolio}", token, json={"name": "Other", "stated_equity": 5})
        assert answer.status_code == 409
        assert api.get(f"{PORTFOLIOS}/{portfolio}", token).json()["stated_equity"] == "100000.00"

    def test_another_equity_makes_all_snapshots_stale(self, api: Api, database: Database, token: str) -> None:
        portfolio = open_book(api, token)
        settle(database)
        answer = send(api, "PATCH", f"{PORTFOLIOS}/{portfolio}", token, json={"stated_equity": "-5.005"})
        assert (answer.json()["stated_equity"], answer.json()["stale_from"]) == ("-5.00", AS_OF)

    def test_a_later_first_session_deletes_what_was_published_before_it(
        self, api: Api, database: Database, token: str
    ) -> None:
        record = add_portfolio(database, "ann", {"AAA": "1"})
        other = add_portfolio(database, "ann", {"AAA": "1"}, name="Other")
        for session in (SESSIONS[0], SESSIONS[3], SESSIONS[4]):
            for book in (record, other):
                publish_snapshot(database, book, session, Decimal(1))
        settle(database)
        path = f"{PORTFOLIOS}/{record.public_id}"
        answer = send(api, "PATCH", path, token, json={"as_of": LATER})
        assert (answer.json()["as_of"], answer.json()["stale_from"]) == (LATER, LATER)
        kept = api.get(f"{path}/snapshots", token).json()["items"]
        assert [item["session"] for item in kept] == [LATER]
        assert api.get(f"{PORTFOLIOS}/{other.public_id}/snapshots", token).json()["total"] == 3

    @pytest.mark.parametrize(
        "patch",
        [{}, [], {"as_of": "2025-07-20"}, {"name": ""}, {"stated_equity": "NaN"}, {"created_at": "now"}, {"as_of": 5}],
        ids=str,
    )
    def test_what_changes_nothing_or_cannot_be_is_refused(
        self, api: Api, database: Database, token: str, patch: Any
    ) -> None:
        portfolio = open_book(api, token)
        before = stored(database)
        assert send(api, "PATCH", f"{PORTFOLIOS}/{portfolio}", token, json=patch).status_code == 422
        assert stored(database) == before

    def test_deleting_leaves_nothing_of_it(self, api: Api, database: Database, token: str) -> None:
        kept = add_portfolio(database, "ann", {"AAA": "1"}, name="Kept")
        publish_snapshot(database, kept, SESSIONS[0], Decimal(1))
        before = [item for item in stored(database) if item[0] not in ("publications", "symbol_onboarding_queue")]
        portfolio = open_book(api, token, LOT, HOUSE)
        with database.begin() as connection:
            record = require_portfolio(connection, UUID(portfolio))
        publish_snapshot(database, record, SESSIONS[0], Decimal(1))
        flow = {"flow_date": LATER, "amount": "5"}
        assert api.post(f"{PORTFOLIOS}/{portfolio}/capital-flows", token, json=flow).status_code == 201
        answer = send(api, "DELETE", f"{PORTFOLIOS}/{portfolio}", token)
        assert (answer.status_code, answer.content) == (204, b"")
        after = [item for item in stored(database) if item[0] not in ("publications", "symbol_onboarding_queue")]
        assert after == before
        assert api.get(f"{PORTFOLIOS}/{portfolio}", token).status_code == 404
        assert send(api, "DELETE", f"{PORTFOLIOS}/{portfolio}", token).status_code == 404

    def test_an_earlier_first_session_must_leave_the_lots_within_their_limits(
        self, api: Api, database: Database, token: str
    ) -> None:
        publish_market(api, database)
        sold = {**LOT, "symbol": "NEW", "quantity": "1000000000", "exit_price": "1", "exit_date": LATER}
        portfolio = open_book(api, token, sold, as_of=LATER)
        before = stored(database)
        refused = send(api, "PATCH", f"{PORTFOLIOS}/{portfolio}", token, json={"as_of": AS_OF})
        assert refused.status_code == 422
        assert "Of symbols without a price yet (NEW)" in refused.json()["detail"]
        assert stored(database) == before


class TestFlows:
    def test_a_flow_is_added_listed_and_taken_back(self, api: Api, database: Database, token: str) -> None:
        portfolio = open_book(api, token)
        path = f"{PORTFOLIOS}/{portfolio}/capital-flows"
        settle(database)
        made = [
            api.post(path, token, json={"flow_date": day, "amount": amount})
            for day, amount in ((LAST, "-250.255"), (LATER, 1000))
        ]
        assert [answer.status_code for answer in made] == [201, 201]
        assert stale_from(database) == LATER
        late, early = (answer.json() for answer in made)
        assert (late["flow_date"], late["amount"], early["amount"]) == (LAST, "-250.26", "1000.00")
        assert api.get(path, token).json() == {"items": [early, late], "total": 2}
        assert api.get(f"{path}?limit=1&offset=1", token).json() == {"items": [late], "total": 2}
        settle(database)
        assert send(api, "DELETE", f"{path}/{late['flow_id']}", token).status_code == 204
        assert stale_from(database) == LAST
        again = send(api, "DELETE", f"{path}/{late['flow_id']}", token)
        assert (again.status_code, again.json()["detail"]) == (404, "There is no such capital flow.")
        assert api.get(path, token).json()["total"] == 1

    def test_a_repeated_flow_counts_once(self, api: Api, token: str) -> None:
        path = f"{PORTFOLIOS}/{open_book(api, token)}/capital-flows"
        answers = {
            send(api, "POST", path, token, key="f", json={"flow_date": LATER, "amount": 1}).text for _ in range(3)
        }
        assert len(answers) == 1
        assert api.get(path, token).json()["total"] == 1

    @pytest.mark.parametrize(
        ("flow", "problem"),
        [
            ({"amount": "0"}, "amount is zero"),
            ({"amount": "50000000000"}, "Equity and capital flows would come to more than 50,000,000,000 USD"),
            ({"flow_date": AS_OF}, f"flow_date {AS_OF} is not after {AS_OF}"),
            ({"flow_date": "2025-08-01"}, "flow_date 2025-08-01 is in the future"),
            ({"flow_date": "9999-12-31"}, "flow_date 9999-12-31 is in the future"),
            ({"flow_date": None}, "flow_date"),
            ({"amount": True}, "amount"),
            ({"amount": "1.123456789"}, "amount"),
            ({"currency": "EUR"}, "currency"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, api: Api, database: Database, token: str, flow: dict[str, Any], problem: str
    ) -> None:
        path = f"{PORTFOLIOS}/{open_book(api, token)}/capital-flows"
        before = stored(database)
        answer = api.post(path, token, json={"flow_date": LATER, "amount": "5", **flow})
        assert answer.status_code == 422
        assert problem in answer.json()["detail"]
        assert stored(database) == before


class TestWhileThereIsNoView:
    def test_more_writes_than_connections_do_not_wait_for_each_other(self, serve: Serve, database: Database) -> None:
        """Each takes a connection, and then needs a view, which has to be read."""
        publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
        token = add_token(database, "ann")
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE symbol_exclusions RENAME TO away")
        try:
            with serve(mode="db_fallback", timing=Timing(poll_seconds=3600.0, retry_seconds=3600.0)) as api:
                with database.begin() as connection:
                    connection.exec_driver_sql("ALTER TABLE away RENAME TO symbol_exclusions")

                def create(number: int) -> int:
                    body = {**BOOK, "name": f"Book {number}", "positions": [LOT]}
                    return api.post(PORTFOLIOS, token, json=body).status_code

                with ThreadPoolExecutor(40) as pool:
                    assert set(pool.map(create, range(40))) == {201}
                assert api.get("/health/ready").json()["mode"] == "db_fallback"
        finally:
            with database.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE IF EXISTS away RENAME TO symbol_exclusions")


class TestStrangers:
    def test_nobody_changes_what_is_somebody_elses(self, api: Api, database: Database, token: str) -> None:
        bob = add_token(database, "bob")
        portfolio = open_book(api, bob, LOT, HOUSE)
        flow = api.post(f"{PORTFOLIOS}/{portfolio}/capital-flows", bob, json={"flow_date": LATER, "amount": 5}).json()
        own = open_book(api, token)
        before = stored(database)
        unknown = "00000000-0000-0000-0000-000000000000"
        answers = []
        for wanted in (portfolio, unknown, "x", "%00", "' OR 1=1--"):
            path = f"{PORTFOLIOS}/{wanted}"
            answers += [
                send(api, "PATCH", path, token, json={"name": "Mine", "as_of": LATER}),
                send(api, "DELETE", path, token),
                api.post(f"{path}/positions", token, json={"positions": [LOT]}),
                upload(api, token, f"{HEADER}\n{LINE}\n", path=f"{path}/positions.csv"),
                upload(api, token, f"{HEADER}\n{LINE}\n", path=f"{path}/positions.csv", dry_run="true"),
                api.get(f"{path}/capital-flows", token),
                api.post(f"{path}/capital-flows", token, json={"flow_date": LATER, "amount": 5}),
                send(api, "DELETE", f"{path}/capital-flows/{flow['flow_id']}", token),
                api.post("/api/v1/positions", token, json={**LOT, "portfolio_id": wanted}),
                api.get(f"{path}/positions.csv", token),
                api.get(f"{path}/snapshots.csv", token),
            ]
        assert {answer.status_code for answer in answers} == {404}
        assert {answer.content for answer in answers} == {answers[0].content}
        assert answers[0].json()["detail"] == "There is no such portfolio."
        foreign = [
            send(api, "DELETE", f"{PORTFOLIOS}/{own}/capital-flows/{wanted}", token)
            for wanted in (flow["flow_id"], unknown, "x")
        ]
        assert {(answer.status_code, answer.content) for answer in foreign} == {(404, foreign[0].content)}
        assert stored(database) == before

    def test_a_token_comes_before_everything(self, api: Api, database: Database) -> None:
        before = stored(database)
        for path in (PORTFOLIOS, f"{PORTFOLIOS}.csv", "/api/v1/positions"):
            assert api.post(path, None, content=b"x" * 1_000).status_code == 401
        assert stored(database) == before
