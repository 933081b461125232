"""Tracked symbols: which there are, their newest published figures, their bars, and whether they are ready."""

from typing import Annotated

from fastapi import APIRouter, Query

from sigmasight_api.dependencies import BEARER, CallersRoute, FirstDate, LastDate, PageQuery, ReadsService, SymbolPath
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import Listing, Symbol, SymbolStatus
from sigmasight_api.symbol_schemas import AssetType, Bar, TrackedSymbol, TrackingStatus

router = APIRouter(prefix="/symbols", tags=["symbols"], route_class=CallersRoute, dependencies=[BEARER])


@router.get("", responses=problem_responses(401, 422, 503))
def list_symbols(
    reads: ReadsService,
    page: PageQuery,
    *,
    status: Annotated[TrackingStatus | None, Query(description="Only symbols of this status")] = None,
    asset_type: Annotated[AssetType | None, Query(description="Only symbols of this type")] = None,
) -> Listing[TrackedSymbol]:
    """Tracked symbols by name."""
    return reads.symbols(page, status=status, asset_type=asset_type)


@router.get("/{symbol}", responses=problem_responses(401, 404, 422, 503))
def get_symbol(symbol: SymbolPath, reads: ReadsService) -> Symbol:
    """A tracked symbol with its latest close and exposures."""
    return reads.symbol(symbol)


@router.get("/{symbol}/status", responses=problem_responses(401, 422, 503))
def get_symbol_status(symbol: SymbolPath, reads: ReadsService) -> SymbolStatus:
    """Whether a symbol has exposures, and if not, why."""
    return reads.symbol_status(symbol)


@router.get("/{symbol}/prices", responses=problem_responses(401, 404, 422, 503))
def list_prices(
    symbol: SymbolPath,
    reads: ReadsService,
    page: PageQuery,
    *,
    first: FirstDate = None,
    last: LastDate = None,
) -> Listing[Bar]:
    """Daily bars of a tracked symbol, oldest first."""
    return reads.prices(symbol, first=first, last=last, page=page)
