"""The application; ``server`` serves it.

The interactive documentation pages of FastAPI load their scripts from another host, so they are off; the reference is
``/openapi.json``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from sigmasight_api.components import Timing, build_components, build_stress_tests
from sigmasight_api.documents import Documents
from sigmasight_api.pages import Pages
from sigmasight_api.request_limits import Limits
from sigmasight_api.routes import (
    admin,
    aggregate,
    analytics,
    bars,
    decisions,
    exports,
    factors,
    health,
    onboarding,
    pages,
    portfolio_writes,
    portfolios,
    positions,
    risk,
    sectors,
    stress,
    symbols,
)
from sigmasight_api.routes.csv_files import CsvPaths
from sigmasight_api.routes.generation import GENERATION_HEADER, MINIMUM_HEADER
from sigmasight_api.routes.problems import ANYWHERE, describe_problems, install_handlers, problem_responses
from sigmasight_api.settings import Settings, load_settings

API_PREFIX = "/api/v1"
# Paths are compared in this order, so what is asked most comes first.
OWNERS = (
    analytics,
    risk,
    stress,
    sectors,
    aggregate,
    portfolios,
    portfolio_writes,
    positions,
    exports,
    factors,
    symbols,
)
OPERATORS = (admin, onboarding, bars, decisions)

DESCRIPTION = f"""Exact portfolio answers from published figures. Errors are application/problem+json.

An answer made of published figures names their generation in `{GENERATION_HEADER}`. A request with that number as
`{MINIMUM_HEADER}` is answered of it or a newer one by whichever process it reaches, and with 503 while it is not
published."""


def create_app(settings: Settings | None = None, *, timing: Timing | None = None) -> FastAPI:
    """The application for these settings, those of the environment unless given.

    Raises ``ConfigurationError`` when a setting or the file of scenarios it names is wrong. The database is first used
    after the server has started.
    """
    chosen = settings or load_settings()
    stress_tests = build_stress_tests(chosen)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        components = build_components(chosen, timing or Timing(), stress_tests)
        app.state.components = components
        components.start()
        try:
            yield
        finally:
            await components.admissions.close()
            await run_in_threadpool(components.close)

    app = FastAPI(
        title="SigmaSight",
        description=DESCRIPTION,
        version=version("sigmasight"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.pages, app.state.documents = Pages(), Documents()
    install_handlers(app)
    app.add_middleware(CsvPaths)
    # The last is the first to see a request.
    app.add_middleware(Limits)
    anywhere = problem_responses(*ANYWHERE)
    app.include_router(health.router, responses=anywhere)
    # Not by a router of all of them: each level of routers has the paths compared once more, 70 us a request.
    for module in (*OWNERS, *OPERATORS):
        app.include_router(module.router, prefix=API_PREFIX, responses=anywhere)
    app.include_router(pages.router)
    describe_problems(app)
    return app
