"""What owners send to change their books, and what they are told of it: field by field, with units and examples."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from sigmasight_api.exact import PriceText, QuantityText, Usd, ValueText, Worth
from sigmasight_api.schemas import LINE_PATTERN, IsoDate, Model, Money, Portfolio, Price, Quantity
from sigmasight_assets.position_rules import LONGEST_NOTES, LONGEST_PRIVATE_NAME
from sigmasight_assets.positions_file import MAX_LINES

LONGEST_NAME = 100
LOT: dict[str, JsonValue] = {"symbol": "AAPL", "quantity": "-12.5", "entry_price": "187.15", "entry_date": "2025-07-31"}


PortfolioName = Annotated[
    str,
    Field(
        description="Name, unique per owner: one line; blanks around it do not count",
        min_length=1,
        max_length=LONGEST_NAME,
        pattern=LINE_PATTERN,
        examples=["Growth"],
    ),
    AfterValidator(str.strip),
]
StatedEquity = Annotated[Usd, Field(description="Account equity as of `as_of`, USD, at most 8 decimal places")]
AsOf = Annotated[IsoDate, Field(description="A complete session of the exchange: that of the first snapshot")]
Notes = Annotated[str, Field(max_length=LONGEST_NOTES)]


class NewPosition(Model):
    """A lot as its owner enters it: the terms of its trades, in the share units of their days."""

    model_config = ConfigDict(json_schema_extra={"examples": [LOT]})

    symbol: str = Field(
        description="Ticker, OCC symbol of an option, or the owner's name of a private asset",
        min_length=1,
        max_length=LONGEST_PRIVATE_NAME,
        examples=["AAPL"],
    )
    quantity: QuantityText = Field(
        description="Shares, contracts or private units; negative is short; at most 4 decimal places"
    )
    entry_price: PriceText | None = Field(
        None, description="Price paid, USD a share; needed but for PRIVATE; at most 4 decimal places"
    )
    entry_date: IsoDate = Field(description="Trade date of the opening, from 1900 to today; need not be a session")
    investment_class: Literal["PUBLIC", "OPTIONS", "PRIVATE"] = Field(
        "PUBLIC", description="OPTIONS are counted in contracts of 100 shares; PRIVATE are valued by their owner"
    )
    exit_price: PriceText | None = Field(None, description="Price received, USD a share; together with exit_date")
    exit_date: IsoDate | None = Field(None, description="Trade date of the closing; null while open")
    market_value: ValueText | None = Field(
        None, description="PRIVATE: USD of the whole lot as of valued_on; at most 8 decimal places"
    )
    valued_on: IsoDate | None = Field(None, description="PRIVATE: date of that valuation")
    notes: Notes | None = Field(None, description="Owner's own words, one line", examples=["kept"])
    units_date: IsoDate | None = Field(
        None, description="PUBLIC: date in whose share units the quantity is stated; null: the entry date"
    )


class NewPortfolio(Model):
    """A portfolio to be opened."""

    name: PortfolioName
    stated_equity: StatedEquity
    as_of: AsOf
    positions: list[NewPosition] = Field([], description="Its lots, none or more", max_length=MAX_LINES)


class NewPositions(Model):
    """Lots to be added to a portfolio, all or none."""

    positions: list[NewPosition] = Field(description="The lots", min_length=1, max_length=MAX_LINES)


class NewPortfolioPosition(NewPosition):
    """A lot to be added to a portfolio."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"portfolio_id": "7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11", **LOT}]}
    )

    portfolio_id: str = Field(
        description="Portfolio that is to hold it",
        json_schema_extra={"format": "uuid"},
        examples=["7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11"],
    )


class PortfolioPatch(Model):
    """What is to change of a portfolio; what is not named stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: PortfolioName | None = Field(None, description="Another name, unique per owner", examples=["Growth"])
    stated_equity: StatedEquity | None = Field(
        None, description="Another equity as of `as_of`, USD: all snapshots are made anew"
    )
    as_of: AsOf | None = Field(
        None, description="Another first session: snapshots before it are deleted, all others made anew"
    )

    @model_validator(mode="before")
    @classmethod
    def _something(cls, values: Any) -> Any:
        return _required(values, cls)


class PositionPatch(Model):
    """What is to change of a position; what is not named stays, null takes away.

    With `close_quantity` the exit is that of a part, else `exit_price` and `exit_date` close it or correct its exit.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    quantity: QuantityText | None = Field(
        None, description="Signed quantity as it should have been entered, in the units of units_date"
    )
    entry_price: PriceText | None = Field(None, description="USD a share; null only for PRIVATE")
    entry_date: IsoDate | None = Field(None, description="Trade date of the opening")
    exit_price: PriceText | None = Field(None, description="USD a share; null together with exit_date opens it again")
    exit_date: IsoDate | None = Field(None, description="Trade date of the closing")
    notes: Notes | None = Field(None, description="Owner's own words, one line", examples=["kept"])
    close_quantity: QuantityText | None = Field(
        None,
        description="How much is closed, positive also of a short position, in the share units of exit_date: that part "
        "becomes a closed position of its own. Only together with exit_price and exit_date",
    )

    @model_validator(mode="before")
    @classmethod
    def _something(cls, values: Any) -> Any:
        return _required(values, cls)


