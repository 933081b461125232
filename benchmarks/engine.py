"""All twelve betas of every symbol, against what a user would pick instead and against what the machine allows.

3 % of the symbols have short histories, 1 % of the returns are missing. Contenders that take minutes run a share of the
symbols; their cost is per symbol and session, and the tables say which share.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.contenders import loops, polars_ols_fits, rolling_ols, sklearn_by_gap_pattern
from benchmarks.harness import Contender, Measurement, Options, Report, compared, interleaved
from sigmasight_assets.quant import ols
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.regression import LONGEST_WINDOW, SymbolExposures, estimate_exposures

SEED = 7
OURS, BARE = "sigmasight", "sigmasight, no p-values"
FLOOR = "floor: products and memory"


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


@contextmanager
def without_p_values() -> Iterator[None]:
    """The engine without the distribution function, which the floor leaves out too."""
    function = ols.two_sided_p_values
    ols.two_sided_p_values = lambda statistic, _: statistic
    try:
        yield
    finally:
        ols.two_sided_p_values = function


def bare(market: Market) -> None:
    """The engine without p-values."""
    with without_p_values():
        ours(market)


def floor(market: Market) -> Callable[[], object]:
    """The least that this method can cost: the sums as bare matrix products, and each result written once.

    Masks, returns and their squares times the windows' masks, regressors and cross products, of the sessions together
    whose windows overlap; 90 sessions for two regressions and the joint one, 180 for the spreads.
    """
    sessions, symbols = len(market.rows), market.returns.shape[1]
    together = min(8, sessions)
    random = np.random.default_rng(SEED)

    def matrices(window: int, masked: int, crossed: int, squared: int) -> list[tuple[FloatArray, FloatArray]]:
        span = window + together - 1
        right = random.random((span, symbols))
        return [(random.random((count * together, span)), right) for count in (masked, crossed, squared)]

    # Rows of the products: n, x, xx; y, xy; yy, by group.
    products = [*matrices(90, 2 * 3, 2 * 2, 2), *matrices(90, 1 + 6 + 21, 1 + 6, 1), *matrices(180, 4 * 3, 4 * 2, 4)]
    outputs = [np.empty((len(left), symbols)) for left, _ in products]
    # What the estimators publish: 9 columns of six regressions, and 3 of six betas with 4 more.
    written = np.empty((together, 9 * 6 + 3 * 6 + 4, symbols))

    def run() -> None:
        for _ in range(0, sessions, together):
            for (left, right), output in zip(products, outputs, strict=True):
                np.matmul(left, right, out=output)
            written.fill(1.0)

    return run


def measure(options: Options) -> list[Report]:
    """Tables for one session of 5,000 and 10,000 symbols, and for 120 sessions of 1,000."""
    warnings.simplefilter("ignore")
    sizes = [(5000, 1), (10_000, 1), (1000, 120)] if not options.quick else [(200, 1), (40, 12)]
    return [_table(*size, options) for size in sizes]


def _table(symbols: int, sessions: int, options: Options) -> Report:
    market = synthetic_market(symbols, sessions)
    # Loops take 1.5 ms a fit: of 120,000 pairs a twentieth, of one session all of 5,000.
    slow, grouped = _shares(symbols, sessions)
    contenders = [
        Contender(OURS, partial(ours, market)),
        Contender(BARE, partial(bare, market)),
        Contender(FLOOR, floor(market)),
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
    return max(1, symbols // max(1, pairs // 6000)), max(1, symbols // max(1, pairs // 20_000))


def _shared(name: str, run: Callable[[Market], object], market: Market, symbols: int) -> Contender:
    total = market.returns.shape[1]
    return Contender(name, partial(run, market.share(symbols)), scale=total / symbols)


def _limits(market: Market, measured: dict[str, Measurement]) -> Sequence[str]:
    ratio = measured[BARE].median / measured[FLOOR].median
    pairs = market.returns.shape[1] * len(market.rows)
    return [
        f"without p-values {ratio:.1f} times the floor",
        f"{measured[OURS].median / pairs * 1e6:.2f} us for the twelve betas of a symbol and session",
    ]
