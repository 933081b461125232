"""The portfolio products through real runs."""

from typing import Any

import dagster as dg
import pytest

from sigmasight_assets.orchestration import portfolio_publication, portfolio_slices
from sigmasight_assets.orchestration.portfolio_help import WORKERS_TAG, workers_tags
from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.runs import FORCE_TAG, INPUT_HASH_TAG
from sigmasight_assets.storage.database import Database
from tests.orchestration.books import DAYS, EXPECTED_PORTFOLIOS
from tests.orchestration.contents import PORTFOLIO_TABLES, Contents, contents, execute, published_generations, rows_of
from tests.orchestration.deployments import Deploy, Deployment, rows_of_table
from tests.orchestration.portfolio_runs import forget_symbols, violations, waive

JOB = "portfolio_layer"
KEYS = [str(day) for day in DAYS]


@pytest.fixture
def deployment(deploy: Deploy, books: Database) -> Deployment:
    return deploy(books)


def test_range_is_one_run_with_events_per_partition(deployment: Deployment, books: Database) -> None:
    run = deployment.run(JOB, KEYS[0], KEYS[-1], tags={INPUT_HASH_TAG: "0123456789abcdef"})
    assert run.success
    assert run.materialized == dict.fromkeys(PRODUCTS, KEYS)
    assert published_generations(books, "portfolio") == dict.fromkeys(DAYS, 2)
    (batch,) = rows_of(books, "SELECT * FROM batch_runs")
    assert (batch["run_id"], batch["kind"], batch["status"]) == (run.result.run_id, "portfolio_products", "succeeded")
    assert (batch["first_session"], batch["last_session"]) == (DAYS[0], DAYS[-1])
    assert batch["input_hash"] == "0123456789abcdef"
    snapshots = len(rows_of(books, "SELECT * FROM portfolio_snapshots"))
    seconds = batch["counts"].pop("seconds")
    assert set(seconds) == {"waiting", "reading", "computing", "checking", "writing", "committing"}
    assert batch["counts"] == {
        "sessions_published": 12,
        "sessions_failed": 0,
        "sessions_waived": 0,
        "generation": 2,
        "portfolios": len(EXPECTED_PORTFOLIOS),
        "portfolios_computed": len(EXPECTED_PORTFOLIOS),
        "portfolios_left_out": 0,
        "snapshots_computed": snapshots,
        "snapshots_fresh": 0,
    }


@pytest.mark.parametrize(
    ("tags", "slices"), [({}, []), (workers_tags(1), []), (workers_tags(3), [{"slices": 12}]), ({WORKERS_TAG: "x"}, [])]
)
def test_a_run_is_shared_as_whoever_requested_it_has_said(
    deployment: Deployment, books: Database, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str], slices: list[Any]
) -> None:
    """Whatever is set on this machine: only the gate starts helpers."""
    monkeypatch.setenv("SIGMASIGHT_PORTFOLIO_WORKERS", "5")
    monkeypatch.setattr(portfolio_publication, "SPLIT_CELLS", 1)
    run = deployment.run(JOB, KEYS[0], KEYS[-1], tags=tags)
    assert run.materialized == dict.fromkeys(PRODUCTS, KEYS)
    announced = "SELECT DISTINCT counts FROM publications WHERE layer = 'portfolio' AND products = '{}'"
    assert [row["counts"] for row in rows_of(books, announced)] == slices


def test_metadata_and_check(deployment: Deployment, books: Database) -> None:
    run = deployment.run(JOB, KEYS[0], KEYS[-1])
    stored = rows_of(books, "SELECT is_partial FROM portfolio_snapshots")
    for product in PRODUCTS:
        metadata = {name: value for name, value in run.metadata(product).items() if "data:image" not in str(value)}
        assert metadata.pop("seconds") > 0
        assert metadata == {
            "sessions": 12,
            "sessions_failed": 0,
            "portfolios": len(EXPECTED_PORTFOLIOS),
            "portfolios_computed": len(EXPECTED_PORTFOLIOS),
            "snapshots": len(stored),
            "computed": len(stored),
            "fresh": 0,
            "partial_snapshots": sum(row["is_partial"] for row in stored),
            "generation": 2,
        }
    assert {(name, check.passed) for name, check in run.checks.items()} == {
        ("ledger_identity", True),
        ("amounts_fit", True),
    }
    assert {check.asset_key.to_user_string() for check in run.checks.values()} == {"portfolio_snapshots"}


