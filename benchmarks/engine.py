"""All twelve betas of every symbol, against what a user would pick instead and against what the machine allows.

3 % of the symbols have short histories, 1 % of the returns are missing. Contenders that take minutes run a share of the
symbols; their cost is per symbol and session, and the tables say which share. That contenders and engine agree is
tested in ``tests/benchmarks``; what a contender leaves out is said at its function.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from unittest import mock

import numpy as np

from benchmarks.contenders import loops, polars_ols_fits, rolling_ols, sklearn_by_gap_pattern
from benchmarks.harness import Contender, Measurement, Options, Report, compared, interleaved
from sigmasight_assets.quant import ols, regression
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.regression import LONGEST_WINDOW, SymbolExposures, estimate_exposures

SEED = 7
OURS, ONE, BARE = "sigmasight", "sigmasight, one core", "sigmasight, one core, no p-values"
FLOOR = "floor: products and memory"
# Numbers published for a symbol and session: 9 columns of six regressions, and 3 of six betas with 4 more.
RESULTS = 9 * 6 + 3 * 6 + 4


@dataclass(frozen=True)
class Market:
    """Returns (N, S) of symbols and (N, 8) of the factor ETFs, NaN where missing, and the rows (T,) to estimate."""

    returns: FloatArray
    factor_returns: FloatArray
    rows: IntArray

    @property
    def priced(self) -> BoolArray:
        """Where (N, S) a symbol has a bar: everywhere."""
        return np.ones(self.returns.shape, dtype=np.bool_)

    def share(self, symbols: int) -> "Market":
        """The same with the first symbols only."""
        return Market(self.returns[:, :symbols].copy(), self.factor_returns, self.rows)


def synthetic_market(symbols: int, sessions: int) -> Market:
    """Symbols that load on eight correlated funds; short histories and gaps as in the title of this file."""
    random = np.random.default_rng(SEED)
    days = LONGEST_WINDOW + sessions - 1
    funds = random.normal(3e-4, 0.01, (days, 1)) + random.normal(0.0, 0.004, (days, len(FACTOR_ETFS)))
    returns = funds @ random.normal(0.15, 0.3, (len(FACTOR_ETFS), symbols))
    returns += random.normal(2e-4, 0.015, (days, symbols))
    returns[random.random(returns.shape) < 0.01] = np.nan
    # Listed in the middle of the windows, so that some sessions have an estimate of them and others have none.
    short = random.choice(symbols, size=round(0.03 * symbols), replace=False)
    returns[: LONGEST_WINDOW - 45, short] = np.nan
    return Market(returns, funds, np.arange(LONGEST_WINDOW - 1, days))


def ours(market: Market) -> SymbolExposures:
    """The engine as the pipeline calls it."""
    own = np.full(market.returns.shape[1], -1)
    return estimate_exposures(market.returns, market.factor_returns, rows=market.rows, priced=market.priced, own=own)


def on_one_core(market: Market) -> None:
    """The engine without threads, as the contenders and the floor run."""
    with mock.patch.object(regression, "MOST_THREADS", 1):
        ours(market)


def bare(market: Market) -> None:
    """The engine without p-values, which the floor leaves out too, on one core."""
    with mock.patch.object(ols, "two_sided_p_values", lambda statistic, _: statistic):
        on_one_core(market)


@dataclass(frozen=True)
class Sums:
    """The sums of one kind of regression as matrix products, for sessions ``together``.

    Rows of the window matrices that meet masks, returns and squared returns: n, x, xx; y, xy; yy, for each group.
    """

    span: int
    rows: tuple[int, int, int]


def sums(market: Market) -> list[Sums]:
    """Two regressions and the joint one over 90 sessions, four spreads over 180, of the sessions taken together."""
    together = _together(market)

    def of(window: int, *entries: int) -> Sums:
        masked, crossed, squared = (count * together for count in entries)
        return Sums(window + together - 1, (masked, crossed, squared))

    return [of(90, 2 * 3, 2 * 2, 2), of(90, 1 + 6 + 21, 1 + 6, 1), of(180, 4 * 3, 4 * 2, 4)]


def floor(market: Market) -> Callable[[], object]:
    """The least that this method can cost: the sums as bare matrix products, and each result written once.

    Windows of neighbouring sessions overlap, so those are summed together.
    """
    sessions, symbols = len(market.rows), market.returns.shape[1]
    random = np.random.default_rng(SEED)
    products = []
    for kind in sums(market):
        right = random.random((kind.span, symbols))
        products += [(random.random((rows, kind.span)), right, np.empty((rows, symbols))) for rows in kind.rows]
    written = np.empty((_together(market), RESULTS, symbols))

    def run() -> None:
        for _ in range(0, sessions, len(written)):
            for left, right, output in products:
                np.matmul(left, right, out=output)
            written.fill(1.0)

    return run


def flops(market: Market) -> float:
    """Multiplications and additions of the sums."""
    sessions, symbols = len(market.rows), market.returns.shape[1]
    blocks = -(-sessions // _together(market))
    return float(blocks * symbols * sum(2 * kind.span * sum(kind.rows) for kind in sums(market)))


def least_bytes(market: Market) -> float:
    """The returns read once and the results written once."""
    return float(market.returns.nbytes + RESULTS * 8 * market.returns.shape[1] * len(market.rows))


@dataclass(frozen=True)
class Machine:
    """What one core does at best: operations a second in a product, bytes a second of a copy, read and written."""

    flops: float
    bandwidth: float

    def seconds(self, market: Market) -> float:
        """The floor by these figures: neither caches nor the shapes of the products cost anything."""
        return flops(market) / self.flops + least_bytes(market) / self.bandwidth


def measured_machine(repeats: int = 5) -> Machine:
    """By a product of 1,500 x 1,500 and a copy of 200 MB, the best of some runs."""
    square = np.random.default_rng(SEED).random((1500, 1500))
    product = np.empty_like(square)
    source, target = np.ones(25_000_000), np.zeros(25_000_000)

    def best(run: Callable[[], object]) -> float:
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        return min(seconds)

    operations = 2 * 1500**3 / best(lambda: np.matmul(square, square, out=product))
    return Machine(operations, 2 * source.nbytes / best(lambda: np.copyto(target, source)))


def _together(market: Market) -> int:
    return min(regression.BLOCK_SESSIONS, len(market.rows))


def measure(options: Options) -> list[Report]:
    """Tables for one session of 5,000 and 10,000 symbols, and for 120 sessions of 1,000."""
    warnings.simplefilter("ignore")
    sizes = [(5000, 1), (10_000, 1), (1000, 120)] if not options.quick else [(200, 1), (40, 12)]
    return [_table(*size, options) for size in sizes]


def _table(symbols: int, sessions: int, options: Options) -> Report:
    market = synthetic_market(symbols, sessions)
    # Loops take 1.5 ms a fit, ten seconds for 1,000 pairs of a symbol and a session.
    slow, grouped = _shares(symbols, sessions)
    calls = max(1, 200_000 // (symbols * sessions))
    contenders = [
        Contender(OURS, partial(ours, market), calls=calls),
        Contender(ONE, partial(on_one_core, market), calls=calls),
        Contender(BARE, partial(bare, market), calls=calls),
        Contender(FLOOR, floor(market), calls=calls),
        _shared("statsmodels OLS + scikit-learn Ridge, loops", loops, market, slow),
        _shared("scikit-learn multi-target, by gap pattern", sklearn_by_gap_pattern, market, grouped),
        _shared("polars-ols", polars_ols_fits, market, grouped),
    ]
    if sessions > 1:
        contenders.append(_shared("statsmodels RollingOLS (no ridge)", rolling_ols, market, slow))
    measured = interleaved(contenders, repeats=options.repeats)
    title = f"engine: {symbols:,} symbols x {sessions:,} sessions"
    report = compared(title, measured, reference=OURS)
    report.notes += _limits(market, measured)
    return report


def _shares(symbols: int, sessions: int) -> tuple[int, int]:
    pairs = symbols * sessions
    return max(1, symbols // max(1, pairs // 1000)), max(1, symbols // max(1, pairs // 20_000))


def _shared(name: str, run: Callable[[Market], object], market: Market, symbols: int) -> Contender:
    total = market.returns.shape[1]
    return Contender(name, partial(run, market.share(symbols)), scale=total / symbols)


def _limits(market: Market, measured: dict[str, Measurement]) -> Sequence[str]:
    ratio = measured[BARE].median / measured[FLOOR].median
    pairs = market.returns.shape[1] * len(market.rows)
    machine = measured_machine()
    by_figures = machine.seconds(market)
    figures = f"{machine.flops / 1e9:.0f} GFLOP/s in a large product, {machine.bandwidth / 1e9:.1f} GB/s in a copy"
    work = f"{flops(market) / 1e9:.3f} GFLOP, {least_bytes(market) / 1e6:.0f} MB: {by_figures * 1e3:.1f} ms"
    return [
        f"without p-values {ratio:.1f} times the floor on one core",
        f"one core has {figures}, read and written; by these the sums and results take {work}",
        f"without p-values {measured[BARE].median / by_figures:.1f} times the floor by these figures",
        f"{measured[OURS].median / pairs * 1e6:.2f} us for the twelve betas of a symbol and session",
    ]
