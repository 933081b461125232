"""The gate's planner: the table of situations in ``gate_cases``, and what becomes of earlier runs."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from sigmasight_assets.operations.gate import GateRange, GateState, plan
from sigmasight_assets.operations.gate_runs import LaunchedRun
from sigmasight_assets.storage.gated_runs import GatedRun
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.operations.gate_cases import CASES, Case
from tests.operations.gate_states import (
    ALL_PUBLISHED,
    FRI,
    MON,
    NOW,
    THU,
    TUE,
    WED,
    bounds,
    refused,
    required,
    running,
    state,
    without,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plan(case: Case) -> None:
    decision = plan(case.state)
    assert bounds(decision) == case.runs
    reasons = "; ".join(decision.reasons)
    for words in case.says:
        assert words in reasons
    assert decision.range is not None or reasons
    assert decision.is_pending is case.is_pending
    assert decision.failed_run is None


def test_reasons_are_many_but_not_endless() -> None:
    days = [date(2025, 1, 6) + timedelta(days=7 * week) for week in range(30)]
    holes = {day: refused("coverage", f"{place} of 500") for place, day in enumerate(days) if place}
    decision = plan(state(sessions=days, symbol_generations={days[0]: 1}, consumed={days[0]: 1}, holes=holes))
    assert len(decision.reasons) == 11
    assert decision.reasons[0] == "2025-01-13 waits: symbol_daily_metrics, check coverage: 1 of 500"
    assert decision.reasons[9].startswith(f"{days[10]} waits")
    assert decision.reasons[10] == "and 19 more sessions wait"
    assert list(decision.blocked) == days[1:]
    assert decision.blocked[days[29]] == "symbol_daily_metrics, check coverage: 29 of 500"


def test_without_portfolios_nothing_is_blocked() -> None:
    decision = plan(state(sessions=[]))
    assert (decision.range, decision.reasons, decision.blocked) == (None, ("no portfolio needs a snapshot",), {})


def test_portfolios_that_are_left_out_are_named_whatever_runs() -> None:
    line = (
        "left out, because their amounts are too large to be exact (92 billion USD): portfolio 3 from 2025-07-22 on, "
        "portfolio 7 from 2025-07-21 on; correct their lots"
    )
    left_out = {7: MON, 3: TUE}
    assert plan(state(left_out=left_out)).reasons[-1] == line
    ready = plan(state(left_out=left_out, consumed={}))
    assert ready.reasons == (line,)
    assert bounds(ready) == (MON, FRI)


def test_each_blocked_session_has_its_own_way_out() -> None:
    decision = plan(state(symbol_generations=without(TUE, WED), consumed={MON: 10}))
    assert decision.blocked[WED].endswith("`sigmasight backfill --from 2025-07-23 --to 2025-07-23`")
    assert decision.blocked[FRI] == "snapshots of 2025-07-22 come first"
    assert MON not in decision.blocked


class TestEarlierRuns:
    """What the planner makes of earlier runs; the table of their cases is in ``test_gate_runs``."""

    def test_a_failed_run_is_reported_and_not_repeated(self) -> None:
        decision = plan(after(failed("the disk is full")))
        assert decision.range is None
        assert decision.failed_run == "run-17"
        assert not decision.is_pending
        assert decision.reasons == (
            (
                "2025-07-25: run run-17 failed for these same inputs: the disk is full; "
                "mend the cause, then `sigmasight retry`"
            ),
        )
        assert decision.blocked[FRI].startswith("run run-17 failed")

    def test_a_failed_run_of_other_inputs_does_not_matter(self) -> None:
        other = state(consumed=without(FRI), runs={"0123456789abcdef": failed("the disk is full")})
        assert bounds(plan(other)) == (FRI, FRI)

    @pytest.mark.parametrize(
        "new_inputs",
        [
            {"symbol_generations": {**ALL_PUBLISHED, FRI: 99}},
            {"stale_books": [(7, 4, FRI)]},
            {"stale_books": [(7, 3, FRI), (8, 1, FRI)]},
            {"snapshot_generation": 9},
        ],
        ids=["a new publication", "a new edit of the book", "another edited book", "new earlier snapshots"],
    )
    def test_new_inputs_after_a_failure_run_again(self, new_inputs: dict[str, object]) -> None:
        wanted = after(failed("the disk is full"), state(consumed=without(FRI), stale_books=[(7, 3, FRI)]))
        assert plan(wanted).failed_run == "run-17"
        assert bounds(plan(replace(wanted, **new_inputs))) == (FRI, FRI)  # type: ignore[arg-type]

    def test_a_failure_does_not_hide_the_hole_behind_it(self) -> None:
        wanted = state(symbol_generations=without(THU), consumed=without(WED, THU, FRI))
        reasons = plan(after(failed("the disk is full"), wanted)).reasons
        assert "run-17" in reasons[0]
        assert "2025-07-24 waits" in reasons[1]

    def test_a_run_at_work_is_waited_for_whatever_its_inputs(self) -> None:
        decision = plan(state(consumed=without(FRI), running=[running("portfolio_products")]))
        assert decision.range is None
        assert decision.is_pending
        assert decision.reasons == ("2025-07-25: run run-5 is under way",)

    def test_a_run_at_work_on_symbols_is_not(self) -> None:
        assert bounds(plan(state(consumed=without(FRI), running=[running("symbol_products")]))) == (FRI, FRI)

    def test_a_canceled_run_is_started_as_another_attempt(self) -> None:
        wanted = state(consumed=without(FRI))
        first = required(plan(wanted))
        assert first.attempt == 0
        canceled = LaunchedRun("run-17", "CANCELED", NOW, NOW, first.input_hash, first.run_key)
        second = required(plan(wanted, [canceled]))
        assert second == replace(first, attempt=1)
        assert second.run_key == f"{first.run_key}:1"
        again = replace(canceled, run_id="run-18", run_key=second.run_key)
        assert required(plan(wanted, [again])).attempt == 2


def test_a_range_is_told_by_its_ends() -> None:
    assert GateRange(MON, FRI, "hash").span == "2025-07-21 to 2025-07-25"
    assert GateRange(FRI, FRI, "hash").span == "2025-07-25"


def failed(error: str) -> GatedRun:
    return GatedRun("run-17", "failed", error, started_at=NOW - timedelta(hours=1), seen_at=NOW - timedelta(hours=1))


def after(run: GatedRun, wanted: GateState | None = None) -> GateState:
    """The state with this run recorded for what it asks for."""
    wanted = wanted or state(consumed=without(FRI))
    return replace(wanted, runs={required(plan(wanted)).input_hash: run})


def test_an_edit_of_days_to_come_is_no_input() -> None:
    wanted = state(consumed=without(FRI))
    edited = replace(wanted, stale_books=[(7, 3, FRI + timedelta(days=3))])
    assert required(plan(edited)).run_key == required(plan(wanted)).run_key


def test_all_products_are_named_when_none_is_published() -> None:
    reasons = plan(state(symbol_generations=without(FRI), consumed=without(FRI))).reasons
    assert all(name in reasons[0] for name in SYMBOL_PRODUCTS)
