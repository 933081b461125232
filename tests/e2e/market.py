"""A vendor with bad evenings: the answers of another source, disturbed as a file says at each call."""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.around import SourceAround
from sigmasight_assets.market_data.protocol import (
    ACTION_SCHEMA,
    BAR_SCHEMA,
    SPLIT,
    BarRequest,
    FetchResult,
    Listing,
    MarketSource,
    Outcome,
    ProfileResult,
    SymbolOutcome,
)
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.services.home import write_atomically
from sigmasight_assets.sessions import exchange_calendar

# All of them are listed always, never halted, and their bars come in time and right.
STOCKS = 40

POLL_SECONDS = 0.1
ROUNDED_PRICES = ("open_price", "high_price", "low_price", "close_price")
Row = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """``new`` shares for ``old`` ones from ``ex_date`` on; without ``restated`` the bars before stay as they were."""

    symbol: str
    ex_date: str
    new: int
    old: int = 1
    restated: bool = True

    @property
    def factor(self) -> float:
        """What a price in the units before is multiplied by."""
        return self.old / self.new


@dataclass(frozen=True)
class Disturbances:
    """What is wrong, dates as ISO text: nothing by default.

    ``missing`` has per symbol the sessions whose bars are not sent, ``restated`` per symbol and session the factor on
    the bar's prices. ``unknown`` symbols do not exist. A call for the bars of more than ``held_above`` symbols is not
    answered before the file says otherwise. ``away``: no call is answered.
    """

    missing: dict[str, list[str]] = field(default_factory=dict)
    restated: dict[str, dict[str, float]] = field(default_factory=dict)
    splits: list[Split] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    held_above: int | None = None
    away: bool = False

    def save(self, path: Path) -> None:
        """Replace the file at once."""
        write_atomically(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Disturbances":
        """What the file says now; nothing without a file."""
        if not path.exists():
            return cls()
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**content, "splits": [Split(**item) for item in content["splits"]]})


class DisturbedMarket(SourceAround):
    """The source ``inner`` as it is known at ``today``, with the disturbances that ``path`` holds at each call."""

    def __init__(self, inner: MarketSource, path: Path, *, today: date) -> None:
        self._inner = inner
        self.path = path
        self._today = str(today)

    @property
    def inner(self) -> MarketSource:
        """The source that is disturbed."""
        return self._inner

    def listings(self) -> list[Listing]:
        """All but the unknown."""
        unknown = self._read().unknown
        return [item for item in self._inner.listings() if item.symbol not in unknown]

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The source's answer, disturbed."""
        script = self._read()
        while script.held_above is not None and len(requests) > script.held_above:
            time.sleep(POLL_SECONDS)
            script = self._read()
        answer = self._inner.fetch_bars([item for item in requests if item.symbol not in script.unknown])
        splits = {item.symbol: item for item in script.splits if item.ex_date <= self._today}
        rows = [_disturbed(row, script, splits) for row in answer.bars.to_pylist() if not _is_missing(row, script)]
        asked = {item.symbol: item for item in requests}
        return FetchResult(
            bars=pa.Table.from_pylist(rows, schema=BAR_SCHEMA),
            outcomes=_outcomes(asked, answer, {row["symbol"] for row in rows}),
            actions=pa.Table.from_pylist(list(_actions(asked, answer, splits)), schema=ACTION_SCHEMA),
        )

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """The source's answer for all but the unknown."""
        unknown = self._read().unknown
        answer = self._inner.fetch_profiles([item for item in symbols if item not in unknown], as_of=as_of)
        problems = {item: "no such symbol" for item in symbols if item in unknown}
        return ProfileResult(answer.profiles, answer.problems | problems)

    def _read(self) -> Disturbances:
        disturbances = Disturbances.load(self.path)
        if disturbances.away:
            raise MarketDataError("the vendor does not answer")
        return disturbances


def market_as_of(evening: date, script: Path) -> DisturbedMarket:
    """The disturbed simulated market as it is known on an evening."""
    simulated = SimulatedMarket(exchange_calendar(), stocks=STOCKS, as_of=evening)
    return DisturbedMarket(simulated, script, today=evening)


def _is_missing(row: Row, script: Disturbances) -> bool:
    return str(row["price_date"]) in script.missing.get(row["symbol"], ())


def _disturbed(row: Row, script: Disturbances, splits: Mapping[str, Split]) -> Row:
    day = str(row["price_date"])
    row = _multiplied(row, script.restated.get(row["symbol"], {}).get(day, 1.0))
    split = splits.get(row["symbol"])
    if split is None or (day < split.ex_date and not split.restated):
        return row
    return {**_multiplied(row, split.factor), "volume": row["volume"] / split.factor}


def _multiplied(row: Row, factor: float) -> Row:
    """The bar with its prices multiplied; only the adjusted close is not rounded, as in the simulated market."""
    if factor == 1.0:
        return row
    rounded = {name: round(row[name] * factor, 4) for name in ROUNDED_PRICES}
    return {**row, **rounded, "adj_close_price": row["adj_close_price"] * factor}


def _outcomes(asked: Mapping[str, BarRequest], answer: FetchResult, sent: Collection[str]) -> dict[str, SymbolOutcome]:
    outcomes = {}
    for symbol, request in asked.items():
        told = answer.outcomes.get(symbol)
        if told is None:
            told = SymbolOutcome(Outcome.UNKNOWN, "the vendor has no such symbol")
        elif told.outcome is Outcome.OK and symbol not in sent:
            told = SymbolOutcome(Outcome.EMPTY, f"no bar from {request.first} to {request.last}")
        outcomes[symbol] = told
    return outcomes


def _actions(asked: Mapping[str, BarRequest], answer: FetchResult, splits: Mapping[str, Split]) -> Iterator[Row]:
    """The source's actions, dividends in the units of the bars, and the splits from the first dates asked for on."""
    for row in answer.actions.to_pylist():
        split = splits.get(row["symbol"])
        in_new_units = split is not None and (split.restated or str(row["ex_date"]) >= split.ex_date)
        if split is not None and in_new_units and row["amount"] is not None:
            row["amount"] *= split.factor
        yield row
    for symbol, split in splits.items():
        ex_date = date.fromisoformat(split.ex_date)
        if symbol in asked and asked[symbol].first <= ex_date:
            values = (symbol, ex_date, SPLIT, split.new, split.old, None)
            yield dict(zip(ACTION_SCHEMA.names, values, strict=True))
