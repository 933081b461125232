"""How many sessions layers and products are behind: a table of cases, and the same read from a database."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal

import pytest

from sigmasight_assets.operations.freshness import Freshness, freshness, read_freshness
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import create_portfolio
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.operations.ledger_rows import consume, decide, publish
from tests.orchestration.contents import execute

MON, TUE, WED, THU, FRI = WEEK = tuple(date(2025, 7, day) for day in range(21, 26))
FRIDAY_NIGHT = datetime(2025, 7, 25, 21, 0, tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("published", "sessions", "waived", "expected"),
    [
        (WEEK, WEEK, (), (FRI, 0, "ok", None)),
        (WEEK[:4], WEEK, (), (THU, 1, "warning", "1 session behind: 2025-07-25 is not published")),
        (WEEK[:3], WEEK, (), (WED, 2, "critical", "2 sessions behind: 2025-07-24 is not published")),
        (WEEK[:1], WEEK, (), (MON, 4, "critical", "4 sessions behind: 2025-07-22 is not published")),
        # A hole is no lateness; the list of failures has it.
        ((MON, WED, THU, FRI), WEEK, (), (FRI, 0, "ok", None)),
        (WEEK[:4], WEEK, (FRI,), (THU, 0, "ok", None)),
        (WEEK[:3], WEEK, (THU,), (WED, 1, "warning", "1 session behind: 2025-07-25 is not published")),
        # Published beyond what is complete by this clock.
        (WEEK, WEEK[:2], (), (TUE, 0, "ok", None)),
        ((), WEEK, (), (None, None, "warning", "nothing is published yet")),
        ((FRI,), WEEK[:2], (), (None, None, "warning", "nothing is published yet")),
        ((), (), (), (None, 0, "ok", "nothing is due")),
        (WEEK, (), (), (None, 0, "ok", "nothing is due")),
    ],
)
def test_freshness(
    published: Collection[date],
    sessions: Sequence[date],
    waived: Collection[date],
    expected: tuple[date | None, int | None, str, str | None],
) -> None:
    found = freshness("symbol", "market_beta", published, sessions, waived=waived)
    assert (found.layer, found.product) == ("symbol", "market_beta")
    assert (found.newest, found.behind, found.severity, found.reason) == expected


def read(database: Database, clock: datetime = FRIDAY_NIGHT) -> dict[str, Freshness]:
    """By product, or by layer where it is of a whole layer."""
    with database.begin() as connection:
        return {item.product or item.layer: item for item in read_freshness(connection, clock=clock)}


def add_portfolio(database: Database, as_of: date) -> None:
    with database.begin() as connection:
        create_portfolio(connection, user="ann", name="main", equity=Decimal(1000), as_of=as_of, lots=[])


def test_an_empty_database_has_published_nothing(database: Database) -> None:
    found = read(database)
    assert {item.severity for item in found.values() if item.layer == "symbol"} == {"warning"}
    assert {item.severity for item in found.values() if item.layer == "portfolio"} == {"ok"}
    assert list(found) == [
        *("symbol", "portfolio", "symbol_prices", *SYMBOL_PRODUCTS),
        *("portfolio_snapshots", "portfolio_factor_exposures"),
    ]


def test_a_layer_counts_once_all_products_of_a_session_are_published(database: Database) -> None:
    publish(database, THU)
    publish(database, FRI, products=SYMBOL_PRODUCTS[:5])
    found = read(database)
    assert (found["symbol"].newest, found["symbol"].behind) == (THU, 1)
    assert (found["market_beta"].newest, found["market_beta"].behind) == (FRI, 0)
    assert (found["symbol_daily_metrics"].newest, found["symbol_daily_metrics"].behind) == (THU, 1)


def test_a_session_is_due_from_nine_in_the_evening(database: Database) -> None:
    publish(database, THU)
    assert read(database, FRIDAY_NIGHT.replace(hour=20, minute=59))["symbol"].behind == 0
    assert read(database)["symbol"].behind == 1


def test_closed_and_waived_sessions_are_not_late(database: Database) -> None:
    publish(database, WED)
    assert read(database)["symbol"].severity == "critical"
    decide(database, THU, "closed")
    assert read(database)["symbol"].severity == "warning"
    decide(database, FRI, "waived")
    assert read(database)["symbol"].severity == "ok"


def test_snapshots_are_due_from_the_first_portfolio_and_the_first_publication(database: Database) -> None:
    generation = publish(database, TUE, WED, THU, FRI)
    assert read(database)["portfolio"].reason == "nothing is due"
    add_portfolio(database, MON)
    assert read(database)["portfolio_snapshots"].reason == "nothing is published yet"
    consume(database, generation, TUE, WED)
    found = read(database)
    assert (found["portfolio"].newest, found["portfolio"].behind) == (WED, 2)
    assert found["portfolio_factor_exposures"].severity == "critical"
    consume(database, generation, THU, FRI)
    assert {item.severity for item in read(database).values()} == {"ok", "warning"}


def test_prices_are_those_of_the_newest_symbol(database: Database) -> None:
    publish(database, MON, FRI)
    for symbol, day in (("AAA", WED), ("BBB", THU)):
        execute(
            database,
            "INSERT INTO symbol_universe (symbol, name, asset_type, last_price_date) "
            "VALUES (:symbol, 'a', 'equity', :day)",
            symbol=symbol,
            day=day,
        )
    assert (read(database)["symbol_prices"].newest, read(database)["symbol_prices"].behind) == (THU, 1)
