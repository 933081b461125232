"""Readers beside a night that is disturbed: each look must be one of the states that an undisturbed night goes through.

A look is one snapshot of the database: stored prices, published figures and the newest generation, or the view that the
API makes of them.
"""

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from sigmasight_api.loader import ViewLoader
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import TransientStorageError
from sigmasight_assets.storage.database import Database
from tests.faults.campaign import Tally

FIGURES = {
    "symbol_market_beta": "session",
    "symbol_ir_beta": "session",
    "symbol_ridge_factors": "session",
    "symbol_spread_factors": "session",
    "factor_covariances": "session",
    "symbol_daily_metrics": "metrics_date",
    "symbol_exclusions": "session",
}
# How a row came to be; exclusions are recorded in the transaction of the figures.
HOW_IT_CAME = "ARRAY['generation', 'run_id', 'fetched_at', 'updated_at']"
DIGEST = (
    "(SELECT coalesce(md5(string_agg((to_jsonb(each) - {without})::text, '|' ORDER BY each::text)), '') "
    "FROM {table} AS each WHERE {dated} >= '{since}')"
)
# Without a pause the readers would take both cores, and the night none.
PAUSE_SECONDS = 0.15
# Bars carry no generation: what a view holds of them changes when they are stored (docs/decisions/0011-answers.md).
WITHOUT_GENERATION = {"generation", "symbol_generation", "returns"}


@dataclass(frozen=True)
class Look:
    """What one look found; figures of one generation are the same however often they are read."""

    generation: int
    figures: Hashable
    prices: Hashable = None

    @property
    def content(self) -> tuple[Hashable, Hashable]:
        """What was seen, however it is numbered."""
        return self.figures, self.prices


Reader = Callable[[Database], Look]


def tables_since(since: date) -> Reader:
    """Reads the tables themselves, all rows from a session on, in one statement."""
    prices = DIGEST.format(table="symbol_prices_daily", dated="price_date", since=since, without=HOW_IT_CAME)
    figures = " || ".join(
        DIGEST.format(table=table, dated=dated, since=since, without=HOW_IT_CAME) for table, dated in FIGURES.items()
    )
    sql = (
        "SELECT (SELECT coalesce(max(generation), 0) FROM publications) AS generation, "
        f"{figures} AS figures, {prices} AS prices"
    )

    def read(database: Database) -> Look:
        with database.bulk(read_only=True) as transaction:
            (row,) = transaction.read(sql).to_pylist()
        return Look(**row)

    return read


def view(database: Database) -> Look:
    """Reads what the API keeps in memory, as a process that has just started does."""
    found = ViewLoader(database).load()
    return Look(found.generation, _digest(found))


def _digest(found: MarketView) -> str:
    content = hashlib.md5(usedforsecurity=False)
    for item in fields(found):
        if item.name not in WITHOUT_GENERATION:
            content.update(_bytes(getattr(found, item.name)))
    return content.hexdigest()


def _bytes(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, Mapping):
        return repr(sorted(value.items(), key=repr)).encode()
    if isinstance(value, pa.Table):
        return repr(value.to_pylist()).encode()
    return repr(value).encode()


@dataclass
class Readers:
    """Threads that look again and again; ``wrong`` tells of each look that should not have been possible.

    ``refused`` counts looks that the database did not answer.
    """

    url: str
    known: Mapping[Reader, Sequence[tuple[Hashable, Hashable]]]
    answers: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    seen: dict[Reader, set[int]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def run(self, reader: Reader) -> None:
        """Look until the end, and once after it."""
        newest, figures = 0, dict[int, Hashable]()
        self.seen[reader] = set()
        with closing(Database(self.url)) as database:
            is_last = False
            while not is_last:
                is_last = self._ended.wait(PAUSE_SECONDS)
                try:
                    look = reader(database)
                except TransientStorageError:
                    with self._counting:
                        self.refused += 1
                    continue
                except Exception as error:  # noqa: BLE001
                    with self._counting:
                        self.wrong.append(f"a look ended with {error!r}")
                    return
                newest = self._judge(reader, look, newest, figures)

    def end(self) -> None:
        """Let each look once more and stop."""
        self._ended.set()

    def _judge(self, reader: Reader, look: Look, newest: int, figures: dict[int, Hashable]) -> int:
        """Which of the known states it is; ``newest`` is that of the look before."""
        known = self.known[reader]
        place = known.index(look.content) if look.content in known else -1
        problems = []
        if place < 0:
            problems.append(f"generation {look.generation} with rows of no known state")
        elif place < newest:
            problems.append(f"state {place} after state {newest}")
        if figures.setdefault(look.generation, look.figures) != look.figures:
            problems.append(f"generation {look.generation} with two sets of figures")
        with self._counting:
            self.answers += 1
            self.wrong += problems
        self.seen[reader].add(place)
        return max(place, newest)


@contextmanager
def reading(url: str, known: Mapping[Reader, Sequence[tuple[Hashable, Hashable]]], tally: Tally) -> Iterator[Readers]:
    """Read during the block by every reader; afterwards the answers and the wrong ones among them are counted."""
    readers = Readers(url, known)
    threads = [threading.Thread(target=readers.run, args=(reader,), daemon=True) for reader in known]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        readers.end()
        for thread in threads:
            thread.join(60)
        readers.wrong += ["a reader did not end" for thread in threads if thread.is_alive()]
        tally.answers += readers.answers
        tally.wrong_answers += len(readers.wrong)
