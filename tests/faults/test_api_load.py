"""Two hundred readers of the real API while fifty publications are swapped in: whole answers, and how soon."""

import json
import math
import statistics
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.conftest import bearer, wait_until
from tests.api.market import SESSIONS, Figures, add_portfolio, add_token, publish, publish_snapshot, random_figures
from tests.api.processes import Process, server_process
from tests.conftest import NewDatabase
from tests.faults.campaign import Tally
from tests.faults.http_readers import WARM_SECONDS, readers

pytestmark = [pytest.mark.fault(19), pytest.mark.campaign]

CLIENTS, SWAPS, BOOKS, SYMBOLS = 200, 50, 20, 200
PAUSE_SECONDS = 2.0
# So many publications elsewhere, then so many here.
IN_TURN = 5
# From one publication to the next, at least.
SWAP_SECONDS = 1.5
UNIVERSE = [f"S{number:03}" for number in range(SYMBOLS)]
KINDS = ("factor-exposures", "positions/factor-exposures?limit=1000", "overview", "stress-test")


class Market:
    """Books and the figures of every generation."""

    def __init__(self, database: Database) -> None:
        self.database = database
        # Two sets of figures in turn: whatever was mixed of both would be of neither.
        self.figures = [random_figures(UNIVERSE, seed) for seed in (1, 2)]
        self.published: dict[int, Mapping[str, Figures]] = {}
        self.quantities = [
            {UNIVERSE[(7 * book + 9 * place) % SYMBOLS]: str(1 + place - 12 * (place % 5 == 0)) for place in range(20)}
            for book in range(BOOKS)
        ]
        self.books = [add_portfolio(database, f"owner {n}", held) for n, held in enumerate(self.quantities)]
        self.tokens = [add_token(database, f"owner {n}") for n in range(BOOKS)]
        self.publish()
        for book in self.books:
            generation = publish_snapshot(database, book, SESSIONS[-1], Decimal(100_000), notify=False)
            self.published[generation] = self.figures[0]

    def publish(self) -> int:
        figures = self.figures[len(self.published) % 2]
        generation = publish(self.database, SESSIONS[-1], figures)
        self.published[generation] = figures
        return generation

    def dollars(self, book: int, generation: int, factor: int) -> float:
        """What a book has of a factor by the figures of a generation."""
        figures = self.published[generation]
        return math.fsum(
            float(figures[symbol].close) * int(quantity) * (figures[symbol].betas[factor] or 0.0)
            for symbol, quantity in self.quantities[book].items()
        )


@pytest.fixture
def elsewhere(new_database: NewDatabase, schema_template: str) -> Iterator[Market]:
    """As much in a database that nobody reads."""
    with new_database(schema_template) as url:
        database = Database(url)
        yield Market(database)
        database.close()


@pytest.fixture
def market(database: Database) -> Market:
    return Market(database)


def paths_of(book: PortfolioRecord) -> list[str]:
    return [f"/api/v1/analytics/portfolio/{book.public_id}/{kind}" for kind in KINDS]


@pytest.fixture
def process(market: Market, tmp_path: Path) -> Iterator[Process]:
    with server_process(market.database, tmp_path) as process:
        wait_until(lambda: process.http.get("/health/ready").json()["mode"] == "cache")
        yield process


def is_served(process: Process, market: Market, generation: str) -> bool:
    answer = process.http.get(paths_of(market.books[0])[0], headers=bearer(market.tokens[0]))
    return answer.headers["X-Data-Generation"] == generation


def within(seconds: list[list[float]], bounds: list[float]) -> list[float]:
    """How long answers took that were asked for between the first and the second bound, the third and the fourth..."""
    return [took for asked, took in seconds if bisect_right(bounds, asked) % 2]


def percentile(seconds: list[float], share: float) -> float:
    return sorted(seconds)[math.ceil(share * len(seconds)) - 1]


