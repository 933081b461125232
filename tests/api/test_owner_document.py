"""``docs/owner.md`` is true: its portfolio goes through the real system, and each number of the page is compared.

Each sum is worked out as it is written, and its result is what the API answers.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from sigmasight_api.app import create_app
from sigmasight_api.books import RatiosReason
from sigmasight_api.exposure_schemas import StdErrReason
from sigmasight_api.risk_schemas import MissingReason
from sigmasight_api.schemas import LotStatus
from sigmasight_api.stress_schemas import ScenarioImpact
from sigmasight_assets.market_data.files import FilesMarket
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.book_returns import book_returns
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings
from tests.api.conftest import Api, Serve, bearer
from tests.api.market import add_token
from tests.arithmetic import Sum, evaluate, read_sum
from tests.conftest import NewDatabase
from tests.documents import DOCS, blocks, section, tables
from tests.orchestration.contents import rows_of
from tests.owners_market import BASE, CYCLES, FIRST, LAST, write_market

TEXT = (DOCS / "owner.md").read_text(encoding="utf-8")
SUMS = [read_sum(line) for block in blocks(TEXT) if block.info == "text" for line in block.body.splitlines() if line]
WINDOW = 90
STYLES = {"Value", "Growth", "Momentum", "Quality", "Size", "Low Volatility"}
ANSWERS = "factor-exposures positions/factor-exposures stress-test correlation-matrix volatility sector-exposure "
ANSWERS += "concentration risk performance overview"


@dataclass(frozen=True)
class Told:
    """What the API says of the example."""

    portfolio: dict[str, Any]
    positions: dict[str, dict[str, Any]]
    snapshots: list[dict[str, Any]]
    answers: dict[str, dict[str, Any]]
    closes: dict[tuple[str, str], str]
    returns: dict[str, FloatArray]
    moves: list[float]

    def data(self, kind: str) -> dict[str, Any]:
        """The numbers of an answer."""
        data: dict[str, Any] = self.answers[kind]["data"]
        return data

    def factor(self, symbol: str, name: str) -> dict[str, Any]:
        """What a position has of a factor."""
        (held,) = (item for item in self.data("positions/factor-exposures")["positions"] if item["symbol"] == symbol)
        (found,) = (item for item in held["factors"] if item["name"] == name)
        return {**found, "weight": held["weight"]}

    def scenario(self, name: str) -> dict[str, Any]:
        """What a scenario does."""
        (found,) = (item for item in self.data("stress-test")["scenarios"] if item["id"] == name)
        return dict(found)

    def sector(self, name: str) -> float:
        """The share of a group."""
        (found,) = (item for item in self.data("sector-exposure")["sectors"] if item["sector"] == name)
        return float(found["gross_share"])


@pytest.fixture(scope="module")
def told(
    new_database: NewDatabase, schema_template: str, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    """The example, entered over the API and computed by the pipeline."""
    directory = tmp_path_factory.mktemp("market")
    write_market(directory)
    with new_database(schema_template) as url:
        database = Database(url)
        publish_symbols(database, FilesMarket(directory))
        token = add_token(database, "owner")
        with serve(url=url) as api:
            portfolio = enter(api, token)
            sessions = exchange_calendar().between(BASE, LAST)
            done = publish_portfolio_products(database, exchange_calendar(), sessions=sessions, run_id="portfolios")
            assert (done.published, done.failed) == (sessions, [])
            api.refresh()
            yield ask(api, token, portfolio, database)
        database.close()


def publish_symbols(database: Database, source: FilesMarket) -> None:
    """What the nights of the four sessions do at symbol level."""
    calendar = exchange_calendar()
    sessions = calendar.between(BASE, LAST)
    with database.begin() as connection:
        import_listings(connection, source.listings())
    update_prices(database, source, calendar, sessions=sessions, history_start=FIRST, run_id="prices")
    update_profiles(database, source, calendar, sessions=sessions, newest_session=sessions[-1])
    done = publish_symbol_products(database, calendar, sessions=sessions, min_coverage=0.98, run_id="symbols")
    assert (done.published, done.failed) == (sessions, [])


def enter(api: Api, token: str) -> str:
    """What the owner does: the file of the document, money paid in, and a symbol that is new here."""
    (file,) = (block.body for block in blocks(TEXT) if block.info == "csv")
    query = {"name": "First", "stated_equity": "10000", "as_of": str(BASE)}
    headers = {**bearer(token), "Content-Type": "text/csv"}
    opened = api.http.post("/api/v1/portfolios.csv", params=query, content=file, headers=headers)
    assert opened.status_code == 201, opened.text
    portfolio: str = opened.json()["portfolio_id"]
    flow = {"flow_date": str(LAST), "amount": "1000"}
    assert api.post(f"/api/v1/portfolios/{portfolio}/capital-flows", token, json=flow).status_code == 201
    lot = {"symbol": "DOGWOOD", "quantity": "10", "entry_price": "30.00", "entry_date": str(LAST)}
    added = api.post("/api/v1/positions", token, json={"portfolio_id": portfolio, **lot})
    assert added.json()["pending_symbols"] == ["DOGWOOD"]
    return portfolio


def ask(api: Api, token: str, portfolio: str, database: Database) -> Told:
    """Everything that the page shows."""

    def get(path: str) -> dict[str, Any]:
        answer = api.get(f"/api/v1/{path}", token)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    answers = {kind: get(f"analytics/portfolio/{portfolio}/{kind}") for kind in ANSWERS.split()}
    bars = rows_of(
        database, "SELECT symbol, price_date, close_price, adj_close_price FROM symbol_prices_daily ORDER BY 2"
    )
    closes = {(row["symbol"], str(row["price_date"])): f"{row['close_price']:.4f}" for row in bars}
    series = {name: np.array([row["adj_close_price"] for row in bars if row["symbol"] == name]) for name in CYCLES}
    returns = {name: closing[1:] / closing[:-1] - 1 for name, closing in series.items()}
    held_returns = np.column_stack([returns["ALDER"], returns["BIRCH"]])
    held = {item["symbol"]: item["weight"] for item in answers["positions/factor-exposures"]["data"]["positions"]}
    return Told(
        portfolio=get(f"portfolios/{portfolio}"),
        positions={item["symbol"]: item for item in get(f"portfolios/{portfolio}/positions")["items"]},
        snapshots=get(f"portfolios/{portfolio}/snapshots")["items"],
        answers=answers,
        closes=closes,
        returns=returns,
        moves=book_returns(held_returns, np.array([held["ALDER"], held["BIRCH"]]))[-3:].tolist(),
    )


def spread(told: Told) -> float:
    """The standard error of the account's Market Beta: weighted, what the lines of the positions leave of each day."""
    leaves = np.zeros(WINDOW)
    for symbol in ("ALDER", "BIRCH"):
        part = told.factor(symbol, "Market Beta")
        residuals = told.returns[symbol] - part["beta"] * told.returns["SPY"]
        residuals = residuals[-WINDOW:] - residuals[-WINDOW:].mean()
        leaves += part["weight"] * part["std_err"] * residuals / np.sqrt((residuals**2).sum())
    return float(np.sqrt((leaves**2).sum()))


