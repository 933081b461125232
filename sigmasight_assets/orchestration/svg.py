"""Small pictures as SVG: histogram, ranges, bars, strip, grid. Pure text from numbers, without a plotting library.

Dagster's UI draws Markdown at once when it has fewer than 1,000 characters and hides what is longer behind a link, so a
picture says no more than its lines and the labels of its rows; its numbers are in the words beside it. It has a white
background of its own, which reads the same on a light and on a dark page, and colours are named because # takes three
characters in an address.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray

# What the UI shows without a click, in characters of Markdown.
SHOWN_AT_ONCE = 1_000
NOW, BEFORE = "steelblue", "darkorange"
# From bad to good: below the first limit of a strip, then from each limit on.
LEVELS = ("crimson", "orange", "lightblue", "steelblue")
WIDTH, LEFT, ROW = 440, 140, 16
# What a column of the UI's tables holds on a window of 1,400 pixels.
SHOWN_WIDTH = 420
# What an address in pointed brackets can hold as it is; & would begin an entity.
PLAIN = " /:;,.=+-_~!*'()$@?"


@dataclass(frozen=True, eq=False)
class Spread:
    """A distribution in five numbers (its 5th, 25th, 50th, 75th and 95th percentile), and the median of before."""

    label: str
    now: FloatArray
    before: float = float("nan")


def markdown(svg: str, alt: str, caption: str = "") -> str:
    """The picture as Markdown that Dagster's UI draws; ``alt`` are its numbers in words, ``caption`` stands below."""
    plain = " ".join(alt.split()).translate(str.maketrans("[]\\", "()/"))
    below = f"\n\n{caption}" if caption else ""
    return f"![{plain}](<data:image/svg+xml,{quote(svg, safe=PLAIN)}>){below}"


