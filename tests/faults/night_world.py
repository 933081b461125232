"""One night of 200 symbols: what is stored on its evening, and what its market then says anew.

A few closes of the session before are restated, so the night first mends what is published and then adds its session.
"""

import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.universe import import_listings
from tests.e2e.market import Disturbances, DisturbedMarket
from tests.nights import MIN_COVERAGE, run_layer, run_portfolio_layer

# Not all are listed all the time: with the eight funds of the factors, 200 symbols have a bar tonight.
STOCKS = 221
DAYS = exchange_calendar().between(date(2025, 7, 28), date(2025, 7, 31))
PUBLISHED, TONIGHT = DAYS[:-1], DAYS[-1]
HISTORY_START = exchange_calendar().offset(DAYS[0], -200)
OWNER = "owner"
HELD = 25
RESTATED = 5
SCRIPT = "market.json"


def market(evening: date, script: Path) -> DisturbedMarket:
    """The market as it is known on an evening, disturbed as the file says."""
    return DisturbedMarket(SimulatedMarket(exchange_calendar(), stocks=STOCKS, as_of=evening), script, today=evening)


def stocks(evening: date = TONIGHT) -> list[str]:
    """Stocks that are listed on an evening."""
    found = SimulatedMarket(exchange_calendar(), stocks=STOCKS, as_of=evening).listings()
    return [item.symbol for item in found if item.asset_type == "equity"]


def restate(script: Path) -> None:
    """Let the market state some closes of the newest published session otherwise."""
    Disturbances(restated={symbol: {str(PUBLISHED[-1]): 1.01} for symbol in stocks(DAYS[0])[:RESTATED]}).save(script)


def enter_past(database: Database, script: Path) -> None:
    """Everything of the sessions before the night, with the snapshots of two portfolios, long and short."""
    listings = market(PUBLISHED[-1], script).listings()
    names = stocks(DAYS[0])
    with database.begin() as connection:
        import_listings(connection, listings)
        for number in range(2):
            lots = [
                NewLot(symbol, Decimal((10 + place) * (-1) ** (place * number)), Decimal(50), DAYS[0])
                for place, symbol in enumerate(names[number::2][:HELD])
            ]
            equity = Decimal(200_000)
            create_portfolio(connection, user=OWNER, name=f"Book {number}", equity=equity, as_of=DAYS[0], lots=lots)
    run_layer(database, market(PUBLISHED[-1], script), PUBLISHED, history_start=HISTORY_START)
    run_portfolio_layer(database, PUBLISHED[-1])


def environment(home: Path, url: str) -> Mapping[str, str]:
    """The environment of a process that works on the night; ``home`` holds the market's script."""
    foreign = {name for name in os.environ if name.startswith("SIGMASIGHT_")}
    own = {
        "HOME": str(home),
        "DATABASE_URL": url,
        "HISTORY_START": str(HISTORY_START),
        "MIN_COVERAGE": str(MIN_COVERAGE),
        "NOW": f"{TONIGHT}T22:00:00-04:00",
    }
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", **{f"SIGMASIGHT_{name}": value for name, value in own.items()}}
