"""Judges the splits and dividends of a source: which may be stored, and why the others may not.

Vectorised over all actions at once. It knows nothing of earlier answers: what changed is told apart elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import DIVIDEND, SPLIT, BarRequest, requests_by_symbol
from sigmasight_assets.sessions import SessionCalendar

LARGEST_RATIO_PART = 1_000_000
# Amounts are stored in millionths of a dollar; each is below this many dollars.
AMOUNT_SCALE = 1_000_000
AMOUNT_LIMIT = 1e6

VALID_ACTION_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("ex_date", pa.date32()),
        ("kind", pa.string()),
        ("ratio_numerator", pa.int64()),
        ("ratio_denominator", pa.int64()),
        ("amount", pa.int64()),
    ]
)

# Why an action is not stored; one that breaks several rules has the first of these.
_PROBLEMS = (
    _NOT_ASKED := "the symbol was not asked for",
    _NO_DATE := "the ex-date is missing",
    _BEFORE := "the ex-date is before the window that was asked for",
    _NOT_A_SESSION := "the exchange does not trade on the ex-date",
    _KIND := f"the kind is neither {SPLIT} nor {DIVIDEND}",
    _CONFLICT := "different actions of this kind were sent for the same date",
    _FOREIGN_VALUE := "a split has a ratio and no amount, a dividend an amount and no ratio",
    _RATIO := "the ratio is not of two positive whole numbers",
    _SAME := "the ratio is 1 to 1",
    _LARGE_RATIO := f"a part of the ratio is beyond {LARGEST_RATIO_PART:,}",
    _AMOUNT := "the amount is not a positive number",
    _LARGE_AMOUNT := f"the amount is not below {AMOUNT_LIMIT:,.0f}",
    _SMALL_AMOUNT := "the amount rounds to zero millionths of a dollar",
)
_COPY, _ACCEPTED = len(_PROBLEMS), len(_PROBLEMS) + 1

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ValidatedActions:
    """The verdict on a table of actions.

    ``valid`` has ``VALID_ACTION_SCHEMA``, rows in the order in which they were sent: reduced ratios, and amounts as
    whole millionths of a dollar, each null where the kind has none. ``problems`` are pairs of a symbol and a sentence
    that names the action and why it is not stored.
    """

    valid: pa.Table
    problems: list[tuple[str, str]]


@dataclass(frozen=True)
class _Actions:
    """The columns as arrays (N,); a missing part of a ratio is 0, a missing amount NaN, a missing date NaT."""

    symbol: list[str]
    ex_date: NDArray[np.datetime64]
    kind: list[str | None]
    is_split: Mask
    is_dividend: Mask
    numerator: Integers
    denominator: Integers
    amount: Floats


class _Verdicts:
    """One verdict per action; the first one given stays."""

    def __init__(self, size: int) -> None:
        self.codes = np.full(size, _ACCEPTED, dtype=np.int8)

    def reject(self, where: Mask, problem: str) -> None:
        self.codes[where & (self.codes == _ACCEPTED)] = _PROBLEMS.index(problem)


def validate_actions(actions: pa.Table, requests: Sequence[BarRequest], calendar: SessionCalendar) -> ValidatedActions:
    """Separate the actions in ``ACTION_SCHEMA`` that may be stored from those that may not.

    A valid action belongs to a symbol that was asked for and has a session as its ex-date, or a date that operators
    have closed, on or after the first date asked for and however late. It is the only one of its symbol, date and kind:
    identical copies count as one, of different ones none is taken. A split has a ratio of two positive whole numbers
    that, reduced, differ and do not exceed 1,000,000; a dividend has a finite amount that is below 1,000,000 dollars
    and, rounded half to even to six decimals, positive. Null and NaN are both missing.

    Raises ``MarketDataError`` when an action has no symbol or a symbol is asked for twice.
    """
    if actions["symbol"].null_count:
        raise MarketDataError(f"the market source sent {actions['symbol'].null_count} actions without symbol")
    rows = _arrays(actions)
    verdicts = _Verdicts(actions.num_rows)
    _judge_place(verdicts, rows, requests, calendar)
    common = np.maximum(np.gcd(rows.numerator, rows.denominator), 1)
    numerator, denominator = rows.numerator // common, rows.denominator // common
    units = _amount_units(rows.amount)
    _judge_copies(verdicts, rows, np.column_stack([numerator, denominator, units]))
    _judge_values(verdicts, rows, numerator, denominator, units)
    return ValidatedActions(
        valid=_valid_table(actions, verdicts.codes == _ACCEPTED, rows, (numerator, denominator, units)),
        problems=[(rows.symbol[row], _sentence(rows, row, verdicts.codes[row])) for row in _rejected(verdicts.codes)],
    )


def _arrays(actions: pa.Table) -> _Actions:
    kind = actions["kind"].to_pylist()
    numerator, denominator = (
        actions[name].fill_null(0).to_numpy() for name in ("ratio_numerator", "ratio_denominator")
    )
    return _Actions(
        symbol=actions["symbol"].to_pylist(),
        ex_date=actions["ex_date"].to_numpy().astype("datetime64[D]"),
        kind=kind,
        is_split=np.array([each == SPLIT for each in kind], dtype=bool),
        is_dividend=np.array([each == DIVIDEND for each in kind], dtype=bool),
        numerator=numerator,
        denominator=denominator,
        amount=actions["amount"].fill_null(np.nan).to_numpy(),
    )


def _judge_place(
    verdicts: _Verdicts, rows: _Actions, requests: Sequence[BarRequest], calendar: SessionCalendar
) -> None:
    """Reject by symbol, date and kind."""
    asked = requests_by_symbol(requests)
    verdicts.reject(np.array([symbol not in asked for symbol in rows.symbol], dtype=bool), _NOT_ASKED)
    first = np.array([asked[symbol].first if symbol in asked else None for symbol in rows.symbol], "datetime64[D]")
    verdicts.reject(np.isnat(rows.ex_date), _NO_DATE)
    verdicts.reject(rows.ex_date < first, _BEFORE)
    # Vendors may go on stating an ex-date that turned out to be no session: it counts for the next one.
    closed = np.array(sorted(calendar.closures), dtype="datetime64[D]")
    verdicts.reject(~np.isin(rows.ex_date, np.concatenate([calendar.sessions, closed])), _NOT_A_SESSION)
    verdicts.reject(~(rows.is_split | rows.is_dividend), _KIND)


def _judge_copies(verdicts: _Verdicts, rows: _Actions, values: Integers) -> None:
    """Of several actions with one symbol, date and kind keep the first when all say the same, else none."""
    kept: dict[tuple[str, int, str | None], list[int]] = {}
    days = rows.ex_date.astype(np.int64)
    for row in np.flatnonzero(verdicts.codes == _ACCEPTED).tolist():
        kept.setdefault((rows.symbol[row], int(days[row]), rows.kind[row]), []).append(row)
    for copies in kept.values():
        if len(copies) > 1:
            same = (values[copies] == values[copies[0]]).all()
            verdicts.codes[copies[1:] if same else copies] = _COPY if same else _PROBLEMS.index(_CONFLICT)


def _judge_values(
    verdicts: _Verdicts, rows: _Actions, numerator: Integers, denominator: Integers, units: Integers
) -> None:
    """Reject by what a split or a dividend says; the ratio is reduced."""
    has_ratio = (rows.numerator != 0) | (rows.denominator != 0)
    verdicts.reject(np.where(rows.is_split, ~np.isnan(rows.amount), has_ratio), _FOREIGN_VALUE)
    split, dividend = rows.is_split, rows.is_dividend
    verdicts.reject(split & ((rows.numerator <= 0) | (rows.denominator <= 0)), _RATIO)
    verdicts.reject(split & (numerator == denominator), _SAME)
    verdicts.reject(split & (np.maximum(numerator, denominator) > LARGEST_RATIO_PART), _LARGE_RATIO)
    verdicts.reject(dividend & ~(np.isfinite(rows.amount) & (rows.amount > 0)), _AMOUNT)
    verdicts.reject(dividend & (rows.amount >= AMOUNT_LIMIT), _LARGE_AMOUNT)
    verdicts.reject(dividend & (units == 0), _SMALL_AMOUNT)


def _amount_units(amounts: Floats) -> Integers:
    """Amounts as whole millionths, rounded half to even by the exact value of each float.

    What is not finite becomes -1 and what is out of range is cut to it; both are rejected for what they are.
    """
    inside = np.clip(np.where(np.isfinite(amounts), amounts, -1.0 / AMOUNT_SCALE), -AMOUNT_LIMIT, AMOUNT_LIMIT)
    scaled = inside * AMOUNT_SCALE
    units: Integers = np.rint(scaled).astype(np.int64)
    # The product is rounded itself: where it is next to a half, the exact value decides.
    for row in np.flatnonzero(np.abs(np.abs(scaled - np.rint(scaled)) - 0.5) <= 2 * np.spacing(np.abs(scaled))):
        exact = Decimal(float(inside[row])) * AMOUNT_SCALE
        units[row] = int(exact.to_integral_value(ROUND_HALF_EVEN))
    return units


def _rejected(codes: NDArray[np.int8]) -> list[int]:
    rows: list[int] = np.flatnonzero(codes < _COPY).tolist()
    return rows


def _sentence(rows: _Actions, row: int, code: int) -> str:
    """Which action it is, and what is wrong with it."""
    ex_date = "without date" if np.isnat(rows.ex_date[row]) else f"of {rows.ex_date[row]}"
    kind = rows.kind[row] if rows.is_split[row] or rows.is_dividend[row] else f"action {str(rows.kind[row])[:20]!r}"
    return f"{kind} {ex_date} is not stored: {_PROBLEMS[code]}"


def _valid_table(
    actions: pa.Table, accepted: Mask, rows: _Actions, values: tuple[Integers, Integers, Integers]
) -> pa.Table:
    kept = actions.filter(pa.array(accepted))
    missing = (~rows.is_split[accepted], ~rows.is_split[accepted], rows.is_split[accepted])
    numbers = [pa.array(value[accepted], mask=mask) for value, mask in zip(values, missing, strict=True)]
    return pa.table([kept["symbol"], kept["ex_date"], kept["kind"], *numbers], schema=VALID_ACTION_SCHEMA)
