"""What an operator should know of each check, in words: what it asks, its limit, and what to do when it fails."""

from dataclasses import dataclass

from sigmasight_assets.operations.check_assets import BARS_VALID, BETA_STABLE, BETAS_FINITE, COVERAGE, FACTOR_FUNDS
from sigmasight_assets.orchestration.portfolio_slices import AMOUNTS_FIT, LEDGER_IDENTITY
from sigmasight_assets.orchestration.symbol_checks import (
    CHECKS,
    LARGE_MOVE,
    LARGEST_MEDIAN_MOVE,
    LARGEST_SHARE_OF_LARGE_MOVES,
    NOTABLE_MEDIAN_MOVE,
)
from sigmasight_assets.quant.factors import BETA_CAP, FACTOR_ETFS

WAIT_OR_RETRY = "`late_sessions` asks the market again every half hour; at once: `sigmasight retry`"
WRONG_BAR = (
    "Look at the named symbols' prices and at `sigmasight bars list`; reject a wrong bar with `sigmasight bars reject "
    "SYMBOL D --reason ...`, then `sigmasight retry`"
)
BLOCKS = "A session that fails is not published: owners keep the one before it, and its snapshots wait."


@dataclass(frozen=True)
class CheckFacts:
    """What it asks, the limit it judges by, and what to do when it fails."""

    asks: str
    limit: str
    next_step: str

    @property
    def description(self) -> str:
        """Markdown for the definition."""
        return f"{self.asks}\n\n- **Limit**: {self.limit}\n- **When it fails**: {self.next_step}"


def _blocking(asks: str, limit: str, next_step: str) -> CheckFacts:
    return CheckFacts(f"{asks}. {BLOCKS}", limit, next_step)


CHECK_FACTS = {
    COVERAGE: _blocking(
        CHECKS[COVERAGE],
        "the share `SIGMASIGHT_MIN_COVERAGE` (0.98 unless set) of the symbols that are active at the session; the same "
        "share of those that are tracked must be known to the market",
        f"{WAIT_OR_RETRY}. A session that the market will never have: `sigmasight session waive D --reason ...`; a day "
        "without trading: `sigmasight session close D --reason ...`",
    ),
    FACTOR_FUNDS: _blocking(
        CHECKS[FACTOR_FUNDS],
        f"every one of {', '.join(FACTOR_ETFS)}: every beta rests on them",
        f"{WAIT_OR_RETRY}. No bar can be entered by hand",
    ),
    BARS_VALID: _blocking(CHECKS[BARS_VALID], "an adjusted close above 0 and a volume of 0 or more", WRONG_BAR),
    BETAS_FINITE: _blocking(CHECKS[BETAS_FINITE], f"|beta| at most {BETA_CAP:g}, standard errors finite", WRONG_BAR),
    BETA_STABLE: _blocking(
        CHECKS[BETA_STABLE],
        f"against the session before, the median |change| at most {LARGEST_MEDIAN_MOVE:g} (a warning above "
        f"{NOTABLE_MEDIAN_MOVE:g}) and at most {LARGEST_SHARE_OF_LARGE_MOVES:.0%} of the symbols, or one, beyond "
        f"{LARGE_MOVE:g}",
        f"A wrong bar of SPY, a history in other units, or another symbol's prices. {WRONG_BAR}. After a warning the "
        "session is published all the same",
    ),
    LEDGER_IDENTITY: _blocking(
        "Equity, P&L, flows and values of every portfolio add up to the last unit",
        "no difference at all, in units of 1e-8 USD, at any portfolio",
        "This is a mistake of the program, not of the data: keep the run's log and the named portfolios' "
        "lots, and tell "
        "who looks after the code. Owners keep the snapshots of the session before",
    ),
    AMOUNTS_FIT: CheckFacts(
        "Which portfolios are left out because an amount of theirs cannot be held exactly",
        "92 billion USD a portfolio, all its lots, dividends and flows taken together",
        "Its owner keeps the snapshots up to the session before, and all others have theirs. The owner corrects the "
        "lots of the named portfolio, or splits it in two; of a wrong price `sigmasight bars reject SYMBOL D --reason "
        "...` takes care. The gate then computes what is missing",
    ),
    "sessions_current": CheckFacts(
        "How many sessions this layer is behind, by our own tables",
        "none behind; one is a warning, two or more are critical",
        "see the check `nothing_failed_now` of `symbol_daily_metrics` and the ticks of `late_sessions` and "
        "`portfolio_gate`: they say what they wait for",
    ),
    "invariants_hold": CheckFacts(
        "Looks in the tables for what must never be there, whoever wrote it: rows of no session or of no publication, "
        "betas of too few observations or without a finite error, values that do not add up, "
        "equity that does not roll forward",
        "nothing of it in the newest session of each layer and the week before; of the first 20,000 portfolios. Judged "
        "after every publication, and every hour",
        "figures of the named session are wrong: find out who wrote them, then publish it anew with "
        "`sigmasight backfill --from D --to D --force`, or bring back a backup",
    ),
    "nothing_failed_now": CheckFacts(
        "Lists everything that is failed right now, with its cause; an entry is gone as soon as its cause is",
        "nothing failed; critical when an entry is",
        "each entry says what happens by itself or which command helps; `sigmasight status` tells the same",
    ),
}
