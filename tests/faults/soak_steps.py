"""The runs of the soak: the steps of both layers with their records, as the orchestrator's steps do them.

Run as a program it does one run in a process of its own, which a fault may kill.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from sigmasight_assets.errors import PublicationError, SigmaSightError, TransientStorageError
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.operations.gate import GateRange
from sigmasight_assets.orchestration import price_update
from sigmasight_assets.orchestration.onboarding import Onboarding, OnboardingRun, onboard_requests
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.orchestration.symbol_tracking import track_symbols
from sigmasight_assets.orchestration.vendor_access import MeteredMarket
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import finish_batch, start_batch
from sigmasight_assets.storage.portfolios import read_held_symbols
from sigmasight_assets.storage.step_lives import end_lost_steps
from sigmasight_assets.storage.universe import read_universe
from tests.e2e.market import Disturbances, Split
from tests.faults.soak_market import Facts, Fault, SoakMarket
from tests.faults.soak_strikes import StruckDatabase

CHECKOUT = Path(__file__).resolve().parents[2]
MIN_COVERAGE = 0.98
# As often as a step is tried again at once when the database was away (orchestration/step_retries.py).
ATTEMPTS = 3
# What is stored of a night stays stored when the vendor goes away after it.
BATCH_SYMBOLS = 100


@dataclass(frozen=True)
class Order:
    """A run as it is ordered: of the symbol layer without ``input_hash``, of the portfolio layer with it."""

    run_id: str
    first: date
    last: date
    evening: date
    history_start: date
    input_hash: str | None = None

    @classmethod
    def of(cls, chosen: GateRange, *, evening: date, history_start: date) -> "Order":
        """What the gate has chosen."""
        return cls(chosen.run_key, chosen.first, chosen.last, evening, history_start, chosen.input_hash)

    @property
    def sessions(self) -> list[date]:
        """The sessions, ascending."""
        return exchange_calendar().between(self.first, self.last)


@dataclass(frozen=True)
class Ended:
    """How a run ended, and whether its fault has met it."""

    error: str | None = None
    has_struck: bool = False


def run(database: Database, order: Order, facts: Facts, script: Path, fault: Fault | None) -> Ended:
    """Do a run under a fault: in this process, or in one that may be killed."""
    if fault is not None and fault.kind == "killed":
        return _run_elsewhere(database, order, facts, script, fault)
    struck = (
        StruckDatabase(database.url, fault.kind, fault.at) if fault and fault.kind in ("cut", "timed_out") else None
    )
    market = facts.market(script, order.evening, fault)
    error = _run_here(struck or database, order, market)
    has_struck = struck.has_struck if struck else market.has_struck
    if struck:
        struck.close()
    return Ended(error, has_struck)


def _run_here(database: Database, order: Order, market: SoakMarket) -> str | None:
    try:
        if order.input_hash is None:
            _symbol_layer(database, order, MeteredMarket(market))
        else:
            with _recorded(database, order, "portfolio_products") as step:
                step(lambda: _publish_portfolios(database, order))
    except SigmaSightError as error:
        return f"{type(error).__name__}: {error}"
    return None


def _run_elsewhere(database: Database, order: Order, facts: Facts, script: Path, fault: Fault) -> Ended:
    """In a process that kills itself at a statement; the reconciler then ends its records."""
    told = json.dumps(
        {
            "url": database.url,
            "order": {**asdict(order), **{name: str(getattr(order, name)) for name in DATES}},
            "facts": asdict(facts),
            "script": str(script),
            "at": fault.at,
        }
    )
    command = [sys.executable, "-m", "tests.faults.soak_steps"]
    done = subprocess.run(command, input=told, text=True, capture_output=True, cwd=CHECKOUT, check=False, timeout=120)
    if done.returncode == 0:
        return Ended(json.loads(done.stdout), has_struck=False)
    assert done.returncode == -9, done.stderr
    with database.begin() as connection:
        lost = end_lost_steps(connection)
    assert lost in ([], [order.run_id])
    return Ended("the worker was killed", has_struck=True)


DATES = ("first", "last", "evening", "history_start")


def main() -> None:
    """One run as standard input orders it; its error on standard output."""
    told = json.loads(sys.stdin.read())
    order = Order(**{**told["order"], **{name: date.fromisoformat(told["order"][name]) for name in DATES}})
    disturbed = told["facts"]["disturbances"]
    splits = [Split(**item) for item in disturbed["splits"]]
    levels = {symbol: (first, factor) for symbol, (first, factor) in told["facts"]["levels"].items()}
    facts = Facts(told["facts"]["stocks"], replace(Disturbances(**disturbed), splits=splits), levels)
    with closing(StruckDatabase(told["url"], "killed", told["at"])) as database:
        error = _run_here(database, order, facts.market(Path(told["script"]), order.evening))
    sys.stdout.write(json.dumps(error))


@contextmanager
def _recorded(database: Database, order: Order, kind: str) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Record a step, and try it again when the database was away."""

    def attempt(work: Callable[[], None]) -> None:
        for number in range(1, ATTEMPTS + 1):
            try:
                with database.begin() as connection:
                    start_batch(
                        connection,
                        run_id=order.run_id,
                        kind=kind,
                        sessions=order.sessions,
                        input_hash=order.input_hash,
                    )
                work()
                with database.begin() as connection:
                    finish_batch(connection, run_id=order.run_id, kind=kind, counts=None)
            except TransientStorageError:
                if number == ATTEMPTS:
                    raise
            else:
                return

    try:
        yield attempt
    except SigmaSightError as error:
        with database.begin() as connection:
            finish_batch(connection, run_id=order.run_id, kind=kind, counts=None, error=str(error))
        raise


