"""What the API sends of several portfolios taken together."""

from typing import Generic
from uuid import UUID

from pydantic import Field

from sigmasight_api.schemas import Answer, Data


class AggregateAnswer(Answer, Generic[Data]):
    """What an answer of several portfolios states: they are added up lot by lot, as if they were one."""

    portfolio_ids: list[UUID] = Field(
        description="The portfolios, in the order they were created",
        examples=[["7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11"]],
    )
    data: Data = Field(description="The numbers")
