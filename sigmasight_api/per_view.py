"""What is computed once of each market view: when it is first asked for, and kept as long as the view itself."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from sigmasight_api.view import MarketView

Value = TypeVar("Value")


class PerView(Generic[Value]):
    """A function of a view with a memory; threads that ask at the same time share one computation."""

    def __init__(self, compute: Callable[[MarketView], Value]) -> None:
        self._compute = compute
        self._lock = threading.Lock()
        self._values: WeakKeyDictionary[MarketView, Value] = WeakKeyDictionary()

    def of(self, view: MarketView) -> Value:
        """The value of this view."""
        with self._lock:
            if view not in self._values:
                self._values[view] = self._compute(view)
            return self._values[view]