def histogram(now: FloatArray, before: FloatArray | None, label: Callable[[float], str], *, bins: int = 24) -> str:
    """A blue area of ``now`` and an orange line of ``before``, each as shares of its own values, which are finite.

    The ends hold what is beyond them: one value in two hundred on either side. Below are the two ends.
    """
    low, high = _ends(now if before is None else np.concatenate([now, before]))
    shares = [_shares(values, low, high, bins) for values in ([now] if before is None else [now, before])]
    top = max(float(each.max()) for each in shares) or 1.0
    areas = [_steps(np.rint(60 * each / top).astype(int).tolist(), WIDTH // bins) for each in shares]
    parts = [f"<path fill='{NOW}' d='{areas[0]}'/>", _text(82, label(low)), _text(82, label(high), x=WIDTH)]
    if before is not None:
        parts.append(f"<path stroke='{BEFORE}' fill='none' d='{areas[1]}'/>")
    return _svg(88, parts)


def ranges(rows: Sequence[Spread]) -> str:
    """A line a row from the 5th to the 95th percentile, thick over the middle half; the median is white.

    The median of before is orange, and zero a grey line through all rows.
    """
    known = [(place * ROW + 10, row) for place, row in enumerate(rows) if np.isfinite(row.now).all()]
    ends = np.concatenate([np.zeros(1), *(row.now for _, row in known)])
    low, high = float(ends.min()), float(ends.max())
    at = _scale(low, high)
    earlier = [(y, min(max(row.before, low), high)) for y, row in known if np.isfinite(row.before)]
    parts = [
        _lines(f"M{at(0.0)} 0V{len(rows) * ROW}", "silver"),
        _lines("".join(f"M{at(row.now[0])} {y}H{at(row.now[4])}" for y, row in known), NOW),
        _lines("".join(f"M{at(row.now[1])} {y}H{at(row.now[3])}" for y, row in known), NOW, 7),
        _lines("".join(f"M{at(row.now[2])} {y - 3}v7" for y, row in known), "white"),
        _lines("".join(f"M{at(before)} {y - 5}v11" for y, before in earlier), BEFORE),
    ]
    labels = [_text(place * ROW + 14, row.label) for place, row in enumerate(rows)]
    return _svg(len(rows) * ROW + 4, [*parts, *labels])


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """A bar a row, to the right of zero or to its left, beside its label."""
    values = [value for _, value in rows]
    at = _scale(min([0.0, *values]), max([0.0, *values]))
    shapes = "".join(f"M{at(0.0)} {place * ROW + 10}H{at(value)}" for place, value in enumerate(values))
    labels = [_text(place * ROW + 14, label) for place, (label, _) in enumerate(rows)]
    return _svg(len(rows) * ROW + 4, [_lines(shapes, NOW, 9), *labels])


def strip(rows: Sequence[tuple[str, Sequence[float]]], limits: tuple[float, float, float]) -> str:
    """A row of cells each, coloured by which of the ascending limits its share reaches; what is NaN is left blank."""
    cell = (WIDTH - LEFT) / max(1, *(len(values) for _, values in rows))
    paths = [""] * len(LEVELS)
    for place, (_, values) in enumerate(rows):
        for start, count, level in _runs([_level(value, limits) for value in values]):
            paths[level] += f"M{round(LEFT + start * cell)} {place * ROW + 10}h{round(count * cell)}"
    labels = [_text(place * ROW + 14, label) for place, (label, _) in enumerate(rows)]
    parts = [_lines(path, colour, 12) for path, colour in zip(paths, LEVELS, strict=True)]
    return _svg(len(rows) * ROW + 4, [*parts, *labels])


def grid(values: FloatArray, limits: Sequence[tuple[float, str]]) -> str:
    """The lower triangle of a matrix; a cell has the colour of the first of the descending limits that it reaches."""
    paths: dict[str, str] = {}
    for row, column in zip(*np.tril_indices(len(values), -1), strict=True):
        # What is no number, as of a fund that did not move, is drawn as the lowest.
        colour = next((colour for limit, colour in limits if values[row, column] >= limit), limits[-1][1])
        paths[colour] = paths.get(colour, "") + f"M{column * ROW} {(row - 1) * ROW + 10}h15"
    return _svg(len(values) * ROW - 10, [_lines(path, colour, 15) for colour, path in paths.items()])


def _svg(height: int, parts: Sequence[str]) -> str:
    # Words begin and lines end a little inside of the edges.
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='-9 -4 {WIDTH + 18} {height + 4}' width='{SHOWN_WIDTH}' "
        f"style='background:white;font:12px sans-serif'>{''.join(parts)}</svg>"
    )


def _text(y: int, words: str, *, x: int = 0) -> str:
    """Words that begin at the left, or end at ``x``."""
    where = f" x='{x}' text-anchor='end'" if x else ""
    return f"<text y='{y}'{where}>{escape(words, quote=False)}</text>"


def _lines(shape: str, colour: str, width: int = 1) -> str:
    thick = f" stroke-width='{width}'" if width > 1 else ""
    return f"<path stroke='{colour}'{thick} d='{shape}'/>" if shape else ""


def _steps(heights: Sequence[int], width: int) -> str:
    """The outline of a histogram that stands on y = 66."""
    shape, before = "M0 66", 0
    for tall in heights:
        shape += (f"v{before - tall}" if tall != before else "") + f"h{width}"
        before = tall
    return f"{shape}V66"


def _scale(low: float, high: float) -> Callable[[float], int]:
    """Where a value is, to the right of the labels."""
    size = (WIDTH - LEFT) / ((high - low) or 1.0)
    return lambda value: round(LEFT + (value - low) * size)


def _ends(values: FloatArray) -> tuple[float, float]:
    low, high = (float(end) for end in np.percentile(values, [0.5, 99.5]))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _shares(values: FloatArray, low: float, high: float, bins: int) -> FloatArray:
    """Share of the values in each of so many equal bins, those beyond an end counted in the last one there."""
    place = np.clip(np.floor((values - low) / (high - low) * bins), 0, bins - 1).astype(np.int64)
    shares: FloatArray = np.bincount(place, minlength=bins) / max(1, len(values))
    return shares


def _level(value: float, limits: tuple[float, float, float]) -> int:
    return -1 if np.isnan(value) else sum(value >= limit for limit in limits)


def _runs(levels: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Start, length and level of each stretch of equal levels; blank ones are left out."""
    start = 0
    for at in range(1, len(levels) + 1):
        if at == len(levels) or levels[at] != levels[start]:
            if levels[start] >= 0:
                yield start, at - start, levels[start]
            start = at
