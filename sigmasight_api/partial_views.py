"""Views of some symbols, for the time without one of all: read once for whoever asks at the same time, and remembered.

Which generation is the newest is asked each time, so a remembered view is never older than one read anew.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection
from concurrent.futures import Future

from sigmasight_api.loader import ViewLoader
from sigmasight_api.view import MarketView

# Connections of their own that requests may have at once.
PARALLEL_LOADS = 4
REMEMBERED_VIEWS = 64
# Of a few portfolios of everything it would be many times the view of all.
REMEMBERED_BYTES = 128 * 2**20

Wanted = tuple[frozenset[str], int]


class PartialViews:
    """Reads, shares and remembers views of some symbols."""

    def __init__(
        self, loader: ViewLoader, *, capacity: int = REMEMBERED_VIEWS, capacity_bytes: int = REMEMBERED_BYTES
    ) -> None:
        self._loader = loader
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._slots = threading.BoundedSemaphore(PARALLEL_LOADS)
        self._lock = threading.Lock()
        self._loading: dict[Wanted, Future[MarketView]] = {}
        self._known: OrderedDict[frozenset[str], MarketView] = OrderedDict()

    def get(self, symbols: Collection[str]) -> MarketView:
        """The view of these symbols at the newest generation; raises what the loader raises."""
        generation = self._loader.newest_generation()
        wanted = frozenset(symbols), generation
        with self._lock:
            known = self._known.get(wanted[0])
            if known is not None and known.generation >= generation:
                self._known.move_to_end(wanted[0])
                return known
            shared = self._loading.get(wanted)
            is_first = shared is None
            if shared is None:
                shared = self._loading[wanted] = Future()
        if is_first:
            self._load(wanted, shared)
        return shared.result()

    def clear(self) -> None:
        """Forget what is remembered."""
        with self._lock:
            self._known.clear()

    def _load(self, wanted: Wanted, shared: "Future[MarketView]") -> None:
        try:
            with self._slots:
                view = self._loader.load_symbols(wanted[0])
        except BaseException as error:  # noqa: BLE001 - everyone who waits is told
            with self._lock:
                del self._loading[wanted]
            shared.set_exception(error)
            return
        with self._lock:
            del self._loading[wanted]
            self._known[wanted[0]] = view
            self._known.move_to_end(wanted[0])
            while len(self._known) > self._capacity or self._nbytes() > self._capacity_bytes:
                self._known.popitem(last=False)
        shared.set_result(view)

    def _nbytes(self) -> int:
        return sum(view.nbytes for view in self._known.values())
