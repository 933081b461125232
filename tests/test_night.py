"""One night end to end: files in, real daemon, gate and API, and the answer computed by hand from the same files."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.stack import DagsterServices, api_service
from sigmasight_assets.services.supervisor import Supervisor
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from tests.conftest import NewDatabase

NIGHT = date(2025, 7, 31)
START = date(2025, 7, 25)
HISTORY = date(2024, 1, 2)
EQUITY = Decimal(100_000)
STYLES = ("VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV")
WAIT_SECONDS = 120


@dataclass
class Night:
    """The running system of this module."""

    settings: Settings
    database: Database
    client: DagsterClient
    api_url: str
    market: Path
    stocks: list[str]
    token: str
    commands: "Commands"


@dataclass
class Commands:
    """The real command in its own process."""

    environment: dict[str, str]
    directory: Path

    def run(self, *arguments: str) -> str:
        """Standard output of a command that has to succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "sigmasight_assets", *arguments],
            env=self.environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def night(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    directory = tmp_path_factory.mktemp("night")
    stocks = write_market(directory)
    with new_database("template1") as url:
        environment = {
            "PATH": "/usr/bin:/bin",
            "SIGMASIGHT_HOME": str(directory / "home"),
            "SIGMASIGHT_DATABASE_URL": url,
            "SIGMASIGHT_MARKET": "files",
            "SIGMASIGHT_MARKET_FILES": str(directory),
            "SIGMASIGHT_HISTORY_START": str(HISTORY),
            # Complete, and still the turn of the schedule, which goes by the real clock: no sensor begins the night.
            "SIGMASIGHT_NOW": f"{NIGHT}T21:05:00-04:00",
        }
        commands = Commands(environment, directory)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                if name.startswith("SIGMASIGHT_"):
                    patch.setenv(name, value)
            settings = Settings(ui_port=free_port(), api_port=free_port())
            yield from _running(settings, commands, directory, stocks)


def _running(settings: Settings, commands: Commands, directory: Path, stocks: list[str]) -> Iterator[Night]:
    commands.run("db", "migrate")
    commands.run("universe", "import", str(directory / "constituents.csv"))
    book = directory / "book.csv"
    book.write_text(
        "symbol,quantity,entry_price,entry_date\n"
        + "".join(
            f"{symbol},{quantity},50,2025-01-02\n" for symbol, quantity in zip(stocks[:3], (100, 40, -25), strict=True)
        )
        + f"{stocks[3]},10,70.5,2025-07-29\n",
        encoding="utf-8",
    )
    import_book = ("--user", "owner", "--name", "Book", "--equity", str(EQUITY), "--as-of", str(START))
    commands.run("portfolio", "import", str(book), *import_book)
    token = commands.run("token", "create", "--user", "owner")
    services = DagsterServices(settings, settings.database_url, ui_port=settings.ui_port)
    api = Supervisor(Home.at(settings.home), report=lambda _: None)
    database = Database(settings.database_url)
    try:
        services.start()
        api.start(api_service(settings, settings.database_url))
        yield Night(
            settings=settings,
            database=database,
            client=DagsterClient(services.graphql_url),
            api_url=f"http://127.0.0.1:{settings.api_port}",
            market=directory,
            stocks=stocks,
            token=token,
            commands=commands,
        )
    finally:
        api.stop()
        services.stop()
        database.close()


def write_market(directory: Path) -> list[str]:
    """A files market of twelve simulated stocks and the factor ETFs; the stocks' tickers."""
    source = SimulatedMarket(exchange_calendar(), stocks=12)
    listings = source.listings()
    bars = source.fetch_bars([BarRequest(item.symbol, HISTORY, NIGHT) for item in listings]).bars
    names = [name.removesuffix("_price") if name != "price_date" else name for name in bars.column_names]
    pq.write_table(bars.rename_columns(names), directory / "prices.parquet")
    lines = [f"{item.symbol},{item.name},{item.sector or ''},{item.industry or ''}" for item in listings]
    (directory / "constituents.csv").write_text(
        "\n".join(["symbol,name,sector,sub_industry", *lines]), encoding="utf-8"
    )
    return [item.symbol for item in listings if item.asset_type == "equity"]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.2)


