"""What the API says of volatility, correlation, tail risk and performance: field by field, with units and examples."""

from datetime import date
from typing import Literal

from pydantic import Field

from sigmasight_api.schemas import Model, Money

WeightsBasis = Literal["snapshot", "entry_prices"]
BreakReason = Literal["base_not_positive", "nothing_left", "beyond_measure"]
MissingReason = Literal[
    "no_positions",
    "no_price",
    "short_history",
    "equity_not_positive",
    "no_snapshot",
    "base_not_positive",
    "nothing_left",
    "beyond_measure",
    "no_benchmark",
    "no_variation",
    "single_position",
]


class MissingNumber(Model):
    """A number that is null, and why."""

    name: str = Field(description="Field of the answer's data", examples=["expected_21"])
    reason: MissingReason = Field(
        description="no_positions: no PUBLIC position is held; no_price: none has a close within 5 sessions; "
        "short_history: too few observations; equity_not_positive: there is nothing to relate to; no_snapshot: none "
        "yet; base_not_positive: a return inside the series does not exist, see breaks; nothing_left: everything was "
        "lost before the end of the series; beyond_measure: the index passes "
        "1e12; no_benchmark: the benchmark has no price where the series has one; "
        "no_variation: a series that it divides by does not vary; single_position: there are no pairs",
        examples=["short_history"],
    )
    observations: int | None = Field(description="Observations there are; null when not their number", examples=[80])
    needed: int | None = Field(description="Observations it takes; null when not their number", examples=[104])


class ReturnSeries(Model):
    """The daily returns of the PUBLIC positions as they are now: what the numbers were computed from."""

    weights_basis: WeightsBasis = Field(
        description="snapshot: market value at published closes / equity of the newest snapshot; entry_prices: without "
        "a snapshot yet, quantity x entry price / the equity that the owner stated",
        examples=["snapshot"],
    )
    equity: Money = Field(description="The equity of that basis, USD")
    observations: int = Field(description="Daily returns used", examples=[252])
    sessions_left_out: int = Field(
        description="Sessions of that time that are not used, because more than 5 % of the sum of |weight| lacks a "
        "return",
        examples=[0],
    )
    first_session: date | None = Field(description="Session of the first return; null without any")
    last_session: date | None = Field(description="Session of the last return", examples=["2025-07-31"])


class Volatility(Model):
    """Volatility of the positions as they are now, annual: 0.2 is 20 % of equity a year."""

    realized_21: float | None = Field(
        description="Sample standard deviation of the last 21 returns x sqrt 252, dimensionless", examples=[0.171]
    )
    realized_63: float | None = Field(description="Of the last 63 returns, dimensionless", examples=[0.164])
    expected_21: float | None = Field(
        description="Expected over the next 21 sessions: heterogeneous autoregression of squared returns",
        examples=[0.176],
    )
    trend: Literal["rising", "falling", "stable"] | None = Field(
        description="Where rolling 21-return volatility has been heading: stable unless its slope over the last 21 "
        "values takes it by more than 10 % of their mean",
        examples=["stable"],
    )
    trend_slope: float | None = Field(description="That slope, volatility a session", examples=[-0.0004])
    percentile: float | None = Field(
        description="Share of the last 252 values of rolling 21-return volatility that are below the current, 0 to 1",
        examples=[0.62],
    )
    missing: list[MissingNumber] = Field(description="Numbers that are null, and why")
    series: ReturnSeries = Field(description="The returns behind the numbers: at most 293")


class Loss(Model):
    """What one session can cost; negative when even the tail is a gain."""

    share_of_equity: float | None = Field(
        description="Share of equity, dimensionless; null when equity is not positive", examples=[0.0183]
    )
    dollars: Money = Field(description="The same in USD")


class Risk(Model):
    """Losses of one session by the last year's returns of the positions as they are now."""

    value_at_risk_95: Loss | None = Field(
        description="Loss exceeded on 5 % of the sessions: minus the linear 5 % quantile"
    )
    value_at_risk_99: Loss | None = Field(description="Loss exceeded on 1 % of the sessions")
    expected_shortfall_95: Loss | None = Field(
        description="Mean loss of the sessions at or below the 5 % quantile of returns"
    )
    expected_shortfall_99: Loss | None = Field(
        description="Mean loss of the sessions at or below the 1 % quantile of returns"
    )
    missing: list[MissingNumber] = Field(description="Numbers that are null, and why")
    series: ReturnSeries = Field(description="The returns behind the numbers: at most 252, at least 100")


