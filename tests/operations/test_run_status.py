"""A run as operators see it, from its recorded steps."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sigmasight_assets.operations.run_status import describe_run
from sigmasight_assets.storage.recorded_runs import RecordedRun, RecordedStep

DAY = date(2025, 7, 25)
BEGAN = datetime(2025, 7, 26, 1, 0, tzinfo=UTC)


def step(kind: str, minute: int, status: str = "succeeded", **counts: Any) -> RecordedStep:
    """A step that begins at the minute and takes half of one."""
    begun = BEGAN + timedelta(minutes=minute)
    ended = None if status == "running" else begun + timedelta(seconds=30)
    return RecordedStep(kind, status, begun, ended, counts, "broken" if status == "failed" else None)


def run(*steps: RecordedStep) -> RecordedRun:
    return RecordedRun("r1", DAY, DAY, "nightly_symbols", steps)


def test_counts_are_summed_over_steps() -> None:
    prices = step("symbol_prices", 0, vendor_calls=6, bars_inserted=500)
    profiles = step("company_profiles", 1, vendor_calls=1)
    products = step("symbol_products", 2, rows_computed=2_990, rows_republished=10, rows_fresh=5, rows_failed=0)
    found = describe_run(run(prices, profiles, products), now=BEGAN + timedelta(hours=1))
    assert (found.layer, found.steps) == ("symbol", ("symbol_prices", "company_profiles", "symbol_products"))
    assert (found.computed, found.fresh, found.failed, found.vendor_calls) == (3_000, 5, 0, 7)
    assert (found.status, found.error, found.seconds) == ("succeeded", None, 150.0)
    assert (found.started_by, found.started_at) == ("nightly_symbols", BEGAN)


def test_what_nobody_counted_is_not_zero() -> None:
    found = describe_run(run(step("symbol_universe", 0)), now=BEGAN)
    assert (found.computed, found.fresh, found.failed, found.vendor_calls) == (None, None, None, None)


def test_snapshots_count_like_rows() -> None:
    found = describe_run(run(step("portfolio_products", 0, snapshots_computed=4, snapshots_fresh=2)), now=BEGAN)
    assert (found.layer, found.computed, found.fresh) == ("portfolio", 4, 2)


def test_a_running_run_counts_its_time_so_far() -> None:
    found = describe_run(
        run(step("symbol_universe", 0), step("symbol_prices", 1, "running")), now=BEGAN + timedelta(minutes=3)
    )
    assert (found.status, found.seconds) == ("running", 180.0)


def test_the_first_failed_step_is_the_error() -> None:
    found = describe_run(run(step("symbol_prices", 0, "failed"), step("symbol_products", 1)), now=BEGAN)
    assert (found.status, found.error) == ("failed", "broken")