def test_every_answer_is_of_one_generation_and_comes_nearly_as_soon_as_ever(
    market: Market, elsewhere: Market, process: Process, tally: Tally, record_property: Any
) -> None:
    """Without swaps as much is published, elsewhere: publishing takes its part of the machine whoever reads."""
    swaps, swapping, idle = list[float](), list[float](), list[float]()
    paths = list(map(paths_of, market.books))
    with readers(process.port, market.tokens, paths, clients=CLIENTS, pause=PAUSE_SECONDS) as told:
        time.sleep(WARM_SECONDS)
        # In turn, so that whatever else the machine does is beside both.
        for number in range(2 * SWAPS):
            began, is_here = time.monotonic(), number // IN_TURN % 2 == 1
            generation = str((market if is_here else elsewhere).publish())
            if is_here:
                wait_until(partial(is_served, process, market, generation))
                swaps.append(time.monotonic() - began)
            time.sleep(max(0.0, SWAP_SECONDS - (time.monotonic() - began)))
            (swapping if is_here else idle).extend((began, time.monotonic()))
    tally.answers = sum(told["statuses"].values())
    assert told["statuses"].keys() == {"200"}
    wrong = mixed(market, told["answers"])
    tally.wrong_answers = sum(wrong.values())
    assert wrong == {}
    for seconds in swaps:
        tally.survive(recovery=seconds)
    figures = {
        f"{name} p{share * 100:g}": round(percentile(within(told["seconds"], spans), share) * 1_000, 1)
        for name, spans in (("idle", idle), ("swapping", swapping))
        for share in (0.5, 0.99)
    } | {"answers": tally.answers, "median swap": round(statistics.median(swaps) * 1_000, 1)}
    record_property("milliseconds", figures)
    print(figures)  # noqa: T201 - what was measured
    assert figures["swapping p99"] <= 2 * figures["idle p99"], figures


def mixed(market: Market, answers: list[list[Any]]) -> dict[str, int]:
    """How often which answer was not that of its generation alone."""
    places = {str(book.public_id): number for number, book in enumerate(market.books)}
    variants: dict[tuple[str, str], list[int]] = defaultdict(list)
    # By path and set of figures: of two generations with the same figures everything but their numbers is the same.
    contents: dict[tuple[str, bool], set[str]] = defaultdict(set)
    wrong: dict[str, int] = {}
    for path, generation, _, count, text in answers:
        document = json.loads(text)
        variants[path, generation].append(count)
        book = places[path.split("/")[5]]
        if str(document["generation"]) != generation or not _adds_up(market, book, path, document):
            wrong[f"{path} of {generation}"] = count
        is_first = market.published[int(generation)] is market.figures[0]
        contents[path, is_first].add(json.dumps({**document, "generation": None}, sort_keys=True))
    # All readers of a generation were told the same, to the byte.
    wrong |= {f"{key} in two versions": sum(counts) for key, counts in variants.items() if len(counts) > 1}
    wrong |= {f"{key} of the same figures": len(found) for key, found in contents.items() if len(found) > 1}
    # Figures that an answer does not depend on would prove nothing.
    alike = {path for path, _ in contents if contents.get((path, True)) == contents.get((path, False))}
    # Stress tests are the same by both sets of this market: of them only that they never change is shown.
    assert {path for path in alike if not path.endswith("/stress-test")} == set()
    return wrong


def _adds_up(market: Market, book: int, path: str, document: dict[str, Any]) -> bool:
    generation = document["generation"]
    if path.endswith(("/overview", "/stress-test")):
        return True
    if path.endswith("/factor-exposures"):
        told = [float(factor["dollars"]) for factor in document["data"]["factors"]]
    else:
        assert document["data"]["total"] == len(document["data"]["positions"]) == 20
        told = [
            math.fsum(float(position["factors"][factor]["dollars"]) for position in document["data"]["positions"])
            for factor in range(12)
        ]
    # Twenty positions rounded to the cent.
    return all(abs(value - market.dollars(book, generation, factor)) < 0.11 for factor, value in enumerate(told))
