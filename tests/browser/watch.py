"""Whatever a page does that nobody sees: messages in the console, errors, failed requests, requests to other hosts."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

# Requests of these schemes leave nothing.
INSIDE = ("data", "blob", "about")
# Told by the answer or by the failed request as well, with more about it.
TOLD_TWICE = "Failed to load resource:"
# The page itself gave up on a request, as when another portfolio is chosen meanwhile.
GIVEN_UP = "net::ERR_ABORTED"


class Watch:
    """What went wrong in the pages of a browser context since it was made."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        """``origin`` is the only host that pages may ask, such as ``http://127.0.0.1:8000``."""
        self._host = urlsplit(origin).netloc
        self._found: list[str] = []
        self._refused: list[tuple[int, str]] = []
        self._expected: set[tuple[int, str]] = set()
        self._anywhere: set[int] = set()
        self._is_lost = False
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def expect(self, status: int, path: str) -> None:
        """Declare that answers of this status from this path belong to the test; at least one has to come."""
        self._expected.add((status, path))

    def expect_refused(self, status: int) -> None:
        """Declare that answers of this status may come from any path from now on, and that at least one has to."""
        self._anywhere.add(status)

    def expect_lost(self) -> None:
        """Declare that the service will be away or interrupted: requests may fail without an answer."""
        self._is_lost = True

    def problems(self) -> list[str]:
        """Everything that was not declared, and what was declared and did not happen."""
        refused = [
            f"{status} from {path}"
            for status, path in self._refused
            if (status, path) not in self._expected and status not in self._anywhere
        ]
        missing = [f"no {status} came from {path}" for status, path in self._expected - set(self._refused)]
        missing += [f"no {status} came" for status in self._anywhere - {status for status, _ in self._refused}]
        return [*self._found, *refused, *missing]

    def forget(self) -> None:
        """Begin anew with the same pages."""
        self._found.clear()
        self._refused.clear()
        self._expected.clear()
        self._anywhere.clear()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(TOLD_TWICE):
            place = message.location
            self._found.append(f"console {message.type}: {message.text} ({place['url']}:{place['lineNumber']})")

    def _error(self, error: WebError) -> None:
        self._found.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in INSIDE and address.netloc != self._host:
            self._found.append(f"request to another host: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != GIVEN_UP and not self._is_lost:
            self._found.append(f"failed request: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._refused.append((response.status, urlsplit(response.url).path))
