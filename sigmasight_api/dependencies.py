"""What routes are given, and who may use them: every route is public, its caller's, or operators'.

A router chooses its kind once, as ``route_class``; nothing else in the API decides about access.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator

from sigmasight_api.aggregates import MOST_PORTFOLIOS, Aggregates
from sigmasight_api.analytic import Analytic
from sigmasight_api.analytics import Analytics
from sigmasight_api.bars import BarDecisions
from sigmasight_api.books import Book
from sigmasight_api.components import Components
from sigmasight_api.decisions import Decisions
from sigmasight_api.errors import InvalidRequestError
from sigmasight_api.exports import Exports
from sigmasight_api.onboarding import OnboardingQueue
from sigmasight_api.operators import Operators
from sigmasight_api.position_writes import PositionWrites
from sigmasight_api.rendered import Rendered
from sigmasight_api.reports import Reports
from sigmasight_api.repository import NO_PORTFOLIO, Page
from sigmasight_api.routes.generation import GENERATION_HEADER, MINIMUM_HEADER
from sigmasight_api.schemas import IsoDate
from sigmasight_api.service import Reads
from sigmasight_api.stress import StressTests
from sigmasight_api.view import MarketView
from sigmasight_api.writes import Writes
from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.storage.tokens import TokenHolder

LARGEST_LIMIT = 1_000
LARGEST_OFFSET = 1_000_000_000
DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)

# Describes the scheme in the OpenAPI document; the check itself is CallersRoute's.
BEARER = Depends(HTTPBearer(auto_error=False, description="API token, made by `sigmasight token create`"))


Part = TypeVar("Part")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class CallersRoute(APIRoute):
    """A route that needs a token. The caller is identified before the body is read or anything is validated."""

    for_admins: ClassVar[bool] = False

    def get_route_handler(self) -> Handler:
        """The handler, run once the caller is known."""
        handle = super().get_route_handler()

        async def identified_first(request: Request) -> Response:
            await self._admit(request)
            minimum = request.headers.get(MINIMUM_HEADER)
            if minimum is not None:
                await self._reach(request, minimum)
            return await self.answered(request, handle)

        return identified_first

    async def _admit(self, request: Request) -> None:
        parts = components(request)
        # Taken before the book is read: what is computed of both then belongs to one generation.
        request.state.view = parts.cache.current
        admitted = await parts.authenticator.admit(
            request.headers.get("Authorization"),
            admin=self.for_admins,
            portfolio=request.path_params.get("portfolio_id"),
        )
        request.state.caller, request.state.book = admitted.holder, admitted.book

    async def _reach(self, request: Request, minimum: str) -> None:
        """Go on with a view of this generation or a newer one; another process may have answered of it before."""
        if not DIGITS.fullmatch(minimum):
            raise InvalidRequestError(f"{MINIMUM_HEADER} must be a generation: a whole number, digits alone.")
        view = request.state.view
        if view is None or view.generation < int(minimum):
            await asyncio.to_thread(components(request).cache.reach, int(minimum))
            await self._admit(request)

    async def answered(self, request: Request, handle: Handler) -> Response:
        """The answer to an admitted caller."""
        return await handle(request)


class AnalyticsRoute(CallersRoute):
    """A route to analytics of one portfolio; an answer that is remembered is sent at once.

    Without a query or a body such a route asks the same of every portfolio, so what it answers is known after the
    first time. Then FastAPI need not look at parameters that are not there, which takes longer than all the rest.
    """

    _kind: str | None = None

    async def answered(self, request: Request, handle: Handler) -> Response:
        """As above, by what is remembered if possible."""
        if request.method != "GET" or request.scope["query_string"]:
            return await handle(request)
        state = request.state
        if self._kind is not None and state.book is not None:
            known = components(request).analytics.remembered(state.book, state.view, self._kind)
            if known is not None:
                return _sent(known, self._kind)
        response = await handle(request)
        if isinstance(response, AnalyticResponse):
            self._kind = response.kind
        return response


class AdminsRoute(CallersRoute):
    """A route that needs an admin's token."""

    for_admins = True


def components(request: Request) -> Components:
    """The parts of the running application."""
    found: Components = request.app.state.components
    return found


def _digits_alone(value: Any) -> Any:
    """Let digits through: signs, blanks, underscores and decimals would otherwise pass as whole numbers."""
    if isinstance(value, str) and not DIGITS.fullmatch(value):
        raise ValueError("must be a whole number, digits alone")
    return value


# After the bounds of a parameter: before them, the document would lose these.
WHOLE = BeforeValidator(_digits_alone)


PortfolioId = Annotated[
    str,
    Path(
        alias="portfolio_id",
        description="Identifier of one of the caller's portfolios",
        json_schema_extra={"format": "uuid"},
        examples=["7f1c7b5e-9d0a-4e0e-8f53-3d0a6f1f3c11"],
    ),
]


