"""Why sessions wait at the gate, in words that name the asset, the check, the symbols and the way out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sigmasight_assets.operations.check_assets import CHECK_ASSETS, STEP_ASSETS
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.symbol_attempts import Refusal, SymbolStep

# A running step says many times in this time that it lives; one that has not done so was killed.
SIGN_OF_LIFE = timedelta(minutes=2)
LONGEST_LIST = 10
NAMED = 20
LONGEST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Hole:
    """A session whose symbol products are not all published: what was tried, by the newest run and its checks.

    ``published`` are the products it has; ``steps`` are those of the newest run that covered it, newest step first.
    """

    published: frozenset[str] = frozenset()
    refusals: Sequence[Refusal] = ()
    steps: Sequence[SymbolStep] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a session waits; an ``untried`` one waits for a run that somebody has to start."""

    text: str
    untried: bool = False

    def describe(self, first: date, last: date) -> str:
        """The cause, with the command that starts the run for the sessions ``first`` to ``last``."""
        return f"{self.text}: `sigmasight backfill --from {first} --to {last}`" if self.untried else self.text


def hole_cause(hole: Hole, *, now: datetime) -> Cause:
    """What keeps a session's symbol products from being published.

    A run at work comes first, then what happened last: a step that failed, or the checks that refused the session.
    """
    running = next((step for step in hole.steps if step.status == "running"), None)
    if running is not None:
        return Cause(_running(running, now))
    failed = next((step for step in hole.steps if step.status == "failed"), None)
    refused_at = max((item.judged_at for item in hole.refusals), default=None)
    if failed is not None and (refused_at is None or failed.started_at > refused_at):
        return Cause(f"{_assets(failed)} failed in run {failed.run_id}: {shortened(failed.error or 'no error given')}")
    if hole.refusals:
        return Cause("; ".join(_refusal(item) for item in hole.refusals))
    missing = [name for name in SYMBOL_PRODUCTS if name not in hole.published]
    not_published = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not published"
    if hole.published or hole.steps:
        return Cause(not_published, untried=True)
    return Cause(f"{not_published}, the symbol layer has not run for it", untried=True)


def mark_cause(marked: Mapping[str, date], *, symbol_run: str | None) -> Cause:
    """That published figures are older than the prices they were computed from; ``symbol_run`` is at work on them."""
    way_out = "run the job symbol_layer" if symbol_run is None else f"run {symbol_run} is at work"
    products = ", ".join(name for name in SYMBOL_PRODUCTS if name != "factor_covariances")
    since = min(marked.values())
    return Cause(f"{products} of {named(sorted(marked))} are older than symbol_prices since {since}: {way_out}")


def onboarding_cause(symbols: Sequence[str], *, until: datetime) -> Cause:
    """That held symbols are about to get their figures; from ``until`` on they are not waited for."""
    return Cause(f"onboarding of {named(symbols)} is open, waited for until {in_words(until)}")


def behind_cause(hole: date) -> Cause:
    """That an earlier session comes first, because snapshots build on each other."""
    return Cause(f"snapshots of {hole} come first")


def describe_all(causes: Mapping[date, Cause], sessions: Sequence[date]) -> tuple[str, ...]:
    """A line per cause in the order of the ``sessions``, which are all that matter; adjacent ones share a line."""
    runs: list[list[date]] = []
    previous: Cause | None = None
    for day in sessions:
        cause = causes.get(day)
        if cause is not None and cause == previous:
            runs[-1].append(day)
        elif cause is not None:
            runs.append([day])
        previous = cause
    lines = [f"{waiting(days[0], days[-1])}: {causes[days[0]].describe(days[0], days[-1])}" for days in runs]
    rest = sum(len(days) for days in runs[LONGEST_LIST:])
    more = [f"and {rest} more {'sessions wait' if rest > 1 else 'session waits'}"] if rest else []
    return (*lines[:LONGEST_LIST], *more)


def waiting(first: date, last: date) -> str:
    """The subject of a reason."""
    return f"{first} waits" if first == last else f"{first} to {last} wait"


def named(symbols: Sequence[str]) -> str:
    """The first symbols by name and how many more there are."""
    more = len(symbols) - NAMED
    return ", ".join(symbols[:NAMED]) + (f" and {more} more" if more > 0 else "")


def shortened(error: str) -> str:
    """An error in one line."""
    line = " ".join(error.split())
    return line if len(line) <= LONGEST_ERROR else f"{line[:LONGEST_ERROR]}..."


def in_words(instant: datetime) -> str:
    """An instant by the exchange's time."""
    return f"{instant.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} New York"


def _refusal(item: Refusal) -> str:
    return f"{CHECK_ASSETS.get(item.check, 'symbol_products')}, check {item.check}: {item.detail}"


def _running(step: SymbolStep, now: datetime) -> str:
    if now - step.seen_at < SIGN_OF_LIFE:
        # A step that waits for its next attempt keeps the error of the last one.
        last = f", its last attempt failed: {shortened(step.error)}" if step.error else ""
        return f"{_assets(step)}: run {step.run_id} is at work{last}"
    return f"{_assets(step)}: run {step.run_id} has given no sign of life since {in_words(step.seen_at)}"


def _assets(step: SymbolStep) -> str:
    return ", ".join(STEP_ASSETS.get(step.kind, (step.kind,)))
