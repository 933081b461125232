"""Tests of factor exposures over HTTP: equal to a plain computation from the tables, one generation per answer."""

import threading
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import pytest

from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord, mark_edited
from tests.api.conftest import Api, bearer, wait_until
from tests.api.market import (
    SESSIONS,
    Figures,
    add_bars,
    add_lots,
    add_portfolio,
    add_split,
    add_token,
    add_valuation,
    contract,
    publish,
    publish_snapshot,
    random_figures,
    settle_option,
)
from tests.api.oracle import PRODUCT_TABLES, expected_exposures

# With the clock on 2025-07-31 the third has ended; the fourth is ended by a snapshot on its last day.
CALL, PUT = "AAPL250815C00150000", "AAPL250815P00150000"
OVER, SETTLED = "AAPL250730C00150000", "AAPL250731C00150000"
SYMBOLS = [f"S{number:02d}" for number in range(12)]
READERS = 4
SWAPS = 8


def path_of(record: PortfolioRecord) -> str:
    return f"/api/v1/analytics/portfolio/{record.public_id}/factor-exposures"


def publish_uneven_market(database: Database) -> None:
    """Figures of three sessions: some carried, some partly missing, one too old, one without a price.

    With bars of most of the window of the regressions; of one symbol a third, of another with holes.
    """
    random = np.random.default_rng(9)
    names = [*FACTOR_ETFS, *SYMBOLS]
    returns = random.normal(0.0, 0.01, (170, 1)) + random.normal(0.0, 0.01, (170, len(names)))
    closes = np.asarray(50 * np.cumprod(1 + returns, axis=0), dtype=np.float64)
    closes[:110, names.index("S07")] = np.nan
    closes[[20, 90, 91, 130], names.index("S08")] = np.nan
    closes[-3:, [names.index("S00"), names.index("S01")]] = np.nan
    add_bars(database, {symbol: closes[:, place] for place, symbol in enumerate(names)})
    publish(database, SESSIONS[-7], random_figures(["OLD"], seed=1))
    earlier, today = random_figures(SYMBOLS, seed=2), random_figures(SYMBOLS[2:], seed=3)
    earlier.update({symbol: replace(earlier[symbol], provider_beta=1.5) for symbol in ("S00", "S04")})
    today["S05"] = replace(today["S05"], provider_beta=-0.3)
    publish(database, SESSIONS[-4], earlier)
    today["S02"] = replace(today["S02"], betas=(*today["S02"].betas[:8], None, None, 0.5, None))
    today["S03"] = replace(today["S03"], products=frozenset({"market_beta", "symbol_daily_metrics"}))
    funds = random_figures(FACTOR_ETFS, seed=4)
    publish(database, SESSIONS[-1], {**today, **funds}, exclusions=[("S02", "spread_factors", "short_history")])


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
    assert_as_computed(document, database, record)
    assert_has_errors_of_ols_factors(document, None)
    assert document["excluded"] == [{"symbol": "OLD", "reason": "no_price"}]
    assert [(item["symbol"], item["reason"]) for item in document["incomplete"]] == [("S02", "short_history")]
    carried = {item["symbol"]: (item["close_session"], item["factors_session"]) for item in document["carried"]}
    older, today = str(SESSIONS[-4]), str(SESSIONS[-1])
    assert carried == {"S00": (older, older), "S01": (older, older), "S03": (today, older)}


