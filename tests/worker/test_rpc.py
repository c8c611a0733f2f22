"""RPC servers are tried before llama.cpp waits for them without end, and each is added once."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from puna.llama import rpc
from puna.llama.model import LlamaError

Add = Callable[[bytes], int | None]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was given to llama.cpp's registry."""
    given: list[int] = []

    class Registry:
        def ggml_backend_register(self, backend: int) -> None:
            given.append(backend)

    monkeypatch.setattr(rpc, "_registry", Registry())
    monkeypatch.setattr(rpc, "_added", set())
    return given


@pytest.fixture
def server() -> Iterator[str]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def answer(monkeypatch: pytest.MonkeyPatch, add: Add) -> None:
    monkeypatch.setattr(rpc, "_find_add_server", lambda: add)


def test_a_server_is_added_once(monkeypatch: pytest.MonkeyPatch, registered: list[int], server: str) -> None:
    asked: list[bytes] = []

    def add(name: bytes) -> int:
        asked.append(name)
        return 4711

    answer(monkeypatch, add)
    rpc.add_servers([server, server])
    rpc.add_servers([server])
    assert asked == [server.encode()]
    assert registered == [4711]


def test_a_server_of_another_kind_or_version_is_said(
    monkeypatch: pytest.MonkeyPatch, registered: list[int], server: str
) -> None:
    answer(monkeypatch, lambda _: None)
    with pytest.raises(LlamaError, match=r"no RPC server that this llama\.cpp can talk to"):
        rpc.add_servers([server])
    assert registered == []


def test_a_server_that_never_greets_is_left(
    monkeypatch: pytest.MonkeyPatch, registered: list[int], server: str
) -> None:
    end = threading.Event()

    def wait(_: bytes) -> None:
        end.wait(60)

    monkeypatch.setattr(rpc, "_GREETING_TIMEOUT_S", 0.05)
    answer(monkeypatch, wait)
    with pytest.raises(LlamaError, match="no RPC server that this"):
        rpc.add_servers([server])
    end.set()
    assert registered == []


@pytest.mark.parametrize("name", ["127.0.0.1:1", "[::1]:1", "no-such-host.invalid:50052", "127.0.0.1:99999"])
def test_a_server_that_is_not_there_is_said_with_its_name(
    monkeypatch: pytest.MonkeyPatch, registered: list[int], name: str
) -> None:
    def add(_: bytes) -> int:
        raise AssertionError

    answer(monkeypatch, add)
    with pytest.raises(LlamaError, match="cannot be reached") as caught:
        rpc.add_servers([name])
    assert name in str(caught.value)


def test_a_llama_cpp_without_rpc_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "can_use_servers", lambda: False)
    with pytest.raises(LlamaError, match="GGML_RPC=on"):
        rpc.add_servers(["127.0.0.1:1"])
    rpc.add_servers([])
