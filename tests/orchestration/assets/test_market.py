"""Universe and prices through real runs."""

from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.universe import import_listings
from tests.orchestration.conftest import HISTORY_START, TARGETS
from tests.orchestration.contents import PRICE_TABLES, contents, published_generations, rows_of
from tests.orchestration.deployments import Deploy, Deployment
from tests.orchestration.markets import ScriptedMarket, bar, stock

JOB = "symbol_layer"
DAYS = [str(day) for day in TARGETS]


@pytest.fixture
def deployment(deploy: Deploy, database: Database) -> Deployment:
    return deploy(database)


def hold(database: Database, symbol: str, *, closed: bool = False, held_as: str = "PUBLIC") -> None:
    """Enter a portfolio of one lot; a closed one is sold before the first snapshot."""
    exit_price, exit_date = (Decimal(11), TARGETS[0]) if closed else (None, None)
    lot = NewLot(symbol, Decimal(5), Decimal(10), HISTORY_START, exit_price, exit_date, investment_class=held_as)
    with database.begin() as connection:
        create_portfolio(
            connection, user="ann", name=f"holds {symbol}", equity=Decimal(900), as_of=TARGETS[0], lots=[lot]
        )


def universe(database: Database) -> dict[str, dict[str, object]]:
    return {row["symbol"]: row for row in rows_of(database, "SELECT * FROM symbol_universe")}


def test_layer_from_nothing_to_published_in_one_run(deployment: Deployment, database: Database) -> None:
    """Without any import the factor funds are tracked, and that is enough for a first publication."""
    run = deployment.run(JOB, DAYS[0], DAYS[2])
    assert run.success
    assert set(universe(database)) == set(FACTOR_ETFS)
    assert {tuple(partitions) for partitions in run.materialized.values()} == {tuple(DAYS[:3])}
    assert len(run.materialized) == 9
    assert published_generations(database, "symbol") == dict.fromkeys(TARGETS[:3], 1)
    batches = rows_of(database, "SELECT kind, status, first_session, last_session FROM batch_runs ORDER BY started_at")
    assert [(row["kind"], row["status"]) for row in batches] == [
        ("symbol_universe", "succeeded"),
        ("company_profiles", "succeeded"),
        ("symbol_prices", "succeeded"),
        ("symbol_products", "succeeded"),
    ]
    assert {(row["first_session"], row["last_session"]) for row in batches} == {(TARGETS[0], TARGETS[2])}


def test_universe_is_what_was_imported_what_is_held_and_the_funds(deployment: Deployment, database: Database) -> None:
    listed = SimulatedMarket(exchange_calendar(), stocks=50).listings()[-1].symbol
    with database.begin() as connection:
        import_listings(connection, [stock("OWN1"), stock(listed)])
    hold(database, "HELD1")
    hold(database, "GONE1", closed=True)
    run = deployment.run(JOB, DAYS[0], assets=["symbol_universe"])
    assert run.success
    found = universe(database)
    assert set(found) == {"OWN1", listed, "HELD1", *FACTOR_ETFS}
    # The market describes what it lists; the rest keeps the description it came with.
    assert found[listed]["sector"] is not None
    assert found["OWN1"]["name"] == "OWN1 Inc."
    assert (found["HELD1"]["name"], found["HELD1"]["asset_type"], found["HELD1"]["status"]) == (
        "HELD1",
        "equity",
        "pending",
    )
    assert {found[fund]["asset_type"] for fund in FACTOR_ETFS} == {"etf"}
    metadata = run.metadata("symbol_universe")
    assert (metadata["tracked"], metadata["added"], metadata["changed"]) == (11, 9, 1)
    assert metadata["market"] == "simulated"
    before = contents(database, PRICE_TABLES)
    again = deployment.run(JOB, DAYS[0], assets=["symbol_universe"]).metadata("symbol_universe")
    assert (again["tracked"], again["added"], again["changed"]) == (11, 0, 0)
    assert contents(database, PRICE_TABLES) == before