def run_symbol_layer(night: Night, first: date, last: date) -> None:
    run_id = night.client.launch_range("symbol_layer", first=first, last=last)
    until(lambda: night.client.run(run_id).is_finished, "the symbol layer")
    assert night.client.run(run_id).status == "SUCCESS", night.client.failure_reason(run_id)


def wait_for_snapshots(night: Night) -> None:
    """Until the daemon's gate has had everything run that is due."""

    def current() -> bool:
        state = read_gate_state(night.database, now=night.settings.clock())
        return plan(state).range is None and NIGHT in state.consumed

    until(current, "the gate and the portfolio layer")
    until(lambda: all(run.is_finished for run in night.client.runs("portfolio_layer")), "the portfolio runs to end")


def get(night: Night, path: str) -> httpx.Response:
    return httpx.get(f"{night.api_url}{path}", headers={"Authorization": f"Bearer {night.token}"}, timeout=10)


def exposures_answer(night: Night, *, newer_than: int = 0) -> dict[str, object]:
    """The factor exposures of the portfolio, once the API has seen a newer generation."""
    until(lambda: get(night, "/health/ready").status_code == 200, "the API")
    portfolio = get(night, "/api/v1/portfolios").json()["items"][0]["portfolio_id"]
    path = f"/api/v1/analytics/portfolio/{portfolio}/factor-exposures"
    until(lambda: int(get(night, path).json()["generation"]) > newer_than, "the new generation")
    answer: dict[str, object] = get(night, path).json()
    return answer


def by_hand(night: Night) -> tuple[Decimal, dict[str, float]]:
    """Equity and factor exposures of the book, computed anew from the market's files."""
    frame = pd.read_parquet(night.market / "prices.parquet")
    closes = frame.pivot_table(index="price_date", columns="symbol", values="close")
    returns = frame.pivot_table(index="price_date", columns="symbol", values="adj_close").pct_change(fill_method=None)
    book = dict(zip(night.stocks[:3], (100, 40, -25), strict=True))
    last, first = closes.iloc[-1], closes.loc[START]
    gain = sum(quantity * (_money(last[symbol]) - _money(first[symbol])) for symbol, quantity in book.items())
    gain += 10 * (_money(last[night.stocks[3]]) - Decimal("70.5"))
    equity = EQUITY + gain
    book[night.stocks[3]] = 10
    exposures: dict[str, float] = {}
    for symbol, quantity in book.items():
        weight = float(quantity * _money(last[symbol]) / equity)
        for factor, beta in _betas(returns, symbol).items():
            exposures[factor] = exposures.get(factor, 0.0) + weight * beta
    return equity, exposures


def _money(price: float) -> Decimal:
    return Decimal(repr(float(price))).quantize(Decimal("0.0001"))


def _betas(returns: pd.DataFrame, symbol: str) -> dict[str, float]:
    def ols(regressor: "pd.Series[float]", window: int) -> float:
        rows = pd.concat([returns[symbol], regressor], axis=1).iloc[-window:].dropna()
        return float(sm.OLS(rows.iloc[:, 0].to_numpy(), sm.add_constant(rows.iloc[:, 1].to_numpy())).fit().params[1])

    window = returns[[symbol, *STYLES]].iloc[-90:].dropna()
    scaler = StandardScaler().fit(window[list(STYLES)].to_numpy())
    ridge = Ridge(alpha=1.0).fit(scaler.transform(window[list(STYLES)].to_numpy()), window[symbol].to_numpy())
    styles = dict(
        zip(
            ("Value", "Growth", "Momentum", "Quality", "Size", "Low Volatility"),
            ridge.coef_ / scaler.scale_,
            strict=True,
        )
    )
    return {
        "Market Beta": ols(returns["SPY"], 90),
        "IR Beta": ols(returns["TLT"], 90),
        **{name: float(value) for name, value in styles.items()},
        "Growth-Value Spread": ols(returns["VUG"] - returns["VTV"], 180),
        "Momentum Spread": ols(returns["MTUM"] - returns["SPY"], 180),
        "Size Spread": ols(returns["IWM"] - returns["SPY"], 180),
        "Quality Spread": ols(returns["QUAL"] - returns["SPY"], 180),
    }


