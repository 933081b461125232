"""Tests of adding, correcting, closing and deleting positions over HTTP, and of valuations of private ones."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_split, add_token
from tests.api.writing import (
    AS_OF,
    HOUSE,
    LAST,
    LATER,
    LOT,
    PORTFOLIOS,
    POSITIONS,
    listed,
    open_book,
    publish_market,
    send,
    settle,
    stale_from,
    stored,
)
from tests.storage.onboarding_queue import statuses

CALL = {**LOT, "symbol": "AAA   250725C00150000", "investment_class": "OPTIONS"}
NEXT = str(SESSIONS[1])


@pytest.fixture
def token(database: Database) -> str:
    return add_token(database, "ann")


@pytest.fixture
def portfolio(api: Api, token: str) -> str:
    return open_book(api, token)


def add(api: Api, token: str, portfolio: str, lot: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A position that was added."""
    answer = api.post(POSITIONS, token, json={**lot, **changes, "portfolio_id": portfolio})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def patch(api: Api, token: str, position: dict[str, Any], **changes: Any) -> Any:
    return send(api, "PATCH", f"{POSITIONS}/{position['position_id']}", token, json=changes)


class TestAdding:
    def test_a_position_is_stored_and_counts_at_once(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        publish_market(api, database)
        path = f"/api/v1/analytics/portfolio/{portfolio}/concentration"
        assert api.get(path, token).json()["data"]["herfindahl"] is None
        settle(database)
        answer = api.post(
            POSITIONS, token, json={**LOT, "entry_date": LATER, "notes": " mine ", "portfolio_id": portfolio}
        )
        assert answer.status_code == 201
        assert answer.headers["Location"] == f"{POSITIONS}/{answer.json()['position_id']}"
        made = answer.json()
        assert {name: made[name] for name in made if name != "position_id"} == {
            "symbol": "AAA",
            "investment_class": "PUBLIC",
            "quantity": "10.0000",
            "units_date": LATER,
            "entry_price": "12.5000",
            "entry_date": LATER,
            "exit_price": None,
            "exit_date": None,
            "market_value": None,
            "valued_on": None,
            "notes": "mine",
            "portfolio_id": portfolio,
            "stale_from": LATER,
            "pending_symbols": [],
            "closed_part": None,
        }
        assert api.get(path, token).json()["data"]["herfindahl"] == 10_000

    def test_a_new_symbol_is_asked_for_with_the_position(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        publish_market(api, database)
        assert add(api, token, portfolio, LOT, symbol="NEWCO")["pending_symbols"] == ["NEWCO"]
        option = add(api, token, portfolio, CALL)
        assert (option["symbol"], option["pending_symbols"]) == ("AAA250725C00150000", ["AAA250725C00150000"])
        house = add(api, token, portfolio, HOUSE)
        assert (house["market_value"], house["valued_on"], house["pending_symbols"]) == ("1000.50", AS_OF, [])
        assert statuses(database) == {"NEWCO": "pending", "AAA250725C00150000": "pending"}

    def test_a_repeated_position_is_stored_once(self, api: Api, token: str, portfolio: str) -> None:
        body = {**LOT, "portfolio_id": portfolio}
        answers = {send(api, "POST", POSITIONS, token, key="p", json=body).text for _ in range(3)}
        assert (len(answers), len(listed(api, token, portfolio))) == (1, 1)

    def test_what_is_wrong_with_it_is_named(self, api: Api, database: Database, token: str, portfolio: str) -> None:
        before = stored(database)
        answer = api.post(POSITIONS, token, json={**LOT, "quantity": 0, "symbol": "a", "portfolio_id": portfolio})
        assert answer.status_code == 422
        assert answer.json()["detail"] == "body: symbol 'a' is not a ticker; body: quantity is zero. Nothing was stored"
        assert stored(database) == before

    def test_a_book_beyond_the_ledgers_integers_is_refused(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        figures = publish_market(api, database)
        most = int(50_000_000_000 / figures["AAA"].close)
        add_split(database, "BBB", SESSIONS[-1], (100, 1), generation=1)
        add(api, token, portfolio, LOT, quantity=str(most // 2), entry_price="0.0001")
        before = stored(database)
        lots = [
            {**LOT, "quantity": str(-most), "entry_price": "0.0001"},
            {**LOT, "quantity": "50000", "entry_price": "999999"},
            {**HOUSE, "market_value": "49999999999"},
        ]
        for lot in lots:
            answer = api.post(POSITIONS, token, json={**lot, "portfolio_id": portfolio})
            assert answer.status_code == 422
            assert "come to more than 50,000,000,000 USD" in answer.json()["detail"]
        assert stored(database) == before

    def test_a_portfolio_holds_no_more_positions_than_a_file(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        publish_market(api, database)
        content = "symbol,quantity,entry_price,entry_date\n" + f"AAA,1,1,{AS_OF}\n" * 10_000
        path = f"{PORTFOLIOS}/{portfolio}/positions.csv"
        assert send(api, "POST", path, token, content=content, headers={"Content-Type": "text/csv"}).status_code == 201
        before = stored(database)
        one_more = api.post(POSITIONS, token, json={**LOT, "portfolio_id": portfolio})
        position = listed(api, token, portfolio)[0]
        one_split = patch(api, token, position, exit_date=LAST, exit_price=1, close_quantity="0.5")
        for answer in (one_more, one_split):
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith("The portfolio would hold 10,001 positions; 10,000 are the most")
        assert stored(database) == before


class TestCorrecting:
    @pytest.mark.parametrize(
        ("changes", "stale"),
        [
            ({"quantity": "-3.5"}, LATER),
            ({"entry_price": 1.25}, LATER),
            ({"entry_date": NEXT}, NEXT),
            ({"entry_date": LAST}, LATER),
            ({"exit_date": LAST, "exit_price": "3"}, LAST),
            ({"notes": "why"}, None),
            ({"notes": None}, None),
        ],
        ids=str,
    )
    def test_terms_are_stated_anew_from_the_earliest_date_concerned(
        self, api: Api, database: Database, token: str, *, portfolio: str, changes: dict[str, Any], stale: str | None
    ) -> None:
        made = add(api, token, portfolio, LOT, entry_date=LATER, notes="first")
        settle(database)
        answer = patch(api, token, made, **changes)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        texts = {name: f"{float(value):.4f}" for name, value in changes.items() if name in ("quantity", "entry_price")}
        expected = {**made, **changes, **texts, "stale_from": stale}
        expected["units_date"] = expected["entry_date"]
        expected["exit_price"] = "3.0000" if "exit_price" in changes else None
        assert told == expected
        assert stale_from(database) == stale

    def test_a_closed_position_is_corrected_and_opened_again(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        made = add(api, token, portfolio, LOT, exit_date=LAST, exit_price="3")
        settle(database)
        earlier = patch(api, token, made, exit_date=LATER, exit_price="4").json()
        assert (earlier["exit_date"], earlier["exit_price"], earlier["stale_from"]) == (LATER, "4.0000", LATER)
        settle(database)
        opened = patch(api, token, made, exit_date=None, exit_price=None).json()
        assert (opened["exit_date"], opened["exit_price"], opened["stale_from"]) == (None, None, LATER)

    @pytest.mark.parametrize(
        ("lot", "changes", "problem"),
        [
            (LOT, {}, "name at least one of"),
            (LOT, {"symbol": "BBB"}, "symbol"),
            (LOT, {"quantity": None}, "quantity is missing"),
            (LOT, {"quantity": "0"}, "quantity is zero"),
            (LOT, {"quantity": "1.00001"}, "quantity '1.00001' is not a number"),
            (LOT, {"entry_price": None}, "entry_price is missing"),
            (LOT, {"entry_date": "2025-08-01"}, "entry_date 2025-08-01 is in the future"),
            (LOT, {"exit_date": LAST}, "exit_price and exit_date go together"),
            (LOT, {"exit_price": "1"}, "exit_price and exit_date go together"),
            (LOT, {"exit_price": "1", "exit_date": "2025-07-17"}, "exit_date 2025-07-17 is before entry_date"),
            (LOT, {"notes": "a\nb"}, "notes are not one line"),
            (CALL, {"exit_price": "1", "exit_date": LAST}, f"expiry 2025-07-25 is before exit_date {LAST}"),
            (HOUSE, {"quantity": "-1"}, "quantity is negative"),
            (HOUSE, {"entry_date": LATER}, f"valued_on {AS_OF} is before entry_date {LATER}"),
            (LOT, {"close_quantity": "1"}, "goes with exit_date and exit_price and nothing else"),
            (LOT, {"close_quantity": "1", "exit_date": LAST, "exit_price": 1, "notes": "x"}, "and nothing else"),
            (LOT, {"close_quantity": "-1", "exit_date": LAST, "exit_price": 1}, "quantity to close"),
            (LOT, {"close_quantity": "0", "exit_date": LAST, "exit_price": 1}, "0 are to be closed"),
            (LOT, {"close_quantity": "11", "exit_date": LAST, "exit_price": 1}, "when 10 were held"),
            (LOT, {"close_quantity": "1e1", "exit_date": LAST, "exit_price": 1}, "is not a number"),
            (LOT, {"close_quantity": "1", "exit_date": None, "exit_price": None}, "needs an exit_date"),
            (LOT, {"close_quantity": "1", "exit_date": "2025-08-01", "exit_price": 1}, "is in the future"),
            (CALL, {"close_quantity": "1", "exit_date": LAST, "exit_price": 1}, "is before exit_date"),
        ],
        ids=lambda value: str(value)[:70],
    )
    def test_what_cannot_be_is_refused(
        self,
        api: Api,
        database: Database,
        token: str,
        *,
        portfolio: str,
        lot: dict[str, Any],
        changes: dict[str, Any],
        problem: str,
    ) -> None:
        made = add(api, token, portfolio, lot)
        before = stored(database)
        answer = patch(api, token, made, **changes)
        assert answer.status_code == 422
        assert problem in answer.json()["detail"]
        assert stored(database) == before

    def test_a_valuation_stays_within_the_time_a_position_was_held(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        house = add(api, token, portfolio, HOUSE)
        path = f"{POSITIONS}/{house['position_id']}/valuations/{LAST}"
        assert send(api, "PUT", path, token, json={"market_value": 5}).status_code == 200
        before = stored(database)
        moved = patch(api, token, house, entry_date=NEXT)
        closed = patch(api, token, house, exit_date=LATER, exit_price="5")
        assert (moved.status_code, closed.status_code) == (422, 422)
        assert f"its valuation of {AS_OF} would lie outside" in moved.json()["detail"]
        assert f"exit_date {LATER} is before valued_on {LAST}" in closed.json()["detail"]
        assert stored(database) == before


class TestClosing:
    def test_a_part_becomes_a_position_of_its_own(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        made = add(api, token, portfolio, LOT, entry_date=NEXT, quantity="-10")
        settle(database)
        answer = patch(api, token, made, exit_date=LATER, exit_price="9", close_quantity=4)
        assert answer.status_code == 200, answer.text
        left, part = answer.json(), answer.json()["closed_part"]
        assert (left["position_id"], left["quantity"], left["exit_date"]) == (made["position_id"], "-6.0000", None)
        assert (part["quantity"], part["exit_date"], part["exit_price"]) == ("-4.0000", LATER, "9.0000")
        assert part["entry_price"] == left["entry_price"] == "12.5000"
        assert left["stale_from"] == NEXT
        assert {item["position_id"] for item in listed(api, token, portfolio)} == {
            left["position_id"],
            part["position_id"],
        }

    def test_a_part_is_counted_in_the_units_of_its_date(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        made = add(api, token, portfolio, LOT)
        add_split(database, "AAA", SESSIONS[2], (4, 1), generation=None)
        left = patch(api, token, made, exit_date=LATER, exit_price="3", close_quantity="10").json()
        assert (left["quantity"], left["units_date"], left["closed_part"]["quantity"]) == ("30.0000", LATER, "10.0000")

    def test_all_of_it_keeps_its_id(self, api: Api, token: str, portfolio: str) -> None:
        made = add(api, token, portfolio, LOT)
        told = patch(api, token, made, exit_date=LATER, exit_price="0", close_quantity="10").json()
        assert (told["position_id"], told["exit_price"], told["closed_part"]) == (made["position_id"], "0.0000", None)
        again = patch(api, token, made, exit_date=LATER, exit_price="0", close_quantity="10")
        assert (again.status_code, again.json()["detail"]) == (422, f"AAA: the position was closed on {LATER}")

    def test_a_repeated_close_of_a_part_is_done_once(self, api: Api, token: str, portfolio: str) -> None:
        made = add(api, token, portfolio, LOT)
        body = {"exit_date": LATER, "exit_price": "9", "close_quantity": "4"}
        path = f"{POSITIONS}/{made['position_id']}"
        answers = {send(api, "PATCH", path, token, key="c", json=body).text for _ in range(3)}
        assert (len(answers), len(listed(api, token, portfolio))) == (1, 2)

    def test_parts_closed_at_once_add_up(self, api: Api, token: str, portfolio: str) -> None:
        made = add(api, token, portfolio, LOT)

        def attempt(_: int) -> int:
            return int(patch(api, token, made, exit_date=LATER, exit_price="9", close_quantity="3").status_code)

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(attempt, range(8))) == [200] * 3 + [422] * 5
        assert sorted(item["quantity"] for item in listed(api, token, portfolio)) == ["1.0000", *["3.0000"] * 3]


class TestDeleting:
    def test_a_position_goes_with_its_valuations(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        before = [item for item in stored(database) if item[0] not in ("portfolios", "answered_requests")]
        made = add(api, token, portfolio, HOUSE)
        settle(database)
        path = f"{POSITIONS}/{made['position_id']}"
        assert (send(api, "DELETE", path, token).status_code, stale_from(database)) == (204, AS_OF)
        assert [item for item in stored(database) if item[0] not in ("portfolios", "answered_requests")] == before
        assert send(api, "DELETE", path, token).status_code == 404


class TestValuations:
    def test_they_are_entered_replaced_listed_and_deleted(
        self, api: Api, database: Database, token: str, portfolio: str
    ) -> None:
        house = add(api, token, portfolio, HOUSE)
        path = f"{POSITIONS}/{house['position_id']}/valuations"
        settle(database)
        for value in (5, "7.255"):
            answer = send(api, "PUT", f"{path}/{LATER}", token, json={"market_value": value})
        assert (answer.status_code, answer.json()) == (200, {"valued_on": LATER, "market_value": "7.26"})
        assert stale_from(database) == LATER
        first, second = {"valued_on": AS_OF, "market_value": "1000.50"}, answer.json()
        assert api.get(path, token).json() == {"items": [first, second], "total": 2}
        assert api.get(f"{path}?offset=1", token).json() == {"items": [second], "total": 2}
        assert send(api, "DELETE", f"{path}/{AS_OF}", token).status_code == 204
        assert api.get(path, token).json() == {"items": [second], "total": 1}
        only = send(api, "DELETE", f"{path}/{LATER}", token)
        assert (only.status_code, "is the only one" in only.json()["detail"]) == (422, True)
        assert send(api, "DELETE", f"{path}/{LAST}", token).status_code == 404

    @pytest.mark.parametrize(
        ("day", "value", "problem"),
        [
            ("2025-08-01", "5", "2025-08-01 is in the future"),
            ("2025-07-17", "5", "is before the entry"),
            ("20250718", "5", "valued_on"),
            (LATER, "-1", "market_value"),
            (LATER, "NaN", "market_value"),
            (LATER, True, "market_value"),
            (LATER, "1.123456789", "market_value"),
            (LATER, "50000000001", "market_value"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, api: Api, database: Database, token: str, *, portfolio: str, day: str, value: Any, problem: str
    ) -> None:
        path = f"{POSITIONS}/{add(api, token, portfolio, HOUSE)['position_id']}/valuations/{day}"
        before = stored(database)
        answer = send(api, "PUT", path, token, json={"market_value": value})
        assert answer.status_code == 422
        assert problem in answer.json()["detail"]
        assert stored(database) == before

    def test_only_private_positions_have_them(self, api: Api, token: str, portfolio: str) -> None:
        path = f"{POSITIONS}/{add(api, token, portfolio, LOT)['position_id']}/valuations"
        assert send(api, "PUT", f"{path}/{LATER}", token, json={"market_value": 5}).status_code == 422
        assert api.get(path, token).json() == {"items": [], "total": 0}


def test_nobody_changes_what_is_somebody_elses(api: Api, database: Database, token: str, portfolio: str) -> None:
    bob = add_token(database, "bob")
    foreign = add(api, bob, open_book(api, bob), HOUSE)["position_id"]
    gone = add(api, token, portfolio, LOT)["position_id"]
    assert send(api, "DELETE", f"{POSITIONS}/{gone}", token).status_code == 204
    before = stored(database)
    answers = []
    for wanted in (foreign, gone, "00000000-0000-0000-0000-000000000000", "x", "%00", "' OR 1=1--"):
        path = f"{POSITIONS}/{wanted}"
        answers += [
            send(api, "PATCH", path, token, json={"notes": "mine"}),
            send(api, "PATCH", path, token, json={"exit_date": LATER, "exit_price": 1, "close_quantity": 1}),
            send(api, "DELETE", path, token),
            api.get(f"{path}/valuations", token),
            send(api, "PUT", f"{path}/valuations/{LATER}", token, json={"market_value": 5}),
            send(api, "DELETE", f"{path}/valuations/{AS_OF}", token),
        ]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["detail"] == "There is no such position."
    assert stored(database) == before
