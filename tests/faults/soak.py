"""Evenings of a small market with random faults, run as the schedule and the gate would run them.

What is wrong on an evening is drawn by ``soak_faults``; what runs is in ``soak_steps``, what has to hold after each
run in ``soak_invariants``. The same seed lives through the same.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from sigmasight_api.cache import ViewCache
from sigmasight_api.loader import ViewLoader
from sigmasight_assets.market_data.protocol import BarRequest, Listing
from sigmasight_assets.operations.gate import plan as plan_gate
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.symbol_plan import due_ranges
from sigmasight_assets.operations.symbol_plan import plan as plan_symbols
from sigmasight_assets.operations.symbol_state import read_symbol_state
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import read_symbol_generations
from sigmasight_assets.storage.universe import import_listings
from tests.faults.soak_books import Owners
from tests.faults.soak_faults import Decks, Tonight, draw
from tests.faults.soak_invariants import broken, changed_since, wrong_answers
from tests.faults.soak_market import Facts, Fault
from tests.faults.soak_steps import Ended, Order, onboard, run
from tests.night_contents import copy_books, results

# The schedule's turn, and two attempts of the sensor that goes after what is late.
TURNS = (time(21, 15), time(22, 15), time(23, 45))
# Enough for every regression with 60 rows to spare, and for the covariances.
HISTORY = 130
EDITED_EVENINGS = 0.5
# After every step what it has changed is checked, after so many evenings everything.
WHOLE_CHECK_EVERY = 50


@dataclass(frozen=True)
class Size:
    """How many sessions, tracked symbols and portfolios, and the share of runs and answers that a fault meets."""

    first: date
    sessions: int
    symbols: int
    books: int
    share: float

    @property
    def days(self) -> list[date]:
        """The sessions."""
        calendar = exchange_calendar()
        return calendar.between(self.first, calendar.offset(self.first, self.sessions - 1))

    @property
    def history_start(self) -> date:
        """What is stored begins here."""
        return exchange_calendar().offset(self.first, -HISTORY)


@dataclass
class Diary:
    """What the soak came to, told in the order it happened."""

    events: list[str] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    failed_runs: int = 0
    behind: Counter[int] = field(default_factory=Counter)
    answers: int = 0
    wrong: list[str] = field(default_factory=list)

    def tell(self, day: date, words: str) -> None:
        """Note an event."""
        self.events.append(f"{day} {words}")


class Soak:
    """One market with its database, evening by evening."""

    def __init__(self, database: Database, directory: Path, size: Size, chance: random.Random) -> None:
        self.database = database
        self.size = size
        self.diary = Diary()
        self._chance = chance
        self._decks = Decks(chance)
        self._script = directory / "disturbances.json"
        # A tenth of the stocks is tracked later, when somebody buys one.
        self.facts = Facts(stocks=size.symbols + size.symbols // 10)
        self._cache = ViewCache(ViewLoader(database))
        self._published: set[date] = set()
        self._checked = 0

    def live(self) -> None:
        """Every evening, and then one attempt more for what is still open."""
        days = self.size.days
        self._track(days[0])
        for place in range(len(days)):
            self._evening(days[: place + 1])
            if place % WHOLE_CHECK_EVERY == 0:
                self._check(days[place], whole=True)
        self._attempts(days[-1], Tonight())
        self._check(days[-1], whole=True)

    def digest(self) -> str:
        """Of all that the pipeline came to."""
        tables = [(name, sorted(rows.items(), key=str)) for name, rows in sorted(self.results().items())]
        return hashlib.sha256(repr(tables).encode()).hexdigest()

    def results(self) -> dict[str, dict[tuple[object, ...], str]]:
        """All that the pipeline came to."""
        return results(self.database)

    def _track(self, first: date) -> None:
        listings = self.facts.market(self._script, first).listings()
        with self.database.begin() as connection:
            import_listings(connection, listings[: self.size.symbols])

    def _evening(self, days: Sequence[date]) -> None:
        today = days[-1]
        self._edit(days)
        onboarded = onboard(
            self.database, self.facts, self._script, evening=today, history_start=self.size.history_start
        )
        if onboarded.symbols:
            self.diary.tell(today, f"onboarded {onboarded.symbols} failed {onboarded.failed}")
            self._check(today)
        tonight = draw(self._decks, self.facts, days, self._tracked(), share=self.size.share)
        for words in tonight.told:
            self.diary.tell(today, words)
            self.diary.tried[words.split()[0]] += 1
        self._attempts(today, tonight)
        for first, last in tonight.reruns:
            self._run_symbols(first, last, today, f"again:{first}:{last}:{today}")
            self._run_portfolios(today, None)
        self._count_behind(days)

    def _attempts(self, today: date, tonight: Tonight) -> None:
        """The schedule's run, and those that follow it."""
        for number, turn in enumerate(TURNS, start=1):
            for first, last, key in list(self._due(today, turn, is_schedule=number == 1)):
                vendor = tonight.vendor if tonight.vendor and number <= tonight.vendor.lasts else None
                fault = tonight.symbol_run if number == 1 and tonight.symbol_run else vendor
                self._run_symbols(first, last, today, key, fault)
            self._run_portfolios(today, tonight.portfolio_run if number == 1 else None)

    def _due(self, today: date, turn: time, *, is_schedule: bool) -> Iterator[tuple[date, date, str]]:
        """What the schedule, or the sensor after it, starts at this hour."""
        clock = datetime.combine(today, turn, NEW_YORK)
        with self.database.begin() as connection:
            state = read_symbol_state(connection, clock=clock, pause=timedelta(0))
        if is_schedule:
            ranges = due_ranges(state)
            if today not in [last for _, last in ranges]:
                ranges.append((today, today))
            yield from ((first, last, f"daily:{today}:{first}") for first, last in ranges)
            return
        chosen = plan_symbols(state).chosen
        if chosen is not None:
            yield chosen.first, chosen.last, chosen.run_key
        elif not state.published:
            # Before the first publication it is a person who tries again.
            yield today, today, f"by hand:{today}:{turn}"

    def _run_symbols(self, first: date, last: date, today: date, key: str, fault: Fault | None = None) -> None:
        order = Order(key, first, last, today, self.size.history_start)
        self._note(today, key, run(self.database, order, self.facts, self._script, fault), fault)

    def _run_portfolios(self, today: date, fault: Fault | None) -> None:
        """What the gate starts, until it has nothing left to start."""
        started: Counter[str] = Counter()
        while True:
            decision = plan_gate(read_gate_state(self.database, now=datetime.combine(today, TURNS[-1], NEW_YORK)))
            if decision.range is None:
                assert decision.failed_run is None, decision
                return
            order = Order.of(decision.range, evening=today, history_start=self.size.history_start)
            started[order.run_id] += 1
            assert started[order.run_id] < 3, f"the gate starts the same range for ever: {started}"
            self._note(today, order.run_id, run(self.database, order, self.facts, self._script, fault), fault)
            fault = None

    def _note(self, today: date, key: str, ended: Ended, fault: Fault | None) -> None:
        if fault is not None and ended.has_struck:
            self.diary.tried[fault.kind] += 1
            self.diary.tell(today, f"{fault} met {key}")
        if ended.error is not None:
            self.diary.failed_runs += 1
            self.diary.tell(today, f"{key} failed: {ended.error[:300]}")
        self._check(today)

    def _check(self, today: date, *, whole: bool = False) -> None:
        """What has changed since the last check, or everything, and what the refreshed cache tells."""
        self._checked, changed = changed_since(self.database, self._checked)
        found = broken(self.database, None if whole else sorted({*changed, today}))
        answers, wrong = wrong_answers(self._cache, self.database)
        self.diary.answers += answers
        self.diary.wrong += wrong
        assert (found, wrong) == ([], []), (today, found, wrong, self.diary.events[-5:])

    def _edit(self, days: Sequence[date]) -> None:
        market = self.facts.market(self._script, days[-1])
        tracked = self._tracked()
        bars = market.fetch_bars([BarRequest(symbol, days[-1], days[-1]) for symbol in tracked]).bars
        columns = (bars.column(name).to_pylist() for name in ("symbol", "close_price"))
        closes = {symbol: Decimal(f"{close:.4f}") for symbol, close in zip(*columns, strict=True)}
        untracked = [item.symbol for item in market.listings() if item.symbol not in set(tracked)]
        with self.database.begin() as connection:
            owners = Owners(connection, self._chance, closes, days, untracked)
            if len(days) == 1:
                for _ in range(self.size.books):
                    owners.open_portfolio()
            elif self._chance.random() < EDITED_EVENINGS:
                self.diary.tell(days[-1], owners.act())

    def _tracked(self) -> list[str]:
        """The shares and funds that are tracked, in alphabetical order."""
        return sorted(name for name, kind in tracked(self.database).items() if kind != "option")

    def _count_behind(self, days: Sequence[date]) -> None:
        """How many evenings after its own a session is published."""
        with self.database.begin() as connection:
            published = set(read_symbol_generations(connection))
        for day in published - self._published:
            self.diary.behind[len(days) - 1 - days.index(day)] += 1
        self._published = published


