"""Answers that were asked for lately, computed of a new market view before anybody can ask it for them.

Right after a publication every remembered answer is of an older generation. Readers would compute all of them at once,
and wait for each other; they go on reading the view before it for as long as this takes.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from sigmasight_api.analytic import Analytic
from sigmasight_api.books import Book, Holdings
from sigmasight_api.rendered import Rendered
from sigmasight_api.view import MarketView

logger = logging.getLogger(__name__)

# As many of them are kept in mind: a snapshot and a few lots each.
ANSWERS = 512
# A new view is kept back no longer, whatever there is to compute.
SECONDS = 1.0
# Between two of them, whoever wants to be answered comes first: 2 ms of computing each.
PAUSE_SECONDS = 0.005

Asked = tuple[Book, Holdings, Analytic]


class RecentAnswers:
    """What was asked for lately: of each kind and portfolio the newest, the last ones first."""

    def __init__(self, *, capacity: int = ANSWERS) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._asked: OrderedDict[tuple[str, int], Asked] = OrderedDict()

    def __len__(self) -> int:
        return len(self._asked)

    def note(self, book: Book, holdings: Holdings, analytic: Analytic) -> None:
        """It was computed of this book."""
        with self._lock:
            self._asked[analytic.kind, book.portfolio_id] = book, holdings, analytic
            self._asked.move_to_end((analytic.kind, book.portfolio_id))
            while len(self._asked) > self._capacity:
                self._asked.popitem(last=False)

    def touch(self, kind: str, book: Book) -> None:
        """It was asked for again and remembered."""
        with self._lock:
            if (kind, book.portfolio_id) in self._asked:
                self._asked.move_to_end((kind, book.portfolio_id))

    def __iter__(self) -> Iterator[Asked]:
        with self._lock:
            return iter(list(reversed(self._asked.values())))


def computed_before(
    view: MarketView,
    asked: Iterable[Asked],
    *,
    alone: threading.Lock,
    is_awaited: Callable[[], bool],
    seconds: float = SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[tuple[Asked, Rendered]]:
    """The answers to what was asked, of a view that nobody has seen yet, as many as the time allows.

    None any more once the view ``is_awaited`` by somebody. What cannot be computed is left out: whoever asks for it is
    told why.
    """
    end = monotonic() + seconds
    answers: list[tuple[Asked, Rendered]] = []
    for book, holdings, analytic in asked:
        if monotonic() >= end or is_awaited():
            break
        if view.generation < (book.equity_generation or 0) or not view.covers(holdings.symbols):
            continue
        try:
            answer = analytic.computed(book, holdings, view, alone=alone)
        except Exception:
            logger.warning("An answer was not computed in advance: %s", analytic.kind, exc_info=True)
            continue
        answers.append(((book, holdings, analytic), Rendered(answer.generation, answer.model_dump_json().encode())))
        time.sleep(PAUSE_SECONDS)
    return answers
