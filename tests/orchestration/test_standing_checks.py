"""The standing checks: what they say, that people can execute them, and that runs do not wait for them."""

import re
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from sigmasight_assets.definitions import defs
from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.freshness import Freshness
from sigmasight_assets.orchestration import standing_checks
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.orchestration.standing_checks import (
    INVARIANTS_HOLD,
    NOTHING_FAILED,
    STANDING_CHECKS,
    judge_failures,
    judge_freshness,
    read_judgements,
)
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage import invariants
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.operations.ledger_rows import publish, run_step
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import execute as execute_sql
from tests.orchestration.deployments import Deploy, Deployment, Run, rows_of_table

DAY = date(2025, 7, 25)


@pytest.mark.parametrize(
    ("severity", "passed", "shown"),
    [
        ("ok", True, dg.AssetCheckSeverity.ERROR),
        ("warning", False, dg.AssetCheckSeverity.WARN),
        ("critical", False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_lateness_is_shown_by_its_severity(severity: str, passed: bool, shown: dg.AssetCheckSeverity) -> None:
    found = [
        Freshness("portfolio", None, None, None, "critical", "of the other layer"),
        Freshness("symbol", None, DAY, 1, severity, "late" if severity != "ok" else None),  # type: ignore[arg-type]
        Freshness("symbol", "market_beta", DAY, 7, "critical", None),
        Freshness("symbol", "ir_beta", None, None, "warning", None),
    ]
    evaluation = judge_freshness("symbol", found).evaluation
    assert (evaluation.passed, evaluation.severity) == (passed, shown)
    assert evaluation.description == ("late" if severity != "ok" else "current up to 2025-07-25")
    assert rows_of_table(evaluation.metadata["products"]) == [["market_beta", "2025-07-25", "7"], ["ir_beta", "", ""]]


def test_failures_are_critical_when_one_of_them_is() -> None:
    warning = Failure("suspect_bar", "warning", "AAA", "moved by half", "accept or reject it")
    critical = Failure("session_not_published", "critical", "2025-07-25", "no | answer", "next attempt at 22:00")
    assert judge_failures([]).evaluation.passed
    only = judge_failures([warning]).evaluation
    assert (only.passed, only.severity) == (False, dg.AssetCheckSeverity.WARN)
    both = judge_failures([critical, warning]).evaluation
    assert both.severity == dg.AssetCheckSeverity.ERROR
    assert both.description == "2 failed right now, 1 of them critical"
    first, second = rows_of_table(both.metadata["failed_now"])
    assert first == ["session_not_published", "2025-07-25", "no | answer", "next attempt at 22:00"]
    assert second == ["suspect_bar", "AAA", "moved by half", "accept or reject it"]


@pytest.mark.parametrize("job", [SYMBOL_LAYER, PORTFOLIO_LAYER])
def test_runs_do_not_wait_for_them(job: str) -> None:
    nodes = {node.name for node in defs.resolve_job_def(job).nodes}
    assert nodes
    assert not [name for name in nodes if any(key.name in name for key in STANDING_CHECKS)]


def execute(deployment: Deployment) -> dict[str, dg.AssetCheckEvaluation]:
    """Run all of them as the UI does; evaluations by asset and check."""
    whole = deployment.definitions.resolve_implicit_global_asset_job_def()
    job = whole.get_subset(asset_selection=set(), asset_check_selection=set(STANDING_CHECKS))
    run = Run(job.execute_in_process(instance=deployment.instance))
    assert run.success
    events = run.events(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [event.asset_check_evaluation_data for event in events]
    return {item.asset_check_key.to_user_string(): item for item in found}


def test_people_can_execute_them(deploy: Deploy, database: Database) -> None:
    """Without a partition, as the UI launches checks alone."""
    publish(database, *TARGETS[:-2])
    run_step(database, "r1", TARGETS[-2], kind="symbol_prices", error="no answer", ended_ago=5)
    found = execute(deploy(database))
    lateness = found["symbol_daily_metrics:sessions_current"]
    assert (lateness.passed, lateness.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert lateness.description == f"2 sessions behind: {TARGETS[-2]} is not published"
    assert found["portfolio_snapshots:sessions_current"].passed
    failed = found["symbol_daily_metrics:nothing_failed_now"]
    assert failed.description == "1 failed right now, 1 of them critical"
    assert "no answer" in rows_of_table(failed.metadata["failed_now"])[0][2]


def test_a_check_without_database_fails_with_the_reason(deploy: Deploy) -> None:
    away = Database("postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing")
    deployment = deploy(away)
    whole = deployment.definitions.resolve_implicit_global_asset_job_def()
    job = whole.get_subset(asset_selection=set(), asset_check_selection={NOTHING_FAILED})
    run = Run(job.execute_in_process(instance=deployment.instance, raise_on_error=False))
    assert not run.success
    assert "127.0.0.1:9/nothing does not answer" in run.failure


def test_every_product_has_a_backstop_that_spans_a_long_weekend() -> None:
    graph = defs.resolve_asset_graph()
    for name in ("symbol_universe", "company_profiles", "symbol_prices", *SYMBOL_PRODUCTS, *PRODUCTS):
        policy = graph.get(dg.AssetKey(name)).freshness_policy
        assert isinstance(policy, TimeWindowFreshnessPolicy), name
        assert policy.warn_window is not None
        windows = policy.warn_window.to_timedelta(), policy.fail_window.to_timedelta()
        assert windows == (timedelta(days=4), timedelta(days=5))


def test_the_orchestrator_watches_freshness(tmp_path: Path) -> None:
    """It does so unless its settings say otherwise."""
    settings = (Path(__file__).resolve().parents[2] / "dagster.yaml").read_text(encoding="utf-8")
    assert not re.search(r"^freshness:\s+enabled: false", settings, flags=re.MULTILINE)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert instance.freshness_enabled


def test_a_broken_invariant_is_named_until_it_is_mended(deploy: Deploy, database: Database) -> None:
    publish(database, *TARGETS[:2])
    deployment = deploy(database)
    name = INVARIANTS_HOLD.to_user_string()
    assert execute(deployment)[name].passed
    saturday = date(2025, 7, 26)
    publish(database, saturday)
    broken = execute(deployment)[name]
    assert (broken.passed, broken.severity) == (False, dg.AssetCheckSeverity.ERROR)
    words = f"rows of what is no session: held_in publications, day {saturday}"
    assert broken.description == f"1 broken; the first: {words}"
    assert rows_of_table(broken.metadata["broken"]) == [[words]]
    execute_sql(database, "DELETE FROM publications WHERE session = :day", day=saturday)
    assert execute(deployment)[name].passed


def test_invariants_are_looked_at_once_a_publication(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look(*_: object, **__: object) -> list[str]:
        looks.append(1)
        return []

    monkeypatch.setattr(standing_checks, "find_newly_broken", look)
    publish(database, *TARGETS[:2])
    for _ in range(3):
        read_judgements(database, Settings())
    assert len(looks) == 1
    publish(database, TARGETS[2])
    read_judgements(database, Settings())
    assert len(looks) == 2
    monkeypatch.setattr(standing_checks, "LOOK_AGAIN_SECONDS", 0.0)
    read_judgements(database, Settings())
    assert len(looks) == 3


def test_a_look_takes_no_longer_than_it_may_with_all_its_queries(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them alone is fast enough; the tick that waits for them has a run to request."""
    publish(database, *TARGETS[:2])
    slow = {f"kind {number}": "SELECT 1 AS a, 2 AS b WHERE pg_sleep(0.4)::text IS NULL" for number in range(8)}
    monkeypatch.setattr(invariants, "QUERIES", slow)
    monkeypatch.setattr(standing_checks, "LOOK_SECONDS", 1.0)
    (judged,) = [item for item in read_judgements(database, Settings()) if item.key == INVARIANTS_HOLD]
    assert (judged.severity, judged.broken) == ("warning", ())
    assert judged.text.startswith("could not be looked for: ")
    publish(database, TARGETS[2])
    monkeypatch.setattr(standing_checks, "LOOK_SECONDS", 60.0)
    (judged,) = [item for item in read_judgements(database, Settings()) if item.key == INVARIANTS_HOLD]
    assert judged.text == "every invariant holds"
