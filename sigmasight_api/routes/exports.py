"""The caller's positions and snapshots as files."""

from fastapi import APIRouter

from sigmasight_api.dependencies import BEARER, Caller, CallersRoute, ExportsService, PortfolioId, Promised
from sigmasight_api.routes.csv_files import CsvResponse
from sigmasight_api.routes.problems import problem_responses

router = APIRouter(prefix="/portfolios", tags=["portfolios"], route_class=CallersRoute, dependencies=[BEARER])
PROBLEMS = problem_responses(401, 404, 422, 503)


@router.get("/{portfolio_id}/positions.csv", response_class=CsvResponse, responses=PROBLEMS)
def export_positions(portfolio_id: PortfolioId, caller: Caller, exports: ExportsService) -> CsvResponse:
    """All positions, open and closed, as a file that can be imported again; of valuations it holds the newest.

    An apostrophe is put before a text that a spreadsheet would take for a formula; importing takes it off again.
    """
    content = exports.positions(caller.user_id, portfolio_id)
    return CsvResponse(content, filename=f"positions-{portfolio_id}.csv")


@router.get("/{portfolio_id}/snapshots.csv", response_class=CsvResponse, responses=PROBLEMS)
def export_snapshots(
    portfolio_id: PortfolioId, caller: Caller, exports: ExportsService, promised: Promised
) -> CsvResponse:
    """All snapshots, oldest first, in the columns of the list of snapshots; amounts in USD."""
    content = exports.snapshots(caller.user_id, portfolio_id, promised=promised)
    return CsvResponse(content, filename=f"snapshots-{portfolio_id}.csv")
