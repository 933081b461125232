"""The current market view: swapped by reference, loaded by one thread at a time, and what is said about it.

When it is refreshed is decided in ``refresher``; how a view is read, in ``loader``.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sigmasight_api.errors import NotYetError
from sigmasight_api.loader import ViewLoader
from sigmasight_api.memory import give_back
from sigmasight_api.partial_views import PartialViews
from sigmasight_api.readiness import Readiness
from sigmasight_api.view import MarketView

logger = logging.getLogger(__name__)

# How a request got its view: at once, after waiting for a newer one, or by queries while there is none.
Use = Literal["hit", "wait", "fallback"]
Prepare = Callable[[MarketView, Callable[[], bool]], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """The cache as operators see it; ages and durations in seconds, ``uses`` since the start."""

    readiness: Readiness
    view: MarketView | None
    load_seconds: float | None
    age_seconds: float | None
    checked_seconds_ago: float | None
    last_error: str | None
    uses: Mapping[Use, int]


class ViewCache:
    """Holds the current view. A request takes it once and uses that one throughout."""

    def __init__(
        self,
        loader: ViewLoader,
        *,
        patience_seconds: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loader = loader
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._started = monotonic()
        self._loading = threading.Lock()
        self._partial = PartialViews(loader)
        self._view: MarketView | None = None
        self._loaded: float | None = None
        self._checked: float | None = None
        self._load_seconds: float | None = None
        self._error: str | None = None
        self._counting = threading.Lock()
        self._uses: dict[Use, int] = {"hit": 0, "wait": 0, "fallback": 0}
        self._prepare: Prepare | None = None
        self._forget: Callable[[], None] = lambda: None
        self._awaiting = 0

    @property
    def current(self) -> MarketView | None:
        """The view of all symbols, or None before the first load."""
        return self._view

    def before_swap(self, prepare: Prepare) -> None:
        """Have something made of a view that is to follow another one; what it returns is called as that happens.

        It is told how to find out whether requests are waiting for the view.
        """
        self._prepare = prepare

    def on_another_history(self, forget: Callable[[], None]) -> None:
        """Have this called once a view is of another history than the one before it, whose generations mean nothing."""
        self._forget = forget

    def refresh(self, *, at_least: int = 0) -> MarketView:
        """Bring the view to the newest generation and return it; whoever comes meanwhile waits and shares it.

        With ``at_least`` a view of that generation is new enough. A load that fails leaves the view as it was and
        raises what the loader raised.
        """
        with self._counted_as_awaiting(is_awaited=at_least > 0), self._loading:
            view = self._view
            if view is not None and 0 < at_least <= view.generation:
                return view
            newer = self._load(view, at_least)
        if view is None or newer.symbol_generation != view.symbol_generation:
            give_back()
        return newer

    @contextmanager
    def _counted_as_awaiting(self, *, is_awaited: bool) -> Iterator[None]:
        with self._counting:
            self._awaiting += is_awaited
        try:
            yield
        finally:
            with self._counting:
                self._awaiting -= is_awaited

    def _load(self, view: MarketView | None, at_least: int) -> MarketView:
        started = self._monotonic()
        try:
            newer = self._loader.load(previous=view)
            if newer.generation < at_least and self._loader.is_behind:
                newer = self._loader.load_newest(previous=newer)
        except Exception as error:
            self._error = f"{type(error).__name__}: {error}"
            raise
        is_next = view is not None and newer.lineage is view.lineage
        if self._prepare is not None and view is not None and is_next and newer.generation != view.generation:
            self._prepare(newer, lambda: self._awaiting > 0)()
        self._keep(newer, started)
        if view is not None and not is_next:
            logger.warning("The database is not the one of generation %d any more: all is read anew", view.generation)
            self._forget()
        return newer

    @property
    def is_behind(self) -> bool:
        """Whether the view lacks what was published before it was loaded."""
        return self._loader.is_behind

    def newest_generation(self) -> int:
        """What the database says is the newest generation; raises what the loader raises."""
        return self._loader.newest_generation()

    def reach(self, generation: int) -> None:
        """Bring the view to this generation if it is behind; ``NotYetError`` when it is not published.

        Raises what the loader raises.
        """
        newest = self.newest_generation() if self._view is None else self.refresh(at_least=generation).generation
        if newest < generation:
            raise NotYetError(f"Generation {generation} is not published: the newest is {newest}.")

    def view_for(self, symbols: Collection[str], *, at_least: int = 0) -> MarketView:
        """A view that knows these symbols, of generation ``at_least`` or newer: the current one where it serves.

        Before the first load it is read for these symbols alone. Raises what the loader raises.
        """
        view = self._view
        if view is None:
            self.count("fallback")
            return self._partial.get(symbols)
        if view.generation >= at_least:
            self.count("hit")
            return view
        self.count("wait")
        return self.refresh(at_least=at_least)

    def count(self, use: Use) -> None:
        """Count a request, also one that took ``current`` and needed no more."""
        with self._counting:
            self._uses[use] += 1

    def readiness(self) -> Readiness:
        """How answers are made: from the view, or while there is none and loading is slow or fails, by queries."""
        failed = "the last load of the market view failed and is being retried" if self._error else None
        if self._view is not None:
            return Readiness("cache", failed)
        if failed:
            return Readiness("db_fallback", failed)
        if self._monotonic() - self._started >= self._patience_seconds:
            slow = f"the first load of the market view takes longer than {self._patience_seconds:g} s and goes on"
            return Readiness("db_fallback", slow)
        return Readiness("loading", "the market view is being loaded")

    def status(self) -> CacheStatus:
        """Everything operators may want to know of the cache."""
        now = self._monotonic()
        return CacheStatus(
            readiness=self.readiness(),
            view=self._view,
            load_seconds=self._load_seconds,
            age_seconds=None if self._loaded is None else now - self._loaded,
            checked_seconds_ago=None if self._checked is None else now - self._checked,
            last_error=self._error,
            uses=dict(self._uses),
        )

    def _keep(self, view: MarketView, started: float) -> None:
        finished = self._monotonic()
        if self._view is None or view.symbol_generation != self._view.symbol_generation:
            self._loaded, self._load_seconds = finished, finished - started
        self._view = view
        self._partial.clear()
        self._checked = finished
        self._error = None
