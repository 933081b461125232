"""The symbol products through real runs: one run per range, events per partition, failures that name the offenders."""

from typing import Any

import dagster as dg
import pytest

from sigmasight_assets.orchestration import symbol_checks
from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.runs import FORCE_TAG
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import SYMBOL_TABLES, contents, execute, published_generations, rows_of
from tests.orchestration.deployments import Deploy, Deployment, rows_of_table
from tests.orchestration.symbol_runs import mark, marks, restate, stocks

JOB = "symbol_layer"
DAYS = [str(day) for day in TARGETS]
BAD = TARGETS[5]


@pytest.fixture
def deployment(deploy: Deploy, priced: Database) -> Deployment:
    return deploy(priced)


def test_range_is_one_run_with_events_per_partition(deployment: Deployment, priced: Database) -> None:
    run = deployment.run(JOB, DAYS[0], DAYS[-1], assets=SYMBOL_PRODUCTS)
    assert run.success
    assert run.materialized == dict.fromkeys(SYMBOL_PRODUCTS, DAYS)
    assert published_generations(priced, "symbol") == dict.fromkeys(TARGETS, 1)
    (batch,) = rows_of(priced, "SELECT * FROM batch_runs")
    assert (batch["run_id"], batch["kind"], batch["status"]) == (run.result.run_id, "symbol_products", "succeeded")
    assert (batch["first_session"], batch["last_session"]) == (TARGETS[0], TARGETS[-1])
    assert (batch["error"], batch["input_hash"]) == (None, None)
    assert batch["finished_at"] > batch["started_at"]
    written = rows_of(priced, "SELECT sum(rows_written) AS rows FROM publications")[0]["rows"]
    seconds = batch["counts"].pop("seconds")
    assert set(seconds) == {"waiting", "reading", "computing", "checking", "writing", "committing"}
    assert 0 < sum(seconds.values()) < (batch["finished_at"] - batch["started_at"]).total_seconds()
    assert batch["counts"] == {
        "sessions_published": 12,
        "sessions_failed": 0,
        "generation": 1,
        "rows_computed": written,
        "rows_fresh": 0,
        "rows_failed": rows_of(
            priced, "SELECT count(*) AS rows FROM symbol_exclusions WHERE reason NOT IN ('not_listed_yet', 'delisted')"
        )[0]["rows"],
        "sessions_republished": 0,
        "symbols_republished": 0,
        "rows_republished": 0,
    }
    assert {row["run_id"] for row in rows_of(priced, "SELECT run_id FROM publications")} == {run.result.run_id}


def test_metadata_is_readable(deployment: Deployment) -> None:
    run = deployment.run(JOB, DAYS[0], DAYS[-1], assets=SYMBOL_PRODUCTS)
    metadata = run.metadata("market_beta")
    assert (metadata["sessions"], metadata["sessions_failed"]) == (12, 0)
    assert metadata["rows"] == metadata["computed"] > 800
    assert (metadata["fresh"], metadata["failed"]) == (0, 33)
    assert metadata["generation"] == 1
    assert metadata["lowest_coverage"] == pytest.approx(72 / 73)
    assert metadata["seconds"] > 0
    assert metadata["without_value"].splitlines() == [
        "| reason | symbol sessions |",
        "| --- | --- |",
        "| constant | 12 |",
        "| no_data_from_source | 12 |",
        "| no_price | 1 |",
        "| not_listed_yet | 4 |",
        "| short_history | 8 |",
    ]
    assert run.metadata("factor_covariances")["rows"] == 12
    assert "failed" not in run.metadata("factor_covariances")
    assert "republished_sessions" not in metadata


def test_checks_are_recorded_for_people_and_per_session(deployment: Deployment, priced: Database) -> None:
    run = deployment.run(JOB, DAYS[0], DAYS[-1], assets=SYMBOL_PRODUCTS)
    assert {name: item.passed for name, item in run.checks.items() if item.blocking} == {
        "coverage": True,
        "factor_etfs_priced": True,
        "bars_valid": True,
        "betas_finite": True,
        "market_beta_stable": True,
    }
    coverage = run.checks["coverage"]
    assert coverage.asset_key.to_user_string() == "symbol_daily_metrics"
    assert run.checks["betas_finite"].asset_key.to_user_string() == "market_beta"
    assert {name: value.value for name, value in coverage.metadata.items()} == {
        "sessions": 12,
        "failed_sessions": 0,
        "limit": CHECK_FACTS["coverage"].limit.replace("`", ""),
        DAYS[-1]: "73 of 73 active symbols have a bar (100.00%), 98.00% needed; tracked but without any data: GHOST",
    }
    judged = rows_of(priced, "SELECT * FROM data_quality_results")
    assert len(judged) == 60
    assert {(row["run_id"], row["layer"], row["passed"]) for row in judged} == {(run.result.run_id, "symbol", True)}