def assert_as_computed(document: dict[str, Any], database: Database, record: PortfolioRecord) -> None:
    """Every number of the answer is that of the plain computation."""
    expected = expected_exposures(database, record.public_id, oldest=SESSIONS[-6], as_of=SESSIONS[-1])
    assert [factor["name"] for factor in document["data"]["factors"]] == list(PRODUCT_TABLES)
    for factor in document["data"]["factors"]:
        wanted = expected.factors[factor["name"]]
        assert factor["exposure"] == pytest.approx(wanted["exposure"], rel=1e-12)
        assert factor["per_invested"] == pytest.approx(wanted["per_invested"], rel=1e-12)
        assert factor["coverage"] == pytest.approx(wanted["coverage"], rel=1e-12)
        std_err = expected.std_errors[factor["name"]]
        assert factor["std_err"] == (None if std_err is None else pytest.approx(std_err, rel=1e-9))
        assert float(factor["dollars"]) == pytest.approx(wanted["dollars"], abs=0.0051)
    assert document["coverage"] == pytest.approx(expected.coverage, rel=1e-12)
    assert document["private_share"] == pytest.approx(expected.private_share, rel=1e-12)
    provider = document["data"]["provider_beta"]
    assert provider["exposure"] == pytest.approx(expected.provider_beta["exposure"], rel=1e-12)
    assert float(provider["dollars"]) == pytest.approx(expected.provider_beta["dollars"], abs=0.0051)
    assert provider["coverage"] == pytest.approx(expected.provider_beta["coverage"], rel=1e-12)
    assert provider["reason"] is None


def assert_has_errors_of_ols_factors(document: dict[str, Any], reason: str | None) -> None:
    """Those have a standard error, or all the same reason why not; the ridge factors have none."""
    for factor, definition in zip(document["data"]["factors"], FACTORS, strict=True):
        expected = "ridge" if definition.estimator == "ridge" else reason
        assert (factor["std_err"] is None, factor["std_err_reason"]) == (expected is not None, expected)


def publish_every_kind(database: Database) -> tuple[PortfolioRecord, int]:
    """A portfolio with every kind of position, and the newest generation: splits, options, private assets."""
    figures = random_figures(SYMBOLS, seed=4)
    with_beta = {
        symbol: replace(figures[symbol], provider_beta=number / 7) for number, symbol in enumerate(SYMBOLS[:7])
    }
    options = {CALL: contract("12.345"), PUT: contract("0.05"), OVER: contract("9"), SETTLED: contract("7")}
    add_split(database, "S01", SESSIONS[4], (3, 2), generation=1)
    add_split(database, "S01", SESSIONS[6], (1, 7), generation=1)
    add_split(database, "S02", SESSIONS[4], (4, 1), generation=None)
    add_split(database, "S03", SESSIONS[4], (4, 1), generation=1, withdrawn_generation=2)
    add_split(database, "S04", date(2025, 12, 1), (2, 1), generation=1)
    publish(database, SESSIONS[-1], {**figures, **with_beta, **options})
    record = add_portfolio(database, "ann", {symbol: str(3 * (-1) ** place) for place, symbol in enumerate(SYMBOLS)})
    other = {"S01": {"units_date": SESSIONS[5]}, "S04": {"units_date": SESSIONS[9]}}
    add_lots(database, record, *({"symbol": symbol, "quantity": 5, **dated} for symbol, dated in other.items()))
    held = ((CALL, 2), (PUT, -30), (OVER, 1), (SETTLED, 1))
    keys = add_lots(
        database,
        record,
        *({"symbol": symbol, "quantity": quantity, "investment_class": "OPTIONS"} for symbol, quantity in held),
        *({"symbol": name, "quantity": 1, "investment_class": "PRIVATE", "entry_price": None} for name in ("A", "B")),
    )
    for key, session, amount in ((4, 0, "900"), (4, 9, "1234.56789012"), (5, 3, "55.005")):
        add_valuation(database, record, keys[key], SESSIONS[session], amount)
    add_valuation(database, record, keys[5], date(2025, 8, 1), "1000000")
    return record, settle_option(database, record, keys[3], SESSIONS[-1], Decimal("54321.98765432"))


def test_every_kind_of_position_is_as_in_a_plain_computation(api: Api, database: Database) -> None:
    record, generation = publish_every_kind(database)
    api.refresh()
    document = api.get(path_of(record), add_token(database, "ann")).json()
    assert document["generation"] == generation
    assert_as_computed(document, database, record)
    # There are no bars.
    assert_has_errors_of_ols_factors(document, "short_history")
    assert 0 < document["private_share"] < 1
    assert 0 < document["data"]["provider_beta"]["coverage"] < 1
    assert [(item["symbol"], item["reason"]) for item in document["excluded"]] == [
        ("A", "private"),
        (CALL, "options"),
        (PUT, "options"),
        ("B", "private"),
    ]


