"""Hosts of a test: network namespaces on a bridge, each with an address and a name of its own.

Only root may make them. All of it is gone after the block, with the processes that were started in it ended before.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest


@dataclass(frozen=True)
class Host:
    """A namespace; its link is the cable that it hangs on."""

    name: str
    namespace: str
    address: str
    link: str

    def command(self, *command: str) -> list[str]:
        """What runs a command on this host."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name, *command]
        return ["ip", "netns", "exec", self.namespace, *named]

    def unplug(self) -> None:
        """Nothing goes in or out from here on, and nobody is told."""
        _run("ip", "link", "set", self.link, "down")

    def plug_in(self) -> None:
        """The link is as it was."""
        _run("ip", "link", "set", self.link, "up")


@dataclass(frozen=True)
class Network:
    """A bridge; ``address`` is this machine's on it, ``subnet`` everybody's."""

    address: str
    subnet: str
    hosts: Sequence[Host]


def require(program: str) -> str:
    """The program; without it the test is skipped, and fails where it must be installed."""
    found = shutil.which(program, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))
    if found is None:
        problem = f"{program} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    return found


@contextmanager
def network(*names: str) -> Iterator[Network]:
    """A network with a host of each name for the block; skipped where this user may make none."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux makes network namespaces")
    require("ip")
    mark = uuid4().hex[:6]
    # Of the addresses that RFC 2544 keeps for tests of networks.
    prefix = f"198.18.{int(mark[:2], 16)}"
    bridge = f"sgm{mark}"
    with ExitStack() as stack:
        _require_rights(mark, stack)
        _run("ip", "link", "add", bridge, "type", "bridge")
        stack.callback(_run, "ip", "link", "del", bridge)
        _run("ip", "addr", "add", f"{prefix}.1/24", "dev", bridge)
        _run("ip", "link", "set", bridge, "up")
        hosts = [
            _host(stack, name, f"{prefix}.{number}", bridge, f"s{mark}{number}")
            for number, name in enumerate(names, start=11)
        ]
        yield Network(f"{prefix}.1", f"{prefix}.0/24", hosts)


def _host(stack: ExitStack, name: str, address: str, bridge: str, key: str) -> Host:
    host = Host(name, f"ns{key}", address, f"v{key}")
    _run("ip", "netns", "add", host.namespace)
    stack.callback(_run, "ip", "netns", "del", host.namespace)
    _run("ip", "link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _run("ip", "link", "set", host.link, "master", bridge, "up")
    for command in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
        _run("ip", "-n", host.namespace, *command)
    _run("ip", "-n", host.namespace, "link", "set", "lo", "up")
    return host


def _require_rights(mark: str, stack: ExitStack) -> None:
    """Containers without the right refuse the first of all."""
    made = subprocess.run(["ip", "netns", "add", f"probe{mark}"], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    stack.callback(_run, "ip", "netns", "del", f"probe{mark}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
