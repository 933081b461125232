"""Tests of port checks, against real listening sockets."""

import os
import socket
from collections.abc import Iterator

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.ports import LOOPBACK, accepts, free_port, is_free, port_holder, require_free_ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield listener.getsockname()[1]


def test_a_free_port_can_be_used_and_nothing_answers_there() -> None:
    port = free_port()
    assert is_free(port)
    assert not accepts(port)
    assert port_holder(port) is None


def test_a_taken_port_is_seen_with_its_holder(taken_port: int) -> None:
    assert not is_free(taken_port)
    assert accepts(taken_port)
    assert f"process {os.getpid()}" in (port_holder(taken_port) or "")


def test_a_listener_on_every_address_takes_the_port_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104
        assert not is_free(listener.getsockname()[1])


def test_requirements_name_port_setting_holder_and_way_out(taken_port: int) -> None:
    with pytest.raises(ServiceError) as failure:
        require_free_ports({"SIGMASIGHT_UI_PORT": taken_port, "SIGMASIGHT_API_PORT": free_port()})
    message = str(failure.value)
    assert f"Port {taken_port} is taken by" in message
    assert f"process {os.getpid()}" in message
    assert "set SIGMASIGHT_UI_PORT to a free port" in message
    assert "SIGMASIGHT_API_PORT" not in message


def test_one_port_for_two_services_is_refused() -> None:
    port = free_port()
    with pytest.raises(ServiceError, match="SIGMASIGHT_UI_PORT and SIGMASIGHT_API_PORT must be different"):
        require_free_ports({"SIGMASIGHT_UI_PORT": port, "SIGMASIGHT_API_PORT": port})


def test_free_ports_pass() -> None:
    with socket.create_server((LOOPBACK, 0)) as first, socket.create_server((LOOPBACK, 0)) as second:
        ports = first.getsockname()[1], second.getsockname()[1]
    require_free_ports({"SIGMASIGHT_UI_PORT": ports[0], "SIGMASIGHT_API_PORT": ports[1]})
