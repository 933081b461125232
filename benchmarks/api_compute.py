"""What an answer takes to compute, in process: whole answers, their numbers alone, and the same by loops in Decimal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from benchmarks import dict_caches
from benchmarks.api_world import ApiWorld
from benchmarks.dict_caches import DictCaches
from benchmarks.harness import Contender, Measurement, Options, Report, interleaved
from sigmasight_api.book_series import BookSeries
from sigmasight_api.books import Book, Holdings, Lot
from sigmasight_api.components import build_stress_tests
from sigmasight_api.concentration import concentration
from sigmasight_api.correlation import correlations
from sigmasight_api.exposures import BETA_TABLES, FACTOR_NAMES, factor_exposures
from sigmasight_api.loader import ViewLoader
from sigmasight_api.repository import Repository
from sigmasight_api.settings import Settings
from sigmasight_api.stress import StressTests
from sigmasight_api.valuation import valued_positions
from sigmasight_api.view import MarketView
from sigmasight_api.volatility import volatility
from sigmasight_assets.quant.book_returns import MIN_RETURNS
from sigmasight_assets.quant.portfolio_exposures import book_exposures
from sigmasight_assets.quant.stress import book_stress

CALLS = 50
TARGET_US = 200.0
Compute = Callable[[], Any]


@dataclass(frozen=True)
class Inputs:
    """What one answer is computed from, as the API and as the dictionaries hold it."""

    book: Book
    holdings: Holdings
    lots: list[Lot]
    view: MarketView
    tests: StressTests
    caches: DictCaches

    @classmethod
    def read(cls, world: ApiWorld) -> "Inputs":
        """Those of the first portfolio."""
        repository = Repository(world.database)
        book = repository.read_all_books(1, None, most=0)[0]
        view = ViewLoader(world.database).load()
        tests = build_stress_tests(Settings(database_url=world.database.url, _env_file=None))
        return cls(
            book=book,
            holdings=repository.read_holdings(book.portfolio_id),
            lots=repository.read_lots(book.portfolio_id, with_closed=False),
            view=view,
            tests=tests,
            caches=DictCaches.of(view, tests.table(view)),
        )

    @property
    def equity(self) -> Decimal:
        """Of the newest snapshot, which every portfolio of the benchmark has."""
        if self.book.equity is None:
            raise ValueError("The portfolio has no snapshot")
        return self.book.equity


def measure_compute(world: ApiWorld, options: Options) -> list[Report]:
    """A table of whole answers, and one of numbers against Decimal."""
    inputs = Inputs.read(world)
    return [_answers(inputs, options), _numbers(inputs, options)]


def _answers(inputs: Inputs, options: Options) -> Report:
    report = Report(
        f"api: an answer computed, nothing remembered, {len(inputs.lots)} positions",
        ("answer", "target us", "median us", "minimum us", "with its JSON document us", "runs"),
    )
    computed: Mapping[str, Callable[..., Any]] = {
        "factor-exposures": factor_exposures,
        "stress-test": inputs.tests.stress_test,
        "volatility": volatility,
        "correlation-matrix": correlations,
        "concentration": concentration,
    }
    for name, compute in computed.items():
        answer = partial(compute, inputs.book, inputs.holdings, inputs.view)
        found = _timed({"answer": answer, "document": partial(_document, answer)}, options)
        target = TARGET_US if name == "factor-exposures" else "-"
        plain = found["answer"]
        report.add(
            name, target, _us(plain.median), _us(plain.minimum), _us(found["document"].median), len(plain.seconds)
        )
    return report


def _document(answer: Compute) -> str:
    document: str = answer().model_dump_json()
    return document


def _numbers(inputs: Inputs, options: Options) -> Report:
    report = Report(
        f"api: the numbers alone against loops in Decimal over dictionaries, {len(inputs.lots)} positions",
        ("numbers", "median us", "Decimal us", "times as fast", "largest difference", "runs"),
    )
    for name, (ours, theirs, difference) in compared(inputs).items():
        found = _timed({"ours": ours, "Decimal": theirs}, options)
        ratio = found["Decimal"].median / found["ours"].median
        report.add(name, _us(found["ours"].median), _us(found["Decimal"].median), ratio, difference(), options.repeats)
    report.notes.append(
        "the difference is relative to the largest number of the kind; ours finds the book valued already, as every "
        "answer about a book after its first does"
    )
    return report


def compared(inputs: Inputs) -> dict[str, tuple[Compute, Compute, Callable[[], float]]]:
    """By kind of number: how the API computes it, how Decimal does, and by how much they differ, relatively."""
    table = inputs.tests.table(inputs.view)
    moves = dict_caches.moves_of(table.shocks.correlated)
    days, lots, caches = inputs.view.sessions.tolist(), inputs.lots, inputs.caches
    decimal_exposures = partial(dict_caches.exposures, lots, inputs.equity, caches)
    decimal_impacts = partial(dict_caches.impacts, lots, moves, caches)
    decimal_gains = partial(dict_caches.daily_gains, lots, days, caches, least=MIN_RETURNS)
    exposures, stressed = partial(_exposures, inputs), partial(_impacts, inputs)
    series = partial(BookSeries.of, inputs.book, inputs.holdings, inputs.view)
    return {
        "factor exposures": (
            exposures,
            decimal_exposures,
            lambda: _difference(exposures(), [decimal_exposures()[name] for name in FACTOR_NAMES]),
        ),
        f"{len(moves)} scenarios": (
            stressed,
            decimal_impacts,
            lambda: _difference(stressed()[:, np.newaxis], [(impact,) for impact in decimal_impacts()]),
        ),
        f"gains of {len(days)} sessions": (
            series,
            decimal_gains,
            lambda: _difference(series().gains[:, np.newaxis], [(gain,) for gain in decimal_gains().values()]),
        ),
    }


def _exposures(inputs: Inputs) -> Any:
    """Exposure, dollars and dollars per invested dollar (12, 3)."""
    valued = valued_positions(inputs.holdings.shares, inputs.view)
    table = BETA_TABLES.of(inputs.view)
    found = book_exposures(valued.rows, valued.market_value, table, equity=float(inputs.equity))
    return np.column_stack((found.exposures[0], found.dollars[0], found.per_invested[0]))


def _impacts(inputs: Inputs) -> Any:
    """Gain in each scenario (N,), USD."""
    valued, table = valued_positions(inputs.holdings.shares, inputs.view), inputs.tests.table(inputs.view)
    known = table.knows(valued.rows)
    return book_stress(table, valued.rows[known], valued.market_value[known]).correlated


def _difference(ours: Any, theirs: list[tuple[Decimal, ...]]) -> float:
    """Largest difference of each column of numbers, as a share of its largest number."""
    exact = np.array(theirs, dtype=np.float64)
    return float((np.abs(ours - exact).max(axis=0) / np.abs(exact).max(axis=0)).max())


def _timed(contenders: Mapping[str, Compute], options: Options) -> dict[str, Measurement]:
    runs = [Contender(name, run, calls=CALLS) for name, run in contenders.items()]
    return interleaved(runs, repeats=options.repeats)


def _us(seconds: float) -> float:
    return seconds * 1e6
