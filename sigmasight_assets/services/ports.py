"""Loopback TCP ports: choosing a free one, and saying who holds a taken one."""

import errno
import socket
from collections.abc import Mapping

import psutil

from sigmasight_assets.errors import ServiceError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether this process could listen on the port; ``ServiceError`` when it may not at all."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError as error:
            raise ServiceError(f"This user may not listen on port {port}: choose one from 1024 on.") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def accepts(port: int) -> bool:
    """Whether something on loopback takes connections at the port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def port_holder(port: int) -> str | None:
    """Name and id of the process that listens on the port; ``None`` when this user cannot see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
            except psutil.Error:
                return f"process {connection.pid}"
    return None


def require_free_ports(ports: Mapping[str, int]) -> None:
    """Raise one ``ServiceError`` naming every taken port, its setting and, if it can be seen, its holder.

    ``ports`` maps the name of the setting, such as ``SIGMASIGHT_UI_PORT``, to the port.
    """
    problems = []
    for setting, port in ports.items():
        if not is_free(port):
            holder = port_holder(port) or "a process of another user"
            problems.append(f"Port {port} is taken by {holder}: end it or set {setting} to a free port.")
    if len(set(ports.values())) < len(ports):
        problems.append(f"{' and '.join(ports)} must be different ports.")
    if problems:
        raise ServiceError("\n".join(problems))
