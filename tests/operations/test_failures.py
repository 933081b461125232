"""What counts as failed, on cases that need no database; each kind on a real one is in ``test_failure_state``."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from sigmasight_assets.operations.bars import SuspectBar
from sigmasight_assets.operations.failures import (
    blame,
    failed_portfolio_run,
    failure_cause,
    held_without_price,
    next_step_of_symbols,
    unpublished_sessions,
    unsettled_marks,
    waiting_bars,
)
from sigmasight_assets.operations.gate import GateDecision
from sigmasight_assets.operations.gate_causes import Hole
from sigmasight_assets.operations.symbol_plan import Attempt, SymbolDecision, SymbolRange, SymbolState, plan
from sigmasight_assets.storage.recorded_runs import RecordedRun, RecordedStep
from sigmasight_assets.storage.symbol_attempts import Refusal, SymbolStep
from sigmasight_assets.storage.symbol_troubles import TroubledSymbol

THU, FRI = date(2025, 7, 24), date(2025, 7, 25)
NOW = datetime(2025, 7, 26, 2, 0, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(minutes=20), NOW - timedelta(minutes=10)


def step(status: str, kind: str = "symbol_prices", started_at: datetime = LATER) -> SymbolStep:
    return SymbolStep("r1", kind, status, "no answer" if status == "failed" else None, started_at, started_at)


def refusal(check: str, judged_at: datetime = LATER) -> Refusal:
    return Refusal(check, "10 of 500", judged_at)


@pytest.mark.parametrize(
    ("hole", "expected"),
    [
        (Hole(), (None, None)),
        (Hole(steps=[step("succeeded")]), (None, None)),
        (Hole(steps=[step("running")]), (None, None)),
        (Hole(steps=[step("failed")]), ("symbol_prices", None)),
        (Hole(refusals=[refusal("coverage")]), ("symbol_daily_metrics", "coverage")),
        (
            Hole(refusals=[refusal("betas_finite"), refusal("coverage"), refusal("market_beta_stable")]),
            ("market_beta, symbol_daily_metrics", "betas_finite, coverage, market_beta_stable"),
        ),
        # What happened last counts.
        (Hole(refusals=[refusal("coverage", EARLIER)], steps=[step("failed")]), ("symbol_prices", None)),
        (
            Hole(refusals=[refusal("coverage")], steps=[step("failed", "symbol_products", EARLIER)]),
            ("symbol_daily_metrics", "coverage"),
        ),
        (Hole(refusals=[refusal("unheard_of")]), ("symbol_products", "unheard_of")),
        (Hole(steps=[step("failed", "unheard_of")]), ("unheard_of", None)),
    ],
)
def test_blame(hole: Hole, expected: tuple[str | None, str | None]) -> None:
    assert blame(hole) == expected
    assert (failure_cause(hole) is None) == (expected == (None, None))


def test_a_run_at_work_does_not_hide_the_cause() -> None:
    hole = Hole(refusals=[refusal("coverage", EARLIER)], steps=[step("running")])
    assert failure_cause(hole) == "symbol_daily_metrics, check coverage: 10 of 500"


def state(**changes: object) -> SymbolState:
    usual: dict[str, object] = {
        "sessions": (THU, FRI),
        "published": {THU},
        "clock": NOW,
        "now": NOW,
        "pause": timedelta(minutes=30),
    }
    return SymbolState(**{**usual, **changes})  # type: ignore[arg-type]


def test_a_session_that_nobody_has_tried_yet_is_not_failed() -> None:
    waiting = state(holes={FRI: Hole()})
    assert list(unpublished_sessions(waiting, plan(waiting))) == []
    late = state(holes={FRI: Hole()}, clock=NOW + timedelta(hours=1))
    assert [item.session for item in unpublished_sessions(late, plan(late))] == [FRI]


def test_a_failed_session_names_its_next_attempt() -> None:
    failed = state(holes={FRI: Hole(steps=[step("failed")])}, attempts={FRI: Attempt("r1", LATER, 2)})
    (found,) = unpublished_sessions(failed, plan(failed))
    assert (found.run_id, found.attempts, found.next_attempt) == ("r1", 2, LATER + timedelta(minutes=30))
    assert found.next_step == (
        "next attempt at 2025-07-25 22:20 New York; at once: `sigmasight retry`; if it never can be: "
        "`sigmasight session waive 2025-07-25 --reason ...`"
    )


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (SymbolDecision(None, (), waits_for="r2"), "run r2 is under way"),
        (
            SymbolDecision(SymbolRange(FRI, FRI, 2), (), next_attempt=NOW),
            "the sensor late_sessions starts a run within a minute",
        ),
        (SymbolDecision(None, (), next_attempt=NOW), "next attempt at 2025-07-25 22:00 New York"),
        (SymbolDecision(None, ()), "the next night takes it up, or `sigmasight backfill`"),
    ],
)
def test_the_next_step_in_words(decision: SymbolDecision, words: str) -> None:
    assert next_step_of_symbols(decision) == words


def test_a_portfolio_run_without_recorded_error_has_the_gates_reason() -> None:
    decision = GateDecision(None, ("2025-07-24 to 2025-07-25: run p1 gave no sign: mend it",), failed_run="p1")
    (found,) = failed_portfolio_run(decision, [])
    assert (found.subject, found.detail) == ("2025-07-24 to 2025-07-25", "run p1 gave no sign: mend it")
    assert list(failed_portfolio_run(GateDecision(None, ("all is well",)), [])) == []


def recorded(status: str, finished_at: datetime) -> RecordedRun:
    ended = RecordedStep("symbol_products", status, EARLIER, finished_at, {}, "broken" if status == "failed" else None)
    return RecordedRun("r1", FRI, FRI, "manual", (ended,))


@pytest.mark.parametrize(
    ("since", "newest", "is_failed"),
    [
        (NOW - timedelta(minutes=29), None, False),
        (NOW - timedelta(minutes=31), None, True),
        (NOW - timedelta(minutes=15), recorded("failed", LATER), True),
        (NOW - timedelta(minutes=15), recorded("succeeded", LATER), False),
        # Marked after that run had ended: it was not to settle it.
        (NOW - timedelta(minutes=5), recorded("failed", LATER), False),
    ],
)
def test_marks(since: datetime, newest: RecordedRun | None, is_failed: bool) -> None:
    marked = state(marked={"AAA": since})
    assert bool(list(unsettled_marks(marked, plan(marked), newest))) == is_failed


@pytest.mark.parametrize(
    ("asset_type", "last", "is_failed"),
    [
        ("equity", THU, True),
        ("equity", None, True),
        ("option", date(2025, 7, 18), False),
        ("option", date(2025, 7, 17), True),
        ("option", None, True),
    ],
)
def test_prices_of_options_may_be_carried(asset_type: str, last: date | None, is_failed: bool) -> None:
    symbol = "AAA250815C00100000" if asset_type == "option" else "AAA"
    item = TroubledSymbol(symbol, asset_type, "active", None, last, is_held=True)
    found = list(held_without_price([item], FRI, carried_since=date(2025, 7, 18)))
    assert bool(found) == is_failed
    assert list(held_without_price([item], FRI, carried_since=date(2025, 7, 18), asked_for={symbol})) == []


def test_a_bar_in_doubt_says_why() -> None:
    closes = {"close_price": Decimal("25.0000"), "previous_session": THU, "previous_close_price": Decimal("100.0000")}
    told = {"move_percent": -75.0, "since": NOW, "is_published": True, "portfolios": 1}
    moved = SuspectBar("AAA", FRI, **closes, **told)  # type: ignore[arg-type]
    other = SuspectBar("AAA", FRI, **closes, **told, second_source="files", second_close_price=Decimal("25.3000"))  # type: ignore[arg-type]
    first, second = waiting_bars([moved, other])
    assert first.detail == f"close 25.0000 after 100.0000 at {THU} (-75.0 %), without a corporate action"
    assert second.detail == "close 25.0000, where files has 25.3000"
    assert second.next_step.startswith(f"`sigmasight bars accept AAA {FRI} --reason ...` or `reject`; it is settled")