def numbers(told: Told) -> Mapping[str, Any]:
    """What the system says, by the names of the sums."""
    snapshots, newest = told.snapshots, told.snapshots[-1]
    performance, risk = told.data("performance"), told.data("risk")
    market = told.data("factor-exposures")["factors"][0]
    (errors,) = {round(told.factor(symbol, "Market Beta")["std_err"], 12) for symbol in ("ALDER", "BIRCH")}
    found = {
        "Value of ALDER": told.positions["ALDER"]["market_value"],
        "Value of BIRCH": told.positions["BIRCH"]["market_value"],
        "Positions": newest["net"],
        "Equity": told.portfolio["equity"],
        "Unpriced, DOGWOOD at its cost": newest["unpriced_value"],
        "Cash": newest["cash"],
        "Leverage": told.data("overview")["values"]["gross_leverage"],
        "P&L since the start": newest["cumulative_pnl"],
        "Total return": performance["total_return"],
        "Total return of SPY": performance["benchmark"]["total_return"],
        "Drawdown": performance["current_drawdown"]["depth"],
        "Beta of ALDER": told.factor("ALDER", "Market Beta")["beta"],
        "Beta of BIRCH": told.factor("BIRCH", "Market Beta")["beta"],
        "Weight of ALDER": told.factor("ALDER", "Market Beta")["weight"],
        "Weight of BIRCH": told.factor("BIRCH", "Market Beta")["weight"],
        "Market Beta of the account": market["exposure"],
        "Market Beta in dollars": market["dollars"],
        "Standard error of a beta": errors,
        "Standard error of the exposure": market["std_err"],
        "Lower end of the interval": market["exposure"] - 1.96 * market["std_err"],
        "Upper end of the interval": market["exposure"] + 1.96 * market["std_err"],
        "Market down 10 %": told.scenario("market_down_10")["correlated"],
        "Market down 10 %, of equity": told.scenario("market_down_10")["share_of_equity"],
        "Market crash of 35 %": told.scenario("market_crash_35")["correlated"],
        "First move": told.moves[0],
        "Second move": told.moves[1],
        "Third move": told.moves[2],
        "Volatility of 21 sessions": told.data("volatility")["realized_21"],
        "Correlation of ALDER and BIRCH": told.data("correlation-matrix")["matrix"][0][1],
        "Diversification ratio": told.data("correlation-matrix")["diversification_ratio"],
        "Value at risk 95 %": risk["value_at_risk_95"]["dollars"],
        "Value at risk 95 %, of equity": risk["value_at_risk_95"]["share_of_equity"],
        "Expected shortfall 95 %": risk["expected_shortfall_95"]["dollars"],
        "Share of Information Technology": told.sector("Information Technology"),
        "Share of Utilities": told.sector("Utilities"),
        "Share of private assets": told.sector("Private"),
        "Effective positions": told.data("concentration")["effective_positions"],
        "Herfindahl index": told.data("concentration")["herfindahl"],
        "Coverage": told.answers["concentration"]["coverage"],
    }
    for item in snapshots[1:]:
        found[f"P&L of {item['session']}"] = item["daily_pnl"]
        found[f"Return of {item['session']}"] = item["daily_return"]
    return found


