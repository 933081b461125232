"""Why sessions wait, in words: which cause counts, whom it names, and how like ones are put together."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from sigmasight_assets.operations.gate_causes import (
    Cause,
    Hole,
    behind_cause,
    describe_all,
    hole_cause,
    mark_cause,
    named,
    onboarding_cause,
    shortened,
)
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.symbol_attempts import Refusal, SymbolStep

NOW = datetime(2025, 7, 26, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))
ALL_SIX = ", ".join(SYMBOL_PRODUCTS)


def refusal(check: str, detail: str, *, ago: timedelta = 10 * MINUTE) -> Refusal:
    return Refusal(check, detail, NOW - ago)


def step(
    kind: str,
    status: str,
    error: str | None = None,
    *,
    ago: timedelta = 11 * MINUTE,
    silent: timedelta = timedelta(seconds=9),
) -> SymbolStep:
    return SymbolStep("r1", kind, status, error, started_at=NOW - ago, seen_at=NOW - silent)


PRICES_DONE = step("symbol_prices", "succeeded", ago=12 * MINUTE)
HOLES = [
    (
        "nothing was tried",
        Hole(),
        (
            f"{ALL_SIX} are not published, the symbol layer has not run for it: "
            f"`sigmasight backfill --from {MON} --to {TUE}`"
        ),
    ),
    (
        "the checks refused it",
        Hole(
            refusals=[refusal("coverage", "480 of 500; without: AAA"), refusal("betas_finite", "AAA")],
            steps=[step("symbol_products", "failed", "Sessions were not published"), PRICES_DONE],
        ),
        "symbol_daily_metrics, check coverage: 480 of 500; without: AAA; market_beta, check betas_finite: AAA",
    ),
    (
        "a later run did not come as far as the checks",
        Hole(
            refusals=[refusal("coverage", "480 of 500")],
            steps=[step("symbol_prices", "failed", "no answer", ago=MINUTE)],
        ),
        "symbol_prices failed in run r1: no answer",
    ),
    (
        "an earlier run failed, a later one was refused",
        Hole(
            refusals=[refusal("coverage", "480 of 500", ago=MINUTE)],
            steps=[step("symbol_prices", "failed", "no answer", ago=2 * MINUTE)],
        ),
        "symbol_daily_metrics, check coverage: 480 of 500",
    ),
    (
        "the products failed by themselves",
        Hole(steps=[step("symbol_products", "failed", "MemoryError: "), PRICES_DONE]),
        f"{ALL_SIX} failed in run r1: MemoryError:",
    ),
    (
        "a failure without a word",
        Hole(steps=[step("symbol_universe", "failed")]),
        "symbol_universe failed in run r1: no error given",
    ),
    (
        "a run is at work, whatever was before",
        Hole(refusals=[refusal("coverage", "480 of 500")], steps=[step("symbol_products", "running"), PRICES_DONE]),
        f"{ALL_SIX}: run r1 is at work",
    ),
    (
        "a run waits for its next attempt",
        Hole(steps=[step("symbol_prices", "running", "rate_limited")]),
        "symbol_prices: run r1 is at work, its last attempt failed: rate_limited",
    ),
    (
        "a run was killed",
        Hole(steps=[step("company_profiles", "running", silent=3 * MINUTE)]),
        "company_profiles: run r1 has given no sign of life since 2025-07-25 21:57:00 New York",
    ),
    (
        "a run has just stopped giving signs of life",
        Hole(steps=[step("company_profiles", "running", silent=2 * MINUTE)]),
        "company_profiles: run r1 has given no sign of life since 2025-07-25 21:58:00 New York",
    ),
    (
        "a step failed at the instant of a refusal",
        Hole(refusals=[refusal("coverage", "480 of 500")], steps=[step("symbol_prices", "failed", ago=10 * MINUTE)]),
        "symbol_daily_metrics, check coverage: 480 of 500",
    ),
    (
        "a run is between two steps",
        Hole(steps=[PRICES_DONE]),
        f"{ALL_SIX} are not published: `sigmasight backfill --from {MON} --to {TUE}`",
    ),
    (
        "some products were published alone",
        Hole(published=frozenset(SYMBOL_PRODUCTS[1:]), steps=[PRICES_DONE]),
        f"market_beta is not published: `sigmasight backfill --from {MON} --to {TUE}`",
    ),
    (
        "a step nobody knows any more",
        Hole(steps=[step("curious", "failed", "no answer")]),
        "curious failed in run r1: no answer",
    ),
    (
        "a check nobody knows any more",
        Hole(refusals=[refusal("curious", "one")]),
        "symbol_products, check curious: one",
    ),
]


@pytest.mark.parametrize(("hole", "says"), [case[1:] for case in HOLES], ids=[case[0] for case in HOLES])
def test_causes_of_a_hole(hole: Hole, says: str) -> None:
    assert hole_cause(hole, now=NOW).describe(MON, TUE) == says


def test_marked_symbols_are_named_with_the_first_session() -> None:
    text = mark_cause({"MSFT": WED, "AAPL": THU}, symbol_run=None).text
    assert text.startswith("market_beta, ")
    assert text.endswith("of AAPL, MSFT are older than symbol_prices since 2025-07-23: run the job symbol_layer")
    assert "factor_covariances" not in text
    assert mark_cause({"MSFT": WED}, symbol_run="r7").text.endswith("since 2025-07-23: run r7 is at work")


def test_onboarding_is_told_with_its_end_in_the_exchange_s_time() -> None:
    until = datetime(2025, 1, 6, 3, 1, 2, tzinfo=UTC)
    assert onboarding_cause(["AAA", "BBB"], until=until).text == (
        "onboarding of AAA, BBB is open, waited for until 2025-01-05 22:01:02 New York"
    )


def test_twenty_symbols_are_named() -> None:
    symbols = [f"S{number}" for number in range(22)]
    assert named(symbols[:20]) == ", ".join(symbols[:20])
    assert named(symbols[:21]) == ", ".join(symbols[:20]) + " and 1 more"
    assert named(symbols) == ", ".join(symbols[:20]) + " and 2 more"


def test_an_error_of_400_characters_is_told_whole_in_one_line() -> None:
    whole = "x " * 199 + "yz"
    assert shortened(f"\n{whole}\t") == whole
    assert shortened(f"{whole}a") == f"{whole}..."


@pytest.mark.parametrize(
    ("waiting", "lines"),
    [
        ({}, []),
        ({TUE: "a"}, [f"{TUE} waits: a"]),
        ({TUE: "a", WED: "a", FRI: "a"}, [f"{TUE} to {WED} wait: a", f"{FRI} waits: a"]),
        ({FRI: "b", TUE: "a", WED: "c"}, [f"{TUE} waits: a", f"{WED} waits: c", f"{FRI} waits: b"]),
    ],
    ids=["none", "one", "adjacent ones together", "in order"],
)
def test_lines(waiting: dict[date, str], lines: Sequence[str]) -> None:
    causes = {day: Cause(text) for day, text in waiting.items()}
    assert list(describe_all(causes, [MON, TUE, WED, THU, FRI])) == lines


def test_one_command_starts_all_sessions_of_a_line() -> None:
    causes = {TUE: Cause("a", untried=True), WED: Cause("a", untried=True), FRI: behind_cause(TUE)}
    assert describe_all(causes, [MON, TUE, WED, THU, FRI]) == (
        f"{TUE} to {WED} wait: a: `sigmasight backfill --from {TUE} --to {WED}`",
        f"{FRI} waits: snapshots of {TUE} come first",
    )


def test_ten_lines_and_the_number_of_the_rest() -> None:
    days = [MON + timedelta(days=number) for number in range(13)]
    causes = {day: Cause(f"cause {min(number, 10)}") for number, day in enumerate(days)}
    lines = describe_all(causes, days)
    assert lines[9] == f"{days[9]} waits: cause 9"
    assert lines[10:] == ("and 3 more sessions wait",)
    assert describe_all(causes, days[:12])[10:] == ("and 2 more sessions wait",)
    assert describe_all(causes, days[:11])[10:] == ("and 1 more session waits",)
