"""An application that tells which process answers, for tests of serving by several processes."""

import os
import time

from starlette.types import ASGIApp, Receive, Scope, Send

# While a file of this name is in the working directory, the process is not ready.
NOT_READY = "not-ready"


def make() -> ASGIApp:
    """The factory."""
    return answer


def broken() -> ASGIApp:
    """A factory that fails."""
    raise SystemExit("a wrong setting")


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The id of this process; ``/hang`` blocks it, ``/exit`` ends it at once."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
        return
    path = scope["path"]
    if path == "/hang":
        time.sleep(3600.0)
    if path == "/exit":
        os._exit(7)
    is_waiting = path == "/health/ready" and os.path.exists(NOT_READY)  # noqa: PTH110
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 503 if is_waiting else 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
