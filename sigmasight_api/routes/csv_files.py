"""Files of comma-separated values: how they are answered, and that their routes are found by what is sent too."""

from collections.abc import Iterator

from fastapi.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CSV = "text/csv"


class CsvResponse(StreamingResponse):
    """A file to be kept."""

    media_type = CSV

    def __init__(self, content: Iterator[str], status_code: int = 200, *, filename: str = "sigmasight.csv") -> None:
        super().__init__(content, status_code)
        self.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
        self.headers["X-Content-Type-Options"] = "nosniff"


class CsvPaths:
    """Lets a file that is posted to ``/portfolios`` or ``.../positions`` find the route of files, ``....csv``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["method"] == "POST" and _is_csv(scope):
            path = scope["path"]
            if path.endswith(("/portfolios", "/positions")):
                scope = {**scope, "path": f"{path}.csv", "raw_path": f"{path}.csv".encode()}
        await self._app(scope, receive, send)


def _is_csv(scope: Scope) -> bool:
    kinds = (value for name, value in scope["headers"] if name == b"content-type")
    return next(kinds, b"").split(b";")[0].strip().lower() == CSV.encode()