@dataclass(frozen=True, slots=True)
class OwnPortfolio:
    """The portfolio in the path, found to be the caller's, and how its analytics are answered."""

    caller: TokenHolder
    book: Book
    view: MarketView | None
    analytics: Analytics

    async def respond(self, analytic: Analytic) -> Response:
        """The answer as it is sent."""
        return _sent(await self.analytics.answer(self.caller.user_id, self.book, self.view, analytic), analytic.kind)


async def _own_portfolio(request: Request, _: PortfolioId) -> OwnPortfolio:
    state = request.state
    if state.book is None:
        raise NotFoundError(NO_PORTFOLIO)
    return OwnPortfolio(state.caller, state.book, state.view, components(request).analytics)


@dataclass(frozen=True, slots=True)
class OwnPortfolios:
    """Several of the caller's portfolios, and how their analytics are answered; all of them when none are named."""

    caller: TokenHolder
    portfolios: Sequence[str] | None
    view: MarketView | None
    aggregates: Aggregates

    async def respond(self, analytic: Analytic) -> Response:
        """The answer as it is sent."""
        answer = await self.aggregates.answer(self.caller.user_id, self.portfolios, self.view, analytic)
        return _sent(answer, analytic.kind)


async def _own_portfolios(
    request: Request,
    portfolios: Annotated[
        list[str] | None,
        Query(
            alias="portfolio_id",
            max_length=MOST_PORTFOLIOS,
            description="Portfolios to take together; all of the caller's when none is named",
        ),
    ] = None,
) -> OwnPortfolios:
    state = request.state
    return OwnPortfolios(state.caller, portfolios, state.view, components(request).aggregates)


class AnalyticResponse(Response):
    """The answer to an analytic of this kind, as it is sent."""

    media_type = "application/json"
    kind: str


def _sent(answer: Rendered, kind: str) -> Response:
    response = AnalyticResponse(answer.body, headers={GENERATION_HEADER: str(answer.generation)})
    response.kind = kind
    return response


def _part(pick: Callable[[Components], Part]) -> Callable[[Request], Coroutine[Any, Any, Part]]:
    """Gives routes a part of the application; as a plain function it would cost a thread hop per request."""

    async def picked(request: Request) -> Part:
        return pick(components(request))

    return picked


async def _promised(request: Request) -> int | None:
    """The generation of the request's view, and so not less than a client's minimum.

    Without a view answers are of the newest generation that there is: None.
    """
    view: MarketView | None = request.state.view
    return None if view is None else view.generation


async def _caller(request: Request) -> TokenHolder:
    caller: TokenHolder = request.state.caller
    return caller


async def _page(
    limit: Annotated[
        int, Query(ge=1, le=LARGEST_LIMIT, description="Most items to return", examples=[100]), WHOLE
    ] = 100,
    offset: Annotated[int, Query(ge=0, le=LARGEST_OFFSET, description="Items to skip", examples=[0]), WHOLE] = 0,
) -> Page:
    return Page(limit, offset)


FirstDate = Annotated[IsoDate | None, Query(alias="from", description="First date")]
LastDate = Annotated[IsoDate | None, Query(alias="to", description="Last date, included")]
ReadsService = Annotated[Reads, Depends(_part(lambda parts: parts.reads))]
StressService = Annotated[StressTests, Depends(_part(lambda parts: parts.stress_tests))]
OperatorsService = Annotated[Operators, Depends(_part(lambda parts: parts.operators))]
ReportsService = Annotated[Reports, Depends(_part(lambda parts: parts.reports))]
OnboardingService = Annotated[OnboardingQueue, Depends(_part(lambda parts: parts.onboarding))]
BarsService = Annotated[BarDecisions, Depends(_part(lambda parts: parts.bars))]
DecisionsService = Annotated[Decisions, Depends(_part(lambda parts: parts.decisions))]
WritesService = Annotated[Writes, Depends(_part(lambda parts: parts.writes))]
PositionWritesService = Annotated[PositionWrites, Depends(_part(lambda parts: parts.position_writes))]
ExportsService = Annotated[Exports, Depends(_part(lambda parts: parts.exports))]
# Lists do not state a generation, but may be of none before what other answers to the same request would state.
Promised = Annotated[int | None, Depends(_promised)]
Caller = Annotated[TokenHolder, Depends(_caller)]
AskedAnalytics = Annotated[OwnPortfolio, Depends(_own_portfolio)]
AskedAggregate = Annotated[OwnPortfolios, Depends(_own_portfolios)]
PageQuery = Annotated[Page, Depends(_page)]
SymbolPath = Annotated[
    str, Path(description="Ticker in Yahoo spelling", pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,20}$", examples=["BRK-B"])
]
SessionPath = Annotated[IsoDate, Path(description="Session of the exchange, ISO date", examples=["2025-07-31"])]
