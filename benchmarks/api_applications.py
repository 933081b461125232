"""The applications that the API's benchmark starts beside the real one; factories, as ``create_app`` is."""

from typing import NoReturn

from fastapi import FastAPI, Request, Response

from sigmasight_api.app import create_app
from sigmasight_api.exposure_schemas import FactorExposures
from sigmasight_api.loader import ViewLoader
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import StorageError

Answer = AnalyticsAnswer[FactorExposures]


def empty() -> FastAPI:
    """An application with two routes that do nothing: what FastAPI itself costs on this machine.

    ``PUT /empty`` takes the document that they answer with, so that the same bytes are sent: ``GET /empty`` as they
    are, ``GET /empty-model`` by a response model.
    """
    app = FastAPI()

    @app.put("/empty")
    async def take(request: Request) -> None:
        app.state.empty = await request.body()
        app.state.empty_model = Answer.model_validate_json(app.state.empty)

    @app.get("/empty")
    async def get_empty() -> Response:
        return Response(app.state.empty, media_type="application/json")

    @app.get("/empty-model")
    async def get_empty_model() -> Answer:
        model: Answer = app.state.empty_model
        return model

    @app.get("/health/live")
    async def is_live() -> None:
        return None

    return app


def without_view() -> FastAPI:
    """The API whose market view never loads, as when the database refuses it: every answer is made by queries."""
    ViewLoader.load = _refuse  # type: ignore[assignment,method-assign]
    return create_app()


def _refuse(_: ViewLoader, *, previous: MarketView | None = None) -> NoReturn:
    """Fail as a load does; views of some symbols are read by another method, and as always."""
    have = "none" if previous is None else previous.generation
    raise StorageError(f"This benchmark loads no view of all symbols; it has {have}")
