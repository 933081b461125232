"""Tests of factor exposures over HTTP: equal to a plain computation from the tables, one generation per answer."""

import threading
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord, mark_edited
from tests.api.conftest import Api, bearer, wait_until
from tests.api.market import SESSIONS, Figures, add_portfolio, add_token, publish, publish_snapshot, random_figures
from tests.api.oracle import PRODUCT_TABLES, expected_exposures

SYMBOLS = [f"S{number:02d}" for number in range(12)]
READERS = 4
SWAPS = 8


def path_of(record: PortfolioRecord) -> str:
    return f"/api/v1/analytics/portfolio/{record.public_id}/factor-exposures"


def publish_uneven_market(database: Database) -> None:
    """Figures of three sessions: some carried, some partly missing, one too old, one without a price."""
    publish(database, SESSIONS[-7], random_figures(["OLD"], seed=1))
    publish(database, SESSIONS[-4], random_figures(SYMBOLS, seed=2))
    today = random_figures(SYMBOLS[2:], seed=3)
    today["S02"] = replace(today["S02"], betas=(*today["S02"].betas[:8], None, None, 0.5, None))
    today["S03"] = replace(today["S03"], products=frozenset({"market_beta", "symbol_daily_metrics"}))
    publish(database, SESSIONS[-1], today, exclusions=[("S02", "spread_factors", "short_history")])


def test_every_number_is_that_of_a_plain_computation(api: Api, database: Database) -> None:
    publish_uneven_market(database)
    quantities = {symbol: str(Decimal(37 * (number - 5) + 1) / 8) for number, symbol in enumerate(SYMBOLS)}
    record = add_portfolio(database, "ann", {**quantities, "OLD": "3"})
    generation = publish_snapshot(database, record, SESSIONS[-1], Decimal("1234567.89012345"))
    api.refresh()
    answer = api.get(path_of(record), add_token(database, "ann"))
    document = answer.json()
    assert answer.status_code == 200
    assert answer.headers["X-Data-Generation"] == str(document["generation"]) == str(generation)
    assert (document["as_of"], document["equity"], document["equity_session"]) == (
        str(SESSIONS[-1]),
        "1234567.89",
        str(SESSIONS[-1]),
    )
    expected, coverage = expected_exposures(database, record.public_id, oldest=SESSIONS[-6], as_of=SESSIONS[-1])
    assert [factor["name"] for factor in document["data"]["factors"]] == list(PRODUCT_TABLES)
    for factor in document["data"]["factors"]:
        wanted = expected[factor["name"]]
        assert factor["exposure"] == pytest.approx(wanted["exposure"], rel=1e-12)
        assert factor["per_invested"] == pytest.approx(wanted["per_invested"], rel=1e-12)
        assert float(factor["dollars"]) == pytest.approx(wanted["dollars"], abs=0.0051)
    assert document["coverage"] == pytest.approx(coverage, rel=1e-12)
    assert document["excluded"] == [{"symbol": "OLD", "reason": "no_price"}]
    assert [(item["symbol"], item["reason"]) for item in document["incomplete"]] == [("S02", "short_history")]
    carried = {item["symbol"]: (item["close_session"], item["factors_session"]) for item in document["carried"]}
    older, today = str(SESSIONS[-4]), str(SESSIONS[-1])
    assert carried == {"S00": (older, older), "S01": (older, older), "S03": (today, older)}


def test_before_the_first_snapshot_dollars_are_given_and_ratios_are_null(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    record = add_portfolio(database, "ann", {"AAA": "1"})
    api.refresh()
    document = api.get(path_of(record), add_token(database, "ann")).json()
    assert (document["equity"], document["equity_session"], document["ratios_reason"]) == (None, None, "no_snapshot")
    assert all(factor["exposure"] is None for factor in document["data"]["factors"])
    assert all(factor["dollars"] is not None for factor in document["data"]["factors"])


def test_an_edit_is_seen_by_the_next_request(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], {"AAA": Figures(Decimal(10), (1.0,) * 12)})
    record = add_portfolio(database, "ann", {"AAA": "1"})
    token = add_token(database, "ann")
    api.refresh()
    assert api.get(path_of(record), token).json()["data"]["factors"][0]["dollars"] == "10.00"
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE positions SET quantity = 3")
        mark_edited(connection, record.portfolio_id, edited_from=SESSIONS[-1])
    assert api.get(path_of(record), token).json()["data"]["factors"][0]["dollars"] == "30.00"


class _Reader(threading.Thread):
    """Asks without pause until it is told to stop."""

    def __init__(self, url: httpx.URL, path: str, token: str, stop: threading.Event) -> None:
        super().__init__()
        self._url, self._path, self._token, self._stop_asking = url, path, token, stop
        self.answers: list[tuple[int, str | None, dict[str, Any]]] = []
        self.newest = 0

    def run(self) -> None:
        with httpx.Client(base_url=self._url, headers=bearer(self._token)) as http:
            while not self._stop_asking.is_set():
                answer = http.get(self._path)
                self.answers.append((answer.status_code, answer.headers.get("X-Data-Generation"), answer.json()))
                self.newest = self.answers[-1][2].get("generation", 0)


def market_of(number: int) -> dict[str, Figures]:
    """Close and betas are functions of the number, as the equity is of its own, so that any mix shows."""
    return {"AAA": Figures(Decimal(number), (number / 64,) * 12)}


def assert_of_one_generation(
    answer: tuple[int, str | None, dict[str, Any]], states: dict[int, tuple[int, int]]
) -> None:
    """The answer equals what was published up to its generation: numbers of the market and of the equity."""
    status, header, document = answer
    assert status == 200
    assert header == str(document["generation"])
    market, equity = states[document["generation"]]
    dollars = 7 * market * market / 64
    assert document["equity"] == f"{equity * 1000}.00"
    for factor in document["data"]["factors"]:
        assert factor["dollars"] == f"{Decimal(dollars):.2f}"
        assert factor["exposure"] == pytest.approx(dollars / (equity * 1000), rel=1e-12)


def test_during_swaps_every_answer_is_of_exactly_one_generation(api: Api, database: Database) -> None:
    token = add_token(database, "ann")
    record = add_portfolio(database, "ann", {"AAA": "7"})
    publish(database, SESSIONS[-1], market_of(1))
    states = {publish_snapshot(database, record, SESSIONS[-1], Decimal(1000)): (1, 1)}
    api.refresh()
    stop = threading.Event()
    readers = [_Reader(api.http.base_url, path_of(record), token, stop) for _ in range(READERS)]
    for reader in readers:
        reader.start()

    def wait_until_seen(generation: int) -> None:
        wait_until(lambda: any(reader.newest == generation for reader in readers))

    for number in range(2, SWAPS + 2):
        generation = publish(database, SESSIONS[-1], market_of(number))
        states[generation] = (number, number - 1)
        wait_until_seen(generation)
        generation = publish_snapshot(database, record, SESSIONS[-1], Decimal(number * 1000))
        states[generation] = (number, number)
        wait_until_seen(generation)
    stop.set()
    for reader in readers:
        reader.join()
    answers = [answer for reader in readers for answer in reader.answers]
    for answer in answers:
        assert_of_one_generation(answer, states)
    assert len({document["generation"] for _, _, document in answers}) >= 2 * SWAPS