def test_held_contracts_are_tracked_with_what_they_are_on(deployment: Deployment, database: Database) -> None:
    for contract in ("HELD250718C00100000", "WAS1250718P00100000", "not a contract"):
        hold(database, contract, held_as="OPTIONS")
    hold(database, "SOLD250718C00100000", held_as="OPTIONS", closed=True)
    hold(database, "My House", held_as="PRIVATE")
    assert deployment.run(JOB, DAYS[0], assets=["symbol_universe"]).success
    found = {symbol: row["asset_type"] for symbol, row in universe(database).items() if symbol not in FACTOR_ETFS}
    assert found == {
        "HELD250718C00100000": "option",
        "HELD": "equity",
        "WAS1250718P00100000": "option",
        "WAS": "equity",
        "not a contract": "option",
    }


def test_contracts_of_the_simulated_market_are_priced(deployment: Deployment, database: Database) -> None:
    underlying = SimulatedMarket(exchange_calendar(), stocks=50).listings()[20].symbol
    contract, adjusted = f"{underlying}250919C00050000", f"{underlying}1250919C00050000"
    hold(database, contract, held_as="OPTIONS")
    hold(database, adjusted, held_as="OPTIONS")
    run = deployment.run(JOB, DAYS[0], DAYS[-1], assets=["symbol_universe", "symbol_prices"])
    assert run.success
    found = universe(database)
    assert (found[contract]["status"], found[underlying]["status"]) == ("active", "active")
    assert found[adjusted]["status"] == "error"
    metadata = run.metadata("symbol_prices")
    assert f"| {adjusted} | adjusted contract: its deliverable is not known |" in metadata["problems"]
    assert (metadata["symbols_skipped"], metadata["corporate_actions"]) == (1, "supplied")


def test_profiles_are_captured_and_counted(deploy: Deploy, database: Database) -> None:
    market = ScriptedMarket({}, [stock("AAA"), stock("BBB")], profiles={"AAA": {"market_cap": 1e9}})
    with database.begin() as connection:
        import_listings(connection, market.listings())
    run = deploy(database, market=market).run(JOB, DAYS[0], assets=["company_profiles"])
    assert run.success
    metadata = run.metadata("company_profiles")
    expected = {
        "captured": 1,
        "already_fresh": 0,
        "left_to_other_nights": 0,
        "symbols_without_profile": 1,
        "vendor_calls": 1,
    }
    assert {name: metadata[name] for name in expected} == expected
    assert metadata["without_profile"].splitlines()[2:] == ["| BBB | no profile |"]
    # The market has no dated profiles, so they are those of the newest complete session.
    assert metadata["as_of"] == str(TARGETS[-1])
    assert market.profile_requests == [(TARGETS[-1], ["AAA", "BBB"])]
    (batch,) = rows_of(database, "SELECT kind, counts FROM batch_runs")
    assert (batch["kind"], batch["counts"]) == ("company_profiles", expected)
    market.supplies_dated_profiles = True
    again = deploy(database, market=market).run(JOB, DAYS[0], DAYS[1], assets=["company_profiles"])
    assert again.materialized == {"company_profiles": DAYS[:2]}
    assert again.metadata("company_profiles")["as_of"] == "each session"
    assert market.profile_requests[1:] == [(TARGETS[0], ["AAA", "BBB"]), (TARGETS[1], ["BBB"])]


def test_funds_that_the_market_does_not_list_are_tracked_all_the_same(deploy: Deploy, database: Database) -> None:
    market = ScriptedMarket({("AAA", TARGETS[0]): bar(10.0)}, [stock("AAA")])
    run = deploy(database, market=market).run(JOB, DAYS[0], assets=["symbol_universe"])
    assert run.success
    assert {row["asset_type"] for row in universe(database).values()} == {"etf"}


