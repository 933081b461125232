"""What Yahoo's chart of one symbol says: its bars and actions as sent, or why there are none. No calls here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from sigmasight_assets.market_data.protocol import (
    ACTION_SCHEMA,
    BAR_SCHEMA,
    BAR_VALUES,
    DIVIDEND,
    SPLIT,
    BarRequest,
    Outcome,
    SymbolOutcome,
)
from sigmasight_assets.market_data.split_units import UnitError, find_unit_errors, unit_factors
from sigmasight_assets.market_data.vendor_calls import garbage, json_object
from sigmasight_assets.quant.arrays import DateArray, FloatArray

CURRENCY = "USD"
# Yahoo's words for a window without bars; of other symbols it says "Not Found".
NO_BARS = ("data doesn't exist for startdate", "no data found for this date range")
LONGEST_REASON = 200

# As the order of BAR_VALUES, without the adjusted close.
_QUOTES = {"open_price": "open", "high_price": "high", "low_price": "low", "close_price": "close", "volume": "volume"}
_OTHER_SHAPE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, OSError)


@dataclass(frozen=True)
class ChartAnswer:
    """One symbol's outcome, bars in ``BAR_SCHEMA`` and actions in ``ACTION_SCHEMA``."""

    outcome: SymbolOutcome
    bars: pa.Table = field(default_factory=BAR_SCHEMA.empty_table)
    actions: pa.Table = field(default_factory=ACTION_SCHEMA.empty_table)


@dataclass(frozen=True)
class _Rows:
    """A chart's rows: days (N,) in the exchange's zone, and by name their values (N,), NaN where there is none."""

    days: DateArray
    values: dict[str, FloatArray]


@dataclass(frozen=True)
class _Action:
    ex_date: date
    kind: str
    ratio: Fraction | None = None
    amount: float | None = None


def yahoo_spelling(symbol: str) -> str:
    """How Yahoo writes a symbol: share classes after a hyphen, BRK.B as BRK-B; stored symbols are in this spelling."""
    return re.sub(r"\.([A-Z])$", r"-\1", symbol)


def dotted_spelling(symbol: str) -> str:
    """How the exchanges write Yahoo's symbol: BRK-B as BRK.B."""
    return re.sub(r"-([A-Z])$", r".\1", symbol)


def read_chart(content: bytes, request: BarRequest, *, today: date) -> ChartAnswer:
    """What Yahoo's answer says of the symbol that was asked for.

    Rows are passed on as sent, in whatever number and order and with whatever values, null and NaN as NaN; a text that
    is no number is NaN too. Left out are only rows from after the window to ``today``, which are there because the
    answer reaches to now, and the earlier of two states of the session that is under way. Prices before a split that
    came in wrong units are put right (``split_units``), and the outcome's detail says so.

    Raises ``VendorCallError`` (garbage) when the answer is no chart of the symbol, and when Yahoo has no data for a
    reason that is not the symbol's.
    """
    body = json_object(content)
    chart = body.get("chart") or body.get("finance")
    if not isinstance(chart, dict):
        raise garbage("the answer is not a chart")
    if chart.get("error"):
        return ChartAnswer(_refusal(chart["error"]))
    try:
        result = chart["result"][0]
        zone, currency = ZoneInfo(result["meta"]["exchangeTimezoneName"]), result["meta"]["currency"]
        rows, actions = _read_rows(result, zone), _read_actions(result.get("events") or {}, zone)
        about = str(result["meta"].get("symbol", request.symbol))
    except _OTHER_SHAPE:
        raise garbage("the answer has not the shape of a chart") from None
    if dotted_spelling(about) != dotted_spelling(request.symbol):
        raise garbage("the answer is about another symbol")
    if currency != CURRENCY:
        return ChartAnswer(SymbolOutcome(Outcome.UNKNOWN, f"quoted in {cleaned(currency)}, not in US dollars"))
    return _answer(request, rows, actions, today=today)


def cleaned(text: object) -> str:
    """A vendor's words on one line, without characters that cannot be stored or shown."""
    printable = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return " ".join(printable.split())[:LONGEST_REASON]


def told_reason(error: Any) -> tuple[Any, str]:
    """Code and cleaned words of the error that an answer of Yahoo holds."""
    code, reason = ("", error) if not isinstance(error, dict) else (error.get("code"), error.get("description"))
    return code, cleaned(reason or code)


def _refusal(error: Any) -> SymbolOutcome:
    code, said = told_reason(error)
    if any(words in said.lower() for words in NO_BARS):
        return SymbolOutcome(Outcome.EMPTY, said)
    if code == "Not Found":
        return SymbolOutcome(Outcome.UNKNOWN, said)
    raise garbage(f"Yahoo says: {said}")


