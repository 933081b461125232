"""The caller's portfolios: opened, changed, deleted, added to by lists and files, and their capital flows."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.responses import JSONResponse

from sigmasight_api.dependencies import BEARER, Caller, PageQuery, PortfolioId, WritesService
from sigmasight_api.entries import lots_entered, lots_in_file
from sigmasight_api.routes.csv_files import CSV
from sigmasight_api.routes.exact_requests import IdempotencyKey, WritesRoute
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import Listing, Portfolio
from sigmasight_api.write_schemas import (
    AddedPositions,
    AsOf,
    CapitalFlow,
    CreatedPortfolio,
    NewCapitalFlow,
    NewPortfolio,
    NewPositions,
    PortfolioName,
    PortfolioPatch,
    StatedEquity,
    UploadReport,
)
from sigmasight_api.writes import PortfolioTerms

router = APIRouter(prefix="/portfolios", tags=["portfolios"], route_class=WritesRoute, dependencies=[BEARER])

FILE_EXAMPLE = "symbol,quantity,entry_price,entry_date\nAAPL,10,187.15,2025-05-01\n"
PositionsFile = Annotated[
    bytes,
    Body(
        media_type=CSV,
        description="Positions file in UTF-8: a header, then one line per lot; all of it is stored or nothing",
        examples=[FILE_EXAMPLE],
    ),
]
FlowId = Annotated[
    str,
    Path(
        description="Identifier of one of the portfolio's capital flows",
        json_schema_extra={"format": "uuid"},
        examples=["3f0c2a5e-0a5b-4b43-9d53-50f5b1e4a1c2"],
    ),
]
DryRun = Annotated[
    bool, Query(description="Only look: 200 with what is wrong line by line, or what would be stored; nothing is")
]
TRIED: dict[int | str, dict[str, Any]] = {
    200: {"model": UploadReport, "description": "Of a dry run: what it would come to"}
}


async def _terms(
    name: Annotated[PortfolioName, Query()],
    stated_equity: Annotated[StatedEquity, Query()],
    as_of: Annotated[AsOf, Query()],
) -> PortfolioTerms:
    return PortfolioTerms(name, stated_equity, as_of)


TermsQuery = Annotated[PortfolioTerms, Depends(_terms)]
CREATE_PROBLEMS = problem_responses(401, 409, 422, 503)
NAMED_PROBLEMS = problem_responses(401, 404, 409, 422, 503)
PROBLEMS = problem_responses(401, 404, 422, 503)


@router.post("", status_code=201, responses=CREATE_PROBLEMS)
def create_portfolio(
    new: NewPortfolio, caller: Caller, writes: WritesService, key: IdempotencyKey, response: Response
) -> CreatedPortfolio:
    """Open a portfolio with its positions, all or nothing. Symbols without figures are brought in afterwards."""
    lots = lots_entered(new.positions, today=writes.today, within=("body", "positions"))
    terms = PortfolioTerms(new.name, new.stated_equity, new.as_of)
    created = writes.create(caller.user_id, terms, lots, name=key)
    response.headers["Location"] = f"/api/v1/portfolios/{created.portfolio_id}"
    return created


@router.post(".csv", status_code=201, response_model=CreatedPortfolio, responses={**TRIED, **CREATE_PROBLEMS})
def create_portfolio_of_file(
    file: PositionsFile,
    terms: TermsQuery,
    caller: Caller,
    writes: WritesService,
    key: IdempotencyKey,
    *,
    response: Response,
    dry_run: DryRun = False,
) -> CreatedPortfolio | JSONResponse:
    """Open a portfolio with the positions of a file, all or nothing; also `POST /portfolios` with `text/csv`."""
    if dry_run:
        return _report(writes.try_create(caller.user_id, terms, file))
    created = writes.create(caller.user_id, terms, lots_in_file(file, today=writes.today), name=key)
    response.headers["Location"] = f"/api/v1/portfolios/{created.portfolio_id}"
    return created


@router.patch("/{portfolio_id}", responses=NAMED_PROBLEMS)
def change_portfolio(
    portfolio_id: PortfolioId, patch: PortfolioPatch, caller: Caller, writes: WritesService, key: IdempotencyKey
) -> Portfolio:
    """Rename a portfolio, or state its equity or first session anew.

    With another equity or first session all its snapshots are made anew from that session on; those before it are
    deleted, and capital flows up to it no longer count.
    """
    return writes.change(caller.user_id, portfolio_id, patch, name=key)


@router.delete("/{portfolio_id}", status_code=204, responses=PROBLEMS)
def delete_portfolio(portfolio_id: PortfolioId, caller: Caller, writes: WritesService) -> None:
    """Delete a portfolio with its positions, valuations, capital flows and snapshots, for good."""
    writes.delete(caller.user_id, portfolio_id)


@router.post("/{portfolio_id}/positions", status_code=201, responses=NAMED_PROBLEMS)
def add_positions(
    portfolio_id: PortfolioId, new: NewPositions, caller: Caller, writes: WritesService, key: IdempotencyKey
) -> AddedPositions:
    """Add positions to a portfolio, all or none."""
    lots = lots_entered(new.positions, today=writes.today, within=("body", "positions"))
    return writes.add(caller.user_id, portfolio_id, lots, name=key)


@router.post(
    "/{portfolio_id}/positions.csv",
    status_code=201,
    response_model=AddedPositions,
    responses={**TRIED, **NAMED_PROBLEMS},
)
def add_positions_of_file(
    portfolio_id: PortfolioId,
    file: PositionsFile,
    caller: Caller,
    writes: WritesService,
    key: IdempotencyKey,
    *,
    dry_run: DryRun = False,
) -> AddedPositions | JSONResponse:
    """Add the positions of a file, all or none; also `POST /portfolios/{id}/positions` with `text/csv`."""
    if dry_run:
        return _report(writes.try_add(caller.user_id, portfolio_id, file))
    return writes.add(caller.user_id, portfolio_id, lots_in_file(file, today=writes.today), name=key)


@router.get("/{portfolio_id}/capital-flows", responses=PROBLEMS)
def list_capital_flows(
    portfolio_id: PortfolioId, caller: Caller, writes: WritesService, page: PageQuery
) -> Listing[CapitalFlow]:
    """Money moved in or out, by date."""
    return writes.flows(caller.user_id, portfolio_id, page)


@router.post("/{portfolio_id}/capital-flows", status_code=201, responses=NAMED_PROBLEMS)
def add_capital_flow(
    portfolio_id: PortfolioId, flow: NewCapitalFlow, caller: Caller, writes: WritesService, key: IdempotencyKey
) -> CapitalFlow:
    """Record money moved in or out; snapshots from its date on are made anew."""
    return writes.add_flow(caller.user_id, portfolio_id, flow, name=key)


@router.delete("/{portfolio_id}/capital-flows/{flow_id}", status_code=204, responses=PROBLEMS)
def delete_capital_flow(portfolio_id: PortfolioId, flow_id: FlowId, caller: Caller, writes: WritesService) -> None:
    """Take a capital flow back; snapshots from its date on are made anew."""
    writes.delete_flow(caller.user_id, portfolio_id, flow_id)


def _report(report: UploadReport) -> JSONResponse:
    return JSONResponse(report.model_dump(mode="json"))
