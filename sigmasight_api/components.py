"""The parts of a running API and how they are put together. Nothing connects before ``Components.start``."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sigmasight_api.admission import Admissions
from sigmasight_api.aggregates import Aggregates
from sigmasight_api.analytics import Analytics
from sigmasight_api.auth import Authenticator
from sigmasight_api.bars import BarDecisions
from sigmasight_api.books import HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.connections import watched
from sigmasight_api.decisions import Decisions
from sigmasight_api.exports import Exports
from sigmasight_api.loader import ViewLoader
from sigmasight_api.onboarding import OnboardingQueue
from sigmasight_api.operators import Operators
from sigmasight_api.position_writes import PositionWrites
from sigmasight_api.refresher import Refresher
from sigmasight_api.rendered import RenderedAnswers
from sigmasight_api.replica import ANSWER_SECONDS, Replica
from sigmasight_api.replicated_loader import ReplicatedLoader
from sigmasight_api.reports import Reports
from sigmasight_api.repository import Repository
from sigmasight_api.scenarios import read_scenarios
from sigmasight_api.service import Reads
from sigmasight_api.settings import Settings
from sigmasight_api.shared import SharedAnswers
from sigmasight_api.stress import StressTests
from sigmasight_api.transactions import Transactions
from sigmasight_api.writes import Writes
from sigmasight_assets.quant.stress import RateModel
from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.storage.database import Database


@dataclass(frozen=True, slots=True)
class Timing:
    """When the cache is checked, and how long its first load may take before the API calls itself ready.

    A replica that is behind for longer than ``replica_patience_seconds`` is not waited for, nor is one that has not
    answered a small read within ``replica_answer_seconds``. Without one, what is published is in every process within
    30 s: one check and one load.
    """

    poll_seconds: float = 20.0
    retry_seconds: float = 1.0
    patience_seconds: float = 30.0
    replica_patience_seconds: float = 300.0
    replica_answer_seconds: float = ANSWER_SECONDS
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Components:
    """Everything that routes use."""

    database: Database
    operators_database: Database
    views_database: Database
    replica: Replica | None
    cache: ViewCache
    refresher: Refresher
    admissions: Admissions
    authenticator: Authenticator
    reads: Reads
    stress_tests: StressTests
    shared: SharedAnswers
    analytics: Analytics
    aggregates: Aggregates
    operators: Operators
    reports: Reports
    onboarding: OnboardingQueue
    bars: BarDecisions
    decisions: Decisions
    writes: Writes
    position_writes: PositionWrites
    exports: Exports

    def start(self) -> None:
        """Begin to load the market view and to listen for new ones."""
        self.refresher.start()
        self.shared.start()

    def close(self) -> None:
        """Stop the refresher and give back all connections but that of ``admissions``, which the event loop closes."""
        self.refresher.close()
        self.shared.close()
        self.operators_database.close()
        self.views_database.close()
        if self.replica is not None:
            self.replica.close()
        self.database.close()


def build_stress_tests(settings: Settings) -> StressTests:
    """The stress tests for these settings; ``ConfigurationError`` when the operator's scenarios are wrong."""
    rates = RateModel(duration=settings.rates_duration, convexity=settings.rates_convexity)
    return StressTests(read_scenarios(settings.scenarios), rates)


def build_components(settings: Settings, timing: Timing, stress_tests: StressTests) -> Components:
    """The parts for these settings."""
    url, session_url = watched(settings.database_url), watched(settings.session_url)
    database = Database(url)
    # Decisions need rights that no owner's route has.
    operators_database = Database(watched(settings.operator_database_url or settings.database_url))
    # A write asks for a view from within its transaction: with connections of the same pool, writes that have taken all
    # of them would wait for each other.
    views_database = Database(url)
    replica = None
    if settings.read_database_url:
        replica = Replica(watched(settings.read_database_url), answer_seconds=timing.replica_answer_seconds)
    repository = Repository(database, replica)
    loader = ViewLoader(views_database)
    if replica is not None:
        loader = ReplicatedLoader(views_database, replica, patience_seconds=timing.replica_patience_seconds)
    cache = ViewCache(loader, patience_seconds=timing.patience_seconds, monotonic=timing.monotonic)
    refresher = Refresher(cache, session_url, poll_seconds=timing.poll_seconds, retry_seconds=timing.retry_seconds)
    holdings = HoldingsCache(repository.read_holdings)
    reads, shared, rendered = Reads(repository, cache, holdings), SharedAnswers(database), RenderedAnswers()
    admissions, transactions = Admissions(session_url, settings.clock), Transactions(database)
    dagster, alone = DagsterClient(str(settings.dagster_graphql)), threading.Lock()
    return Components(
        database=database,
        operators_database=operators_database,
        views_database=views_database,
        replica=replica,
        cache=cache,
        refresher=refresher,
        admissions=admissions,
        authenticator=Authenticator(admissions),
        reads=reads,
        stress_tests=stress_tests,
        shared=shared,
        analytics=Analytics(reads, repository, cache, holdings, shared=shared, rendered=rendered, alone=alone),
        aggregates=Aggregates(repository, cache, holdings, rendered, alone=alone),
        reports=Reports(
            repository,
            database,
            clock=settings.clock,
            pause=settings.retry_pause,
            orchestrator=settings.orchestrator,
        ),
        onboarding=OnboardingQueue(repository, database),
        bars=BarDecisions(operators_database),
        decisions=Decisions(operators_database, dagster, clock=settings.clock, pause=settings.retry_pause),
        writes=Writes(transactions, cache, settings.clock),
        position_writes=PositionWrites(transactions, cache, settings.clock),
        exports=Exports(transactions, reads),
        operators=Operators(
            repository=repository,
            cache=cache,
            holdings=holdings,
            refresher=refresher,
            replica=replica,
            dagster=dagster,
            clock=settings.clock,
        ),
    )
