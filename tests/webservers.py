"""A small HTTP server in the place of Dagster's webserver, which answers as a test wants it to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sigmasight_assets.runs import DagsterClient

LOOPBACK = "127.0.0.1"


@dataclass
class Webserver:
    """Answers every request with ``content`` and keeps what was asked; the first ``failing`` ones fail within it."""

    status: int = 200
    content: bytes = b""
    failing: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    @property
    def client(self) -> DagsterClient:
        return DagsterClient(self.url)

    def answer(self, data: object) -> "Webserver":
        self.content = json.dumps({"data": data}).encode()
        return self

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the run that was asked for last."""
        tags = self.requests[-1]["variables"]["params"]["executionMetadata"]["tags"]
        return {tag["key"]: tag["value"] for tag in tags}


@contextmanager
def webserver() -> Iterator[Webserver]:
    """One that is up for the block."""
    webserver = Webserver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            webserver.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if len(webserver.requests) <= webserver.failing else webserver.status)
            self.send_header("Content-Length", str(len(webserver.content)))
            self.end_headers()
            self.wfile.write(webserver.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        webserver.url = f"http://{LOOPBACK}:{server.server_port}/graphql"
        try:
            yield webserver
        finally:
            server.shutdown()
            thread.join()
