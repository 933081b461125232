"""Tracked symbols: their newest published figures and whether they are ready for analytics."""

from fastapi import APIRouter

from sigmasight_api.dependencies import BEARER, CallersRoute, ReadsService, SymbolPath
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import Symbol, SymbolStatus

router = APIRouter(prefix="/symbols", tags=["symbols"], route_class=CallersRoute, dependencies=[BEARER])


@router.get("/{symbol}", responses=problem_responses(401, 404, 422, 503))
def get_symbol(symbol: SymbolPath, reads: ReadsService) -> Symbol:
    """A tracked symbol with its latest close and exposures."""
    return reads.symbol(symbol)


@router.get("/{symbol}/status", responses=problem_responses(401, 422, 503))
def get_symbol_status(symbol: SymbolPath, reads: ReadsService) -> SymbolStatus:
    """Whether a symbol has exposures, and if not, why."""
    return reads.symbol_status(symbol)
