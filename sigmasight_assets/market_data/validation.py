"""Judges the bars of a source: what may be stored, what goes to quarantine and why.

Vectorised over all bars at once. It knows nothing of earlier prices: jumps and restatements are judged elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BAR_SCHEMA, BAR_VALUES, BarRequest, requests_by_symbol
from sigmasight_assets.sessions import SessionCalendar

# Stored prices count ten-thousandths of a dollar; the largest is that of NUMERIC(14, 4).
PRICE_SCALE = 10_000
LARGEST_PRICE = 10**14 - 1
VOLUME_LIMIT = 2.0**63

VALID_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("price_date", pa.date32()),
        *((name, pa.int64()) for name in ("open_price", "high_price", "low_price", "close_price")),
        ("adj_close_price", pa.float64()),
        ("volume", pa.int64()),
    ]
)
REJECTED_SCHEMA = BAR_SCHEMA.append(pa.field("reason", pa.string()))

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class BarReason(StrEnum):
    """Why a bar is not stored; a bar that breaks several rules has the first reason in this order."""

    NOT_A_SESSION = "not_a_session"
    EMPTY_ROW = "empty_row"
    NOT_ASKED = "not_asked"
    OUTSIDE_WINDOW = "outside_window"
    DUPLICATE = "duplicate"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    PRICE_MISSING = "price_missing"
    PRICE_NOT_FINITE = "price_not_finite"
    PRICE_NOT_POSITIVE = "price_not_positive"
    PRICE_TOO_SMALL = "price_too_small"
    PRICE_TOO_LARGE = "price_too_large"
    HIGH_TOO_LOW = "high_too_low"
    LOW_TOO_HIGH = "low_too_high"
    VOLUME_MISSING = "volume_missing"
    VOLUME_INVALID = "volume_invalid"

    @property
    def label(self) -> str:
        """The reason as people read it."""
        return _LABELS[self]


_LABELS = {
    BarReason.NOT_A_SESSION: "the exchange did not trade on this date",
    BarReason.EMPTY_ROW: "the row has no value at all",
    BarReason.NOT_ASKED: "the symbol was not asked for",
    BarReason.OUTSIDE_WINDOW: "the date is outside the window that was asked for",
    BarReason.DUPLICATE: "the same bar was sent more than once",
    BarReason.CONFLICTING_DUPLICATE: "different bars were sent for the same session",
    BarReason.PRICE_MISSING: "a price is missing",
    BarReason.PRICE_NOT_FINITE: "a price is infinite",
    BarReason.PRICE_NOT_POSITIVE: "a price is zero or negative",
    BarReason.PRICE_TOO_SMALL: "a price is below 0.0001",
    BarReason.PRICE_TOO_LARGE: "a price has more than ten digits before the point",
    BarReason.HIGH_TOO_LOW: "the high is below the open, the low or the close",
    BarReason.LOW_TOO_HIGH: "the low is above the open or the close",
    BarReason.VOLUME_MISSING: "the volume is missing",
    BarReason.VOLUME_INVALID: "the volume is negative, not a whole number or beyond 64 bits",
}
_REASONS = tuple(BarReason)
_ACCEPTED = len(_REASONS)
_NOTHING_ASKED = BarRequest("", date.min, date.min)
# Counted only: these rows carry nothing that an operator could accept or reject.
_NOT_QUARANTINED = (BarReason.EMPTY_ROW, BarReason.DUPLICATE)


@dataclass(frozen=True, slots=True)
class ValidatedBars:
    """The verdict on a table of bars, rows in the order in which they were sent.

    ``valid`` has ``VALID_SCHEMA``: prices as whole ten-thousandths of a dollar except ``adj_close_price``, which stays
    the vendor's float. ``rejected`` has ``REJECTED_SCHEMA``: the raw values and the ``BarReason``. ``counts`` has the
    number of rows per reason, for the reasons that occurred; empty rows and further copies of a bar are only there.
    """

    valid: pa.Table
    rejected: pa.Table
    counts: dict[str, int]


class _Verdicts:
    """One verdict per bar; the first reason given to a bar stays."""

    def __init__(self, size: int) -> None:
        self.codes = np.full(size, _ACCEPTED, dtype=np.int8)

    def reject(self, where: Mask, reason: BarReason) -> None:
        self.codes[where & self.accepted] = _REASONS.index(reason)

    @property
    def accepted(self) -> Mask:
        accepted: Mask = self.codes == _ACCEPTED
        return accepted


def validate_bars(bars: pa.Table, requests: Sequence[BarRequest], calendar: SessionCalendar) -> ValidatedBars:
    """Separate the bars that may be stored from those that may not.

    A valid bar lies on a session inside the window asked for its symbol, is the only bar of that symbol and session
    (identical copies count as one, of different ones none is taken), has five prices that are finite, positive and fit
    NUMERIC(14, 4), a high and a low that enclose open and close after rounding to four decimals (vendors' floats carry
    single-precision noise), and a volume that is a whole number from 0 to below 2^63. Null and NaN are both missing. A
    row without any value is no bar: it is counted and not quarantined, on a session as on a closed day.

    Raises ``MarketDataError`` when a bar has no symbol or no date, or a symbol is asked for twice.
    """
    for key in ("symbol", "price_date"):
        if bars[key].null_count:
            raise MarketDataError(f"the market source sent {bars[key].null_count} bars without {key}")
    values = np.column_stack([bars[name].to_numpy() for name in BAR_VALUES])
    prices, volume = values[:, :5], values[:, 5]
    verdicts = _Verdicts(len(values))
    empty = np.isnan(values).all(axis=1)

    keys = _judge_place(verdicts, bars, empty, requests, calendar)
    _judge_copies(verdicts, keys, values)
    units = _judge_prices(verdicts, prices)
    verdicts.reject(np.isnan(volume), BarReason.VOLUME_MISSING)
    verdicts.reject(~((volume >= 0) & (volume < VOLUME_LIMIT) & (volume == np.floor(volume))), BarReason.VOLUME_INVALID)
    return ValidatedBars(
        valid=_valid_table(bars, verdicts.accepted, units, volume),
        rejected=_rejected_table(bars, verdicts.codes, empty),
        counts=_counts(verdicts.codes),
    )


def price_units(prices: Floats) -> NDArray[np.int64]:
    """Finite prices below 10^11 as whole ten-thousandths: the exact value of each float, rounded half to even.

    The product with 10,000 is itself rounded and may land on a half that the exact product misses; there the part that
    was lost (Veltkamp's split, Numer. Math. 1968) decides.
    """
    scaled = prices * PRICE_SCALE
    units = np.rint(scaled)
    near_half = np.flatnonzero(np.abs(scaled - np.trunc(scaled)) == 0.5)
    if near_half.size:
        price, product = prices.flat[near_half], scaled.flat[near_half]
        shifted = price * (2.0**27 + 1)
        high = shifted - (shifted - price)
        lost = (high * PRICE_SCALE - product) + (price - high) * PRICE_SCALE
        halfway = units.flat[near_half]
        units.flat[near_half] = np.where(lost > 0, np.ceil(product), np.where(lost < 0, np.floor(product), halfway))
    return units.astype(np.int64)


def _judge_place(
    verdicts: _Verdicts, bars: pa.Table, empty: Mask, requests: Sequence[BarRequest], calendar: SessionCalendar
) -> NDArray[np.int64]:
    """Reject by date and symbol; return one number per (symbol, date)."""
    days = bars["price_date"].cast(pa.int32()).to_numpy().astype(np.int64)
    verdicts.reject(~np.isin(days, calendar.sessions.astype(np.int64)), BarReason.NOT_A_SESSION)
    verdicts.reject(empty, BarReason.EMPTY_ROW)

    asked = requests_by_symbol(requests)
    encoded = bars["symbol"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    windows = [asked.get(symbol, _NOTHING_ASKED) for symbol in encoded.dictionary.to_pylist()]
    unasked = np.array([window is _NOTHING_ASKED for window in windows], dtype=bool)
    first = np.array([window.first for window in windows], dtype="datetime64[D]").astype(np.int64)
    last = np.array([window.last for window in windows], dtype="datetime64[D]").astype(np.int64)
    verdicts.reject(unasked[codes], BarReason.NOT_ASKED)
    verdicts.reject((days < first[codes]) | (days > last[codes]), BarReason.OUTSIDE_WINDOW)
    keys: NDArray[np.int64] = codes.astype(np.int64) * 2**32 + days
    return keys


def _judge_copies(verdicts: _Verdicts, keys: NDArray[np.int64], values: Floats) -> None:
    """Of several rows with one key keep the first when all are equal, else none."""
    rows = np.flatnonzero(verdicts.accepted)
    rows = rows[np.argsort(keys[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(keys[rows], prepend=-1) != 0)
    if len(starts) == len(rows):
        return
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
    here, first = values[rows], values[rows[starts]][group]
    different = ~((here == first) | (np.isnan(here) & np.isnan(first))).all(axis=1)
    conflicting = np.bincount(group, weights=different) > 0
    is_copy = np.ones(len(rows), dtype=bool)
    is_copy[starts] = False
    verdicts.reject(_at(rows[conflicting[group]], len(keys)), BarReason.CONFLICTING_DUPLICATE)
    verdicts.reject(_at(rows[is_copy], len(keys)), BarReason.DUPLICATE)


def _judge_prices(verdicts: _Verdicts, prices: Floats) -> NDArray[np.int64]:
    """Reject by price; return the prices as ten-thousandths, with zeros where a price cannot be stated so."""
    verdicts.reject(_any(np.isnan(prices)), BarReason.PRICE_MISSING)
    verdicts.reject(_any(np.isinf(prices)), BarReason.PRICE_NOT_FINITE)
    verdicts.reject(_any(prices <= 0), BarReason.PRICE_NOT_POSITIVE)
    representable = (prices > 0) & (prices < 1e11)
    units = price_units(np.where(representable, prices, 0.0))
    verdicts.reject(_any((units == 0) & representable), BarReason.PRICE_TOO_SMALL)
    verdicts.reject(_any((units > LARGEST_PRICE) | ~representable), BarReason.PRICE_TOO_LARGE)
    opened, high, low, close = units[:, :4].T
    verdicts.reject(high < np.maximum(np.maximum(opened, close), low), BarReason.HIGH_TOO_LOW)
    verdicts.reject(low > np.minimum(opened, close), BarReason.LOW_TOO_HIGH)
    return units


def _valid_table(bars: pa.Table, accepted: Mask, units: NDArray[np.int64], volume: Floats) -> pa.Table:
    kept = bars.filter(pa.array(accepted))
    prices = units[accepted]
    columns = [
        kept["symbol"],
        kept["price_date"],
        *(pa.array(prices[:, position]) for position in range(4)),
        kept["adj_close_price"],
        pa.array(volume[accepted].astype(np.int64)),
    ]
    return pa.table(columns, schema=VALID_SCHEMA)


def _rejected_table(bars: pa.Table, codes: NDArray[np.int8], empty: Mask) -> pa.Table:
    counted_only = np.isin(codes, [_REASONS.index(reason) for reason in _NOT_QUARANTINED])
    where = (codes != _ACCEPTED) & ~counted_only & ~empty
    reasons = pa.array([_REASONS[code].value for code in codes[where]], pa.string())
    kept = bars.filter(pa.array(where))
    return pa.table([*(kept[name] for name in BAR_SCHEMA.names), reasons], schema=REJECTED_SCHEMA)


def _counts(codes: NDArray[np.int8]) -> dict[str, int]:
    totals = np.bincount(codes, minlength=_ACCEPTED)
    return {reason.value: int(total) for reason, total in zip(_REASONS, totals, strict=False) if total}


def _any(values: Mask) -> Mask:
    rows: Mask = np.logical_or.reduce(values, axis=1)
    return rows


def _at(rows: NDArray[np.intp], size: int) -> Mask:
    mask = np.zeros(size, dtype=bool)
    mask[rows] = True
    return mask