def _read_rows(result: Any, zone: ZoneInfo) -> _Rows:
    stamps, indicators = result.get("timestamp") or [], result["indicators"]
    days = [datetime.fromtimestamp(stamp, zone).date() for stamp in stamps]
    # A chart without rows has no columns either.
    quote = indicators["quote"][0] if stamps else dict.fromkeys(_QUOTES.values(), ())
    columns = {name: quote[word] for name, word in _QUOTES.items()}
    is_adjusted = stamps and "adjclose" in indicators
    columns["adj_close_price"] = indicators["adjclose"][0]["adjclose"] if is_adjusted else [None] * len(stamps)
    values = {name: _numbers(column, len(stamps)) for name, column in columns.items()}
    kept = _newest_states(stamps, days, result["meta"].get("regularMarketTime"))
    return _Rows(np.array(days, dtype="datetime64[D]")[kept], {name: column[kept] for name, column in values.items()})


def _newest_states(stamps: list[Any], days: list[date], last_trade: Any) -> list[int]:
    """The rows but those of the day of the last trade, when a row with the time of that trade tells of it too."""
    if last_trade not in stamps:
        return list(range(len(stamps)))
    today = days[stamps.index(last_trade)]
    return [row for row, stamp in enumerate(stamps) if stamp == last_trade or days[row] != today]


def _numbers(column: Sequence[Any], size: int) -> FloatArray:
    if len(column) != size:
        raise ValueError(column)
    return np.array([_number(value) for value in column], dtype=np.float64)


def _number(value: Any) -> float:
    """Yahoo writes an infinite number as a text."""
    if value is None or isinstance(value, bool):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return np.nan


def _read_actions(events: Any, zone: ZoneInfo) -> list[_Action]:
    actions = []
    for item in (events.get("splits") or {}).values():
        ratio = _ratio(item.get("numerator"), item.get("denominator"))
        actions.append(_Action(_day(item, zone), SPLIT, ratio=ratio))
    for item in (events.get("dividends") or {}).values():
        # What is paid in another currency is no amount of dollars: judged as missing, and listed so.
        amount = _number(item.get("amount")) if item.get("currency") in (None, "", CURRENCY) else np.nan
        actions.append(_Action(_day(item, zone), DIVIDEND, amount=amount))
    return sorted(actions, key=lambda action: (action.ex_date, action.kind))


def _day(item: Any, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(item["date"], zone).date()


def _ratio(numerator: Any, denominator: Any) -> Fraction | None:
    """New shares per old one, exactly as written; None when it is not a positive ratio of numbers."""
    try:
        ratio = Fraction(str(numerator)) / Fraction(str(denominator))
    except (ValueError, ZeroDivisionError):
        return None
    is_stored = ratio > 0 and max(ratio.numerator, ratio.denominator) < 2**63
    return ratio if is_stored else None


def _answer(request: BarRequest, rows: _Rows, actions: list[_Action], *, today: date) -> ChartAnswer:
    splits = [(action.ex_date, action.ratio) for action in actions if action.kind == SPLIT and action.ratio is not None]
    errors = find_unit_errors(rows.days, rows.values["close_price"], splits)
    rows = _in_final_units(rows, errors, find_unit_errors(rows.days, rows.values["adj_close_price"], splits))
    first, last = np.datetime64(request.first, "D"), np.datetime64(request.last, "D")
    kept = (rows.days <= last) | (rows.days > np.datetime64(today, "D"))
    outcome = SymbolOutcome(Outcome.OK, "; ".join(map(str, errors)))
    if not ((rows.days >= first) & (rows.days <= last)).any():
        outcome = SymbolOutcome(Outcome.EMPTY, "Yahoo has no bar in the window")
    values = [pa.array(rows.values[name][kept]) for name in BAR_VALUES]
    size = int(kept.sum())
    return ChartAnswer(
        outcome,
        pa.table([pa.repeat(request.symbol, size), pa.array(rows.days[kept]), *values], schema=BAR_SCHEMA),
        _action_table(request, actions, errors),
    )


def _in_final_units(rows: _Rows, errors: tuple[UnitError, ...], adjusted: tuple[UnitError, ...]) -> _Rows:
    """The adjusted closes have errors of their own; shares go the other way than prices."""
    if not errors and not adjusted:
        return rows
    factors = unit_factors(rows.days, errors)
    values = {name: column * factors for name, column in rows.values.items()}
    values["volume"] = np.where(factors == 1, rows.values["volume"], np.rint(rows.values["volume"] / factors))
    values["adj_close_price"] = rows.values["adj_close_price"] * unit_factors(rows.days, adjusted)
    return _Rows(rows.days, values)


def _action_table(request: BarRequest, actions: list[_Action], errors: tuple[UnitError, ...]) -> pa.Table:
    """Those from the window's first date on, amounts in the units of the closes."""
    kept = [action for action in actions if action.ex_date >= request.first]
    factors = unit_factors(np.array([action.ex_date for action in kept], dtype="datetime64[D]"), errors)
    rows = [
        {
            "symbol": request.symbol,
            "ex_date": action.ex_date,
            "kind": action.kind,
            "ratio_numerator": action.ratio.numerator if action.ratio else None,
            "ratio_denominator": action.ratio.denominator if action.ratio else None,
            "amount": None if action.amount is None else action.amount * factor,
        }
        for action, factor in zip(kept, factors.tolist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=ACTION_SCHEMA)
