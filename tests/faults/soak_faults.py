"""What is wrong on an evening, drawn at random out of the faults of data, vendors, workers and the database."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from sigmasight_assets.quant.factors import FACTOR_ETFS
from tests.e2e.market import Split
from tests.faults.soak_market import Facts, Fault

# Statements of a run that a fault hits: some are never reached.
SYMBOL_STATEMENTS, PORTFOLIO_STATEMENTS = 260, 45
GARBAGE = (
    *(("close_price", value) for value in (float("nan"), float("inf"), 0.0, -5.0, 1e-12, 9e11)),
    *(("adj_close_price", value) for value in (float("nan"), float("-inf"), 0.0, -1.0)),
    *(("volume", value) for value in (float("nan"), -1.0, 1e20)),
    ("high_price", 0.01),
)

OF_VENDOR = (
    *("refused", "away", "failing", "few", "some", "many", "fund", "garbled", "garbled"),
    *("doubled", "conflicting", "misdated", "jumped"),
)


OF_RUNS = ("killed", "cut", "timed_out")
OF_FACTS = ("split", "split_unrestated", "level", "restated", "restated_old")


class Deck:
    """Kinds in random order, each once before any comes again: a rare one is not left out by chance."""

    def __init__(self, chance: random.Random, kinds: Sequence[str]) -> None:
        self._chance = chance
        self._kinds = kinds
        self._left: list[str] = []

    def draw(self) -> str:
        """The next one."""
        if not self._left:
            self._left = self._chance.sample(self._kinds, len(self._kinds))
        return self._left.pop()


class Decks:
    """The kinds of faults that are drawn: of vendors' answers, of runs, and of what becomes true."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.vendor, self.runs, self.facts = (Deck(chance, kinds) for kinds in (OF_VENDOR, OF_RUNS, OF_FACTS))


@dataclass
class Tonight:
    """The faults of an evening: of the vendor's answers, of the runs, and what an operator runs again."""

    vendor: Fault | None = None
    symbol_run: Fault | None = None
    portfolio_run: Fault | None = None
    reruns: list[tuple[date, date]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def draw(decks: Decks, facts: Facts, days: Sequence[date], symbols: Sequence[str], *, share: float) -> Tonight:
    """Draw an evening; what is true of the market from now on goes into ``facts``."""
    tonight, chance = Tonight(), decks.chance
    if chance.random() < share:
        tonight.vendor = _of_vendor(chance, decks.vendor.draw(), days[-1], symbols)
    if chance.random() < share:
        tonight.symbol_run = _of_run(chance, decks.runs.draw(), SYMBOL_STATEMENTS)
    if chance.random() < share:
        tonight.portfolio_run = _of_run(chance, decks.runs.draw(), PORTFOLIO_STATEMENTS)
    if chance.random() < share:
        _learn(decks, facts, days, symbols, tonight)
    if chance.random() < share:
        first = chance.randrange(len(days))
        last = min(len(days) - 1, first + chance.choice((0, 0, 4)))
        tonight.reruns.append((days[first], days[last]))
        tonight.told.append(f"rerun {days[first]} {days[last]}")
    return tonight


def _of_run(chance: random.Random, kind: str, statements: int) -> Fault:
    return Fault(kind, at=chance.randrange(1, statements))


def _of_vendor(chance: random.Random, kind: str, today: date, symbols: Sequence[str]) -> Fault:
    """How long it lasts is up to three attempts, all of the evening's."""
    lasts, day = chance.randint(1, 3), (str(today),)
    stocks = [symbol for symbol in symbols if symbol not in FACTOR_ETFS]
    if kind in ("refused", "away"):
        return Fault(kind, at=chance.randrange(6), lasts=lasts)
    if kind in ("failing", "few", "some", "many", "fund"):
        return _of_many(chance, kind, stocks, day, lasts)
    if kind == "garbled":
        column, value = chance.choice(GARBAGE)
        return Fault(kind, (chance.choice(symbols),), day, column=column, value=value, lasts=lasts)
    if kind == "jumped":
        return Fault(kind, (chance.choice(stocks),), day, value=chance.choice((0.25, 4.0)), lasts=3)
    return Fault(kind, (chance.choice(stocks),), day, lasts=lasts)


def _of_many(chance: random.Random, kind: str, stocks: Sequence[str], day: tuple[str], lasts: int) -> Fault:
    """Of 1, 5 or 40 percent of the symbols, or of a fund."""
    if kind == "fund":
        return Fault("missing", (chance.choice(FACTOR_ETFS),), day, lasts=lasts)
    part = {"failing": 0.05, "few": 0.01, "some": 0.05, "many": 0.4}[kind]
    chosen = tuple(chance.sample(stocks, max(1, int(len(stocks) * part))))
    return Fault("failing" if kind == "failing" else "missing", chosen, day, lasts=lasts)


def _learn(decks: Decks, facts: Facts, days: Sequence[date], symbols: Sequence[str], tonight: Tonight) -> None:
    """Something happens for good to a share to which nothing has happened so far."""
    today, chance = days[-1], decks.chance
    untouched = [symbol for symbol in symbols if symbol not in FACTOR_ETFS and symbol not in facts.touched]
    symbol = chance.choice(untouched)
    kind = decks.facts.draw()
    if kind in ("split", "split_unrestated"):
        new = chance.choice((2, 3, 4))
        facts.add_split(Split(symbol, str(today), new, restated=kind == "split"))
        tonight.told.append(f"{kind} {symbol} {new}:1")
    elif kind == "level":
        factor = chance.choice((0.25, 4.0))
        facts.levels = {**facts.levels, symbol: (str(today), factor)}
        tonight.told.append(f"{kind} {symbol} {factor}")
    else:
        back = chance.randint(1, 4) if kind == "restated" else chance.randint(5, 30)
        day = days[max(0, len(days) - 1 - back)]
        facts.restate(symbol, day, 1.01)
        tonight.told.append(f"{kind} {symbol} {day}")
        # Nobody reads so far back by himself.
        if kind == "restated_old":
            tonight.reruns.append((day, day))