def test_closes_and_split_factors_change_together(api: Api, database: Database) -> None:
    record = add_portfolio(database, "ann", {"AAA": "6"})
    token = add_token(database, "ann")

    def dollars() -> str:
        api.refresh()
        shown: str = api.get(path_of(record), token).json()["data"]["factors"][0]["dollars"]
        return shown

    publish(database, SESSIONS[-1], {"AAA": Figures(Decimal(30), (1.0,) * 12)})
    assert dollars() == "180.00"
    add_split(database, "AAA", SESSIONS[-1], (3, 2), generation=None)
    assert dollars() == "180.00"
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE corporate_actions SET generation = 1")
    publish(database, SESSIONS[-1], {"AAA": Figures(Decimal(20), (1.0,) * 12)})
    assert dollars() == "180.00"


def test_an_empty_portfolio_has_no_exposure(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    record = add_portfolio(database, "ann", {})
    publish_snapshot(database, record, SESSIONS[-1], Decimal(100))
    api.refresh()
    document = api.get(path_of(record), add_token(database, "ann")).json()
    assert {(factor["exposure"], factor["dollars"]) for factor in document["data"]["factors"]} == {(0.0, "0.00")}
    assert document["data"]["provider_beta"] == {"exposure": 0.0, "dollars": "0.00", "coverage": None, "reason": None}
    assert (document["coverage"], document["private_share"], document["excluded"]) == (None, 0.0, [])


def test_with_negative_equity_ratios_are_null_and_dollars_given(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], {"AAA": Figures(Decimal(10), (1.0,) * 12, provider_beta=2.0)})
    record = add_portfolio(database, "ann", {"AAA": "1"})
    publish_snapshot(database, record, SESSIONS[-1], Decimal("-0.01"))
    api.refresh()
    document = api.get(path_of(record), add_token(database, "ann")).json()
    assert (document["equity"], document["ratios_reason"]) == ("-0.01", "equity_not_positive")
    assert {(factor["exposure"], factor["dollars"]) for factor in document["data"]["factors"]} == {(None, "10.00")}
    assert document["data"]["provider_beta"] == {"exposure": None, "dollars": "20.00", "coverage": 1.0, "reason": None}


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


@pytest.mark.fault(19)
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


def test_concentration_is_that_of_the_positions_of_every_kind(api: Api, database: Database) -> None:
    record, generation = publish_every_kind(database)
    api.refresh()
    token = add_token(database, "ann")
    answer = api.get(path_of(record).replace("factor-exposures", "concentration"), token)
    document = answer.json()
    assert answer.status_code == 200
    assert answer.headers["X-Data-Generation"] == str(document["generation"]) == str(generation)
    values: dict[tuple[str, str], Decimal] = {}
    for item in api.get(f"/api/v1/portfolios/{record.public_id}/positions?limit=1000", token).json()["items"]:
        if item["market_value"] is not None:
            key = item["investment_class"], item["symbol"]
            values[key] = values.get(key, Decimal(0)) + Decimal(item["market_value"])
    gross = sum(abs(value) for value in values.values())
    shares = {key: abs(value) / gross for key, value in values.items()}
    data = document["data"]
    assert data["positions"] == len(values)
    assert data["herfindahl"] == pytest.approx(float(sum(share**2 for share in shares.values()) * 10_000), rel=1e-5)
    assert data["top_3"] == pytest.approx(float(sum(sorted(shares.values())[-3:])), rel=1e-5)
    for item in data["largest"]:
        key = item["investment_class"], item["symbol"]
        assert float(item["market_value"]) == pytest.approx(float(values[key]), abs=0.011)
        assert item["weight"] == pytest.approx(float(shares[key]), rel=1e-5)
    assert {item["investment_class"] for item in data["largest"]} >= {"PUBLIC", "OPTIONS"}
