"""What operators send and are told of symbols that are to be onboarded."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sigmasight_api.exact import whole_number
from sigmasight_api.schemas import Model
from sigmasight_assets.market_data.protocol import TICKER

Ticker = Annotated[
    str,
    Field(
        description="Ticker in Yahoo spelling, or OCC symbol of an option",
        pattern=f"^{TICKER.pattern}$",
        examples=["BRK-B"],
    ),
]


class NewOnboarding(Model):
    """A symbol to be brought into the universe at once."""

    symbol: Ticker
    priority: Annotated[
        int,
        Field(ge=-1_000, le=1_000, description="Larger is served first; owners' lots have 10", examples=[0]),
        # After the bounds: before them, the document would lose these.
        BeforeValidator(whole_number),
    ] = 0


class OnboardingStatus(Model):
    """A request to onboard a symbol, and what became of it."""

    request_id: int = Field(description="Number of the request", examples=[12])
    symbol: str = Field(description="Ticker or OCC symbol", examples=["BRK-B"])
    status: Literal["pending", "processing", "completed", "failed"] = Field(
        description="pending: waits for its next attempt; processing: a run works on it", examples=["pending"]
    )
    priority: int = Field(description="Larger is served first", examples=[10])
    attempts: int = Field(description="How often it was taken up, at most three times", examples=[1])
    requested_by: str = Field(description="Who or what asked for it", examples=["owner ann"])
    requested_at: datetime = Field(description="When, UTC", examples=["2025-08-01T01:00:09Z"])
    not_before: datetime = Field(description="Earliest next attempt, UTC", examples=["2025-08-01T01:00:09Z"])
    started_at: datetime | None = Field(description="Begin of the last attempt, UTC", examples=[None])
    finished_at: datetime | None = Field(description="When it was completed or given up, UTC", examples=[None])
    run_id: str | None = Field(description="Run of Dagster that took it last", examples=[None])
    generation: int | None = Field(description="Published data set that holds its figures", examples=[None])
    error: str | None = Field(description="Why the last attempt failed", examples=[None])
