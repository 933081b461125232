"""Which picture says what of a session: the drawing, its numbers in words, and what its colours mean. No database here.

Each returns Markdown. The numbers are its alternative text, for those who do not see it, and in short below it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigmasight_assets.orchestration import svg
from sigmasight_assets.orchestration.svg import Spread
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.metrics import SESSIONS_PER_YEAR

PERCENTILES = (5, 25, 50, 75, 95)
NO_PREVIOUS = "no previous session to compare with"
EXTREMES = 3
SHADES = ((0.8, "navy"), (0.5, "steelblue"), (0.2, "lightblue"), (-0.2, "whitesmoke"), (-1.1, "salmon"))


@dataclass(frozen=True, eq=False)
class Named:
    """Values (N, K) with the names (N,) they belong to, of one session; NaN where there is none."""

    session: date
    names: Sequence[str]
    values: FloatArray


def beta_histogram(now: Named, before: Named | None) -> str | None:
    """One beta over all symbols against the session before; None when no symbol has one."""
    values, earlier = _finite(now.values[:, 0]), _of(before)
    if not values.size:
        return None
    words = f"{len(values)} betas at {now.session}, {_summary(values)}"
    compared = f"{before.session} {np.median(earlier):.2f}; {_moves(now, before)}" if before and earlier.size else ""
    drawing = svg.histogram(values, earlier if compared else None, lambda value: f"{value:.2f}")
    alt = f"{words}; {f'median of {compared}' if compared else NO_PREVIOUS}"
    return svg.markdown(drawing, alt, _legend(now, before if compared else None, f"median {np.median(values):.2f}"))


def factor_ranges(
    what: str,
    labels: Sequence[str],
    now: Named,
    before: Named | None,
    *,
    columns: slice = slice(None),
    sampled: int = 1,
) -> str | None:
    """Up to six factors over all symbols or portfolios against the session before; None when nobody has any.

    ``columns`` chooses among the values, which are those of one in ``sampled``.
    """
    values = now.values[:, columns]
    if not np.isfinite(values).any():
        return None
    earlier = np.full((1, len(labels)), np.nan) if before is None else before.values[:, columns]
    rows = [
        Spread(label, _percentiles(values[:, at]), float(_percentiles(earlier[:, at])[2]))
        for at, label in enumerate(labels)
    ]
    medians = ", ".join(f"{row.label} {row.now[2]:.2f}" for row in rows)
    of = _count(len(now.names), what, sampled)
    orange = f"orange {before.session}" if before is not None else NO_PREVIOUS
    caption = f"5-95 %, middle half, median; {orange}"
    return svg.markdown(svg.ranges(rows), f"Medians of {of} at {now.session}: {medians}", caption)


def coverage_bars(session: date, active: int, present: Mapping[str, int]) -> str:
    """How many of the active symbols have a row in each product."""
    rows = [(name, count / max(1, active)) for name, count in present.items()]
    counts = ", ".join(f"{name} {count}" for name, count in present.items())
    return svg.markdown(
        svg.bars(rows), f"Of {active} symbols active at {session} have a value: {counts}", f"Of {active}: {counts}"
    )


def coverage_strip(coverage: Mapping[date, Mapping[str, float]], needed: float) -> str:
    """The share of active symbols with a row, by product and session of a run; blank where it was not published."""
    sessions = list(coverage)
    products = list(dict.fromkeys(name for of in coverage.values() for name in of))
    rows = [(name, [coverage[day].get(name, np.nan) for day in sessions]) for name in products]
    lowest = ", ".join(f"{name} {np.nanmin(values):.1%}" for name, values in rows)
    return svg.markdown(
        svg.strip(rows, (0.9, needed, 0.999)),
        f"Lowest coverage of {len(sessions)} sessions from {sessions[0]} to {sessions[-1]}: {lowest}",
        f"{sessions[0]} to {sessions[-1]}: blue 99.9 %, light {needed:.1%}, orange 90 %, red less",
    )


def correlations(session: date, funds: Sequence[str], covariance: FloatArray, before: FloatArray | None) -> str:
    """Correlations of the factor ETFs (8 x 8), and how volatile each is a year."""
    volatility = np.sqrt(np.diag(covariance))
    matrix = covariance / np.outer(volatility, volatility)
    yearly = (volatility * np.sqrt(SESSIONS_PER_YEAR)).tolist()
    was = NO_PREVIOUS if before is None else f"{funds[0]} {np.sqrt(before[0, 0] * SESSIONS_PER_YEAR):.1%} before"
    words = ", ".join(f"{name} {each:.1%}" for name, each in zip(funds, yearly, strict=True))
    return svg.markdown(
        svg.grid(matrix, SHADES),
        f"Volatility a year at {session}: {words}; {was}; {funds[1]} with {funds[0]} {matrix[1, 0]:+.2f}",
        f"Correlations, rows {' '.join(funds[1:])} with {' '.join(funds[:-1])}: the darker the closer, red below -0.2",
    )


def price_moves(now: Named, before: Named | None, earlier: Named | None) -> str | None:
    """Moves of all prices (total return) since the session before, and those of that session; None without any."""
    if before is None:
        return None
    names, moves = _returns(now, before)
    if not moves.size:
        return None
    past = _returns(before, earlier)[1] if earlier is not None else moves[:0]
    best, worst = int(moves.argmax()), int(moves.argmin())
    counts = f"{int((moves > 0).sum())} up, {int((moves < 0).sum())} down, {int((moves == 0).sum())} unchanged"
    largest = f"{names[best]} {moves[best]:+.1%}, {names[worst]} {moves[worst]:+.1%}"
    drawing = svg.histogram(moves, past if past.size else None, lambda value: f"{value:+.1%}")
    compared = f"median before {np.median(past):+.2%}" if past.size else NO_PREVIOUS
    return svg.markdown(
        drawing,
        f"Moves of {len(moves)} prices to {now.session}: {counts}, median {np.median(moves):+.2%}; {compared}",
        _legend(now, before if past.size else None, f"{counts}; {largest}"),
    )


def portfolio_returns(now: Named, before: Named | None, *, sampled: int = 1) -> str | None:
    """Daily returns of all portfolios (column 0) against the session before; None without any."""
    returns, past = _finite(now.values[:, 0]), _of(before)
    if not returns.size:
        return None
    counts = f"{int((returns > 0).sum())} up, {int((returns < 0).sum())} down, median {np.median(returns):+.2%}"
    of = _count(len(returns), "portfolios", sampled)
    drawing = svg.histogram(returns, past if past.size else None, lambda value: f"{value:+.2%}")
    compared = f"median before {np.median(past):+.2%}" if past.size else NO_PREVIOUS
    alt = f"Daily returns of {of} at {now.session}: {counts}; {compared}"
    return svg.markdown(drawing, alt, _legend(now, before if past.size else None, f"{of}: {counts}"))


def best_and_worst(now: Named, *, sampled: int = 1) -> str | None:
    """The best and the worst portfolios by daily return (column 0), with their P&L in USD (column 1)."""
    known = np.flatnonzero(np.isfinite(now.values[:, 0]))
    if not known.size:
        return None
    order = known[np.argsort(-now.values[known, 0], kind="stable")]
    chosen = order if len(order) <= 2 * EXTREMES else np.concatenate([order[:EXTREMES], order[-EXTREMES:]])
    found = [(now.names[at], *now.values[at].tolist()) for at in chosen.tolist()]
    rows = [(f"{name}: {share:+.2%} {pnl:+,.0f}", share) for name, share, pnl in found]
    words = ", ".join(f"{name} {share:+.2%}" for name, share, _ in found)
    of = _count(len(known), "portfolios", sampled)
    caption = f"Portfolio, daily return and P&L in USD; the best and worst of {of}"
    return svg.markdown(svg.bars(rows), f"Portfolios by daily return at {now.session}: {words}", caption)


def _legend(now: Named, before: Named | None, words: str) -> str:
    compared = f"line {before.session}" if before is not None else NO_PREVIOUS
    return f"{words}. Area {now.session}, {compared}"


def _count(count: int, what: str, sampled: int) -> str:
    return f"{count} {what}" + (f" (one in {sampled})" if sampled > 1 else "")


def _of(before: Named | None) -> FloatArray:
    return np.zeros(0) if before is None else _finite(before.values[:, 0])


def _finite(values: FloatArray) -> FloatArray:
    found: FloatArray = values[np.isfinite(values)]
    return found


def _percentiles(values: FloatArray) -> FloatArray:
    known = _finite(values)
    found: FloatArray = np.percentile(known, PERCENTILES) if known.size else np.full(len(PERCENTILES), np.nan)
    return found


def _summary(values: FloatArray) -> str:
    low, first, middle, third, high = np.percentile(values, [0, 25, 50, 75, 100]).tolist()
    return f"median {middle:.2f}, middle half {first:.2f} to {third:.2f}, all {low:.2f} to {high:.2f}"


def _moves(now: Named, before: Named) -> str:
    """How far the symbols that both sessions have moved, in words."""
    common, here, there = np.intersect1d(np.array(now.names), np.array(before.names), return_indices=True)
    changes = now.values[here, 0] - before.values[there, 0]
    if not np.isfinite(changes).any():
        return "no symbol in common"
    largest = int(np.nanargmax(np.abs(changes)))
    return f"median move {np.nanmedian(np.abs(changes)):.3f}, largest {common[largest]} {changes[largest]:+.2f}"


def _returns(now: Named, before: Named) -> tuple[Sequence[str], FloatArray]:
    common, here, there = np.intersect1d(np.array(now.names), np.array(before.names), return_indices=True)
    moves: FloatArray = now.values[here, 0] / before.values[there, 0] - 1
    return common.tolist(), moves
