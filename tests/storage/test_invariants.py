"""Each invariant is found broken by what breaks it, and by nothing that a night leaves behind."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date

import pytest
from sqlalchemy.engine import make_url

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invariants import NO_SESSION, QUERIES, find_broken, find_newly_broken, kind_of
from tests.conftest import NewDatabase, opened
from tests.nights import DAYS, live_evenings
from tests.orchestration.contents import execute, rows_of

LIVED, NEWEST = DAYS[:2], DAYS[1]
SATURDAY = date(2019, 3, 2)
MOST = 1_000


@pytest.fixture(scope="module")
def lived(new_database: NewDatabase, schema_template: str) -> Iterator[str]:
    """Name of a database after two evenings, to be copied."""
    with new_database(schema_template) as url:
        with closing(Database(url)) as database:
            live_evenings(database, LIVED)
        yield str(make_url(url).database)


@pytest.fixture
def nights(lived: str, new_database: NewDatabase) -> Iterator[Database]:
    with opened(new_database, lived) as database:
        yield database


def found(database: Database) -> list[str]:
    with database.begin() as connection:
        newly = find_newly_broken(connection, portfolios=MOST)
        assert newly == find_broken(connection)
    return newly


def test_nights_break_nothing(nights: Database) -> None:
    assert found(nights) == []


def test_an_empty_database_breaks_nothing(database: Database) -> None:
    assert found(database) == []


OF_FIRST_BOOK = f"WHERE session = '{NEWEST}' AND portfolio_id = (SELECT min(portfolio_id) FROM portfolios)"
CENT_MORE = ", ".join(f"{name} = {name} + 0.01" for name in ("net", "long_value", "gross"))
OF_SPY = f"symbol = 'SPY' AND session = '{NEWEST}'"
BREAKS = {
    "a product without a publication": (
        f"UPDATE publications SET products = products[2:6] WHERE layer = 'symbol' AND session = '{NEWEST}'",
        f"rows of what is not published: product market_beta, session {NEWEST}",
    ),
    "a snapshot of no publication": (
        f"UPDATE portfolio_snapshots SET generation = 999 {OF_FIRST_BOOK}",
        "snapshots that no publication knows",
    ),
    "exposures of another generation": (
        f"UPDATE portfolio_exposures SET generation = 1 {OF_FIRST_BOOK}",
        "snapshots and exposures of two generations",
    ),
    "a beta of 29 returns": (
        f"UPDATE symbol_market_beta SET n_obs = 29 WHERE {OF_SPY}",
        "betas of too few observations or without error",
    ),
    "a spread of 59 returns": (
        f"UPDATE symbol_spread_factors SET size_spread_n_obs = 59 WHERE {OF_SPY}",
        "spread betas of too few observations or without error",
    ),
    "a joint fit of 29 returns": (
        f"UPDATE symbol_ridge_factors SET n_obs = 29 WHERE {OF_SPY}",
        "ridge betas that are none",
    ),
    "a cent too much": (
        f"UPDATE portfolio_snapshots SET {CENT_MORE}, cash = cash - 0.01 {OF_FIRST_BOOK}",
        "values that do not add up",
    ),
    "a cent that came from nowhere": (
        f"UPDATE portfolio_snapshots SET equity = equity + 0.01, cash = cash + 0.01 {OF_FIRST_BOOK}",
        "equity that does not roll forward",
    ),
    "figures of a Saturday": (
        f"UPDATE symbol_market_beta SET session = '{SATURDAY}' WHERE {OF_SPY}",
        f"rows of what is no session: held_in symbol_market_beta, day {SATURDAY}",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_one_is_found_and_named(nights: Database, name: str) -> None:
    statement, words = BREAKS[name]
    execute(nights, statement)
    assert any(item.startswith(words) for item in found(nights)), found(nights)


def test_what_awaits_recomputation_need_not_roll_forward(nights: Database) -> None:
    statement, words = BREAKS["a cent that came from nowhere"]
    execute(nights, statement)
    execute(nights, f"UPDATE portfolios SET stale_from = '{NEWEST}'")
    assert not any(item.startswith(words) for item in found(nights))


def test_the_same_rows_are_the_same_words(nights: Database) -> None:
    """Whatever order they are stored in; of many the first are shown."""
    execute(nights, f"UPDATE symbol_market_beta SET n_obs = 29 WHERE session = '{NEWEST}'")
    words = found(nights)
    shown = [item.rpartition(" ")[2] for item in words if item.startswith("betas of too few")]
    stored = rows_of(nights, "SELECT symbol FROM symbol_market_beta WHERE session = :day ORDER BY 1", day=NEWEST)
    symbols = [row["symbol"] for row in stored]
    assert shown == symbols[:3]
    # Stored anew, so that they lie in another order.
    execute(nights, "UPDATE symbol_market_beta SET n_obs = n_obs WHERE symbol < :middle", middle=symbols[2])
    assert found(nights) == words
    assert {kind_of(item) for item in words} <= {*QUERIES, NO_SESSION}
