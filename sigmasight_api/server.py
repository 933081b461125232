"""The server process: ``python -m sigmasight_api.server --port 8000 --processes 4``.

The application alone, under another ASGI server, lacks what this adds: deadlines for requests, ceilings for heads and
connections, a log that nobody can forge, and several processes at one address.
"""

import argparse
import asyncio
import gc
import logging
import resource
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn

from sigmasight_api.deadlines import GuardedProtocol
from sigmasight_api.logs import CONFIGURATION
from sigmasight_api.ready_first import ReadyFirst
from sigmasight_api.siblings import IS_SUPPORTED, Place, Siblings, reserve, shared_sockets

logger = logging.getLogger(__name__)

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
MOST_PROCESSES = 64


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


class Sibling(LongRunning):
    """One of several at an address: it listens once it is ready, and ends when its parent is gone."""

    def __init__(self, config: uvicorn.Config, place: Place) -> None:
        super().__init__(config)
        self._place = place
        # Whoever reaches the address reaches any of them, health checks too: so none may listen that is not ready.
        config.loaded_app = ReadyFirst(config.loaded_app, lambda: self.should_exit)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """What uvicorn does, with an eye on the parent."""
        asyncio.get_running_loop().add_reader(self._place.lifeline, self._be_orphaned)
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """What is done ten times a second."""
        self._place.give_sign()
        return await super().on_tick(counter)

    def _be_orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(self._place.lifeline)
        logger.warning("The parent process is gone: this one ends")
        self.should_exit = True


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
    parser.add_argument("--processes", type=int, default=1, help="how many serve at this address; default: one")
    arguments = parser.parse_args()
    if not 1 <= arguments.processes <= MOST_PROCESSES:
        parser.error(f"--processes is between 1 and {MOST_PROCESSES}")
    if arguments.processes > 1 and not IS_SUPPORTED:
        parser.error("several processes share an address on Linux only: give each a port of its own")
    allow_many_descriptors()
    sys.setswitchinterval(SWITCH_SECONDS)
    config = configuration(arguments.application, host=arguments.host, port=arguments.port)
    if arguments.processes == 1:
        LongRunning(config).run()
    else:
        serve_together(config, arguments.processes)


def serve_together(config: uvicorn.Config, count: int) -> None:
    """Serve in so many processes until SIGINT or SIGTERM; ends the program when the address is taken.

    The application is made once, before there is a second process: a wrong setting ends the program, all have the same
    scenarios, and the memory of modules and routes is shared.
    """
    try:
        kept, config.port = reserve(config.host, config.port)
    except OSError as error:
        raise SystemExit(f"Cannot listen on {config.host}:{config.port}: {error.strerror}") from None
    config.load()
    gc.collect()
    gc.freeze()
    logger.info("%d processes serve on http://%s:%d", count, config.host, config.port)
    Siblings(partial(_serve, config), count).run()
    for one in kept:
        one.close()


def _serve(config: uvicorn.Config, place: Place) -> None:
    Sibling(config, place).run(sockets=[*shared_sockets(config.host, config.port)])


def allow_many_descriptors() -> None:
    """Raise this process's limit of open files as far as it may, up to what the connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
