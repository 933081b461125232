"""Which runs are lost: a table of cases, and what a second look is good for."""

from datetime import UTC, datetime, timedelta

import pytest

from sigmasight_assets.operations.lost_runs import (
    SECOND_LOOK,
    SILENT,
    SILENT_AFTER_END,
    SILENT_BETWEEN_STEPS,
    LifeState,
    LostRuns,
    Suspicion,
    plan,
)
from sigmasight_assets.storage.step_lives import StepLife

NOW = datetime(2025, 7, 31, 22, 0, tzinfo=UTC)
RUN = "run"
MOMENT = timedelta(seconds=1)


def ago(duration: timedelta) -> datetime:
    return NOW - duration


def running(last_sign: timedelta, *, run_id: str = RUN, kind: str = "symbol_prices") -> StepLife:
    return StepLife(run_id, kind, is_running=True, last_sign=ago(last_sign))


def ended(since: timedelta, *, run_id: str = RUN, kind: str = "symbol_universe") -> StepLife:
    return StepLife(run_id, kind, is_running=False, last_sign=ago(since))


def look(*steps: StepLife, launched: timedelta | None = timedelta(hours=1)) -> LostRuns:
    """The plan for a run that the orchestrator takes for under way, or with None for over."""
    open_runs = {} if launched is None else {RUN: ago(launched)}
    return plan(LifeState(NOW, open_runs, steps))


ALIVE = {
    "its step gives signs": [running(SILENT)],
    "one of two steps gives signs": [running(MOMENT), running(timedelta(minutes=10), kind="company_profiles")],
    "its step just began after a long one": [ended(timedelta(seconds=50)), running(timedelta(0))],
    "it writes events between two steps": [ended(SILENT_BETWEEN_STEPS)],
}
SILENT_ONES = {
    "its step is silent": ([running(SILENT + MOMENT)], SILENT + MOMENT),
    "its step is silent after others ended": (
        [ended(timedelta(minutes=50)), running(SILENT + MOMENT)],
        SILENT + MOMENT,
    ),
    "nothing follows its last step": (
        [ended(timedelta(hours=2)), ended(SILENT_BETWEEN_STEPS + MOMENT)],
        SILENT_BETWEEN_STEPS + MOMENT,
    ),
    "its first step never began": ([], timedelta(hours=1)),
}


@pytest.mark.parametrize("steps", ALIVE.values(), ids=ALIVE)
def test_a_run_that_is_alive_is_left_alone(steps: list[StepLife]) -> None:
    assert look(*steps) == LostRuns({}, [], {})


def test_a_run_that_was_just_launched_is_left_alone() -> None:
    assert look(launched=SILENT_BETWEEN_STEPS) == LostRuns({}, [], {})


@pytest.mark.parametrize(("steps", "silence"), SILENT_ONES.values(), ids=SILENT_ONES)
def test_a_silent_run_is_only_noticed_at_the_first_look(steps: list[StepLife], silence: timedelta) -> None:
    assert look(*steps) == LostRuns({}, [], {RUN: Suspicion(ago(silence), NOW)})


@pytest.mark.parametrize(("steps", "silence"), SILENT_ONES.values(), ids=SILENT_ONES)
@pytest.mark.fault(2)
def test_it_is_lost_when_it_is_still_silent_at_a_second_look(steps: list[StepLife], silence: timedelta) -> None:
    noticed = {RUN: Suspicion(ago(silence), ago(SECOND_LOOK))}
    found = plan(LifeState(NOW, {RUN: ago(timedelta(hours=1))}, steps, noticed))
    assert (list(found.lost), found.over, found.suspicions) == ([RUN], [], {})
    assert f"no sign of life since {ago(silence):%Y-%m-%d %H:%M:%S} UTC" in found.lost[RUN]


def test_the_second_look_is_not_taken_too_early() -> None:
    noticed = {RUN: Suspicion(ago(timedelta(minutes=2)), ago(SECOND_LOOK - MOMENT))}
    found = plan(LifeState(NOW, {RUN: NOW}, [running(timedelta(minutes=2))], noticed))
    assert (found.lost, found.suspicions) == ({}, noticed)


def test_a_sign_between_two_looks_is_a_life() -> None:
    """After a restart of the database every live worker was silent for a while."""
    noticed = {RUN: Suspicion(ago(timedelta(minutes=2)), ago(timedelta(minutes=1)))}
    assert plan(LifeState(NOW, {RUN: NOW}, [running(MOMENT)], noticed)) == LostRuns({}, [], {})


def test_a_step_that_fell_silent_again_is_noticed_anew() -> None:
    noticed = {RUN: Suspicion(ago(timedelta(minutes=9)), ago(timedelta(minutes=8)))}
    found = plan(LifeState(NOW, {RUN: NOW}, [running(timedelta(minutes=2))], noticed))
    assert (found.lost, found.suspicions) == ({}, {RUN: Suspicion(ago(timedelta(minutes=2)), NOW)})


def test_steps_of_runs_that_the_orchestrator_has_ended_are_over() -> None:
    """The worker was killed alone, or the orchestrator has forgotten the run."""
    assert look(running(SILENT_AFTER_END + MOMENT), launched=None).over == [RUN]
    assert look(running(SILENT_AFTER_END), launched=None).over == []
    slow_to_end = [running(timedelta(hours=1)), running(MOMENT, kind="company_profiles")]
    assert look(*slow_to_end, launched=None).over == []


def test_every_run_is_judged_for_itself() -> None:
    steps = [
        running(MOMENT, run_id="alive"),
        running(timedelta(minutes=5), run_id="lost"),
        running(timedelta(minutes=5), run_id="over"),
    ]
    noticed = {"lost": Suspicion(ago(timedelta(minutes=5)), ago(timedelta(minutes=1)))}
    found = plan(LifeState(NOW, {"alive": NOW, "lost": NOW}, steps, noticed))
    assert (list(found.lost), found.over, found.suspicions) == (["lost"], ["over"], {})


@pytest.mark.parametrize(
    ("steps", "where"),
    [
        ([running(timedelta(minutes=9))], "the step symbol_prices has"),
        ([ended(timedelta(minutes=9))], "the run, between its steps, has"),
        ([], "the run, before a step, has"),
    ],
)
def test_the_reason_says_where_it_was_lost(steps: list[StepLife], where: str) -> None:
    launched = ago(timedelta(minutes=9))
    noticed = {RUN: Suspicion(launched, ago(timedelta(minutes=1)))}
    found = plan(LifeState(NOW, {RUN: launched}, steps, noticed))
    assert found.lost == {RUN: f"The worker was lost: {where} given no sign of life since 2025-07-31 21:51:00 UTC."}
