"""What operators are told and send: the cache, sessions, runs, failures, freshness, and runs to be started."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from sigmasight_api.onboarding_schemas import OnboardingStatus
from sigmasight_api.readiness import Mode
from sigmasight_api.schemas import IsoDate, Listing, Model


class ReplicaState(Model):
    """The read replica as this process found it."""

    state: Literal["used", "behind", "away"] = Field(description="used, behind or away", examples=["used"])
    generation: int | None = Field(description="Its newest generation, when last looked at", examples=[128])
    primary_generation: int | None = Field(description="The primary's, looked at just before", examples=[128])
    behind_seconds: float = Field(description="Time since it was first seen to lack something, s", examples=[0.0])
    history_reads: int = Field(description="Reads of published history that it answered", examples=[40])
    passed_on: int = Field(description="Those the primary answered instead of it", examples=[2])


class CacheState(Model):
    """The cache of the process that answers: of several at an address, any of them."""

    mode: Mode = Field(description="loading, cache or db_fallback", examples=["cache"])
    reason: str | None = Field(description="What is not as it should be", examples=[None])
    generation: int | None = Field(description="Generation of the current view", examples=[128])
    symbol_generation: int | None = Field(description="Newest symbol publication in it", examples=[127])
    as_of: date | None = Field(description="Newest complete session in it", examples=["2025-07-31"])
    symbols: int = Field(description="Symbols in it", examples=[508])
    view_bytes: int = Field(description="Memory of its columns, bytes", examples=[120000])
    load_seconds: float | None = Field(description="Duration of the last full load, s", examples=[0.08])
    age_seconds: float | None = Field(description="Time since then, s", examples=[3600.0])
    checked_seconds_ago: float | None = Field(description="Time since the last successful check, s", examples=[12.0])
    is_listening: bool = Field(description="Whether notifications of new generations arrive", examples=[True])
    view_hits: int = Field(description="Requests that the view served at once, since the start", examples=[1200])
    view_waits: int = Field(description="Requests that waited for a newer view", examples=[2])
    database_fallbacks: int = Field(description="Requests served by queries, while there was no view", examples=[0])
    remembered_portfolios: int = Field(description="Portfolios whose holdings are in memory", examples=[3])
    holdings_hits: int = Field(description="Requests whose holdings were in memory, since the start", examples=[1190])
    holdings_misses: int = Field(description="Requests whose holdings were read", examples=[10])
    last_error: str | None = Field(description="Why the last load failed; null after a good one", examples=[None])
    is_restricted: bool = Field(
        description="Whether the API's database role has only the rights it needs; if not, see docs/deployment.md",
        examples=[True],
    )
    host: str = Field(description="Host name of the machine that answers", examples=["api-1"])
    process_id: int = Field(description="Process that answers", examples=[4711])
    replica: ReplicaState | None = Field(description="The read replica; null without one")


class SessionRange(Model):
    """Closed sessions of the exchange to run the symbol layer for."""

    first: IsoDate = Field(description="First session")
    last: IsoDate = Field(description="Last session, included")


class Launched(Model):
    """A run that was started."""

    run_id: str = Field(description="Run of Dagster", examples=["5d2a6c4e-1d1f-4d53-9a3c-0d2f6a4b7e55"])


class BatchStep(Model):
    """A recorded step of a run."""

    run_id: str = Field(description="Run")
    kind: str = Field(
        description="Step: symbol_universe, company_profiles, symbol_prices, symbol_products, portfolio_products, ...",
        examples=["symbol_products"],
    )
    first_session: date = Field(description="First session of its range", examples=["2025-07-31"])
    last_session: date = Field(description="Last session of its range", examples=["2025-07-31"])
    status: str = Field(description="running, succeeded or failed", examples=["succeeded"])
    counts: dict[str, Any] | None = Field(description="Counts the step reported")
    error: str | None = Field(description="Why it failed", examples=[None])
    started_at: datetime = Field(description="Start, UTC", examples=["2025-08-01T01:00:04Z"])
    finished_at: datetime | None = Field(description="End, UTC", examples=["2025-08-01T01:00:09Z"])


class PublishedSession(Model):
    """A session of the symbol layer with its newest publication."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    generation: int = Field(description="Generation of the newest publication", examples=[128])
    is_complete: bool = Field(description="Whether every product of the session is published", examples=[True])
    coverage: float | None = Field(description="Share of active symbols with data", examples=[1.0])
    counts: dict[str, Any] = Field(description="Counts by product and reason")
    run_id: str = Field(description="Run that published")
    published_at: datetime = Field(description="When, UTC", examples=["2025-08-01T01:00:09Z"])


