"""How much of each product a session has: what there is, what is expected, and what is missing by reason."""

from dataclasses import replace

from sigmasight_assets.operations.product_coverage import MOST_NAMED, Lack, ProductCoverage, read_product_coverage
from sigmasight_assets.storage.database import Database
from tests.api.market import SESSIONS, add_portfolio, publish, random_figures
from tests.operations.ledger_rows import consume
from tests.orchestration.contents import execute

DAY, NEXT = SESSIONS[-2:]


def by_product(database: Database, session: object) -> dict[str, ProductCoverage]:
    with database.begin() as connection:
        return {
            item.product: item for item in read_product_coverage(connection, [DAY, NEXT]) if item.session == session
        }


def test_what_there_is_and_what_is_missing_add_up_to_what_is_expected(database: Database) -> None:
    figures = random_figures(["AAA", "BBB", "CCC"], seed=1)
    figures["CCC"] = replace(figures["CCC"], products=figures["CCC"].products - {"spread_factors"})
    publish(
        database,
        DAY,
        figures,
        exclusions=[("CCC", "spread_factors", "short_history"), ("DDD", "spread_factors", "no_price")]
        + [("OLD", product, "delisted") for product in ("spread_factors", "market_beta")],
    )
    found = by_product(database, DAY)
    assert found["spread_factors"] == ProductCoverage(
        DAY, "spread_factors", 2, 4, [Lack("no_price", 1, ["DDD"]), Lack("short_history", 1, ["CCC"])]
    )
    assert found["spread_factors"].share == 0.5
    assert found["market_beta"] == ProductCoverage(DAY, "market_beta", 3, 3, [])
    assert (found["factor_covariances"].rows, found["factor_covariances"].expected) == (0, 1)


def test_a_session_without_anything_expects_nothing_of_symbols(database: Database) -> None:
    found = by_product(database, NEXT)
    assert (found["market_beta"].rows, found["market_beta"].share) == (0, None)
    assert found["portfolio_snapshots"].share is None


def test_snapshots_are_counted_of_the_portfolios_that_had_begun(database: Database) -> None:
    add_portfolio(database, "ann", {}, as_of=DAY)
    add_portfolio(database, "bob", {}, as_of=NEXT)
    generation = publish(database, DAY, random_figures(["AAA"], seed=1))
    assert by_product(database, DAY)["portfolio_snapshots"] == ProductCoverage(DAY, "portfolio_snapshots", 0, 1)
    consume(database, generation, DAY)
    # It was just entered, so its snapshots are still to come.
    assert by_product(database, DAY)["portfolio_snapshots"].share == 0.0
    execute(database, "UPDATE portfolios SET stale_from = NULL")
    assert by_product(database, DAY)["portfolio_snapshots"].share == 1.0
    assert by_product(database, NEXT)["portfolio_snapshots"] == ProductCoverage(NEXT, "portfolio_snapshots", 0, 2)


def test_a_portfolio_has_no_snapshots_of_the_sessions_that_it_is_left_out_of(database: Database) -> None:
    add_portfolio(database, "ann", {}, as_of=DAY)
    for day in (DAY, NEXT):
        consume(database, publish(database, day, random_figures(["AAA"], seed=1)), day)
    execute(database, "UPDATE portfolios SET stale_from = NULL, left_out_from = :day", day=NEXT)
    assert by_product(database, DAY)["portfolio_snapshots"].share == 1.0
    assert by_product(database, NEXT)["portfolio_snapshots"].share == 0.0


def test_the_first_of_many_are_named(database: Database) -> None:
    names = [f"S{number:03d}" for number in range(MOST_NAMED + 5)]
    publish(database, DAY, {}, exclusions=[(name, "ir_beta", "no_price") for name in reversed(names)])
    (lack,) = by_product(database, DAY)["ir_beta"].lacks
    assert (lack.symbols, lack.named) == (len(names), names[:MOST_NAMED])