def test_a_second_run_finds_everything_fresh(deployment: Deployment, priced: Database) -> None:
    deployment.run(JOB, DAYS[0], DAYS[-1], assets=SYMBOL_PRODUCTS)
    before = contents(priced, SYMBOL_TABLES)
    run = deployment.run(JOB, DAYS[0], DAYS[-1], assets=SYMBOL_PRODUCTS)
    assert run.success
    assert run.materialized == dict.fromkeys(SYMBOL_PRODUCTS, DAYS)
    metadata = run.metadata("symbol_daily_metrics")
    assert (metadata["computed"], metadata["fresh"]) == (0, metadata["rows"])
    assert "generation" not in metadata
    assert contents(priced, SYMBOL_TABLES) == before


@pytest.mark.parametrize(
    "asked",
    [
        {"tags": {FORCE_TAG: "true"}},
        {"run_config": {"ops": {"symbol_products": {"config": {"force": True}}}}},
    ],
    ids=["by tag", "in the launchpad"],
)
def test_forced_run_publishes_again(deployment: Deployment, priced: Database, asked: dict[str, Any]) -> None:
    deployment.run(JOB, DAYS[3], assets=SYMBOL_PRODUCTS)
    run = deployment.run(JOB, DAYS[3], assets=SYMBOL_PRODUCTS, **asked)
    assert run.materialized == {product: [DAYS[3]] for product in SYMBOL_PRODUCTS}
    assert run.metadata("ir_beta")["fresh"] == 0
    assert published_generations(priced, "symbol") == {TARGETS[3]: 2}


@pytest.mark.parametrize(
    ("missing", "check", "words"),
    [
        (["SPY"], "factor_etfs_priced", "no bar of SPY"),
        (["FLATX", "YOUNG"], "coverage", "without: FLATX, YOUNG"),
    ],
)
def test_failing_session_fails_the_run_and_the_others_are_published(
    deployment: Deployment, priced: Database, missing: list[str], check: str, words: str
) -> None:
    sql = "DELETE FROM symbol_prices_daily WHERE price_date = :day AND symbol = ANY(:symbols)"
    execute(priced, sql, day=BAD, symbols=missing)
    run = deployment.run(JOB, DAYS[0], DAYS[-1], assets=SYMBOL_PRODUCTS)
    assert not run.success
    good = [day for day in DAYS if day != str(BAD)]
    assert deployment.instance.get_materialized_partitions(dg.AssetKey("ridge_factors")) == set(good)
    assert run.materialized == dict.fromkeys(SYMBOL_PRODUCTS, good)
    metadata = run.metadata("market_beta")
    assert (metadata["sessions"], metadata["sessions_failed"]) == (11, 1)
    assert sorted(published_generations(priced, "symbol")) == [day for day in TARGETS if day != BAD]
    assert run.failure.startswith("1 of 12 sessions were not published; the others were.")
    assert f"{BAD} {check}: " in run.failure
    assert words in run.failure
    evaluation = run.checks[check]
    assert not evaluation.passed
    found = {name: value.value for name, value in evaluation.metadata.items()}
    assert (found["sessions"], found["failed_sessions"]) == (12, 1)
    assert words in str(found[str(BAD)])
    rows = rows_of_table(evaluation.metadata["offenders"])
    assert [(row[0], row[1]) for row in rows[: len(missing)]] == [(str(BAD), symbol) for symbol in sorted(missing)]
    assert {row[2] for row in rows[: len(missing)]} == {"no bar at the session"}
    assert evaluation.description is not None
    assert CHECK_FACTS[check].next_step in evaluation.description
    assert [name for name, item in run.checks.items() if not item.passed] == [check]
    (batch,) = rows_of(priced, "SELECT * FROM batch_runs")
    assert (batch["status"], batch["error"]) == ("failed", run.failure)
    assert (batch["counts"]["sessions_published"], batch["counts"]["sessions_failed"]) == (11, 1)
    failed = rows_of(priced, "SELECT session, check_name FROM data_quality_results WHERE NOT passed")
    assert failed == [{"session": BAD, "check_name": check}]


