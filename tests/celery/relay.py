"""The way from a worker's machine to the database, to be cut and mended while the way to the broker stays."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import make_url

from sigmasight_assets.services.ports import LOOPBACK, free_port

PIECE = 65536
WAIT_SECONDS = 30.0


class Relay:
    """A port on loopback that leads to the database while it is open, and refuses while it is closed."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._port = free_port()
        self._callers: list[tuple[socket.socket, threading.Thread]] = []
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The database by this way."""
        return self._url.set(host=LOOPBACK, port=self._port).render_as_string(hide_password=False)

    def open(self) -> None:
        """Let everybody through from now on."""
        self._listener = socket.create_server((LOOPBACK, self._port))
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Let nobody through any more, and cut who is."""
        if self._listener is None or self._accepting is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(WAIT_SECONDS)
        assert not self._accepting.is_alive()
        self._listener.close()
        self._listener = None
        for caller, serving in self._callers:
            with suppress(OSError):
                caller.shutdown(socket.SHUT_RDWR)
            serving.join(WAIT_SECONDS)
            assert not serving.is_alive()
        self._callers.clear()

    def _accept(self, listener: socket.socket) -> None:
        # Ends when the listener is shut down.
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                serving = threading.Thread(target=self._serve, args=(caller,), daemon=True)
                serving.start()
                self._callers.append((caller, serving))

    def _serve(self, caller: socket.socket) -> None:
        """Pass on what comes from either side, until one has hung up."""
        address = self._url.host or LOOPBACK, self._url.port or 5432
        with caller, suppress(OSError), socket.create_connection(address) as server:
            while True:
                for source in select.select([caller, server], [], [])[0]:
                    piece = source.recv(PIECE)
                    if not piece:
                        return
                    (server if source is caller else caller).sendall(piece)


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    """An open way to the database for the block."""
    way = Relay(url)
    way.open()
    try:
        yield way
    finally:
        way.close()
