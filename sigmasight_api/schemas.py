"""What the API sends and accepts: field by field, with units and examples.

Money and prices are decimal strings, ratios are numbers, dates are ISO; what is missing is null.
"""

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sigmasight_api.books import RatiosReason
from sigmasight_api.readiness import Mode

Item = TypeVar("Item")
Data = TypeVar("Data")

Money = Annotated[
    str, Field(description="USD, rounded half-even to the cent", examples=["1250000.00"], pattern=r"^-?\d+\.\d{2}$")
]
Price = Annotated[str, Field(description="USD", examples=["187.1500"], pattern=r"^\d+\.\d{4}$")]
Quantity = Annotated[str, Field(description="Signed number of units", examples=["-12.5000"], pattern=r"^-?\d+\.\d{4}$")]
LotStatus = Literal["priced", "stale", "unpriced", "private", "closed", "expired"]


def _iso_date(value: Any) -> Any:
    """Let dates and ISO strings through: seconds since 1970 and the like would otherwise pass as dates."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or len(value) != len("2025-07-31") or value[4] != "-" or value[7] != "-":
        raise ValueError("must be an ISO date such as 2025-07-31")
    return value


# One line that people can read: no control characters, no line ends of any kind, none that turn the writing around or
# cannot be seen, and not only blanks. The same for every program, unlike what is printable.
_UNSEEN = r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
_BLANK = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
LINE_PATTERN = f"^[^{_UNSEEN}]*[^{_UNSEEN}{_BLANK}][^{_UNSEEN}]*$"

IsoDate = Annotated[date, BeforeValidator(_iso_date), Field(examples=["2025-07-31"])]


class Model(BaseModel):
    """Base of every document: immutable, no field beyond those named, never NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProblemPart(BaseModel):
    """What is wrong in one place of a request."""

    location: list[str] = Field(description="Where: query, path or body, then the name", examples=[["query", "limit"]])
    message: str = Field(description="What", examples=["Input should be less than or equal to 1000"])


class Problem(BaseModel):
    """Every error of the API, as application/problem+json."""

    type: str = Field(description="Always about:blank: the status says the kind", examples=["about:blank"])
    title: str = Field(description="Standard phrase of the status", examples=["Not Found"])
    status: int = Field(description="HTTP status", examples=[404])
    detail: str = Field(description="What is wrong and the way out", examples=["There is no such portfolio."])
    errors: list[ProblemPart] | None = Field(
        None, description="Of parameters and fields that are wrong: each, at most 100; absent in other problems"
    )


class Listing(Model, Generic[Item]):
    """One page of a list."""

    items: list[Item] = Field(description="The part that was asked for with limit and offset")
    total: int = Field(description="How many there are in all", examples=[1])


class Live(Model):
    """The process answers."""

    status: Literal["ok"] = Field(description="Always ok", examples=["ok"])


class Ready(Model):
    """How answers are made."""

    mode: Mode = Field(description="cache: from memory; db_fallback: by queries, slower, equally right")
    reason: str | None = Field(description="What is not as it should be", examples=[None])


class Portfolio(Model):
    """A portfolio of the caller."""

    portfolio_id: UUID = Field(description="Identifier in URLs", examples=["7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11"])
    name: str = Field(description="Name, unique per owner", examples=["Growth"])
    stated_equity: Money = Field(description="Account equity the owner stated as of `as_of`, USD")
    as_of: date = Field(description="Session of the stated equity and of the first snapshot", examples=["2025-05-01"])
    created_at: datetime = Field(description="When it was created, UTC", examples=["2025-05-01T22:00:00Z"])
    equity: Money | None = Field(description="Equity of the newest snapshot, USD; null before the first")
    equity_session: date | None = Field(description="Session of the newest snapshot", examples=["2025-07-31"])
    stale_from: date | None = Field(
        description="Snapshots from this date on await recomputation; null when all are up to date", examples=[None]
    )


