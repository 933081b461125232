"""What operators are told of suspect bars."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from sigmasight_api.schemas import Model, Price


class SuspectBar(Model):
    """A bar that waits for a decision.

    It moved beyond 50 % without a corporate action, or a second market states it otherwise.
    """

    symbol: str = Field(description="Ticker", examples=["BRK-B"])
    session: date = Field(description="Session of the bar", examples=["2025-07-31"])
    close_price: Price
    previous_session: date | None = Field(
        description="Session of the symbol's bar before it; null when it is the first", examples=["2025-07-30"]
    )
    previous_close_price: Price | None = Field(description="Close of the bar before it, USD; null when it is the first")
    move_percent: float | None = Field(
        description="100 x (close / previous close - 1); null without a previous bar", examples=[-75.0]
    )
    second_source: str | None = Field(
        description="The market that states the close otherwise; null when the doubt is the move", examples=["files"]
    )
    second_close_price: Price | None = Field(description="Close as the second market states it, USD; null without one")
    since: datetime = Field(description="When the bar was stored, UTC", examples=["2025-08-01T01:00:04Z"])
    is_published: bool = Field(
        description="Whether published figures of the session rest on it: their quality is suspect", examples=[True]
    )
    portfolios: int = Field(description="Portfolios with open lots of the symbol", examples=[3])


class DecidedBar(Model):
    """A decision that was carried out."""

    symbol: str = Field(description="Ticker", examples=["BRK-B"])
    session: date = Field(description="Session of the bar", examples=["2025-07-31"])
    close_price: Price
    verdict: Literal["accepted", "rejected"] = Field(description="What was decided", examples=["rejected"])
    effect: Literal["republished", "asked_again", "none"] = Field(
        description="republished: by the next symbol run; asked_again: by the next price update, because the bar had "
        "been rejected; none: no published figure rests on the bar",
        examples=["republished"],
    )
    action_id: int = Field(description="Number of the operator's action in the audit", examples=[12])