def check_answer(night: Night, answer: dict[str, object]) -> None:
    equity, exposures = by_hand(night)
    assert answer["as_of"] == str(NIGHT)
    assert Decimal(str(answer["equity"])) == round(equity, 2)
    factors = answer["data"]["factors"]  # type: ignore[index]
    assert [item["name"] for item in factors] == list(exposures)
    for item in factors:
        expected = exposures[item["name"]]
        np.testing.assert_allclose(item["exposure"], expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(float(item["dollars"]), expected * float(equity), rtol=0, atol=0.006)


@pytest.mark.fault(15)
@pytest.mark.campaign
def test_night_reaches_the_owner_and_a_late_correction_follows(night: Night) -> None:
    calendar = exchange_calendar()
    before = NIGHT - timedelta(days=1)
    told = json.loads(night.commands.run("backfill", "--from", str(START), "--to", str(before), "--json"))
    assert (told["sessions"], told["sessions_published"], told["snapshots"]) == (4, 4, 4)
    assert [run.run_id for run in night.client.runs("symbol_layer")] == [told["symbol_run"]]
    assert len(night.client.runs("portfolio_layer")) == 1
    run_symbol_layer(night, NIGHT, NIGHT)
    wait_for_snapshots(night)
    answer = exposures_answer(night)
    check_answer(night, answer)
    runs_before = night.client.runs("portfolio_layer")
    assert {item.status for item in runs_before} == {"SUCCESS"}

    # The same night again changes nothing: no new generation, no portfolio run.
    run_symbol_layer(night, NIGHT, NIGHT)
    wait_for_snapshots(night)
    assert exposures_answer(night)["generation"] == answer["generation"]

    # The market corrects a held close of the session before; the gate recomputes from there.
    corrected = calendar.offset(NIGHT, -1)
    correct_close(night, night.stocks[0], corrected, factor=1.03)
    run_symbol_layer(night, corrected, NIGHT)
    wait_for_snapshots(night)
    late = exposures_answer(night, newer_than=int(str(answer["generation"])))
    check_answer(night, late)
    assert len(night.client.runs("portfolio_layer")) == len(runs_before) + 1
    with night.database.bulk(read_only=True) as transaction:
        log = transaction.read("SELECT symbol, price_date FROM restatements").to_pylist()
    assert log == [{"symbol": night.stocks[0], "price_date": corrected}]


def correct_close(night: Night, symbol: str, day: date, *, factor: float) -> None:
    """Change one bar of the market's files as a vendor would."""
    path = night.market / "prices.parquet"
    frame = pd.read_parquet(path)
    row = (frame["symbol"] == symbol) & (frame["price_date"] == day)
    assert row.sum() == 1
    for column in ("open", "high", "low", "close", "adj_close"):
        frame.loc[row, column] = (frame.loc[row, column] * factor).round(2)
    table = pq.read_table(path)
    pq.write_table(table.from_pandas(frame, schema=table.schema, preserve_index=False), path)


@pytest.mark.fault(15)
@pytest.mark.campaign
def test_factor_funds_are_in_the_market(night: Night) -> None:
    listed = night.commands.run("universe", "list", "--json")
    assert all(f'"{name}"' in listed for name in FACTOR_ETFS)
