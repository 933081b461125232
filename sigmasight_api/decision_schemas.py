"""What operators send and are told of decisions on sessions, delisted symbols and failures."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from sigmasight_api.schemas import LINE_PATTERN, IsoDate, Model, Price
from sigmasight_assets.operations.retry import WITHOUT_REASON

ReasonText = Annotated[
    str, Field(description="For the audit, one line", min_length=1, max_length=500, pattern=LINE_PATTERN)
]


class DecisionReason(Model):
    """Why an operator decides as he does."""

    reason: ReasonText = Field(examples=["the vendor confirmed that it has no data of the day"])


class DecidedSession(Model):
    """A decision on a session that was carried out."""

    session: date = Field(description="Date it is about", examples=["2025-01-09"])
    decision: Literal["waived", "unwaived", "closed", "reopened"] = Field(
        description="What was decided", examples=["closed"]
    )
    effect: str = Field(description="What follows from it", examples=["0 bars are in quarantine"])
    action_id: int = Field(description="Number of the operator's action in the audit", examples=[12])


class SessionDecision(Model):
    """A decision on a session that is in force."""

    session: date = Field(description="Date it is about", examples=["2025-01-09"])
    kind: Literal["waived", "closed"] = Field(
        description="waived: later sessions do not wait for it; closed: the exchange did not trade", examples=["closed"]
    )
    actor: str = Field(description="Who decided", examples=["admin"])
    reason: str = Field(description="Why", examples=["national day of mourning"])
    acted_at: datetime = Field(description="When, UTC", examples=["2025-01-02T14:00:00Z"])
    action_id: int = Field(description="Number of the action in the audit", examples=[12])


class OperatorAction(Model):
    """An entry of the audit."""

    action_id: int = Field(description="Number of the action", examples=[12])
    kind: str = Field(description="What was decided", examples=["close_session"])
    actor: str = Field(description="Who decided", examples=["admin"])
    reason: str = Field(description="Why", examples=["national day of mourning"])
    session: date | None = Field(description="Session it is about", examples=["2025-01-09"])
    symbol: str | None = Field(description="Ticker it is about", examples=[None])
    details: dict[str, Any] | None = Field(description="What exactly was done", examples=[{"bars_quarantined": 0}])
    acted_at: datetime = Field(description="When, UTC", examples=["2025-01-02T14:00:00Z"])


class CashOutRequest(Model):
    """What holders of a delisted symbol were paid."""

    on: IsoDate = Field(description="Date of the payment, not before the last price")
    price: str = Field(description="USD a share", pattern=r"^\d{1,9}(\.\d{1,4})?$", examples=["17.2500"])
    reason: ReasonText = Field(examples=["merger, paid in cash"])


class CashOut(Model):
    """Lots that were closed because their symbol is delisted."""

    symbol: str = Field(description="Ticker", examples=["GONE"])
    on: date = Field(description="Exit date of the lots", examples=["2025-07-31"])
    price: Price = Field(description="Exit price, USD a share")
    lots: int = Field(description="Lots that were closed", examples=[3])
    portfolios: int = Field(description="Portfolios they belong to", examples=[2])
    action_id: int = Field(description="Number of the operator's action in the audit", examples=[12])


class RetryRequest(Model):
    """What to start again; everything that is failed without a session or symbol."""

    reason: ReasonText = Field(WITHOUT_REASON, examples=["the vendor is back"])
    session: IsoDate | None = Field(None, description="Only what is failed of this session")
    symbol: str | None = Field(
        None, description="Only the onboarding of this symbol", pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,20}$"
    )


class RetriedRange(Model):
    """Sessions that are run again as one range."""

    job: str = Field(description="Job", examples=["symbol_layer"])
    first: date = Field(description="First session", examples=["2025-07-30"])
    last: date = Field(description="Last session", examples=["2025-07-31"])
    run_id: str = Field(description="Run that was started")
    input_hash: str | None = Field(description="Of the inputs of snapshots; null for the symbol layer")


class Retried(Model):
    """What was started again; empty lists when nothing is failed."""

    ranges: list[RetriedRange] = Field(description="Runs that were started")
    symbols: list[str] = Field(description="Symbols that are asked for again", examples=[[]])
