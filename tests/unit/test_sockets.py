"""Who holds a port."""

import os
import socket
from collections.abc import Iterator
from typing import NamedTuple

import psutil
import pytest

from puna.sockets import port_holder, port_in_use


class Address(NamedTuple):
    ip: str
    port: int


class Connection(NamedTuple):
    status: str
    laddr: Address
    pid: int | None


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_the_holder_of_a_port_has_a_name_and_a_number(taken_port: int) -> None:
    assert port_holder(taken_port) == f"{psutil.Process().name()} (process {os.getpid()})"


def test_a_port_that_nobody_listens_on_has_no_holder() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert port_holder(silent.getsockname()[1]) is None


def test_a_taken_port_is_said_with_its_holder_and_the_next_step(taken_port: int) -> None:
    error = port_in_use("127.0.0.1", taken_port)
    assert str(error) == (
        f"Port {taken_port} on 127.0.0.1 is taken by {psutil.Process().name()} (process {os.getpid()}): "
        "stop that program, or choose another port with --port."
    )


def test_a_connection_from_the_port_is_no_holder(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = [
        Connection("ESTABLISHED", Address("127.0.0.1", taken_port), os.getpid()),
        Connection("LISTEN", Address("127.0.0.1", taken_port + 1), os.getpid()),
        Connection("LISTEN", Address("127.0.0.1", taken_port), None),
    ]
    monkeypatch.setattr(psutil, "net_connections", lambda **_: connections)
    assert port_holder(taken_port) is None
    assert "is taken by another program:" in port_in_use("127.0.0.1", taken_port).message


def test_own_programs_are_found_where_the_system_hides_all_others(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", deny)
    monkeypatch.setattr(psutil, "process_iter", lambda: [psutil.Process()])
    assert f"(process {os.getpid()})" in (port_holder(taken_port) or "")
