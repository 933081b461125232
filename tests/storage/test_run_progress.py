"""How far a step has come, by what is stored of it."""

from datetime import date
from typing import Literal

from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import Publication, lock_layer, next_generation, record_publications
from sigmasight_assets.storage.run_progress import StepProgress, read_step_progress
from tests.operations.ledger_rows import run_step
from tests.orchestration.contents import execute

FIRST, SECOND, THIRD = (date(2025, 7, day) for day in (21, 22, 23))


def progress(database: Database, run_id: str = "r1") -> StepProgress | None:
    with database.begin() as connection:
        return read_step_progress(connection, run_id)


def publish(
    database: Database,
    *days: date,
    run_id: str = "r1",
    layer: Literal["symbol", "portfolio"] = "symbol",
    products: tuple[str, ...] = ("market_beta",),
) -> None:
    with database.bulk() as transaction:
        lock_layer(transaction, layer)
        items = [Publication(day, products, rows_written=1, coverage=1.0, counts={}) for day in days]
        record_publications(transaction, next_generation(transaction), layer, items, run_id=run_id)


def track(database: Database, **last_prices: date | None) -> None:
    for symbol, last in last_prices.items():
        value = "NULL" if last is None else f"'{last}'"
        execute(
            database,
            "INSERT INTO symbol_universe (symbol, name, asset_type, last_price_date) "
            f"VALUES ('{symbol}', '{symbol}', 'equity', {value})",
        )


def test_a_run_without_a_running_step_tells_nothing(database: Database) -> None:
    assert progress(database) is None
    run_step(database, "r1", FIRST)
    run_step(database, "r2", FIRST, ended_ago=None)
    assert progress(database) is None


def test_sessions_that_the_run_has_published_are_counted_once(database: Database) -> None:
    run_step(database, "r1", FIRST, THIRD, ended_ago=None)
    publish(database, FIRST, SECOND)
    publish(database, SECOND)
    publish(database, THIRD, run_id="another")
    assert progress(database) == StepProgress("symbol_products", FIRST, THIRD, 2, 0)


def test_sessions_whose_slices_are_under_way_are_not_published(database: Database) -> None:
    run_step(database, "r1", FIRST, THIRD, kind="portfolio_products", ended_ago=None)
    publish(database, FIRST, SECOND, THIRD, layer="portfolio", products=())
    assert progress(database) == StepProgress("portfolio_products", FIRST, THIRD, 0, 0)
    publish(database, FIRST, layer="portfolio", products=PRODUCTS)
    assert progress(database) == StepProgress("portfolio_products", FIRST, THIRD, 1, 0)


def test_symbols_are_those_with_the_newest_price(database: Database) -> None:
    track(database, AAA=SECOND, BBB=FIRST, CCC=None)
    run_step(database, "r1", FIRST, SECOND, kind="symbol_prices", ended_ago=None)
    assert progress(database) == StepProgress("symbol_prices", FIRST, SECOND, 1, 3)


def test_symbols_that_had_it_before_tell_nothing(database: Database) -> None:
    track(database, AAA=THIRD, BBB=THIRD)
    run_step(database, "r1", FIRST, SECOND, kind="symbol_prices", ended_ago=None)
    assert progress(database) == StepProgress("symbol_prices", FIRST, SECOND, None, 2)


def test_of_a_market_that_is_asked_for_one_at_a_time_the_answers_are_counted(database: Database) -> None:
    track(database, AAA=THIRD, BBB=THIRD, CCC=THIRD)
    run_step(database, "r1", FIRST, SECOND, kind="symbol_prices", ended_ago=None)
    execute(database, "UPDATE symbol_universe SET answered_at = now() + interval '1 second' WHERE symbol = 'AAA'")
    execute(database, "UPDATE symbol_universe SET answered_at = now() - interval '1 day' WHERE symbol = 'BBB'")
    assert progress(database) == StepProgress("symbol_prices", FIRST, SECOND, 1, 3)


def test_a_step_without_traces_has_no_count(database: Database) -> None:
    run_step(database, "r1", FIRST, kind="company_profiles", ended_ago=None)
    assert progress(database) == StepProgress("company_profiles", FIRST, FIRST, None, 0)