class NewCapitalFlow(Model):
    """Money that was moved in or out."""

    flow_date: IsoDate = Field(description="Date of the transfer, after the portfolio's as_of and not in the future")
    amount: Usd = Field(description="USD; positive is a contribution, negative a withdrawal; at most 8 decimal places")


class NewValuation(Model):
    """What a private position is worth."""

    market_value: Worth = Field(description="USD, the whole of it; at most 8 decimal places")


class CreatedPortfolio(Portfolio):
    """A portfolio that was opened."""

    positions: int = Field(description="Lots that were stored", examples=[50])
    pending_symbols: list[str] = Field(
        description="Their symbols without figures yet, which are being brought in", examples=[["NEWCO"]]
    )


class AddedPositions(Model):
    """Lots that were added."""

    portfolio_id: UUID = Field(description="Portfolio", examples=["7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11"])
    positions: int = Field(description="Lots that were stored", examples=[50])
    stale_from: date | None = Field(description="Snapshots from this date on await recomputation")
    pending_symbols: list[str] = Field(
        description="Their symbols without figures yet, which are being brought in", examples=[["NEWCO"]]
    )


class PositionTerms(Model):
    """A lot as it is stored."""

    position_id: UUID = Field(description="Identifier", examples=["0c7d5a0e-58a6-4a55-8b0e-6f1d0c2b9a77"])
    symbol: str = Field(description="Ticker, OCC symbol of an option, or the owner's name of a private asset")
    investment_class: str = Field(description="PUBLIC, OPTIONS or PRIVATE", examples=["PUBLIC"])
    quantity: Quantity = Field(description="Signed number of shares, contracts or private units; negative is short")
    units_date: date = Field(description="Date in whose share units the quantity is stated", examples=["2024-06-03"])
    entry_price: Price | None = Field(description="Price paid, USD a share, in the units of the entry date")
    entry_date: date = Field(description="Trade date of the opening", examples=["2024-06-03"])
    exit_price: Price | None = Field(description="Price received, USD a share, in the units of the exit date")
    exit_date: date | None = Field(description="Trade date of the closing; null while open", examples=[None])
    market_value: Money | None = Field(description="Newest valuation of a PRIVATE lot, USD")
    valued_on: date | None = Field(description="Date of that valuation", examples=[None])
    notes: str | None = Field(description="Owner's own words", examples=[None])


class WrittenPosition(PositionTerms):
    """A position that was written."""

    portfolio_id: UUID = Field(description="Portfolio", examples=["7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11"])
    stale_from: date | None = Field(description="Snapshots from this date on await recomputation")
    pending_symbols: list[str] = Field(
        description="Its symbol if it has no figures yet and is being brought in", examples=[[]]
    )
    closed_part: PositionTerms | None = Field(
        None, description="The part that was closed and is a position of its own now; null when there is none"
    )


class CapitalFlow(Model):
    """Money that was moved in or out."""

    flow_id: UUID = Field(description="Identifier", examples=["3f0c2a5e-0a5b-4b43-9d53-50f5b1e4a1c2"])
    flow_date: date = Field(description="Date of the transfer", examples=["2025-07-31"])
    amount: Money = Field(description="USD; positive is a contribution")
    entered_at: datetime = Field(description="When it was entered, UTC", examples=["2025-08-01T14:00:00Z"])


class Valuation(Model):
    """What a private position was worth."""

    valued_on: date = Field(description="Date of the valuation", examples=["2025-07-31"])
    market_value: Money = Field(description="USD, the whole of it")


class LineProblem(Model):
    """What is wrong with a line of a file."""

    line: int | None = Field(description="Line of the file, from 1; null for what concerns all of it", examples=[3])
    message: str = Field(description="What is wrong, and with which column", examples=["quantity is zero"])


class UploadReport(Model):
    """What an upload would come to; nothing was stored."""

    positions: int = Field(description="Lots that would be stored; 0 when a line is wrong", examples=[50])
    problems: list[LineProblem] = Field(description="What keeps the file out, the first 1,000 by line")
    problems_total: int = Field(description="How many problems there are", examples=[0])
    pending_symbols: list[str] = Field(
        description="Symbols without figures yet, which would be brought in", examples=[["NEWCO"]]
    )


def _required(values: Any, model: type[Model]) -> Any:
    """Refuse a patch that names nothing."""
    if isinstance(values, dict) and not values:
        raise ValueError(f"name at least one of {', '.join(model.model_fields)}")
    return values
