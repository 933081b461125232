"""Bring asked-for symbols in at once: their history, profiles, and the figures of every session that is published.

The steps are those of a night, restricted to these symbols, so what they leave is what a night would have left that
had tracked the symbols from the start. No Dagster here; the asset in ``assets.onboarding`` calls this.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from sigmasight_assets.errors import MarketDataError, PublicationError, SigmaSightError, StorageError
from sigmasight_assets.market_data.options import OCC_SYMBOL
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_invalidations import settle_invalidations
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_slices import PublicationRun
from sigmasight_assets.orchestration.symbol_tracking import track_symbols, underlyings
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invalidations import MARK_SCHEMA, mark_invalid
from sigmasight_assets.storage.onboarding import requeue
from sigmasight_assets.storage.onboarding_claims import (
    LEASE_SECONDS,
    Claim,
    claim,
    complete_published,
    extend_leases,
    fail_attempts,
    take,
)
from sigmasight_assets.storage.portfolios import read_investment_classes
from sigmasight_assets.storage.publications import lock_layer, read_products
from sigmasight_assets.storage.universe import TrackedSymbol, read_universe

logger = logging.getLogger(__name__)

# Which requests a run was started for, each with the number of its attempt.
CLAIMS_TAG = "sigmasight/onboarding"
# Requests a run takes at most.
BATCH_REQUESTS = 50
# Symbols alone for which a source has to fail in a row until it counts as away.
SOURCE_IS_AWAY = 2
NO_VALID_BAR = "the market has sent no valid bar of it yet"
STILL_MARKED = "its prices changed again while its figures were published"


@dataclass(frozen=True)
class OnboardingRun:
    """What every step of one run shares; ``newest_session`` is the newest complete one."""

    database: Database
    source: MarketSource
    calendar: SessionCalendar
    newest_session: date
    history_start: date
    min_coverage: float
    run_id: str


@dataclass
class Onboarding:
    """What became of a run's requests, by symbol.

    ``refused`` and ``silent`` symbols have no price: the market does not know them, or knows them and sent no valid
    bar. ``failed`` holds causes that lie elsewhere. Of ``given_up`` there is no further attempt.
    """

    symbols: list[str] = field(default_factory=list)
    completed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    given_up: list[str] = field(default_factory=list)
    generation: int | None = None


def claims_tag(claims: Sequence[Claim]) -> str:
    """The claims as a tag of the run that is to take them."""
    return " ".join(f"{item.request_id}:{item.attempt}" for item in claims)


def claims_of(tags: Mapping[str, str]) -> dict[int, int] | None:
    """Number of the attempt by request, as the tags of a run say; None when it was started for none in particular."""
    if CLAIMS_TAG not in tags:
        return None
    pairs = [item.split(":") for item in tags[CLAIMS_TAG].split()]
    return {int(request): int(attempt) for request, attempt in pairs}


def onboard_requests(
    run: OnboardingRun, attempts: Mapping[int, int] | None = None, *, asked: Collection[str] = ()
) -> Onboarding:
    """Work off requests: those claimed for this run, by request and number of the attempt, or else what is due.

    Symbols that were ``asked`` for are requested first, in the transaction that claims: nobody else takes them up.
    """
    with run.database.begin() as connection:
        for symbol in asked:
            requeue(connection, symbol, requested_by=f"run {run.run_id}")
        claims = (
            claim(connection, limit=BATCH_REQUESTS, run_id=run.run_id)
            if attempts is None
            else take(connection, attempts, run_id=run.run_id)
        )
    if not claims:
        return Onboarding()
    with leases_kept(run.database, run.run_id):
        return _onboard(run, [item.symbol for item in claims])


@contextmanager
def leases_kept(
    database: Database, run_id: str, *, lease_seconds: float = LEASE_SECONDS, every_seconds: float = LEASE_SECONDS / 4
) -> Iterator[None]:
    """Extend the leases of a run's requests again and again until the block ends."""
    is_over = threading.Event()

    def keep() -> None:
        while not is_over.wait(every_seconds):
            # Four attempts fit into a lease.
            with suppress(StorageError), database.begin() as connection:
                extend_leases(connection, run_id=run_id, lease_seconds=lease_seconds)

    keeper = threading.Thread(target=keep, name="onboarding-leases", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        is_over.set()
        keeper.join()


def sessions_to_publish(database: Database, newest_session: date) -> list[date]:
    """The published sessions, ascending; before the first publication the newest complete one, for its prices."""
    return _published_sessions(database) or [newest_session]


def one_by_one(symbols: Sequence[str], work: Callable[[Sequence[str]], None]) -> dict[str, Exception]:
    """Do the work for all symbols at once, or when that fails for each alone; the errors of those that fail alone.

    When the first two alone fail in the source, it is away: the others are not tried.
    """
    try:
        work(symbols)
    except Exception as error:
        if not isinstance(error, SigmaSightError):
            logger.exception("Onboarding of %s failed", ", ".join(symbols))
        if len(symbols) == 1:
            return {symbols[0]: error}
    else:
        return {}
    failures: dict[str, Exception] = {}
    for place, symbol in enumerate(symbols, start=1):
        failures |= one_by_one([symbol], work)
        found = list(failures.values())
        if place == len(found) == SOURCE_IS_AWAY and all(isinstance(item, MarketDataError) for item in found):
            return {**dict.fromkeys(symbols, found[-1]), **failures}
    return failures


def _onboard(run: OnboardingRun, symbols: Sequence[str]) -> Onboarding:
    outcome, silent = Onboarding(symbols=list(symbols)), dict[str, str]()
    published = _published_sessions(run.database)
    # A night that is under way has asked for its prices already: of these symbols it finds them here.
    priced = sorted({*published, run.newest_session})

    def bring_in(names: Sequence[str]) -> None:
        wanted = {*names, *_untouched_underlyings(run.database, names)}
        silent.update(_fetch(run, wanted, priced))
        outcome.generation = _publish(run, wanted, published) or outcome.generation

    failures: dict[str, Exception]
    try:
        _track(run, symbols)
    except SigmaSightError as error:
        failures = dict.fromkeys(symbols, error)
    else:
        failures = one_by_one(symbols, bring_in)
    _conclude(run, outcome, failures, silent)
    return outcome


def _track(run: OnboardingRun, symbols: Collection[str]) -> None:
    listings = run.source.listings()
    with run.database.begin() as connection:
        held_as = read_investment_classes(connection, symbols)
        contracts = {
            symbol
            for symbol in symbols
            if "OPTIONS" in held_as.get(symbol, ()) or (symbol not in held_as and OCC_SYMBOL.fullmatch(symbol))
        }
        track_symbols(connection, listings, symbols, contracts=contracts)


def _untouched_underlyings(database: Database, symbols: Collection[str]) -> set[str]:
    """The shares without a price that contracts among the symbols are on."""
    tracked = _tracked(database)
    contracts = [symbol for symbol in symbols if tracked[symbol].asset_type == "option"]
    shares = underlyings(contracts) & tracked.keys()
    return {symbol for symbol in shares if tracked[symbol].first_trade_date is None}


def _fetch(run: OnboardingRun, symbols: Collection[str], sessions: Sequence[date]) -> dict[str, str]:
    """Store prices, and profiles of what has any; what the source said of symbols it neither refused nor sent bars of.

    Of some it says nothing.
    """
    prices = update_prices(
        run.database,
        run.source,
        run.calendar,
        sessions=sessions,
        history_start=run.history_start,
        run_id=run.run_id,
        symbols=symbols,
    )
    tracked = _tracked(run.database)
    priced = {symbol for symbol in symbols if tracked[symbol].first_trade_date is not None}
    update_profiles(
        run.database, run.source, run.calendar, sessions=sessions, newest_session=run.newest_session, symbols=priced
    )
    return {symbol: prices.problems.get(symbol, "") for symbol in prices.silent}


def _publish(run: OnboardingRun, symbols: Collection[str], published: Sequence[date]) -> int | None:
    """Compute and publish the symbols at every published session; the generation, None when nothing differs.

    They are marked over all these sessions, because profiles and reasons for missing figures belong to sessions
    without a bar too. Raises ``PublicationError`` when figures fail a check.
    """
    if not published:
        return None
    row = {"first_session": published[0], "last_session": published[-1], "has_new_returns": False}
    marks = [{"symbol": symbol, **row} for symbol in sorted(symbols)]
    with run.database.bulk() as transaction:
        lock_layer(transaction, "prices")
        mark_invalid(transaction, pa.Table.from_pylist(marks, schema=MARK_SCHEMA), run_id=run.run_id)
    outcome = SymbolPublication()
    publication = PublicationRun(run.database, run.calendar, run.min_coverage, run.run_id)
    settle_invalidations(publication, outcome, only=frozenset(symbols))
    if outcome.unsettled:
        raise PublicationError("; ".join(f"{item.session} {item.check}: {item.detail}" for item in outcome.failures))
    return outcome.generation


def _conclude(
    run: OnboardingRun, outcome: Onboarding, failures: Mapping[str, Exception], silent: Mapping[str, str]
) -> None:
    """Record how each request ended."""
    with run.database.begin() as connection:
        done = set(complete_published(connection, run_id=run.run_id))
        tracked = {item.symbol: item for item in read_universe(connection)}
        for symbol in outcome.symbols:
            if symbol in done:
                outcome.completed.append(symbol)
            elif symbol in failures:
                outcome.failed[symbol] = _sentence(failures[symbol])
            elif tracked[symbol].first_trade_date is not None:
                outcome.failed[symbol] = STILL_MARKED
            elif symbol in silent:
                outcome.silent[symbol] = silent[symbol] or tracked[symbol].status_reason or NO_VALID_BAR
            else:
                outcome.refused[symbol] = tracked[symbol].status_reason or NO_VALID_BAR
        outcome.given_up += fail_attempts(connection, outcome.refused, run_id=run.run_id, is_final=True)
        outcome.given_up += fail_attempts(connection, {**outcome.silent, **outcome.failed}, run_id=run.run_id)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, SigmaSightError) else f"{type(error).__name__}: {error}"


def _published_sessions(database: Database) -> list[date]:
    with database.bulk(read_only=True) as transaction:
        return sorted(read_products(transaction, "symbol"))


def _tracked(database: Database) -> dict[str, TrackedSymbol]:
    with database.begin() as connection:
        return {item.symbol: item for item in read_universe(connection)}