class FailedCheck(Model):
    """A blocking check that keeps a session from being published, by its newest judgement."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    check_name: str = Field(description="Check", examples=["coverage"])
    detail: str = Field(description="Measured value and offenders", examples=["97.1 % of 508 symbols, 98 % needed"])
    run_id: str = Field(description="Run that judged")
    checked_at: datetime = Field(description="When it was judged, UTC", examples=["2025-08-01T01:00:09Z"])


class SymbolBatchStatus(Model):
    """What ran, what is published and what failed. ``limit`` and ``offset`` apply to each list, newest first."""

    runs: Listing[BatchStep] = Field(description="Recorded steps of runs")
    sessions: Listing[PublishedSession] = Field(description="Published sessions of the symbol layer")
    failed: Listing[FailedCheck] = Field(description="Checks that sessions did not pass")


class HistoryStep(BatchStep):
    """A recorded step of a run, with who started the run and how long the step took."""

    started_by: str = Field(description="Schedule or sensor, or manual", examples=["nightly_symbols"])
    seconds: float | None = Field(description="Duration, s; null while it runs", examples=[12.5])
    vendor_calls: int | None = Field(description="Calls of the market source; null where none are counted")


class FailureNow(Model):
    """Something that is failed right now; what does not apply is null."""

    kind: str = Field(
        description="session_not_published, portfolio_run_failed, portfolio_left_out, marks_not_settled, "
        "symbol_without_data, held_without_price, suspect_bar, onboarding_failed or alert_not_delivered",
        examples=["session_not_published"],
    )
    severity: Literal["warning", "critical"] = Field(description="How urgent it is", examples=["critical"])
    subject: str = Field(description="Session, range, symbol or alert", examples=["2025-07-31"])
    detail: str = Field(description="The cause, with its offenders")
    next_step: str = Field(description="What happens by itself, or what to do")
    session: date | None = Field(description="Session", examples=["2025-07-31"])
    symbol: str | None = Field(description="Ticker", examples=[None])
    asset: str | None = Field(description="Asset that failed", examples=["symbol_daily_metrics"])
    check: str | None = Field(description="Check that was not passed", examples=["coverage"])
    run_id: str | None = Field(description="Newest run that tried")
    attempts: int | None = Field(description="How often it was tried", examples=[2])
    next_attempt: datetime | None = Field(description="When it is tried again, UTC; null when not by itself")


class ProductFreshness(Model):
    """How current a layer or a product is."""

    layer: Literal["symbol", "portfolio"] = Field(description="Layer", examples=["symbol"])
    product: str | None = Field(description="Product; null for the whole layer", examples=["market_beta"])
    newest: date | None = Field(description="Newest published session; null without any", examples=["2025-07-31"])
    behind: int | None = Field(
        description="Complete sessions after it, without waived ones; null when nothing is published yet", examples=[0]
    )
    severity: Literal["ok", "warning", "critical"] = Field(
        description="warning: one session behind, or nothing published yet; critical: two or more", examples=["ok"]
    )
    reason: str | None = Field(description="What is not as it should be", examples=[None])


class DataFreshness(Model):
    """How current the data is, by this service's clock."""

    clock: datetime = Field(description="Instant that says which sessions are complete, UTC")
    layers: list[ProductFreshness] = Field(description="The symbol layer and the portfolio layer")
    products: list[ProductFreshness] = Field(description="Their products")


class ProductLack(Model):
    """Symbols without a row of a product, for one reason."""

    reason: str = Field(description="As of excluded symbols", examples=["short_history"])
    symbols: int = Field(description="How many", examples=[3])
    named: list[str] = Field(description="The first 20 of them by name", examples=[["NEWCO"]])


class CoveredProduct(Model):
    """A product at a session."""

    product: str = Field(description="Product", examples=["market_beta"])
    rows: int = Field(description="Rows there are: symbols, matrices or portfolios", examples=[505])
    expected: int = Field(
        description="Rows and symbols without one, but for those that do not trade; of snapshots, the portfolios that "
        "had begun",
        examples=[508],
    )
    share: float | None = Field(
        description="rows / expected, dimensionless; null when nothing is expected", examples=[0.994]
    )
    lacks: list[ProductLack] = Field(description="What is missing, by reason")