def test_a_portfolio_that_is_left_out_is_a_warning_with_the_way_out(deployment: Deployment, books: Database) -> None:
    (lot,) = rows_of(books, "SELECT min(position_id) AS id, min(portfolio_id) AS owner FROM positions")
    execute(books, "UPDATE positions SET quantity = 1000000000000 WHERE portfolio_id = :owner", owner=lot["owner"])
    run = deployment.run(JOB, KEYS[0], KEYS[-1])
    assert run.success
    assert run.checks["ledger_identity"].passed
    check = run.checks["amounts_fit"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "The owner corrects the lots" in str(check.description)
    assert rows_of_table(check.metadata["offenders"])[0][1] == f"portfolio {lot['owner']}"
    metadata = run.metadata("portfolio_snapshots")
    assert str(lot["owner"]) in metadata["left_out"]


def test_a_second_run_finds_everything_fresh(deployment: Deployment, books: Database) -> None:
    deployment.run(JOB, KEYS[0], KEYS[-1])
    before = contents(books, PORTFOLIO_TABLES)
    run = deployment.run(JOB, KEYS[0], KEYS[-1])
    metadata = run.metadata("portfolio_snapshots")
    assert (metadata["computed"], metadata["fresh"]) == (0, len(before["portfolio_snapshots"]))
    assert (metadata["portfolios"], metadata["portfolios_computed"]) == (len(EXPECTED_PORTFOLIOS), 0)
    assert "generation" not in metadata
    assert contents(books, PORTFOLIO_TABLES) == before


def without_generations(database: Database) -> Contents:
    """What is published, whenever that was."""
    tables = {name: key for name, key in PORTFOLIO_TABLES.items() if name != "publications"}
    return contents(database, tables, ignoring=["generation"])


@pytest.mark.parametrize(
    "asked",
    [
        {"tags": {FORCE_TAG: "true"}},
        {"run_config": {"ops": {"portfolio_products": {"config": {"force": True}}}}},
    ],
    ids=["by tag", "in the launchpad"],
)
def test_a_forced_run_computes_every_portfolio_and_puts_right_what_differs(
    deployment: Deployment, books: Database, asked: dict[str, Any]
) -> None:
    deployment.run(JOB, KEYS[0], KEYS[-1])
    before = without_generations(books)
    # As nobody should: the fingerprint stays, so nobody looks.
    execute(books, "UPDATE portfolio_snapshots SET daily_pnl = daily_pnl + 1 WHERE session = :day", day=DAYS[4])
    unforced = deployment.run(JOB, KEYS[0], KEYS[-1]).metadata("portfolio_snapshots")
    assert (unforced["computed"], unforced["portfolios_computed"]) == (0, 0)
    assert without_generations(books) != before
    forced = deployment.run(JOB, KEYS[0], KEYS[-1], **asked).metadata("portfolio_snapshots")
    assert (forced["fresh"], forced["portfolios_computed"]) == (0, len(EXPECTED_PORTFOLIOS))
    assert published_generations(books, "portfolio") == dict.fromkeys(DAYS, forced["generation"])
    assert without_generations(books) == before


def test_a_forced_session_of_which_nothing_differs_leaves_later_ones_alone(
    deployment: Deployment, books: Database
) -> None:
    deployment.run(JOB, KEYS[0], KEYS[-1])
    before = without_generations(books)
    forced = deployment.run(JOB, KEYS[0], tags={FORCE_TAG: "true"}).metadata("portfolio_snapshots")
    assert forced["fresh"] == 0
    assert rows_of(books, "SELECT name FROM portfolios WHERE stale_from IS NOT NULL") == []
    assert without_generations(books) == before


def test_a_session_before_its_predecessors_is_refused_and_not_tried_again(
    deployment: Deployment, books: Database
) -> None:
    deployment.run(JOB, KEYS[0])
    run = deployment.run(JOB, KEYS[4])
    assert not run.success
    assert run.retries == 0
    assert run.failure == (
        f"Snapshots of {KEYS[1]} come before those of {KEYS[4]}: the gate runs {KEYS[1]} to {KEYS[3]} first"
    )
    (failed,) = rows_of(books, "SELECT * FROM batch_runs WHERE status = 'failed'")
    assert failed["error"] == run.failure
    assert set(published_generations(books, "portfolio")) == {DAYS[0]}


def test_a_session_without_symbol_products_is_refused(deployment: Deployment, books: Database) -> None:
    execute(books, "DELETE FROM publications WHERE session = :day", day=DAYS[0])
    run = deployment.run(JOB, KEYS[0])
    assert not run.success
    assert run.failure.startswith(f"The symbol products of {KEYS[0]} are not published: materialise them first")


def test_a_waived_session_is_left_out(deployment: Deployment, books: Database) -> None:
    forget_symbols(books, DAYS[2])
    waive(books, DAYS[2])
    run = deployment.run(JOB, KEYS[0], KEYS[4])
    assert run.success
    metadata = run.metadata("portfolio_snapshots")
    assert metadata["sessions"] == 4
    assert KEYS[2] in metadata["waived_sessions"]
    (batch,) = rows_of(books, "SELECT counts FROM batch_runs")
    assert (batch["counts"]["sessions_published"], batch["counts"]["sessions_waived"]) == (4, 1)


def test_a_run_of_nothing_but_waived_sessions_says_so(deployment: Deployment, books: Database) -> None:
    forget_symbols(books, DAYS[2])
    waive(books, DAYS[2])
    run = deployment.run(JOB, KEYS[2])
    assert run.success
    metadata = run.metadata("portfolio_snapshots")
    assert (metadata["sessions"], metadata["portfolios"], metadata["snapshots"]) == (0, 0, 0)
    assert KEYS[2] in metadata["waived_sessions"]
    assert rows_of(books, "SELECT * FROM portfolio_snapshots") == []


def test_a_day_without_session_is_refused(deployment: Deployment, books: Database) -> None:
    run = deployment.run(JOB, "2025-05-26")
    assert not run.success
    assert run.failure.startswith("2025-05-26 is not a session of the exchange")
    assert rows_of(books, "SELECT * FROM portfolio_snapshots") == []


def test_broken_identity_fails_the_run_and_keeps_the_good_sessions(
    deployment: Deployment, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portfolio_slices, "identity_violations", violations(DAYS[2], 1))
    run = deployment.run(JOB, KEYS[0], KEYS[-1])
    assert not run.success
    assert run.retries == 0
    assert run.materialized == dict.fromkeys(PRODUCTS, KEYS[:2])
    metadata = run.metadata("portfolio_snapshots")
    assert (metadata["sessions"], metadata["sessions_failed"]) == (2, 10)
    number = rows_of(books, "SELECT portfolio_id FROM portfolios ORDER BY portfolio_id")[1]["portfolio_id"]
    offence = f"{KEYS[2]} ledger_identity: broken for 1 portfolios: [{number}]"
    assert run.failure == f"Snapshots were not published:\n{offence}"
    assert not run.checks["ledger_identity"].passed
    ((session, who, why, numbers),) = rows_of_table(run.checks["ledger_identity"].metadata["offenders"])
    assert (session, who) == (KEYS[2], f"portfolio {number}")
    assert why == "an identity of its ledger does not hold to the last unit"
    assert numbers.startswith("USD: equity ")
    assert "daily_pnl " in numbers
    assert set(published_generations(books, "portfolio")) == set(DAYS[:2])
    (batch,) = rows_of(books, "SELECT * FROM batch_runs")
    assert (batch["status"], batch["counts"]["sessions_failed"]) == ("failed", 10)
