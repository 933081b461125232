"""The parts of a running API and how they are put together. Nothing connects before ``Components.start``."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sigmasight_api.auth import Authenticator
from sigmasight_api.bars import BarDecisions
from sigmasight_api.books import HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.decisions import Decisions
from sigmasight_api.loader import ViewLoader
from sigmasight_api.onboarding import OnboardingQueue
from sigmasight_api.operators import Operators
from sigmasight_api.refresher import Refresher
from sigmasight_api.reports import Reports
from sigmasight_api.repository import Repository
from sigmasight_api.service import Reads
from sigmasight_api.settings import Settings
from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.storage.database import Database


@dataclass(frozen=True, slots=True)
class Timing:
    """When the cache is checked, and how long its first load may take before the API calls itself ready."""

    poll_seconds: float = 30.0
    retry_seconds: float = 1.0
    patience_seconds: float = 30.0
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Components:
    """Everything that routes use."""

    database: Database
    operators_database: Database
    cache: ViewCache
    refresher: Refresher
    authenticator: Authenticator
    reads: Reads
    operators: Operators
    reports: Reports
    onboarding: OnboardingQueue
    bars: BarDecisions
    decisions: Decisions

    def start(self) -> None:
        """Begin to load the market view and to listen for new ones."""
        self.refresher.start()

    def close(self) -> None:
        """Stop the refresher and give back all connections."""
        self.refresher.close()
        self.operators_database.close()
        self.database.close()


def build_components(settings: Settings, timing: Timing) -> Components:
    """The parts for these settings."""
    database = Database(settings.database_url)
    # Decisions need rights that no owner's route has.
    operators_database = Database(settings.operator_database_url or settings.database_url)
    repository = Repository(database)
    cache = ViewCache(ViewLoader(database), patience_seconds=timing.patience_seconds, monotonic=timing.monotonic)
    refresher = Refresher(
        cache, settings.database_url, poll_seconds=timing.poll_seconds, retry_seconds=timing.retry_seconds
    )
    holdings = HoldingsCache(repository.read_holdings)
    dagster = DagsterClient(str(settings.dagster_graphql))
    return Components(
        database=database,
        operators_database=operators_database,
        cache=cache,
        refresher=refresher,
        authenticator=Authenticator(repository, settings.clock),
        reads=Reads(repository, cache, holdings),
        reports=Reports(repository, database, clock=settings.clock, pause=settings.retry_pause),
        onboarding=OnboardingQueue(repository, database),
        bars=BarDecisions(operators_database),
        decisions=Decisions(operators_database, dagster, clock=settings.clock, pause=settings.retry_pause),
        operators=Operators(
            repository=repository,
            cache=cache,
            holdings=holdings,
            refresher=refresher,
            dagster=dagster,
            clock=settings.clock,
        ),
    )
