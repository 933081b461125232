"""What operators can ask and start: the state of the cache, symbol runs and what became of them.

Knows nothing of HTTP.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime

from sigmasight_api.books import HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.errors import InvalidRequestError
from sigmasight_api.operations_schemas import CacheState, ReplicaState, SymbolBatchStatus
from sigmasight_api.refresher import Refresher
from sigmasight_api.replica import Replica
from sigmasight_api.repository import Page, Repository
from sigmasight_assets.runs import DagsterClient

SYMBOL_JOB = "symbol_layer"


class Operators:
    """Answers operators' questions and starts their runs."""

    def __init__(
        self,
        *,
        repository: Repository,
        cache: ViewCache,
        holdings: HoldingsCache,
        refresher: Refresher,
        replica: Replica | None,
        dagster: DagsterClient,
        clock: Callable[[], datetime],
    ) -> None:
        self._repository = repository
        self._cache = cache
        self._holdings = holdings
        self._refresher = refresher
        self._replica = replica
        self._dagster = dagster
        self._clock = clock

    def cache_state(self) -> CacheState:
        """The cache of the process that answers: of several at an address, any of them."""
        status = self._cache.status()
        view = status.view
        holdings_hits, holdings_misses = self._holdings.uses
        return CacheState(
            mode=status.readiness.mode,
            reason=status.readiness.reason,
            generation=None if view is None else view.generation,
            symbol_generation=None if view is None else view.symbol_generation,
            as_of=None if view is None else view.as_of,
            symbols=0 if view is None else len(view.symbols),
            view_bytes=0 if view is None else view.nbytes,
            load_seconds=status.load_seconds,
            age_seconds=status.age_seconds,
            checked_seconds_ago=status.checked_seconds_ago,
            is_listening=self._refresher.is_listening,
            view_hits=status.uses["hit"],
            view_waits=status.uses["wait"],
            database_fallbacks=status.uses["fallback"],
            remembered_portfolios=len(self._holdings),
            holdings_hits=holdings_hits,
            holdings_misses=holdings_misses,
            last_error=status.last_error,
            is_restricted=self._repository.is_restricted(),
            host=socket.gethostname(),
            process_id=os.getpid(),
            replica=None if self._replica is None else ReplicaState(**asdict(self._replica.status())),
        )

    def run_symbol_batch(self, first: date, last: date) -> str:
        """Start the symbol layer for the sessions ``first`` to ``last``; returns the run id.

        Raises ``SessionError`` when either is no closed session, ``ServiceError`` when Dagster is away.
        """
        if first > last:
            raise InvalidRequestError(f"first ({first}) is after last ({last}).")
        sessions = self._repository.read_calendar().complete_between(first, last, self._clock())
        return self._dagster.launch_range(SYMBOL_JOB, first=sessions[0], last=sessions[-1])

    def symbol_batch_status(self, page: Page) -> SymbolBatchStatus:
        """What ran, what is published and what failed; the page applies to each of the three lists."""
        parts = {
            "runs": self._repository.read_batches(page),
            "sessions": self._repository.read_symbol_sessions(page),
            "failed": self._repository.read_failed_symbol_checks(page),
        }
        return SymbolBatchStatus.model_validate(parts, from_attributes=True)
