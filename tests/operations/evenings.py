"""A week at the gate as a test plays it: what runs, operators and owners leave in a real database, and Dagster's runs.

The gate is asked for real. The runs that it starts are played: what they read when they begin they have consumed when
they end, as ``portfolio_publication`` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from sigmasight_assets.operations.gate import GateDecision, GateRange, plan, ready_range
from sigmasight_assets.operations.gate_runs import LaunchedRun
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.gated_runs import INTERRUPTED, PORTFOLIO_STEP
from sigmasight_assets.storage.onboarding import request_onboarding
from sigmasight_assets.storage.operations import finish_batch, start_batch
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio, mark_edited, read_book_marks
from sigmasight_assets.storage.publications import Publication, lock_layer, next_generation, record_publications
from sigmasight_assets.storage.snapshots import record_consumed
from tests.operations.gate_states import WEEK
from tests.operations.ledger_rows import decide, publish
from tests.orchestration.contents import execute, rows_of

HELD = "NEWCO"


@dataclass
class Work:
    """A run of the gate's that the orchestrator has started; ``inputs`` are the generations that it has read."""

    chosen: GateRange
    run_id: str
    has_begun: bool = False
    inputs: dict[date, int] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)


class Evenings:
    """What has happened so far; ``published`` and ``consumed`` are generations by session."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tonight = 0
        self.published: dict[date, int] = {}
        self.consumed: dict[date, int] = {}
        self.waived: set[date] = set()
        self.marked_from: date | None = None
        self.edited: dict[int, date] = {}
        # As the orchestrator has them, newest first.
        self.launched: list[LaunchedRun] = []
        self.work: Work | None = None
        self.runs = 0
        lot = NewLot(HELD, Decimal(10), Decimal(5), WEEK[0])
        with database.begin() as connection:
            for name in ("first", "second"):
                book = create_portfolio(
                    connection, user="ann", name=name, equity=Decimal(1000), as_of=WEEK[0], lots=[lot]
                )
                self.edited[book.portfolio_id] = WEEK[0]
        self.books = sorted(self.edited)
        # Only figures that are published can be older than their prices.
        execute(
            database,
            "INSERT INTO symbol_universe (symbol, name, asset_type, status, last_factor_date) "
            "VALUES (:symbol, :symbol, 'equity', 'active', :day)",
            symbol=HELD,
            day=WEEK[0],
        )

    @property
    def clock(self) -> datetime:
        """Ten in the evening of the newest session."""
        return datetime.fromisoformat(f"{WEEK[self.tonight]}T22:00").replace(tzinfo=NEW_YORK)

    @property
    def sessions(self) -> list[date]:
        """The sessions so far."""
        return list(WEEK[: self.tonight + 1])

    def now(self) -> datetime:
        """The database's clock."""
        moment: datetime = rows_of(self.database, "SELECT clock_timestamp() AS moment")[0]["moment"]
        return moment

    def publish(self, day: date) -> None:
        """The symbol products of a session are published, or published anew; marked figures are recomputed by that."""
        self.published[day] = publish(self.database, day)

    def edit(self, book: int, day: date) -> None:
        """An owner edits a portfolio as of a date."""
        with self.database.begin() as connection:
            mark_edited(connection, book, edited_from=day)
        self.edited[book] = min(day, self.edited.get(book, day))

    def waive(self, day: date) -> None:
        """An operator has a session spanned that is not published."""
        decide(self.database, day, "waived")
        self.waived.add(day)

    def mark(self, day: date) -> None:
        """A price has changed that published figures from a session on rest on."""
        execute(
            self.database,
            "INSERT INTO figure_invalidations (symbol, first_session, last_session, has_new_returns, run_id) "
            "VALUES (:symbol, :day, :day, true, 'prices') "
            "ON CONFLICT (symbol) DO UPDATE SET first_session = least(figure_invalidations.first_session, :day)",
            symbol=HELD,
            day=day,
        )
        self.marked_from = day if self.marked_from is None else min(day, self.marked_from)

    def recompute_marked(self) -> None:
        """The symbol layer has published what rests on changed prices."""
        execute(self.database, "DELETE FROM figure_invalidations")
        first, self.marked_from = self.marked_from, None
        for day in [day for day in self.published if first is not None and day >= first]:
            self.publish(day)

    def ask_for_symbol(self) -> None:
        """A held symbol is to be onboarded."""
        with self.database.begin() as connection:
            request_onboarding(connection, [HELD], requested_by="owner ann")

    def onboard(self) -> None:
        """The requests are done."""
        execute(
            self.database,
            "UPDATE symbol_onboarding_queue SET status = 'completed', finished_at = now() WHERE status = 'pending'",
        )

    def let_pass(self, minutes: float) -> None:
        """Time passes for everything that has been recorded; a run at work goes on telling that it lives."""
        passed = {"passed": timedelta(minutes=minutes)}
        for table, columns in (
            ("publications", ("published_at",)),
            ("symbol_onboarding_queue", ("requested_at",)),
            ("batch_runs", ("started_at", "seen_at", "finished_at")),
        ):
            earlier = ", ".join(f"{name} = {name} - CAST(:passed AS interval)" for name in columns)
            execute(self.database, f"UPDATE {table} SET {earlier}", **passed)
        self.launched = [
            replace(run, created_at=run.created_at - passed["passed"], ended_at=run.ended_at - passed["passed"])
            for run in self.launched
        ]
        if self.work is not None and self.work.has_begun:
            execute(self.database, "UPDATE batch_runs SET seen_at = now() WHERE run_id = :run", run=self.work.run_id)

    def ask(self) -> GateDecision:
        """What the gate decides; it sees of the orchestrator's runs what the sensor would read."""
        state = read_gate_state(self.database, now=self.clock)
        chosen = ready_range(state)
        seen = [run for run in self.launched if not run.is_finished or (chosen and run.input_hash == chosen.input_hash)]
        return plan(state, seen)

    def create(self, chosen: GateRange) -> str:
        """The orchestrator stores a run of the gate's request; the same key gives the same run."""
        same = [run for run in self.launched if run.run_key == chosen.run_key]
        if same:
            return same[0].run_id
        self.runs += 1
        run_id, now = f"r{self.runs}", self.now()
        run = LaunchedRun(run_id, "NOT_STARTED", now, now, chosen.input_hash, chosen.run_key)
        self.launched.insert(0, run)
        return run_id

    def launch(self, chosen: GateRange) -> None:
        """The orchestrator launches the request's run; nothing of it is recorded before its first step."""
        self.work = Work(chosen, self.create(chosen))
        self._tell(self.work.run_id, "STARTED")

    def begin(self) -> None:
        """The first step of the run at work: it reads what it computes from."""
        work = self._required_work()
        days = [day for day in self.sessions if work.chosen.first <= day <= work.chosen.last and day in self.published]
        with self.database.begin() as connection:
            start_batch(
                connection,
                run_id=work.run_id,
                kind=PORTFOLIO_STEP,
                sessions=days,
                input_hash=work.chosen.input_hash,
            )
            _, stale = read_book_marks(connection)
        work.has_begun = True
        work.inputs = {day: self.published[day] for day in days}
        work.versions = {book: version for book, version, _ in stale}

    def succeed(self) -> None:
        """The run at work publishes its snapshots and ends."""
        if not self._required_work().has_begun:
            self.begin()
        work = self._required_work()
        last = work.chosen.last
        with self.database.bulk() as transaction:
            lock_layer(transaction, "portfolio")
            items = [Publication(day, ("portfolio_snapshots",), 1, 1.0, {}) for day in work.inputs]
            record_publications(transaction, next_generation(transaction), "portfolio", items, run_id=work.run_id)
            record_consumed(transaction, work.inputs, run_id=work.run_id)
        self.consumed |= work.inputs
        later = min((day for day in self.consumed if day > last), default=None)
        settle = (
            "UPDATE portfolios SET stale_from = :later "
            "WHERE portfolio_id = :book AND book_version = :version AND stale_from <= :last"
        )
        for book, version in work.versions.items():
            execute(self.database, settle, later=later, book=book, version=version, last=last)
        self.edited = {
            row["portfolio_id"]: row["stale_from"]
            for row in rows_of(self.database, "SELECT * FROM portfolios WHERE stale_from IS NOT NULL")
        }
        self._end("SUCCESS", None)

    def fail(self, error: str = "the disk is full") -> None:
        """The run at work fails in its step."""
        if not self._required_work().has_begun:
            self.begin()
        self._end("FAILURE", error)

    def cancel(self) -> None:
        """An operator ends the run at work."""
        self._end("CANCELED", f"{INTERRUPTED}: by an operator")

    def die(self) -> None:
        """The worker of the run at work is killed: it has said nothing of its end, and the orchestrator notices."""
        work = self._required_work()
        self.work = None
        self._tell(work.run_id, "FAILURE")

    def _end(self, status: str, error: str | None) -> None:
        work = self._required_work()
        if work.has_begun:
            with self.database.begin() as connection:
                finish_batch(connection, run_id=work.run_id, kind=PORTFOLIO_STEP, counts={}, error=error)
        self.work = None
        self._tell(work.run_id, status)

    def _tell(self, run_id: str, status: str) -> None:
        now = self.now()
        self.launched = [
            replace(run, status=status, ended_at=now) if run.run_id == run_id else run for run in self.launched
        ]

    def _required_work(self) -> Work:
        assert self.work is not None
        return self.work

    def settle(self, retry: Callable[[GateDecision], None], *, ticks: int = 12) -> GateDecision:
        """Everything that the gate waits for comes, whatever failed is started again; its last decision."""
        if self.work is not None:
            self.succeed()
        self.onboard()
        self.recompute_marked()
        for day in self.sessions:
            if day not in self.published and day not in self.waived:
                self.publish(day)
        decision = self.ask()
        for _ in range(ticks):
            self.let_pass(180)
            decision = self.ask()
            if decision.range is not None:
                self.launch(decision.range)
                self.succeed()
            elif decision.failed_run is not None:
                retry(decision)
            elif not decision.is_pending:
                break
        return decision