def test_failing_session_is_not_tried_again(deployment: Deployment, priced: Database) -> None:
    execute(priced, "DELETE FROM symbol_prices_daily WHERE price_date = :day AND symbol = 'SPY'", day=BAD)
    run = deployment.run(JOB, str(BAD), assets=SYMBOL_PRODUCTS)
    assert not run.success
    assert run.retries == 0
    assert run.materialized == {}
    assert published_generations(priced, "symbol") == {}


def test_one_product_alone(deployment: Deployment, priced: Database) -> None:
    run = deployment.run(JOB, DAYS[0], DAYS[2], assets=["ir_beta"])
    assert run.success
    assert run.materialized == {"ir_beta": DAYS[:3]}
    assert run.checks == {}
    metadata = run.metadata("ir_beta")
    assert metadata["rows"] == metadata["computed"] == len(contents(priced, SYMBOL_TABLES)["symbol_ir_beta"])
    ledger = rows_of(priced, "SELECT DISTINCT products FROM publications")
    assert ledger == [{"products": ["ir_beta"]}]
    (batch,) = rows_of(priced, "SELECT counts FROM batch_runs")
    assert (batch["counts"]["rows_computed"], batch["counts"]["rows_fresh"]) == (metadata["rows"], 0)
    # Judged all the same: the verdicts belong to the session.
    assert len(rows_of(priced, "SELECT * FROM data_quality_results")) == 15


def test_checks_of_the_chosen_products_only(deployment: Deployment) -> None:
    run = deployment.run(JOB, DAYS[0], assets=["market_beta", "spread_factors"])
    assert run.success
    assert set(run.materialized) == {"market_beta", "spread_factors"}
    assert set(run.checks) == {"betas_finite", "market_beta_stable"}


def test_republished_sessions_are_told(deployment: Deployment, priced: Database) -> None:
    deployment.run(JOB, DAYS[0], DAYS[-1], assets=SYMBOL_PRODUCTS)
    symbol = stocks(priced, 1)[0]
    restate(priced, symbol, TARGETS[9], "adj_close_price = adj_close_price * 1.01")
    mark(priced, symbol, TARGETS[9], has_new_returns=True)
    run = deployment.run(JOB, DAYS[0], assets=SYMBOL_PRODUCTS)
    assert run.success
    assert run.materialized == dict.fromkeys(SYMBOL_PRODUCTS, DAYS[:1])
    metadata = run.metadata("ir_beta")
    assert (metadata["computed"], metadata["rows_republished"]) == (0, 3)
    assert metadata["republished_sessions"].splitlines()[2:] == [f"| {day} |" for day in DAYS[9:]]
    assert metadata["republished_symbols"].splitlines()[2:] == [f"| {symbol} |"]
    counts = rows_of(priced, "SELECT counts FROM batch_runs ORDER BY started_at")[-1]["counts"]
    assert (counts["sessions_republished"], counts["symbols_republished"], counts["rows_republished"]) == (3, 1, 15)


def test_a_republication_that_fails_fails_the_run_after_its_own_sessions(
    deployment: Deployment, priced: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.run(JOB, DAYS[6], DAYS[-1], assets=SYMBOL_PRODUCTS)
    symbol = stocks(priced, 1)[0]
    restate(priced, symbol, TARGETS[9], "adj_close_price = adj_close_price * 1.01")
    mark(priced, symbol, TARGETS[9], has_new_returns=True)
    # No beta is within this bound, and at the asked session none has to be computed.
    monkeypatch.setattr(symbol_checks, "BETA_CAP", 0.0)
    run = deployment.run(JOB, DAYS[6], assets=SYMBOL_PRODUCTS)
    assert not run.success
    assert run.materialized == dict.fromkeys(SYMBOL_PRODUCTS, DAYS[6:7])
    assert run.failure.startswith(f"Facts behind published sessions changed for {symbol}, and these could not be")
    assert f"{TARGETS[9]} betas_finite: not finite or beyond +-0: {symbol}" in run.failure
    assert [name for name, item in run.checks.items() if not item.passed] == ["betas_finite"]
    assert marks(priced) == [symbol]
