"""The answer about sectors."""

from pydantic import Field

from sigmasight_api.schemas import Model, Money


class SectorShare(Model):
    """What lies in one sector or other group."""

    sector: str = Field(
        description="GICS sector; ETF: exchange-traded funds; Unclassified: stocks without a published sector; "
        "Options: contracts, at their own value; Private: at the owner's valuations",
        examples=["Information Technology"],
    )
    gross_share: float = Field(
        description="Sum of |market value| / that of the whole book, dimensionless; all groups sum to 1",
        examples=[0.31],
    )
    gross: Money = Field(description="Sum of |market value|, USD")
    long: Money = Field(description="Sum of the values held long, USD")
    short: Money = Field(description="Sum of the values held short, USD, negative")
    net: Money = Field(description="long + short, USD")
    net_share_of_equity: float | None = Field(
        description="net / equity, dimensionless; null as ratios_reason says", examples=[0.28]
    )
    positions: int = Field(description="Positions with a value: lots of a symbol are one", examples=[7])


class SectorExposure(Model):
    """How the book is spread over sectors."""

    gross: Money | None = Field(
        description="Sum of |market value| over all groups, USD; null when nothing that is held has a value"
    )
    net: Money | None = Field(description="Signed sum over all groups, USD; null as gross")
    sectors: list[SectorShare] = Field(description="Groups that hold anything, largest gross first")
