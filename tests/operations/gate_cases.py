"""The table of situations at the gate."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from sigmasight_assets.operations.gate import GateState
from sigmasight_assets.operations.gate_causes import Hole
from tests.operations.gate_states import (
    ALL_PUBLISHED,
    FRI,
    MON,
    NOW,
    SECOND,
    THU,
    TUE,
    WED,
    WEEK,
    refused,
    running,
    state,
    step,
    without,
)


@dataclass(frozen=True)
class Case:
    """A situation, the range that must run, words that the reasons must hold, and whether things move by themselves."""

    name: str
    state: GateState
    runs: tuple[date, date] | None
    says: tuple[str, ...] = ()
    is_pending: bool = False


READY = [
    Case("no portfolios", state(sessions=()), None, ("no portfolio needs a snapshot",)),
    Case("everything current", state(), None, ("snapshots are current up to 2025-07-25",)),
    Case("nothing computed yet", state(consumed={}), (MON, FRI)),
    Case("a new session is ready", state(consumed=without(FRI)), (FRI, FRI)),
    Case("three new sessions are one range", state(consumed=without(WED, THU, FRI)), (WED, FRI)),
    Case("a correction of an old session", state(symbol_generations={**ALL_PUBLISHED, TUE: 99}), (TUE, FRI)),
    Case("an edited book runs from its date", state(stale_books=[(7, 3, WED)]), (WED, FRI)),
    Case("the earliest of two edited books counts", state(stale_books=[(7, 3, THU), (8, 2, TUE)]), (TUE, FRI)),
    Case("an edit of a day without session", state(stale_books=[(7, 3, MON - timedelta(days=1))]), (MON, FRI)),
    Case(
        "an edit of a day to come",
        state(stale_books=[(7, 3, FRI + timedelta(days=3))]),
        None,
        ("snapshots are current up to 2025-07-25",),
    ),
    Case(
        "sessions before the first published one are not needed",
        state(symbol_generations=without(MON, TUE), consumed={}),
        (WED, FRI),
    ),
    Case("sessions before the first portfolio are not needed", state(sessions=(THU, FRI), consumed={}), (THU, FRI)),
    Case(
        "sessions before the first snapshots are not needed while there is a hole among them",
        state(symbol_generations=without(TUE), consumed=without(MON, TUE)),
        None,
        ("snapshots are current up to 2025-07-25",),
    ),
    Case(
        "sessions before the first snapshots run once all of them are published",
        state(consumed=without(MON, TUE)),
        (MON, FRI),
    ),
    Case(
        "published sessions lie beyond the newest complete one",
        state(sessions=(MON, TUE, WED), symbol_generations={FRI: 14}, consumed={}),
        None,
        ("the first published session 2025-07-25 is after the newest 2025-07-23",),
    ),
]

HOLES = [
    Case(
        "nothing published",
        state(symbol_generations={}, consumed={}),
        None,
        (
            "the symbol layer has not published any session yet (job symbol_layer)",
            "2025-07-21 to 2025-07-25 wait: ",
            "`sigmasight backfill --from 2025-07-21 --to 2025-07-25`",
        ),
    ),
    Case(
        "the very first night is refused",
        state(sessions=[FRI], symbol_generations={}, consumed={}, holes={FRI: refused("coverage", "1 of 500")}),
        None,
        ("has not published any session yet", "2025-07-25 waits: symbol_daily_metrics, check coverage: 1 of 500"),
    ),
    Case(
        "the new session has not been tried",
        state(symbol_generations=without(FRI), consumed=without(FRI)),
        None,
        (
            (
                "2025-07-25 waits: market_beta, ir_beta, ridge_factors, spread_factors, factor_covariances, "
                "symbol_daily_metrics are not published, the symbol layer has not run for it: "
                "`sigmasight backfill --from 2025-07-25 --to 2025-07-25`"
            ),
        ),
    ),
    Case(
        "coverage of the new session is too low",
        state(
            symbol_generations=without(FRI),
            consumed=without(FRI),
            holes={
                FRI: refused("coverage", "480 of 500 active symbols have a bar (96.00%); without: AAA, BBB"),
                THU: refused("coverage", "of another session"),
            },
        ),
        None,
        (
            (
                "2025-07-25 waits: symbol_daily_metrics, check coverage: "
                "480 of 500 active symbols have a bar (96.00%); without: AAA, BBB"
            ),
        ),
    ),
    Case(
        "betas of the new session are not finite",
        state(
            symbol_generations=without(FRI),
            consumed=without(FRI),
            holes={FRI: refused("betas_finite", "not finite or beyond +-5: AAA")},
        ),
        None,
        ("2025-07-25 waits: market_beta, check betas_finite: not finite or beyond +-5: AAA",),
    ),
    Case(
        "the vendor is down",
        state(
            symbol_generations=without(FRI),
            consumed=without(FRI),
            holes={FRI: Hole(steps=(step("symbol_prices", "failed", "yahoo does not answer:\n timed out"),))},
        ),
        None,
        ("2025-07-25 waits: symbol_prices failed in run run-3: yahoo does not answer: timed out",),
    ),
    Case(
        "the symbol layer is at work",
        state(
            symbol_generations=without(FRI),
            consumed=without(FRI),
            holes={FRI: Hole(steps=(step("symbol_prices", "running"),))},
        ),
        None,
        ("2025-07-25 waits: symbol_prices: run run-3 is at work",),
    ),
    Case(
        "a hole holds back what comes after it, not what comes before",
        state(
            symbol_generations=without(WED),
            consumed={MON: 10},
            holes={WED: refused("factor_etfs_priced", "no bar of SPY")},
        ),
        (TUE, TUE),
        (
            "2025-07-23 waits: symbol_daily_metrics, check factor_etfs_priced: no bar of SPY",
            "2025-07-24 to 2025-07-25 wait: snapshots of 2025-07-23 come first",
        ),
    ),
    Case(
        "a hole after everything that is ready",
        state(symbol_generations=without(WED), consumed={MON: 10, TUE: 11}),
        None,
        ("2025-07-23 waits", "2025-07-24 to 2025-07-25 wait: snapshots of 2025-07-23 come first"),
    ),
    Case(
        "what follows a hole and is current does not wait",
        state(symbol_generations=without(WED), consumed=without(WED, FRI)),
        None,
        ("2025-07-23 waits", "2025-07-25 waits: snapshots of 2025-07-23 come first"),
    ),
    Case(
        "the way out of a hole names all that is missing up to the next published session",
        state(symbol_generations=without(TUE, WED), consumed={MON: 10}),
        None,
        ("`sigmasight backfill --from 2025-07-22 --to 2025-07-23`",),
    ),
    Case(
        "the way out of a hole at the end names everything to the newest session",
        state(symbol_generations=without(WED, THU, FRI), consumed={MON: 10, TUE: 11}),
        None,
        ("2025-07-23 to 2025-07-25 wait: ", "`sigmasight backfill --from 2025-07-23 --to 2025-07-25`"),
    ),
    Case(
        "two holes have their own reasons, in order",
        state(
            symbol_generations=without(TUE, THU),
            consumed={MON: 10},
            holes={TUE: refused("coverage", "1 of 500"), THU: refused("betas_finite", "AAA")},
        ),
        None,
        (
            (
                "2025-07-22 waits: symbol_daily_metrics, check coverage: 1 of 500; "
                "2025-07-23 waits: snapshots of 2025-07-22 come first; "
                "2025-07-24 waits: market_beta, check betas_finite: AAA; "
                "2025-07-25 waits: snapshots of 2025-07-22 come first"
            ),
        ),
    ),
]

WAIVED = [
    Case(
        "a waived session is spanned",
        state(symbol_generations=without(WED), consumed={MON: 10, TUE: 11}, waived={WED: "vendor hole"}),
        (THU, FRI),
    ),
    Case(
        "and lies within a range",
        state(symbol_generations=without(WED), consumed={MON: 10}, waived={WED: "vendor hole"}),
        (TUE, FRI),
    ),
    Case(
        "once published it counts again",
        state(consumed=without(WED), waived={WED: "vendor hole"}),
        (WED, FRI),
    ),
    Case(
        "the newest session is waived",
        state(symbol_generations=without(FRI), consumed=without(FRI), waived={FRI: "vendor hole"}),
        None,
        ("snapshots are current up to 2025-07-24",),
    ),
    Case(
        "the waiver of another session does not help",
        state(symbol_generations=without(WED, THU), consumed={MON: 10, TUE: 11}, waived={THU: "vendor hole"}),
        None,
        ("2025-07-23 waits", "2025-07-25 waits: snapshots of 2025-07-23 come first"),
    ),
    Case(
        "a waived hole before the first snapshots does not keep them from being completed",
        state(symbol_generations=without(TUE), consumed=without(MON, TUE), waived={TUE: "vendor hole"}),
        (MON, FRI),
    ),
    Case(
        "every session is waived",
        state(symbol_generations={MON - timedelta(days=7): 3}, consumed={}, waived=dict.fromkeys(WEEK, "closed")),
        None,
        ("every session from 2025-07-21 to 2025-07-25 is waived",),
    ),
]

SNAPSHOTS = running("portfolio_products")
MARKED = [
    Case(
        "sessions with figures older than prices wait, earlier ones do not",
        state(consumed={MON: 10}, marked={"AAPL": THU, "MSFT": FRI}),
        (TUE, WED),
        (
            (
                "2025-07-24 to 2025-07-25 wait: market_beta, ir_beta, ridge_factors, spread_factors, "
                "symbol_daily_metrics of AAPL, MSFT are older than symbol_prices since 2025-07-24: "
                "run the job symbol_layer"
            ),
        ),
    ),
    Case(
        "the first stale session is marked",
        state(symbol_generations={**ALL_PUBLISHED, TUE: 99}, marked={"AAPL": MON}),
        None,
        ("2025-07-22 waits: ", "of AAPL are older than symbol_prices since 2025-07-21"),
    ),
    Case(
        "an edited book waits as well",
        state(stale_books=[(7, 3, TUE)], marked={"AAPL": WED}),
        (TUE, TUE),
        ("2025-07-23 to 2025-07-25 wait: ",),
    ),
    Case(
        "what is current stays so until the figures are published again",
        state(marked={"AAPL": WED}, running=[running("symbol_products")]),
        None,
        (
            "snapshots are current up to 2025-07-25; 2025-07-23 to 2025-07-25 wait: ",
            "of AAPL are older than symbol_prices since 2025-07-23: run run-5 is at work",
        ),
    ),
    Case(
        "the run that publishes them again is named to every session that waits for it",
        state(consumed={MON: 10}, marked={"AAPL": TUE}, running=[running("symbol_products")]),
        None,
        ("2025-07-22 to 2025-07-25 wait: ", "since 2025-07-22: run run-5 is at work"),
    ),
    Case(
        "the newest session is current and about to change",
        state(marked={"AAPL": FRI}),
        None,
        ("snapshots are current up to 2025-07-25; 2025-07-25 waits: market_beta, ", "run the job symbol_layer"),
    ),
    Case(
        "neither a killed step nor one of the portfolio layer is at work on them",
        state(marked={"AAPL": WED}, running=[running("symbol_products", silent=timedelta(minutes=2)), SNAPSHOTS]),
        None,
        ("since 2025-07-23: run the job symbol_layer",),
    ),
    Case(
        "a new session that is not published waits for its own reason",
        state(
            symbol_generations=without(FRI),
            consumed=without(FRI),
            marked={"AAPL": WED},
            holes={FRI: refused("coverage", "1 of 500")},
        ),
        None,
        ("2025-07-25 waits: symbol_daily_metrics, check coverage: 1 of 500",),
    ),
    Case("a mark of sessions to come", state(consumed=without(FRI), marked={"AAPL": FRI + timedelta(3)}), (FRI, FRI)),
]

NEW_FRIDAY = state(consumed=without(FRI), published_at=dict.fromkeys(WEEK, NOW - 30 * SECOND))
ONBOARDING = [
    Case(
        "a held symbol is being onboarded",
        replace(NEW_FRIDAY, open_requests={"NEW": NOW - 10 * SECOND}),
        None,
        ("2025-07-25 waits: onboarding of NEW is open, waited for until 2025-07-25 22:01:50 New York",),
        is_pending=True,
    ),
    Case(
        "the wait is from the newest publication of the range",
        replace(NEW_FRIDAY, open_requests={"NEW": NOW - timedelta(hours=3)}),
        None,
        ("waited for until 2025-07-25 22:01:30 New York",),
        is_pending=True,
    ),
    Case(
        "publications of other sessions do not count",
        replace(
            NEW_FRIDAY,
            published_at={**dict.fromkeys(WEEK, NOW), FRI: NOW - 121 * SECOND},
            open_requests={"NEW": NOW - timedelta(hours=3)},
        ),
        (FRI, FRI),
    ),
    Case(
        "two minutes after both it starts without the symbol",
        replace(
            NEW_FRIDAY,
            published_at={FRI: NOW - 120 * SECOND},
            open_requests={"NEW": NOW - 120 * SECOND},
        ),
        (FRI, FRI),
    ),
    Case(
        "one second before that it does not",
        replace(
            NEW_FRIDAY,
            published_at={FRI: NOW - 120 * SECOND},
            open_requests={"OLD": NOW - 120 * SECOND, "NEW": NOW - 119 * SECOND},
        ),
        None,
        ("onboarding of NEW is open, waited for until 2025-07-25 22:00:01 New York",),
        is_pending=True,
    ),
    Case(
        "several symbols, the last one decides",
        replace(
            NEW_FRIDAY,
            published_at={},
            open_requests={"AAA": NOW - 20 * SECOND, "BBB": NOW - 10 * SECOND, "CCC": NOW - 200 * SECOND},
        ),
        None,
        ("onboarding of AAA, BBB is open, waited for until 2025-07-25 22:01:50 New York",),
        is_pending=True,
    ),
    Case(
        "with nothing to start there is nothing to wait with",
        state(open_requests={"NEW": NOW}),
        None,
        ("snapshots are current up to 2025-07-25",),
    ),
    Case(
        "what else waits is told too",
        state(
            symbol_generations=without(THU),
            consumed=without(WED, THU, FRI),
            open_requests={"NEW": NOW},
            holes={THU: refused("coverage", "1 of 500")},
        ),
        None,
        (
            "2025-07-23 waits: onboarding of NEW is open",
            "2025-07-24 waits: symbol_daily_metrics, check coverage: 1 of 500",
            "2025-07-25 waits: snapshots of 2025-07-24 come first",
        ),
        is_pending=True,
    ),
]

CASES = [*READY, *HOLES, *WAIVED, *MARKED, *ONBOARDING]
