"""How an answer about a portfolio is computed, and by one thread at a time."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from sigmasight_api.books import Book, Holdings
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.view import MarketView


@dataclass(frozen=True, slots=True)
class Analytic:
    """How an answer is computed; ``kind`` names it with its parameters, and ``is_costly`` ones are shared.

    ``is_lasting`` ones will be asked for again, of the next publication too.
    """

    kind: str
    compute: Callable[[Book, Holdings, MarketView], AnalyticsAnswer[Any]]
    is_costly: bool = False
    # It reads more of the database while it computes, and must not keep others waiting for that.
    reads_on: bool = False
    is_lasting: bool = True

    def computed(
        self, book: Book, holdings: Holdings, view: MarketView, *, alone: threading.Lock
    ) -> AnalyticsAnswer[Any]:
        """The answer; ``alone`` is of all that compute.

        Computing holds the interpreter. One thread at a time computes all as soon as many would, and whoever only wants
        what is remembered waits for that one alone instead of for all of them in turn.
        """
        with nullcontext() if self.reads_on else alone:
            return self.compute(book, holdings, view)
