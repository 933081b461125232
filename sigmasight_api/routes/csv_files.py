"""Files of comma-separated values: how they are answered, and that their routes are found by what is sent too."""

import re
from collections.abc import Iterator

from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CSV = "text/csv"
OF_PORTFOLIOS = re.compile(r"/portfolios(/[^/]+/positions)?\.csv$")


class CsvResponse(StreamingResponse):
    """A file to be kept."""

    media_type = CSV

    def __init__(self, content: Iterator[str], status_code: int = 200, *, filename: str = "sigmasight.csv") -> None:
        super().__init__(content, status_code)
        self.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
        self.headers["X-Content-Type-Options"] = "nosniff"


class CsvPaths:
    """Lets a file that is posted to ``/portfolios`` or ``/portfolios/ID/positions`` find the route of files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["method"] == "POST" and _is_csv(scope):
            path = f"{scope['path']}.csv"
            if OF_PORTFOLIOS.search(path):
                scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


def _is_csv(scope: Scope) -> bool:
    kinds = (value for name, value in scope["headers"] if name == b"content-type")
    return next(kinds, b"").split(b";")[0].strip().lower() == CSV.encode()
