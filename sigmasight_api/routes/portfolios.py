"""The caller's portfolios, the lots in them and their snapshots."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from sigmasight_api.dependencies import (
    BEARER,
    Caller,
    CallersRoute,
    FirstDate,
    LastDate,
    PageQuery,
    PortfolioId,
    Promised,
    ReadsService,
)
from sigmasight_api.routes.generation import GENERATION_HEADER, OF_PORTFOLIOS
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import Listing, Portfolio, Position, Snapshot

router = APIRouter(prefix="/portfolios", tags=["portfolios"], route_class=CallersRoute, dependencies=[BEARER])


@router.get("", responses=problem_responses(401, 422, 503))
def list_portfolios(caller: Caller, reads: ReadsService, page: PageQuery) -> Listing[Portfolio]:
    """The caller's portfolios by name."""
    return reads.portfolios(caller.user_id, page)


@router.get("/{portfolio_id}", responses=problem_responses(401, 404, 422, 503))
def get_portfolio(portfolio_id: PortfolioId, caller: Caller, reads: ReadsService) -> Portfolio:
    """One portfolio of the caller."""
    return reads.portfolio(caller.user_id, portfolio_id)


@router.get("/{portfolio_id}/positions", responses=OF_PORTFOLIOS)
def list_positions(
    portfolio_id: PortfolioId,
    caller: Caller,
    reads: ReadsService,
    page: PageQuery,
    response: Response,
    *,
    with_closed: Annotated[bool, Query(alias="all", description="Whether to list closed and expired lots too")] = False,
) -> Listing[Position]:
    """Lots of the portfolio by symbol and entry date, valued at published closes."""
    listing, generation = reads.positions(caller.user_id, portfolio_id, with_closed=with_closed, page=page)
    response.headers[GENERATION_HEADER] = str(generation)
    return listing


@router.get("/{portfolio_id}/snapshots", responses=problem_responses(401, 404, 422, 503))
def list_snapshots(
    portfolio_id: PortfolioId,
    caller: Caller,
    reads: ReadsService,
    page: PageQuery,
    promised: Promised,
    *,
    first: FirstDate = None,
    last: LastDate = None,
) -> Listing[Snapshot]:
    """Snapshots between two dates, oldest first."""
    return reads.snapshots(caller.user_id, portfolio_id, first=first, last=last, page=page, promised=promised)
