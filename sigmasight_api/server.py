"""The server process: ``python -m sigmasight_api.server --port 8000``.

The application alone, under another ASGI server, lacks what this adds: deadlines for requests, ceilings for heads and
connections, and a log that nobody can forge.
"""

import argparse
import gc
import resource
import sys
from contextlib import suppress
from typing import Any

import uvicorn

from sigmasight_api.deadlines import GuardedProtocol
from sigmasight_api.logs import CONFIGURATION

APPLICATION = "sigmasight_api.app:create_app"
LOOPBACK = "127.0.0.1"
BACKLOG = 2_048
STOP_SECONDS = 5
# By then the market view is loaded, and with it the last modules.
SETTLED_TICKS = 50
# How long a thread that computes keeps the interpreter while the one that answers wants it: Python's 5 ms would be
# waited several times in a request, as often as it reads from a socket.
SWITCH_SECONDS = 0.0005
# A connection needs a descriptor; many systems begin with 1,024.
DESCRIPTORS = 8_192


class LongRunning(uvicorn.Server):
    """A server whose garbage collector looks at what requests leave behind, not at what stays until the end."""

    _ticks = 0

    async def on_tick(self, counter: int) -> bool:
        """What uvicorn does ten times a second; once, soon after the start, what lives by then is set aside."""
        self._ticks += 1
        if self._ticks == SETTLED_TICKS:
            # Modules, routes, models: half a million objects. A full collection of them stops everything for 150 ms.
            gc.collect()
            gc.freeze()
        return await super().on_tick(counter)


def configuration(application: Any, *, port: int, host: str = LOOPBACK, **options: Any) -> uvicorn.Config:
    """How an application, or what the factory that a text names makes, is served; ``options`` are uvicorn's."""
    chosen: dict[str, Any] = {
        "factory": isinstance(application, str),
        "http": GuardedProtocol,
        "ws": "none",
        "server_header": False,
        "backlog": BACKLOG,
        "timeout_graceful_shutdown": STOP_SECONDS,
        "log_config": CONFIGURATION,
    }
    return uvicorn.Config(application, host=host, port=port, **(chosen | options))


def server(application: Any, *, port: int, host: str = LOOPBACK, **options: Any) -> uvicorn.Server:
    """A server beside other work in the same process, whose garbage collector it leaves alone."""
    return uvicorn.Server(configuration(application, port=port, host=host, **options))


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sigmasight_api.server", description="Serve the API.")
    parser.add_argument("application", nargs="?", default=APPLICATION, help="a factory, as module:name")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on; default: loopback")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    arguments = parser.parse_args()
    allow_many_descriptors()
    sys.setswitchinterval(SWITCH_SECONDS)
    LongRunning(configuration(arguments.application, host=arguments.host, port=arguments.port)).run()


def allow_many_descriptors() -> None:
    """Raise this process's limit of open files as far as it may, up to what the connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