def test_price_metadata_is_readable(deploy: Deploy, database: Database) -> None:
    market = ScriptedMarket(
        {
            ("AAA", TARGETS[0]): bar(10.0),
            ("AAA", TARGETS[1]): (10.0, 9.0, 8.0, 9.5, 9.5, 100.0),
            ("BBB", TARGETS[0]): bar(20.0),
            ("OVER", TARGETS[0]): bar(30.0),
        },
        [stock("AAA"), stock("BBB"), stock("GONE"), stock("OVER")],
        supplies_corporate_actions=True,
        delisted={"OVER": "merged"},
        actions={("BBB", TARGETS[0], "dividend"): (None, None, -1.0)},
    )
    with database.begin() as connection:
        import_listings(connection, market.listings())
    run = deploy(database, market=market).run(JOB, DAYS[0], DAYS[1], assets=["symbol_prices"])
    assert run.success
    metadata = run.metadata("symbol_prices")
    expected = {
        "symbols_requested": 4,
        "symbols_asked_again": 0,
        "symbols_skipped": 0,
        "symbols_refetched": 0,
        "bars_inserted": 3,
        "bars_restated": 0,
        "bars_rescaled": 0,
        "bars_already_there": 0,
        "bars_rejected": 1,
        "actions_new": 0,
        "actions_changed": 0,
        "actions_withdrawn": 0,
        "actions_rejected": 1,
        "symbols_marked": 0,
        "symbols_with_problems": 1,
        "symbols_failed": 0,
        "vendor_calls": 1,
    }
    assert {name: metadata[name] for name in expected} == expected
    assert metadata["rejected_by_reason"].splitlines()[2:] == ["| high_too_low | 1 |"]
    assert metadata["problems"].splitlines()[2:] == ["| GONE | unknown: no such ticker |"]
    assert metadata["action_problems"].splitlines()[2].startswith("| BBB | dividend of 2025-05-19 is not stored")
    assert metadata["delisted"].splitlines()[2:] == ["| OVER | merged |"]
    assert metadata["market"] == "scripted"
    assert metadata["corporate_actions"] == "supplied"
    (batch,) = rows_of(database, "SELECT counts FROM batch_runs")
    assert batch["counts"] == expected
    # The next run of the universe shows who is without data.
    without = deploy(database, market=market).run(JOB, DAYS[0], assets=["symbol_universe"]).metadata("symbol_universe")
    assert without["without_data"].splitlines()[2:] == ["| GONE | unknown: no such ticker |"]


def test_range_reads_its_window_once(deploy: Deploy, database: Database) -> None:
    market = ScriptedMarket({("AAA", day): bar(10.0) for day in TARGETS}, [stock("AAA")])
    with database.begin() as connection:
        import_listings(connection, market.listings())
    run = deploy(database, market=market).run(JOB, DAYS[0], DAYS[-1], assets=["symbol_prices"])
    assert run.materialized == {"symbol_prices": DAYS}
    assert market.asked() == {"AAA": (HISTORY_START, TARGETS[-1])}
    assert run.metadata("symbol_prices")["corporate_actions"].startswith("not supplied by this market")


def test_empty_universe_fails_with_the_way_out(deploy: Deploy, database: Database) -> None:
    run = deploy(database).run(JOB, DAYS[0], assets=["symbol_prices"])
    assert not run.success
    assert run.retries == 0
    assert run.failure.startswith("No symbol is tracked: run `sigmasight universe import FILE`")


def test_history_starts_at_the_setting(deploy: Deploy, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_HISTORY_START", "2025-05-01")
    market = ScriptedMarket({("AAA", day): bar(10.0) for day in TARGETS}, [stock("AAA")])
    with database.begin() as connection:
        import_listings(connection, market.listings())
    deploy(database, market=market).run(JOB, DAYS[0], assets=["symbol_prices"])
    assert market.asked() == {"AAA": (date(2025, 5, 1), TARGETS[0])}
