"""Single positions of the caller: added, corrected, closed, deleted, and valuations of private ones."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from sigmasight_api.dependencies import BEARER, Caller, PageQuery, PositionWritesService
from sigmasight_api.routes.exact_requests import IdempotencyKey, WritesRoute
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import IsoDate, Listing
from sigmasight_api.write_schemas import NewPortfolioPosition, NewValuation, PositionPatch, Valuation, WrittenPosition

router = APIRouter(prefix="/positions", tags=["positions"], route_class=WritesRoute, dependencies=[BEARER])

PositionId = Annotated[
    str,
    Path(
        description="Identifier of one of the caller's positions",
        json_schema_extra={"format": "uuid"},
        examples=["0c7d5a0e-58a6-4a55-8b0e-6f1d0c2b9a77"],
    ),
]
ValuedOn = Annotated[IsoDate, Path(description="Date of the valuation, ISO")]
PROBLEMS = problem_responses(401, 404, 422, 503)
NAMED_PROBLEMS = problem_responses(401, 404, 409, 422, 503)


@router.post("", status_code=201, responses=NAMED_PROBLEMS)
def add_position(
    new: NewPortfolioPosition, caller: Caller, positions: PositionWritesService, key: IdempotencyKey, response: Response
) -> WrittenPosition:
    """Add a position to a portfolio. A symbol without figures is brought in afterwards."""
    written = positions.add(caller.user_id, new, name=key)
    response.headers["Location"] = f"/api/v1/positions/{written.position_id}"
    return written


@router.patch("/{position_id}", responses=NAMED_PROBLEMS)
def change_position(
    position_id: PositionId,
    patch: PositionPatch,
    caller: Caller,
    positions: PositionWritesService,
    key: IdempotencyKey,
) -> WrittenPosition:
    """Correct the terms of a position, close it or a part of it, or open it again.

    Symbol and class stay: another symbol is another position. Snapshots from the earliest date concerned on are made
    anew; after a partial close, those from the entry on, because the history is then that of two positions.
    """
    return positions.change(caller.user_id, position_id, patch, name=key)


@router.delete("/{position_id}", status_code=204, responses=PROBLEMS)
def delete_position(position_id: PositionId, caller: Caller, positions: PositionWritesService) -> None:
    """Delete a position that was entered by mistake, with its valuations; one that was sold is closed instead."""
    positions.delete(caller.user_id, position_id)


@router.get("/{position_id}/valuations", responses=PROBLEMS)
def list_valuations(
    position_id: PositionId, caller: Caller, positions: PositionWritesService, page: PageQuery
) -> Listing[Valuation]:
    """Valuations of a private position, oldest first."""
    return positions.valuations(caller.user_id, position_id, page)


@router.put("/{position_id}/valuations/{valued_on}", responses=PROBLEMS)
def put_valuation(
    position_id: PositionId, valued_on: ValuedOn, new: NewValuation, caller: Caller, positions: PositionWritesService
) -> Valuation:
    """Value a private position as of a date, in place of an earlier valuation of that date."""
    return positions.value(caller.user_id, position_id, valued_on, new.market_value)


@router.delete("/{position_id}/valuations/{valued_on}", status_code=204, responses=PROBLEMS)
def delete_valuation(
    position_id: PositionId, valued_on: ValuedOn, caller: Caller, positions: PositionWritesService
) -> None:
    """Delete a valuation; the only one stays, without it the position would have no value."""
    positions.delete_valuation(caller.user_id, position_id, valued_on)
