"""Markets and the calendar that the tests of this layer share."""

import os
import socket
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigmasight_assets.market_data.files import CONSTITUENTS_FILE, PRICE_COLUMNS, PRICES_FILE, FilesMarket
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.vendor_calls import CallRules
from sigmasight_assets.market_data.vendor_patience import Patience
from sigmasight_assets.market_data.yahoo import YahooMarket
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from tests.market_data.yahoo_runs import SECONDS, TODAY, company
from tests.vendors.server import StandIn, stand_in
from tests.vendors.yahoo import YahooMarketplace

REAL_MARKET = Path(
    os.environ.get("SIGMASIGHT_TEST_MARKET") or Path(__file__).parents[2].parent.joinpath("shared", "market")
)
FIELD_TYPES = {"symbol": pa.string(), "price_date": pa.date32()}

WriteMarket = Callable[..., Path]


@pytest.fixture(scope="session")
def calendar() -> SessionCalendar:
    return exchange_calendar()


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that this process connects to."""
    found: list[Any] = []
    connect = socket.socket.connect

    def noted(line: socket.socket, address: Any) -> None:
        found.append(address)
        connect(line, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    return found


@pytest.fixture(scope="session")
def simulated(calendar: SessionCalendar) -> SimulatedMarket:
    return SimulatedMarket(calendar)


@pytest.fixture(scope="session")
def real_market() -> FilesMarket:
    if not (REAL_MARKET / PRICES_FILE).is_file():
        pytest.skip(f"{REAL_MARKET} has no {PRICES_FILE}; SIGMASIGHT_TEST_MARKET names another directory")
    return FilesMarket(REAL_MARKET)


@pytest.fixture
def write_market(tmp_path: Path) -> WriteMarket:
    """Write the two files from rows of (symbol, date, open, high, low, close, adj_close, volume) and CSV lines."""

    def write(rows: list[tuple[object, ...]], lines: list[str]) -> Path:
        columns = dict(zip(PRICE_COLUMNS, zip(*rows, strict=True), strict=True))
        arrays = {name: pa.array(values, FIELD_TYPES.get(name, pa.float64())) for name, values in columns.items()}
        pq.write_table(pa.table(arrays), tmp_path / PRICES_FILE)
        header = "symbol,name,sector,sub_industry"
        (tmp_path / CONSTITUENTS_FILE).write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def small_market(write_market: WriteMarket) -> FilesMarket:
    """Three symbols of July 2024, unsorted, with a padded listing, a null row on a holiday and a symbol of nulls."""
    first, second, holiday, third = (date(2024, 7, day) for day in (2, 3, 4, 5))
    bar, nothing = (10.0, 11.0, 9.0, 10.5, 10.25, 1000.0), (None,) * 6
    rows = [
        ("SPY", third, *bar),
        ("NEW", first, *nothing),
        ("SPY", first, *bar),
        ("NEW", third, *bar),
        ("GONE", first, *nothing),
        ("NEW", second, *bar),
        ("SPY", second, *bar),
        ("NEW", holiday, *nothing),
        ("GONE", second, *nothing),
    ]
    lines = ["SPY,Market Fund,,", 'NEW,"New, Inc.",Energy,Oil & Gas Drilling', "GONE,Gone Inc.,Financials,"]
    return FilesMarket(write_market(rows, lines))


@pytest.fixture
def market() -> YahooMarketplace:
    return YahooMarketplace({"ABC": company(), "BRK-B": company()})


@pytest.fixture
def vendor(market: YahooMarketplace) -> Iterator[StandIn]:
    with stand_in(market.routes) as running:
        yield running


@pytest.fixture
def new_source(vendor: StandIn, tmp_path: Path, fresh_client: None) -> Callable[..., YahooMarket]:  # noqa: ARG001
    def build(**limits: Any) -> YahooMarket:
        rules = CallRules(base_url=vendor.url, timeout=SECONDS)
        patience = Patience("Yahoo", rules, **limits)
        return YahooMarket(rules, cache=tmp_path / "yahoo", today=lambda: TODAY, patience=patience)

    return build


@pytest.fixture
def source(new_source: Callable[..., YahooMarket]) -> YahooMarket:
    return new_source()


@pytest.fixture
def fresh_client() -> None:
    """The client's state is the process's: a crumb of another test's Yahoo is none."""
    from yfinance.data import SingletonMeta  # noqa: PLC0415

    SingletonMeta._instances.clear()
