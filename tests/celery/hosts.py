"""Machines of their own: network namespaces, each with an address, that reach this machine over a bridge."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.celery.broker import give_up

# For tests of networks between machines (RFC 2544): no real host has one of these.
NETWORK = "198.18.73"
GATEWAY = f"{NETWORK}.1"
MASK = f"{NETWORK}.0/24"
BRIDGE = "sigmasight0"


def need_namespaces() -> None:
    """Skip the test where this user may make no namespaces, and say why; in CI it fails."""
    if shutil.which("ip") is None:
        reason = "ip is not installed (Debian: apt-get install iproute2)"
    elif os.geteuid() != 0:
        reason = "network namespaces need root"
    elif subprocess.run(["ip", "link", "show", BRIDGE], capture_output=True, check=False).returncode == 0:
        reason = f"another test uses the bridge {BRIDGE}"
    else:
        tried = subprocess.run(
            ["ip", "link", "add", BRIDGE, "type", "bridge"], capture_output=True, text=True, check=False
        )
        if tried.returncode == 0:
            _ip("link", "del", BRIDGE)
            return
        reason = f"this machine has no bridges: {tried.stderr.strip()}"
    give_up(reason)


@dataclass(frozen=True)
class Host:
    """A machine: what runs there has no other network than its own."""

    name: str
    address: str

    @property
    def prefix(self) -> Sequence[str]:
        """What a command is put behind to run there."""
        return ("ip", "netns", "exec", self.name)

    def link(self, state: str) -> None:
        """Its cable: ``down`` or ``up``."""
        _ip("-n", self.name, "link", "set", "eth0", state)


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many machines for the block, and this one as the gateway."""
    with ExitStack() as taking_away:
        _ip("link", "add", BRIDGE, "type", "bridge")
        taking_away.callback(_ip, "link", "del", BRIDGE)
        _ip("address", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        found = []
        for number in range(count):
            host = Host(f"sigmasight-{number}", f"{NETWORK}.{10 + number}")
            _ip("netns", "add", host.name)
            taking_away.callback(_ip, "netns", "del", host.name)
            port = f"{BRIDGE}p{number}"
            _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            _ip("link", "set", port, "master", BRIDGE, "up")
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "lo", "up")
            host.link("up")
            found.append(host)
        yield found


def let_in(data_directory: Path) -> None:
    """Have a database server take connections from these machines, with a password."""
    with (data_directory / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write(f"host all all {MASK} scram-sha-256\n")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