def tracked(database: Database) -> dict[str, str]:
    """The kind of every symbol that is tracked."""
    with database.begin() as connection:
        rows = connection.exec_driver_sql("SELECT symbol, asset_type FROM symbol_universe")
        return {row.symbol: row.asset_type for row in rows}


def undisturbed(soak: Soak, database: Database, directory: Path) -> dict[str, dict[tuple[object, ...], str]]:
    """What one backfill comes to that knows from the first session on all that is known in the end."""
    days, script = soak.size.days, directory / "undisturbed.json"
    kinds = tracked(soak.database)
    market = soak.facts.market(script, days[-1])
    listed = [item for item in market.listings() if item.symbol in kinds]
    contracts = [Listing(name, name, "option", None, None) for name, kind in kinds.items() if kind == "option"]
    with database.begin() as connection:
        import_listings(connection, [*listed, *contracts])
    copy_books(soak.database, database)
    order = Order("undisturbed", days[0], days[-1], days[-1], soak.size.history_start)
    assert run(database, order, soak.facts, script, None).error is None
    chosen = plan_gate(read_gate_state(database, now=datetime.combine(days[-1], TURNS[-1], NEW_YORK))).range
    assert chosen is not None
    order = Order.of(chosen, evening=days[-1], history_start=soak.size.history_start)
    assert run(database, order, soak.facts, script, None).error is None
    return results(database)
