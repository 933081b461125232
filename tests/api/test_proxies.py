"""The proxies of ``docs/operator/proxy.md``, as they are written there, before the real API and in Dagster's place."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigmasight_assets.services.ports import free_port
from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api, bearer, listening, wait_until
from tests.api.market import add_portfolio, add_token
from tests.documents import DOCS, blocks

PAGE = (DOCS / "operator" / "proxy.md").read_text(encoding="utf-8")
NAME, DAGSTER = "sigmasight.example", "dagster.internal.example"
# Loopback is a whole network on Linux: the second address is a client that is not inside.
INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2"
MIB = 2**20
NGINX = """{user}daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{site}
}}
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second address of loopback")


def program(name: str) -> str:
    """The program; the test is skipped where it is not installed."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def written(name: str) -> str:
    """The configuration of this file name."""
    (found,) = (block.body for block in blocks(PAGE) if block.info.endswith(f" {name}"))
    return found


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """The text with other ports and paths; each of them has to be in it."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of both names, signed by itself, with its key beside it."""
    directory = tmp_path_factory.mktemp("certificate")
    command = [
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        f"/CN={NAME}",
    ]
    command += ["-addext", f"subjectAltName=DNS:{NAME},DNS:{DAGSTER}"]
    command += ["-keyout", str(directory / "key.pem"), "-out", str(directory / "chain.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return directory / "chain.pem"


class Proxied:
    """Requests through a proxy, from either address, by the name that the certificate is of."""

    def __init__(self, port: int, certificate: Path, *, name: str = NAME, plain_port: int = 0) -> None:
        self.plain_port = plain_port
        self._port = port
        self._name = name
        self._trust = ssl.create_default_context(cafile=str(certificate))

    def ask(self, method: str, path: str, *, address: str = INSIDE, **options: Any) -> httpx.Response:
        """One request, on a connection of its own."""
        headers = {"Host": self._name, **options.pop("headers", {})}
        with httpx.Client(transport=httpx.HTTPTransport(verify=self._trust, local_address=address), timeout=30) as http:
            url, extensions = f"https://{INSIDE}:{self._port}{path}", {"sni_hostname": self._name}
            return http.request(method, url, headers=headers, extensions=extensions, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET."""
        return self.ask("GET", path, **options)


@contextmanager
def running(command: list[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A program that listens on the port within the block."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as child:
        try:
            wait_until(lambda: child.poll() is not None or is_open(port))
            assert child.poll() is None, child.communicate()[0].decode()
            yield
        finally:
            child.terminate()
            child.communicate(timeout=20)


def is_open(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex((INSIDE, port)) == 0


@contextmanager
def nginx(site: str, directory: Path, port: int) -> Iterator[None]:
    """An nginx with this site."""
    # Its workers have to reach the directories of the tests, which are closed to all others.
    user = "user root;\n" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(NGINX.format(user=user, directory=directory, site=site))
    command = [program("nginx"), "-p", str(directory), "-e", str(directory / "error.log")]
    command += ["-c", str(directory / "nginx.conf")]
    with running(command, port):
        yield


@contextmanager
def through_nginx(target: str, certificate: Path, directory: Path) -> Iterator[Proxied]:
    """The site of the document in front of an address."""
    plain, port = free_port(), free_port()
    changes = {
        "listen 80;": f"listen {plain};",
        "listen 443 ssl;": f"listen {port} ssl;",
        "127.0.0.1:8000": target,
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(certificate),
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(certificate.with_name("key.pem")),
    }
    with nginx(replaced(written("/etc/nginx/conf.d/sigmasight.conf"), changes), directory, port):
        yield Proxied(port, certificate, plain_port=plain)


@contextmanager
def through_caddy(target: str, certificate: Path, directory: Path) -> Iterator[Proxied]:
    """The Caddyfile of the document in front of an address."""
    plain, port = free_port(), free_port()
    own = f"{{\n\tadmin off\n\tauto_https disable_certs\n\thttp_port {plain}\n\thttps_port {port}\n\tservers {{"
    changes = {
        "{\n\tservers {": own,
        f"{NAME} {{": f"{NAME} {{\n\ttls {certificate} {certificate.with_name('key.pem')}",
        "127.0.0.1:8000": target,
    }
    (directory / "Caddyfile").write_text(replaced(written("/etc/caddy/Caddyfile"), changes))
    command = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]
    with running(command, port, {**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory)}):
        yield Proxied(port, certificate, plain_port=plain)


Proxy = Callable[[str, Path, Path], AbstractContextManager[Proxied]]
by_proxy = pytest.mark.parametrize("proxy", [through_nginx, through_caddy], ids=["nginx", "caddy"])


def address_of(api: Api) -> str:
    """Where the API of the tests listens."""
    return f"{api.http.base_url.host}:{api.http.base_url.port}"


@by_proxy
def test_owners_get_the_api_and_only_the_inside_gets_the_operators_parts(
    api: Api, database: Database, proxy: Proxy, certificate: Path, tmp_path: Path
) -> None:
    add_portfolio(database, "ann", {"AAA": "10"})
    owner, admin = add_token(database, "ann"), add_token(database, "root", is_admin=True)
    with proxy(address_of(api), certificate, tmp_path) as proxied:
        direct = api.get("/api/v1/portfolios", owner)
        found = proxied.get("/api/v1/portfolios", address=OUTSIDE, headers=bearer(owner))
        assert (found.status_code, found.json()) == (200, direct.json())
        assert found.headers["strict-transport-security"] == "max-age=31536000"
        assert not any(character.isdigit() for character in found.headers.get("server", ""))
        assert proxied.get("/api/v1/portfolios", address=OUTSIDE).status_code == 401

        for path in ("/api/v1/admin/cache/status", "/health/ready"):
            assert proxied.get(path, headers=bearer(admin)).status_code == 200
        for path in ("/ops", "/api/v1/admin/cache/status", "/api/v1/admin/status", "/health/ready", "/%6fps"):
            assert proxied.get(path, address=OUTSIDE, headers=bearer(admin)).status_code == 403

        for path in ("/", "/ops", "/docs", "/docs/owner", "/page/none", "/openapi.json"):
            passed, own = proxied.get(path), api.get(path)
            assert (passed.status_code, passed.content) == (own.status_code, own.content), path
        plain = httpx.get(f"http://{INSIDE}:{proxied.plain_port}/docs?a=b", headers={"Host": NAME})
        assert plain.status_code in (301, 308)
        assert plain.headers["location"].startswith(f"https://{NAME}")
        assert plain.headers["location"].endswith("/docs?a=b")


@by_proxy
def test_files_pass_up_to_what_the_api_takes(
    api: Api, database: Database, proxy: Proxy, certificate: Path, tmp_path: Path
) -> None:
    token = add_token(database, "ann")
    headers = {**bearer(token), "Content-Type": "text/csv"}
    path = "/api/v1/portfolios.csv?name=N&stated_equity=1&as_of=2025-07-30&dry_run=true"
    line = b"# " + b"x" * 98 + b"\n"
    with proxy(address_of(api), certificate, tmp_path) as proxied:
        header = b"symbol,quantity,entry_price,entry_date\n"
        for size, status in ((7 * MIB, 200), (10 * MIB, 413)):
            sent = proxied.ask("POST", path, headers=headers, content=header + line * (size // len(line)))
            assert sent.status_code == status, sent.text


@by_proxy
def test_the_api_knows_the_client_and_believes_nobody_else(proxy: Proxy, certificate: Path, tmp_path: Path) -> None:
    async def echo(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        told = f"{scope['client'][0]} {scope['scheme']}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
        await send({"type": "http.response.body", "body": told})

    application: Any = echo
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "ftp", "Forwarded": "for=7.7.7.7"}
    with listening(application, lifespan="off") as url:
        direct = httpx.Client(transport=httpx.HTTPTransport(local_address=OUTSIDE))
        assert direct.get(url, headers=forged).text == f"{OUTSIDE} http"
        direct.close()
        with proxy(url.removeprefix("http://"), certificate, tmp_path) as proxied:
            assert proxied.get("/", address=OUTSIDE, headers=forged).text == f"{OUTSIDE} https"


def test_nginx_limits_each_client(api: Api, certificate: Path, tmp_path: Path) -> None:
    with through_nginx(address_of(api), certificate, tmp_path) as proxied, ThreadPoolExecutor(16) as pool:
        asked = list(pool.map(lambda _: proxied.get("/api/v1/portfolios", address=OUTSIDE).status_code, range(250)))
        assert set(asked) == {401, 429}
        assert proxied.get("/health/ready").status_code == 200


def test_dagsters_ui_asks_for_a_password_and_keeps_it(certificate: Path, tmp_path: Path) -> None:
    async def echo(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            names = b" ".join(sorted(name for name, _ in scope["headers"] if name in (b"authorization", b"upgrade")))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": names or b"none"})

    application: Any = echo
    port = free_port()
    secret = subprocess.run([program("openssl"), "passwd", "-apr1", "open"], capture_output=True, text=True, check=True)
    (tmp_path / "htpasswd").write_text(f"ann:{secret.stdout}")
    with listening(application, lifespan="off") as url:
        changes = {
            "listen 443 ssl;": f"listen {port} ssl;",
            "127.0.0.1:3000": url.removeprefix("http://"),
            f"/etc/letsencrypt/live/{DAGSTER}/fullchain.pem": str(certificate),
            f"/etc/letsencrypt/live/{DAGSTER}/privkey.pem": str(certificate.with_name("key.pem")),
            "/etc/nginx/dagster.htpasswd": str(tmp_path / "htpasswd"),
        }
        with nginx(replaced(written("/etc/nginx/conf.d/dagster.conf"), changes), tmp_path, port):
            proxied = Proxied(port, certificate, name=DAGSTER)
            assert proxied.get("/").status_code == 401
            assert proxied.get("/", auth=("ann", "shut")).status_code == 401
            assert proxied.get("/", address=OUTSIDE, auth=("ann", "open")).status_code == 403
            assert proxied.get("/", auth=("ann", "open")).text == "none"
            upgrading = {"Upgrade": "websocket", "Connection": "Upgrade"}
            assert proxied.get("/", auth=("ann", "open"), headers=upgrading).text == "upgrade"
