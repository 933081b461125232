"""What the API sends of a portfolio at a glance."""

from datetime import date

from pydantic import Field

from sigmasight_api.schemas import HeldWeight, Model, Money


class NewestSnapshot(Model):
    """Value and P&L as the ledger recorded them last."""

    session: date = Field(description="Session; of several portfolios that of all of them", examples=["2025-07-31"])
    equity: Money = Field(description="Account equity, USD")
    daily_pnl: Money = Field(description="P&L since the previous snapshot, USD")
    daily_return: float | None = Field(
        description="daily_pnl / (previous equity + flows), dimensionless; null when that is not positive, and at the "
        "first snapshot",
        examples=[0.0042],
    )
    cumulative_pnl: Money = Field(description="P&L since the first snapshot, USD")
    unrealized_pnl: Money = Field(description="(price - entry) x quantity of lots held, USD")
    is_partial: bool = Field(description="Whether a lot was stale or unpriced", examples=[False])


class ValuesNow(Model):
    """What is held, at published closes and the owner's newest valuations; positions without a value are excluded."""

    long_value: Money = Field(description="Sum of the positive values, USD")
    short_value: Money = Field(description="Sum of the negative values, USD, negative")
    gross: Money = Field(description="long_value - short_value, USD")
    net: Money = Field(description="long_value + short_value, USD")
    public_value: Money = Field(description="Net value of shares and funds, USD")
    options_value: Money = Field(description="Net value of option contracts, USD")
    private_value: Money = Field(description="Value of private assets, USD")
    gross_leverage: float | None = Field(
        description="gross / equity, dimensionless; null as ratios_reason says", examples=[1.2]
    )
    net_leverage: float | None = Field(description="net / equity, dimensionless; null likewise", examples=[0.95])


class Overview(Model):
    """A portfolio at a glance; each number is that of the answer that is about it."""

    snapshot: NewestSnapshot | None = Field(description="The newest snapshot; null as ratios_reason says")
    values: ValuesNow = Field(description="What is held, as it is now")
    positions: int = Field(description="Positions that have a value; lots of a symbol are one", examples=[23])
    long_positions: int = Field(description="Those of them with a positive value", examples=[20])
    short_positions: int = Field(description="Those of them with a negative value", examples=[3])
    positions_without_value: int = Field(description="Positions that have none, named in excluded", examples=[0])
    market_beta: float | None = Field(description="Exposure to the market, of factor-exposures", examples=[1.07])
    realized_volatility_21: float | None = Field(description="Of volatility: annual, dimensionless", examples=[0.171])
    expected_volatility_21: float | None = Field(description="Of volatility: annual, dimensionless", examples=[0.176])
    effective_positions: float | None = Field(description="Of concentration: 10,000 / herfindahl", examples=[12.2])
    largest: list[HeldWeight] = Field(description="Of concentration: the ten largest positions, largest first")
