"""An application whose start is complete once it is ready: a server begins to listen after that."""

import asyncio
from collections.abc import Callable

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READY_PATH = "/health/ready"
ASK_SECONDS = 0.1


class ReadyFirst:
    """The application within, asked for its readiness before the server is told that it has started."""

    def __init__(self, app: ASGIApp, is_given_up: Callable[[], bool]) -> None:
        self._app = app
        self._is_given_up = is_given_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, the word that it has started with a delay."""

        async def send_when_ready(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._be_ready()
            await send(message)

        await self._app(scope, receive, send if scope["type"] != "lifespan" else send_when_ready)

    async def _be_ready(self) -> None:
        """Return when requests should be sent here, which one that cannot tell says at once."""
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            while (await client.get(READY_PATH)).status_code == httpx.codes.SERVICE_UNAVAILABLE:
                if self._is_given_up():
                    return
                await asyncio.sleep(ASK_SECONDS)