@pytest.mark.parametrize("written", SUMS, ids=lambda written: written.name)
def test_each_sum_comes_out_as_written_and_as_the_system_says(told: Told, written: Sum) -> None:
    worked_out = {expression: evaluate(expression) for expression in written.expressions}
    assert [expression for expression, number in worked_out.items() if not written.is_same(number)] == [], worked_out
    assert written.is_same(float(numbers(told)[written.name])), numbers(told)[written.name]


def test_every_number_of_the_system_has_its_sum(told: Told) -> None:
    assert sorted(numbers(told)) == sorted(item.name for item in SUMS)


def test_the_market_moves_as_the_table_says() -> None:
    moves = tables(section(TEXT, "The example"))[0]
    shown = {row[0].partition(",")[0]: [int(cell.removesuffix(" %")) for cell in row[1:]] for row in moves[1:]}
    assert shown == {name: list(cycle) for name, cycle in CYCLES.items()}


def test_the_evenings_are_those_of_the_system(told: Told) -> None:
    rows = [
        [
            item["session"],
            told.closes["ALDER", item["session"]],
            told.closes["BIRCH", item["session"]],
            *(f"{float(item[name]):,.2f}" for name in ("net", "capital_flow", "daily_pnl", "equity")),
            "-" if item["daily_return"] is None else f"{item['daily_return']:.2%}".replace("%", " %"),
        ]
        for item in told.snapshots
    ]
    assert tables(section(TEXT, "The example"))[1][1:] == rows


def test_the_positions_have_the_status_that_is_written(told: Told) -> None:
    rows = [
        [
            symbol,
            f"{float(item['quantity']):g}",
            item["close"] or "-",
            "-" if item["market_value"] is None else f"{float(item['market_value']):,.2f}",
            item["status"],
            item["status_reason"] or "-",
        ]
        for symbol, item in told.positions.items()
    ]
    assert tables(section(TEXT, "Status of a position"))[1][1:] == sorted(rows)


def test_every_status_is_explained() -> None:
    explained = {
        word.strip() for row in tables(section(TEXT, "Status of a position"))[0][1:] for word in row[0].split(",")
    }
    # A lot whose price is there is ready, and one that waits for its first is unpriced with a reason.
    assert explained == {*get_args(LotStatus), "ready", "pending"} - {"priced"}


def test_every_reason_is_explained() -> None:
    explained = {name for row in tables(section(TEXT, "Why a number is missing"))[0][1:] for name in names_of(row[0])}
    scenario = get_args(get_args(ScenarioImpact.model_fields["reason"].annotation)[0])
    left_out = {"constant", "no_exposures", "options", "private", "no_valuation", "no_spy_betas"}
    kinds = (MissingReason, RatiosReason, StdErrReason)
    assert explained == {*(name for kind in kinds for name in get_args(kind)), *scenario, *left_out}


def names_of(cell: str) -> list[str]:
    """The reasons that a cell is about."""
    return [name.strip().strip("`") for name in cell.split(",")]


def test_the_error_of_the_account_is_that_of_what_the_lines_leave(told: Told) -> None:
    factors = told.data("factor-exposures")["factors"]
    assert factors[0]["std_err"] == pytest.approx(spread(told), rel=1e-9)
    assert {item["name"] for item in factors if item["std_err_reason"] == "ridge"} == STYLES


def test_the_effective_bets_of_the_text_are_those_of_the_answer(told: Told) -> None:
    assert f"{told.data('correlation-matrix')['effective_bets']:.2f} effective bets" in TEXT


def test_every_name_on_the_page_is_in_the_document() -> None:
    scripts = Path(create_app.__code__.co_filename).parent / "page" / "js"
    if not scripts.is_dir():
        pytest.skip("there is no page in this checkout")
    owners = [path.read_text(encoding="utf-8") for path in scripts.glob("*.js") if path.name != "ops.js"]
    names = {name for text in owners for name in re.findall(r'\btile\("([^"]+)"', text)}
    titles = {name for text in owners for name in re.findall(r'new Panel\({ id: "\w+", title: "([^"]+)"', text)}
    assert len(names) > 10
    assert len(titles) > 5
    # A comma in a name is one of the list here.
    assert [name for name in names | titles if name.replace(",", "") not in TEXT.replace(",", "")] == []


def test_scenarios_of_the_market_alone_are_the_same_directly_and_correlated(told: Told) -> None:
    alone = [told.scenario(name) for name in ("market_down_10", "market_crash_35", "rates_up_100bp")]
    assert all(item["direct"] == item["correlated"] is not None for item in alone)


def test_what_is_left_out_is_named(told: Told) -> None:
    excluded = {item["symbol"]: item["reason"] for item in told.answers["factor-exposures"]["excluded"]}
    assert excluded == {"DOGWOOD": "no_price", "Garden cabin": "private"}
    assert told.answers["factor-exposures"]["coverage"] == 1.0