class CoveredSession(Model):
    """How much of each product a session has."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    products: list[CoveredProduct] = Field(description="In the order they are made in")


class SessionState(Model):
    """A session from prices to snapshots."""

    session: date = Field(description="Session, or a date on which the exchange was closed", examples=["2025-07-31"])
    state: Literal["published", "due", "failed", "late", "missed", "waived", "closed", "not_published"] = Field(
        description="due: to be published; failed: an attempt has failed; late: since 23:00 New York; missed: since "
        "06:00 New York; not_published: before the first publication, or too long ago to be tried by itself",
        examples=["published"],
    )
    coverage: float | None = Field(description="Share of active symbols with data", examples=[1.0])
    symbol_generation: int | None = Field(description="Generation; null until every product is published")
    published_at: datetime | None = Field(description="When its newest figures were published, UTC")
    stale_symbols: int = Field(description="Symbols whose figures are older than their prices", examples=[0])
    snapshots: Literal["none", "stale", "current"] = Field(description="State of its snapshots", examples=["current"])
    failed: str | None = Field(description="Why it is not published", examples=[None])
    waived: str | None = Field(description="Why it is not waited for", examples=[None])
    closed: str | None = Field(description="Why the exchange did not trade", examples=[None])
    next_step: str | None = Field(description="What happens next; null when nothing is to come", examples=[None])


class RunState(Model):
    """A run of either layer, or an onboarding, by its recorded steps; counts are null where nothing counted."""

    run_id: str = Field(description="Run")
    layer: str = Field(description="symbol, portfolio, or the step of an onboarding", examples=["symbol"])
    steps: list[str] = Field(description="Steps in the order they began", examples=[["symbol_prices"]])
    first_session: date = Field(description="First session of its range", examples=["2025-07-31"])
    last_session: date = Field(description="Last session of its range", examples=["2025-07-31"])
    status: Literal["running", "succeeded", "failed"] = Field(description="Status", examples=["succeeded"])
    started_by: str = Field(description="Schedule or sensor, or manual", examples=["nightly_symbols"])
    started_at: datetime = Field(description="Start, UTC")
    seconds: float = Field(description="Time it took, or has taken so far, s", examples=[12.5])
    computed: int | None = Field(description="Rows or snapshots that were computed", examples=[508])
    fresh: int | None = Field(description="Rows or snapshots that were right already", examples=[0])
    failed: int | None = Field(description="Rows that could not be computed", examples=[0])
    vendor_calls: int | None = Field(description="Calls of the market source", examples=[6])
    error: str | None = Field(description="Why it failed", examples=[None])


class StatusVerdict(Model):
    """How things stand, in a sentence."""

    state: Literal["current", "due", "empty", "late", "failing"] = Field(
        description="current: everything is published that should be; due: a session is to be published, in time; "
        "empty: nothing ever was; late: snapshots are missing; failing: a session failed or is late, or something else "
        "is critical",
        examples=["current"],
    )
    sentence: str = Field(description="What is so, in words", examples=["all current: 2025-07-31 is published"])
    next_step: str | None = Field(description="What happens next; null when nothing is to come", examples=[None])
    has_gaps: bool = Field(description="Whether somebody should look", examples=[False])


class OperationsStatus(Model):
    """What `sigmasight status` shows, newest first in every list."""

    clock: datetime = Field(description="Instant that says which sessions are complete, UTC")
    verdict: StatusVerdict = Field(description="All of the following in a sentence")
    sessions: list[SessionState] = Field(description="The newest complete sessions")
    running: list[RunState] = Field(description="Runs under way")
    runs: list[RunState] = Field(description="The last runs")
    failures: list[FailureNow] = Field(description="What is failed right now")
    freshness: list[ProductFreshness] = Field(description="The layers, then their products")
    onboarding: list[OnboardingStatus] = Field(description="Requests that wait or are worked on")
    alerts_undelivered: int = Field(description="Alerts that the webhook has not taken", examples=[0])
    next_snapshots: str = Field(description="What the gate does next, in words")
    next_symbols: str = Field(description="What the symbol layer does next, in words")
    orchestrator: str = Field(
        description="Address of the Dagster UI; behind a proxy as SIGMASIGHT_UI_URL says", examples=["/dagster"]
    )