def _symbol_layer(database: Database, order: Order, market: MarketSource) -> None:
    steps = {
        "symbol_universe": lambda: _track(database, market),
        "company_profiles": lambda: _capture(database, order, market),
        "symbol_prices": lambda: _fetch(database, order, market),
        "symbol_products": lambda: _publish_symbols(database, order),
    }
    for kind, work in steps.items():
        with _recorded(database, order, kind) as step:
            step(work)


def _track(database: Database, market: MarketSource) -> None:
    listings = market.listings()
    with database.begin() as connection:
        held = read_held_symbols(connection)
        contracts = {symbol for symbol, held_as in held.items() if held_as == "OPTIONS"}
        tracked = {item.symbol for item in read_universe(connection)}
        track_symbols(connection, listings, tracked | set(FACTOR_ETFS) | set(held), contracts=contracts)


def _capture(database: Database, order: Order, market: MarketSource) -> None:
    update_profiles(database, market, exchange_calendar(), sessions=order.sessions, newest_session=order.evening)


def _fetch(database: Database, order: Order, market: MarketSource) -> None:
    whole, price_update.BATCH_SYMBOLS = price_update.BATCH_SYMBOLS, BATCH_SYMBOLS
    try:
        update_prices(
            database,
            market,
            exchange_calendar(),
            sessions=order.sessions,
            history_start=order.history_start,
            run_id=order.run_id,
        )
    finally:
        price_update.BATCH_SYMBOLS = whole


def _publish_symbols(database: Database, order: Order) -> None:
    outcome = publish_symbol_products(
        database, exchange_calendar(), sessions=order.sessions, min_coverage=MIN_COVERAGE, run_id=order.run_id
    )
    if outcome.failed or outcome.unsettled:
        raise PublicationError("; ".join(f"{item.session} {item.check}: {item.detail}" for item in outcome.failures))


def _publish_portfolios(database: Database, order: Order) -> None:
    outcome = publish_portfolio_products(database, exchange_calendar(), sessions=order.sessions, run_id=order.run_id)
    if outcome.failed:
        raise PublicationError(str(outcome.verdicts))


def onboard(database: Database, facts: Facts, script: Path, *, evening: date, history_start: date) -> Onboarding:
    """Work off the requests that are open."""
    market = MeteredMarket(facts.market(script, evening))
    return onboard_requests(
        OnboardingRun(
            database, market, exchange_calendar(), evening, history_start, MIN_COVERAGE, f"onboarding {evening}"
        )
    )


if __name__ == "__main__":
    main()
