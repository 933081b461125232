"""Answers that were asked for lately, computed of a new market view before anybody can ask it for them.

Right after a publication every remembered answer is of an older generation. Readers would compute all of them at once,
and wait for each other; they go on reading the view before it for as long as this takes.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sigmasight_api.analytic import Analytic
from sigmasight_api.books import Book, Holdings
from sigmasight_api.rendered import Rendered
from sigmasight_api.view import MarketView

logger = logging.getLogger(__name__)

# As many of them are kept in mind; lots are not, which may be thousands.
ANSWERS = 512
# Whoever has not asked for so long may have gone, or the portfolio may.
ASKED_SECONDS = 3_600.0
# A new view is kept back no longer, whatever there is to compute.
SECONDS = 1.0
# Between two of them, whoever wants to be answered comes first: 2 ms of computing each.
PAUSE_SECONDS = 0.005

Asked = tuple[Book, Analytic]


class Computed(NamedTuple):
    """An answer in advance, and what it was computed of."""

    book: Book
    holdings: Holdings
    analytic: Analytic
    rendered: Rendered


class RecentAnswers:
    """What owners asked for lately: of each kind and portfolio the newest, the last ones first."""

    def __init__(self, *, capacity: int = ANSWERS, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._asked: OrderedDict[tuple[str, int], tuple[Asked, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._asked)

    def note(self, book: Book, analytic: Analytic) -> None:
        """It was computed of this book for somebody."""
        with self._lock:
            key = analytic.kind, book.portfolio_id
            self._asked[key] = (book, analytic), self._monotonic()
            self._asked.move_to_end(key)
            while len(self._asked) > self._capacity:
                self._asked.popitem(last=False)

    def touch(self, kind: str, book: Book) -> None:
        """It was asked for again and remembered."""
        with self._lock:
            known = self._asked.get((kind, book.portfolio_id))
            if known is not None:
                self._asked[kind, book.portfolio_id] = known[0], self._monotonic()
                self._asked.move_to_end((kind, book.portfolio_id))

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._asked.clear()

    def newest_first(self) -> list[Asked]:
        """What was asked for in the last hour; the rest is forgotten."""
        oldest = self._monotonic() - ASKED_SECONDS
        with self._lock:
            while self._asked and next(iter(self._asked.values()))[1] < oldest:
                self._asked.popitem(last=False)
            return [asked for asked, _ in reversed(self._asked.values())]


def computed_before(
    view: MarketView,
    asked: Iterable[Asked],
    *,
    holdings_of: Callable[[Book], Holdings | None],
    alone: threading.Lock,
    is_awaited: Callable[[], bool],
    seconds: float = SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[Computed]:
    """The answers to what was asked, of a view that nobody has seen yet, as many as the time allows.

    ``alone`` is of all that compute. None any more once the view ``is_awaited`` by somebody. What cannot be computed is
    left out: whoever asks for it is told why. So is what has no holdings at hand.
    """
    end = monotonic() + seconds
    answers: list[Computed] = []
    for book, analytic in asked:
        left = end - monotonic()
        if left <= 0 or is_awaited():
            break
        holdings = holdings_of(book)
        if holdings is None or view.generation < (book.equity_generation or 0) or not view.covers(holdings.symbols):
            continue
        if not alone.acquire(timeout=left):
            break
        try:
            answer = analytic.compute(book, holdings, view)
        except Exception:
            logger.warning("An answer was not computed in advance: %s", analytic.kind, exc_info=True)
            continue
        finally:
            alone.release()
        rendered = Rendered(answer.generation, answer.model_dump_json().encode())
        answers.append(Computed(book, holdings, analytic, rendered))
        time.sleep(PAUSE_SECONDS)
    return answers