class Correlations(Model):
    """How the PUBLIC positions move with each other, by daily returns."""

    sessions: int = Field(description="Newest sessions whose returns are used", examples=[90])
    first_session: date | None = Field(description="The first of them; null without any")
    last_session: date | None = Field(description="The last of them", examples=["2025-07-31"])
    symbols: list[str] = Field(description="At most 50, by |market value|, largest first", examples=[["SPY", "TLT"]])
    symbols_not_shown: int = Field(description="Held symbols with a close that are not among them", examples=[0])
    matrix: list[list[float | None]] = Field(
        description="Pearson correlations, in the order of the symbols, -1 to 1; null below 30 joint returns or where "
        "one of the two does not vary",
        examples=[[[1.0, -0.21], [-0.21, 1.0]]],
    )
    mean_correlation: float | None = Field(description="Mean over the pairs that have one, -1 to 1", examples=[0.31])
    mean_absolute_correlation: float | None = Field(description="Mean of |correlation|, 0 to 1", examples=[0.34])
    diversification_ratio: float | None = Field(
        description="Sum of |market value| x volatility / volatility of the whole, at least 1", examples=[1.6]
    )
    effective_bets: float | None = Field(
        description="Exponential of the entropy of the correlations' eigenvalues / their number: as many uncorrelated "
        "bets, 1 to the number of symbols",
        examples=[11.4],
    )
    symbols_without_all: list[str] = Field(
        description="Symbols that these last two numbers leave out, because a correlation of theirs is null",
        examples=[[]],
    )
    is_repaired: bool = Field(
        description="Whether missing returns had made the matrix impossible, so that these two numbers use the nearest "
        "possible one",
        examples=[False],
    )
    missing: list[MissingNumber] = Field(description="Numbers that are null, and why")


class Drawdown(Model):
    """A fall from a peak of the index."""

    depth: float = Field(description="Share lost since the peak, 0 or negative, dimensionless", examples=[-0.083])
    peak_session: date = Field(description="Last session at the peak", examples=["2025-02-19"])
    session: date = Field(description="Session of the value after the fall", examples=["2025-04-08"])


class Benchmark(Model):
    """SPY's total return, dividends reinvested, over the same sessions."""

    symbol: str = Field(description="The fund", examples=["SPY"])
    total_return: float | None = Field(description="From base_session to last_session", examples=[0.104])
    annualized_return: float | None = Field(description="The same a year; null under 252 sessions", examples=[0.104])
    observations: int = Field(description="Returns of the portfolio that have one of SPY beside them", examples=[251])
    tracking_error: float | None = Field(
        description="Sample standard deviation of the differences of returns x sqrt 252, dimensionless",
        examples=[0.061],
    )
    beta: float | None = Field(description="Ex-post slope of the returns on those of SPY", examples=[1.1])
    correlation: float | None = Field(description="With the returns of SPY, -1 to 1", examples=[0.93])


class SeriesBreak(Model):
    """A return that does not exist: the index ends before it, and another begins after it."""

    session: date = Field(description="Session of the snapshot", examples=["2025-04-08"])
    reason: BreakReason = Field(
        description="base_not_positive: previous equity + flows is not; nothing_left: everything was lost before; "
        "beyond_measure: the index passes 1e12 here",
        examples=["base_not_positive"],
    )


class PartialSymbol(Model):
    """A symbol that snapshots of the series valued at a carried price, or not at all."""

    symbol: str = Field(description="Ticker", examples=["NEWCO"])
    snapshots: int = Field(description="How many", examples=[2])
    first_session: date = Field(description="The first of them", examples=["2025-07-30"])
    last_session: date = Field(description="The last of them", examples=["2025-07-31"])


class PerformancePoint(Model):
    """A snapshot of the series."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    sessions: int = Field(
        description="Sessions since the previous point: above 1 the return spans sessions without a snapshot",
        examples=[1],
    )
    daily_return: float | None = Field(
        description="P&L / (previous equity + flows), dimensionless; null at the base and where that is not positive",
        examples=[0.0042],
    )
    index: float | None = Field(
        description="Worth of 1 since base_session, dimensionless; null after a break", examples=[1.127]
    )
    drawdown: float | None = Field(description="index / its highest so far - 1, 0 or negative", examples=[-0.012])
    benchmark_index: float | None = Field(
        description="Worth of 1 in SPY since base_session; null where either has no price", examples=[1.104]
    )


class Performance(Model):
    """What the account has returned, by its snapshots: time-weighted, so that flows are no returns."""

    base_session: date | None = Field(
        description="The snapshot that the first return is measured from: the newest before `from`, else the first"
    )
    last_session: date | None = Field(description="The last snapshot", examples=["2025-07-31"])
    sessions: int = Field(description="Sessions from base_session to last_session", examples=[252])
    observations: int = Field(description="Returns there are", examples=[251])
    total_return: float | None = Field(description="Time-weighted, dimensionless: 0.1 is 10 %", examples=[0.127])
    annualized_return: float | None = Field(
        description="The same a year, of 252 sessions; null under one year", examples=[0.127]
    )
    volatility: float | None = Field(
        description="Sample standard deviation of the returns x sqrt 252, dimensionless", examples=[0.165]
    )
    current_drawdown: Drawdown | None = Field(description="At last_session, from the peak of the series")
    maximum_drawdown: Drawdown | None = Field(description="The deepest of the series, the earliest of equals")
    benchmark: Benchmark = Field(description="The same sessions in SPY, and the portfolio against it")
    breaks: list[SeriesBreak] = Field(description="Returns that do not exist; after the first the index is null")
    partial_symbols: list[PartialSymbol] = Field(description="Symbols that snapshots of the series lack prices of")
    missing: list[MissingNumber] = Field(description="Numbers that are null, and why")
    items: list[PerformancePoint] = Field(description="The series, oldest first, beginning with the base")
