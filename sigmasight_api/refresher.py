"""The thread that keeps the market view current: a notification is a hint, a check every 20 s makes it certain."""

import contextlib
import logging
import selectors
import socket
import threading

import psycopg2

from sigmasight_api.cache import ViewCache
from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.engine import CONNECT_TIMEOUT_SECONDS, libpq_settings
from sigmasight_assets.storage.publications import CHANNEL

logger = logging.getLogger(__name__)

APPLICATION_NAME = "sigmasight_api_listener"
CLOSE_SECONDS = 10.0


class Refresher:
    """Runs from ``start`` to ``close``; a lost connection is made again, with growing pauses while that fails."""

    def __init__(self, cache: ViewCache, url: str, *, poll_seconds: float = 20.0, retry_seconds: float = 1.0) -> None:
        self._cache = cache
        own = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "application_name": APPLICATION_NAME}
        self._settings = {**libpq_settings(url), **own}
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._listener: psycopg2.extensions.connection | None = None
        self._closing = threading.Event()
        self._running: tuple[threading.Thread, socket.socket] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether notifications of new generations arrive at the moment."""
        return self._listener is not None

    def start(self) -> None:
        """Begin to load and to listen."""
        waker, woken = socket.socketpair()
        thread = threading.Thread(target=self._run, args=(woken,), name="market-view-refresher", daemon=True)
        self._running = thread, waker
        thread.start()

    def close(self) -> None:
        """Stop listening and wait for a load that is under way, at most ten seconds."""
        if self._running is None:
            return
        thread, waker = self._running
        self._running = None
        self._closing.set()
        waker.close()
        thread.join(CLOSE_SECONDS)

    def _run(self, woken: socket.socket) -> None:
        failures = 0
        while not self._closing.is_set():
            # Listening comes first: what is published while the view loads is then announced and not missed.
            healthy = [self._listen(), self._load()]
            failures = 0 if all(healthy) else failures + 1
            try:
                self._wait(self._pause(failures), woken)
            except Exception:
                # As without a free descriptor. Nobody else would bring the view up to date again.
                logger.exception("Cannot wait for new generations")
                self._closing.wait(self._retry_seconds)
        self._hang_up()
        woken.close()

    def _pause(self, failures: int) -> float:
        if failures == 0:
            return self._poll_seconds
        return min(self._poll_seconds, self._retry_seconds * 2.0 ** min(failures - 1, 10))

    def _load(self) -> bool:
        try:
            self._cache.refresh()
        except StorageError as error:
            logger.warning("The market view was not refreshed: %s", error)
            return False
        except Exception:
            logger.exception("The market view was not refreshed")
            return False
        # A replica has what was announced a moment later; it is looked at again soon.
        return not self._cache.is_behind

    def _listen(self) -> bool:
        if self._listener is not None:
            return True
        try:
            self._listener = psycopg2.connect(**self._settings)
            self._listener.autocommit = True
            with self._listener.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        except psycopg2.Error as error:
            logger.warning("Cannot listen for new generations: %s", str(error).strip())
            self._hang_up()
        return self._listener is not None

    def _wait(self, seconds: float, woken: socket.socket) -> None:
        """Return after ``seconds``, or sooner on a notification, a lost connection or the wish to close.

        Closing the other end of ``woken`` makes it readable.
        """
        # Not select.select(): it refuses descriptors beyond 1023, which a busy server reaches.
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            try:
                if self._listener is not None:
                    selector.register(self._listener, selectors.EVENT_READ)
                selector.select(seconds)
                if self._listener is not None:
                    self._listener.poll()
                    self._listener.notifies.clear()
            except (psycopg2.Error, OSError) as error:
                logger.warning("The connection that listens for new generations was lost: %s", str(error).strip())
                self._hang_up()

    def _hang_up(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(psycopg2.Error):
                self._listener.close()
        self._listener = None