class Snapshot(Model):
    """Value, P&L and equity of a portfolio at a session."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    equity: Money = Field(description="Account equity, USD")
    long_value: Money = Field(description="Value of long lots, USD")
    short_value: Money = Field(description="Value of short lots, USD, negative")
    gross: Money = Field(description="long_value - short_value, USD")
    net: Money = Field(description="long_value + short_value, USD")
    cash: Money = Field(description="equity - net - unpriced_value, USD; may be negative")
    unpriced_value: Money = Field(description="Last value of lots without a usable price, USD")
    daily_pnl: Money = Field(description="P&L since the previous snapshot, USD")
    daily_return: float | None = Field(
        description="daily_pnl / (previous equity + flows), dimensionless; null when that is not positive",
        examples=[0.0042],
    )
    cumulative_pnl: Money = Field(description="P&L since the first snapshot, USD")
    realized_pnl: Money = Field(description="(exit - entry) x quantity of lots closed since the previous one, USD")
    unrealized_pnl: Money = Field(description="(price - entry) x quantity of lots held, USD")
    capital_flow: Money = Field(description="Money moved in or out since the previous snapshot, USD")
    dividends: Money = Field(description="Dividends since the previous snapshot, USD")
    positions_count: int = Field(description="Lots held", examples=[50])
    long_count: int = Field(description="Long lots held", examples=[45])
    short_count: int = Field(description="Short lots held", examples=[5])
    stale_count: int = Field(description="Lots valued at a carried price", examples=[0])
    excluded_count: int = Field(description="Lots without a usable price", examples=[0])
    is_partial: bool = Field(description="Whether a lot is stale or unpriced", examples=[False])
    missing_symbols: list[str] = Field(description="Symbols of those lots", examples=[[]])
    priced_share: float | None = Field(
        description="Share of gross priced by the session's own closes or valuations, dimensionless", examples=[1.0]
    )
    provider_beta: float | None = Field(
        description="Sum of signed market value / equity x the vendor's own beta, dimensionless; null without equity "
        "or betas",
        examples=[1.05],
    )
    provider_beta_coverage: float | None = Field(
        description="Share of |market value| of PUBLIC positions with such a beta, dimensionless", examples=[0.97]
    )
    generation: int = Field(description="Generation that published the snapshot", examples=[128])


class Position(Model):
    """A lot: one opening trade of a portfolio, and what it is worth while it is held."""

    position_id: UUID = Field(description="Identifier", examples=["0c7d5a0e-58a6-4a55-8b0e-6f1d0c2b9a77"])
    symbol: str = Field(description="Ticker, OCC symbol of an option, or the owner's name of a private asset")
    investment_class: str = Field(description="PUBLIC, OPTIONS or PRIVATE", examples=["PUBLIC"])
    sector: str | None = Field(
        description="Group in sector exposures: GICS sector, Unclassified, ETF, Options or Private; null when the "
        "market has no figures of the symbol",
        examples=["Financials"],
    )
    quantity: Quantity = Field(description="Signed number of shares, contracts or private units; negative is short")
    units_date: date = Field(
        description="Date in whose share units the quantity is stated: before later splits", examples=["2024-06-03"]
    )
    multiplier: int = Field(description="Shares that one unit stands for: 100 for OPTIONS, else 1", examples=[1])
    entry_price: Price | None = Field(
        description="Price paid, USD a share, in the units of the entry date; null for PRIVATE without one"
    )
    entry_date: date = Field(description="Trade date of the opening", examples=["2024-06-03"])
    exit_price: Price | None = Field(description="Price received, USD a share, in the units of the exit date")
    exit_date: date | None = Field(description="Trade date of the closing; null while open", examples=[None])
    status: LotStatus = Field(
        description="priced: valued at the close of the newest session; stale: at one up to 5 sessions older; "
        "private: at the owner's newest valuation; unpriced: held, without any of these; closed: sold or covered; "
        "expired: an option that has ended",
        examples=["priced"],
    )
    status_reason: str | None = Field(
        description="Why an unpriced lot has no value: `pending`, `processing` or `error` with what its symbol waits "
        "for or why it gets no price, or that there is no close or valuation; null for all others",
        examples=[None],
    )
    close: Price | None = Field(description="Latest published close within 5 sessions, USD, split-adjusted")
    close_session: date | None = Field(description="Session of that close", examples=["2025-07-31"])
    split_numerator: int | None = Field(
        description="Published splits after units_date made this many shares, in the units of the close, ...",
        examples=[3],
    )
    split_denominator: int | None = Field(description="... of so many shares of the quantity", examples=[2])
    valued_on: date | None = Field(description="Date of the valuation used; PRIVATE only", examples=[None])
    market_value: Money | None = Field(
        description="quantity x split_numerator / split_denominator x close x multiplier, or the valuation, USD"
    )
    unrealized_pnl: Money | None = Field(
        description="market_value - quantity, in the units of the entry date, x entry_price x multiplier, USD; null "
        "without either"
    )
    notes: str | None = Field(description="Owner's own words", examples=[None])


class Excluded(Model):
    """A symbol that no number contains."""

    symbol: str = Field(description="Ticker", examples=["NEWCO"])
    reason: str = Field(
        description="no_price: no published close within 5 sessions; short_history, constant: too little to estimate "
        "from; no_exposures: none published within 5 sessions; options, private: the class has no exposures; "
        "no_valuation: its owner has not valued it; no_spy_betas: SPY lacks the betas that styles are read against",
        examples=["short_history"],
    )


class Incomplete(Model):
    """A symbol that some factors do not contain."""

    symbol: str = Field(description="Ticker", examples=["NEWCO"])
    reason: str = Field(description="As of excluded symbols", examples=["short_history"])
    factors: list[str] = Field(description="Factors it is missing from", examples=[["Growth-Value Spread"]])


class Carried(Model):
    """A symbol whose figures are older than the answer."""

    symbol: str = Field(description="Ticker", examples=["BRK-B"])
    close_session: date = Field(description="Session of the close it is valued at", examples=["2025-07-30"])
    factors_session: date | None = Field(
        description="Session of the oldest exposure used; null when none is", examples=["2025-07-30"]
    )


class Answer(Model):
    """What every analytics answer states beside its numbers. All of it belongs to one generation."""

    as_of: date | None = Field(
        description="Newest complete session of the market; null before the first", examples=["2025-07-31"]
    )
    generation: int = Field(description="Published data set the answer was computed from", examples=[128])
    equity: Money | None = Field(description="Equity of the newest snapshot, USD; null before the first")
    equity_session: date | None = Field(
        description="Session of that snapshot; of several portfolios the newest", examples=["2025-07-31"]
    )
    ratios_reason: RatiosReason | None = Field(
        description="Why ratios to equity are null; null when they are given. different_sessions: the newest snapshots "
        "of several portfolios are not of the same session",
        examples=[None],
    )
    coverage: float | None = Field(
        description="What share of the book the numbers contain. Factor exposures: of |market value| of PUBLIC "
        "positions, those with all twelve. Stress test: those with the eight it uses. Concentration and sector "
        "exposure: of the number of positions, those with a value. Volatility and risk: of |market value| of PUBLIC "
        "positions, those with 63 returns; correlations: those shown. Performance: of the returns between snapshots, "
        "those that exist. Null without any",
        examples=[0.998],
    )
    private_share: float | None = Field(
        description="Share of PRIVATE positions, at the owner's newest valuations up to as_of, in the sum of |market "
        "value| by symbol of all classes with a price; null while one of them has no valuation",
        examples=[0.0],
    )
    excluded: list[Excluded] = Field(description="Symbols that were left out, and why")
    incomplete: list[Incomplete] = Field(description="Symbols that were left out of some factors, and why")
    carried: list[Carried] = Field(description="Positions that use a close or exposures older than as_of")


class AnalyticsAnswer(Answer, Generic[Data]):
    """An answer about one portfolio."""

    portfolio_id: UUID = Field(description="Portfolio", examples=["7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11"])
    data: Data = Field(description="The numbers")


class HeldWeight(Model):
    """What is held of one symbol."""

    symbol: str = Field(description="Ticker, OCC symbol, or the owner's name of a private asset", examples=["AAPL"])
    investment_class: str = Field(description="PUBLIC, OPTIONS or PRIVATE", examples=["PUBLIC"])
    market_value: Money = Field(description="Signed value, USD; negative is short")
    weight: float = Field(description="|market_value| / sum of |market_value|, dimensionless", examples=[0.12])


class Concentration(Model):
    """How much of the book lies in how few positions: lots of a symbol are one, whatever its class."""

    herfindahl: float | None = Field(
        description="Sum of squared weights x 10,000: 10,000 is a single position; null when nothing has a value",
        examples=[820.5],
    )
    effective_positions: float | None = Field(
        description="How many positions of equal weight would have this index: 10,000 / herfindahl", examples=[12.2]
    )
    top_3: float | None = Field(description="Weight of the three largest together, dimensionless", examples=[0.41])
    top_10: float | None = Field(description="Weight of the ten largest together, dimensionless", examples=[0.87])
    positions: int = Field(description="Positions that have a value", examples=[23])
    largest: list[HeldWeight] = Field(description="The ten largest, largest first")


class SymbolFactor(Model):
    """Published exposure of a symbol to one factor."""

    name: str = Field(description="Canonical factor name", examples=["Market Beta"])
    beta: float | None = Field(description="Slope, dimensionless, within +-5", examples=[1.21])
    quality: Literal["full", "limited", "suspect"] | None = Field(description="How much it rests on", examples=["full"])
    std_err: float | None = Field(
        description="Standard error of the slope, dimensionless; null for the six ridge slopes, which have none",
        examples=[0.04],
    )
    session: date | None = Field(description="Session the slope is as of", examples=["2025-07-31"])
    reason: str | None = Field(description="Why there is none, as of excluded symbols", examples=[None])


class Symbol(Model):
    """A tracked symbol with its newest published figures."""

    symbol: str = Field(description="Ticker in Yahoo spelling, or OCC symbol of an option", examples=["BRK-B"])
    name: str = Field(description="Name of the company or fund", examples=["Berkshire Hathaway"])
    asset_type: str = Field(description="equity, etf or option", examples=["equity"])
    status: str = Field(
        description="pending: no price yet; active; delisted: has ceased to trade; error: see status_reason",
        examples=["active"],
    )
    status_reason: str | None = Field(description="Why it is not active", examples=[None])
    sector: str | None = Field(description="GICS sector; null for funds and options", examples=["Financials"])
    industry: str | None = Field(
        description="GICS sub-industry; null for funds and options", examples=["Multi-Sector Holdings"]
    )
    profile_date: date | None = Field(
        description="Session of the newest profile, which the next five are of; null without one",
        examples=["2025-07-31"],
    )
    market_cap: Money | None = Field(description="Market capitalisation, USD", examples=["1021000000000.00"])
    pe_ratio: float | None = Field(description="Trailing price to earnings, dimensionless", examples=[12.6])
    forward_pe: float | None = Field(description="Forward price to earnings, dimensionless", examples=[22.4])
    dividend_yield: float | None = Field(description="Yearly dividends / price, dimensionless", examples=[0.012])
    provider_beta: float | None = Field(description="The vendor's own beta, dimensionless", examples=[0.87])
    as_of: date | None = Field(description="Newest complete session of the market", examples=["2025-07-31"])
    generation: int = Field(description="Published data set the figures belong to", examples=[128])
    close: Price | None = Field(description="Latest published close within 5 sessions, USD, split-adjusted")
    close_session: date | None = Field(description="Session of that close", examples=["2025-07-31"])
    factors: list[SymbolFactor] = Field(description="One per factor, in the canonical order")


class SymbolStatus(Model):
    """Whether the symbol can be used in analytics."""

    symbol: str = Field(description="Ticker", examples=["BRK-B"])
    status: Literal["ready", "pending", "processing", "error", "unknown"] = Field(
        description="ready: has exposures, or for an option a close; pending: awaits onboarding, its first price or "
        "enough history; processing: is being onboarded, or has prices and its figures are not published yet; error: "
        "will not get figures by itself; unknown: neither tracked nor asked for",
        examples=["ready"],
    )
    factors_date: date | None = Field(description="Newest session with published exposures", examples=["2025-07-31"])
    reason: str | None = Field(description="Why it is not ready, or what it lacks; delisted", examples=[None])
