"""The daemon's sockets, and how many connections they may bring."""

import socket
import sys
from collections.abc import Iterator

import pytest

from puna import listening
from puna.errors import DaemonError, PortInUseError


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Sockets that the test made, to be closed behind it."""
    made: list[socket.socket] = []
    yield made
    for each in made:
        each.close()


def test_localhost_is_every_loopback_on_one_port(sockets: list[socket.socket]) -> None:
    sockets += listening.bind("localhost", 0)
    assert {each.getsockname()[0] for each in sockets} <= {"127.0.0.1", "::1"}
    assert sockets[0].getsockname()[0] == "127.0.0.1"
    assert len({each.getsockname()[1] for each in sockets}) == 1


def test_a_port_that_is_taken_and_an_address_of_elsewhere_are_said(sockets: list[socket.socket]) -> None:
    sockets += listening.bind("127.0.0.1", 0)
    with pytest.raises(PortInUseError, match="choose another port"):
        listening.bind("127.0.0.1", sockets[0].getsockname()[1])
    with pytest.raises(DaemonError, match="not an address of this machine"):
        listening.bind("203.0.113.7", 0)


if sys.platform != "win32":
    import resource

    @pytest.mark.parametrize(
        ("limits", "raised"),
        [
            ((256, resource.RLIM_INFINITY), (8192, resource.RLIM_INFINITY)),
            ((1024, 4096), (4096, 4096)),
            ((20_000, 20_000), None),
            ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
        ],
    )
    def test_few_open_files_become_as_many_as_the_system_allows(
        sockets: list[socket.socket],
        monkeypatch: pytest.MonkeyPatch,
        limits: tuple[int, int],
        raised: tuple[int, int] | None,
    ) -> None:
        found: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
        monkeypatch.setattr(resource, "setrlimit", lambda _, new: found.append(new))
        sockets += listening.bind("127.0.0.1", 0)
        assert found == ([raised] if raised else [])

    def test_a_system_that_keeps_its_limit_is_no_reason_not_to_start(
        sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise ValueError("current limit exceeds maximum limit")

        monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
        monkeypatch.setattr(resource, "setrlimit", refuse)
        sockets += listening.bind("127.0.0.1", 0)
        assert len(sockets) == 1
