"""The client of the control API against servers that behave, refuse, lie and are gone."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from puna import client
from puna.client import ControlClient, DaemonStatus, ModelStatus
from puna.errors import NotRunningError, PunaError
from puna.event_stream import follow_events
from puna.files import make_private_folder
from puna.instance import Endpoint, InstanceLock, Presence, write_endpoint
from puna.paths import Paths

TOKEN = "token-of-the-client-tests"
STATUS = (
    b'{"instance": "i", "version": "0.1.0", "pid": 5, "uptime_s": 2.5, "address": "http://localhost:1",'
    b'"requests": 7, "news": true, "models": [{"id": "demo", "state": "ready", "slots": 8, "busy_slots": 1,'
    b'"threads": null}]}'
)
Seen = list[tuple[str, str, str | None]]


@contextmanager
def served(status: int, body: bytes, seen: Seen | None = None) -> Iterator[Endpoint]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append((self.command, self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - named by http.server
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield endpoint_at(server.server_port)
        finally:
            server.shutdown()
            thread.join()


def endpoint_at(port: int) -> Endpoint:
    return Endpoint(
        pid=5, create_time=0, host="localhost", port=port, token=TOKEN, instance="i", version="0.1.0"
    )


def test_the_status_is_read_and_the_token_sent() -> None:
    seen: Seen = []
    with served(200, STATUS, seen) as endpoint:
        status = ControlClient(endpoint).status()
    assert (status.pid, status.requests) == (5, 7)
    assert status.models == (ModelStatus(id="demo", state="ready", slots=8, busy_slots=1),)
    assert seen == [("GET", "/puna/v1/status", f"Bearer {TOKEN}")]


def test_a_stop_is_asked_for() -> None:
    seen: Seen = []
    with served(200, b'{"status": "stopping", "at_most_s": 70.5}', seen) as endpoint:
        assert ControlClient(endpoint).shutdown() == 70.5
    assert seen == [("POST", "/puna/v1/shutdown", f"Bearer {TOKEN}")]


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with served(200, STATUS) as endpoint:
        assert ControlClient(endpoint).status().instance == "i"


def test_a_refusal_is_said_in_the_words_of_the_daemon() -> None:
    body = b'{"detail": "a wrong token"}'
    with served(401, body) as endpoint, pytest.raises(PunaError, match="Puna refused: a wrong token"):
        ControlClient(endpoint).status()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"instance": 5}', b"\xff\xfe", b""])
@pytest.mark.parametrize("status", [200, 500])
def test_another_program_on_the_port_is_recognised(status: int, body: bytes) -> None:
    with served(status, body) as endpoint:
        with pytest.raises(PunaError, match="does not answer as Puna does"):
            ControlClient(endpoint).status()
        assert not client.is_answering(endpoint)


def test_a_long_list_is_read_to_its_end() -> None:
    key = b'{"id": "key_1", "name": "%b", "organisation_id": "org_1", "scopes": [], "hint": "", "created_at": 0}'
    body = b'{"keys": [%b]}' % b", ".join([key % (b"k" * 1000)] * 6000)
    with served(200, body) as endpoint:
        assert len(ControlClient(endpoint).keys()) == 6000


@pytest.mark.parametrize("data", [b'{"instance": 5}', b"half a th", b'"\xff"'])
def test_events_of_a_daemon_of_another_version_are_a_sentence(data: bytes) -> None:
    body = b"event: download\ndata: " + data + b"\n\n"
    with served(200, body) as endpoint, pytest.raises(PunaError, match="restart Puna"):
        list(follow_events(endpoint, "/puna/v1/downloads?follow=1", DaemonStatus))


def test_a_later_daemon_on_the_same_port_is_not_the_one() -> None:
    with served(200, STATUS.replace(b'"instance": "i"', b'"instance": "other"')) as endpoint:
        assert not client.is_answering(endpoint)


def test_a_closed_port_is_not_running() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port: int = closed.getsockname()[1]
        with pytest.raises(NotRunningError, match=f"Nothing answers at http://localhost:{port}"):
            ControlClient(endpoint_at(port)).status()


def test_a_program_that_never_answers_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(NotRunningError, match="TimeoutError"),
    ):
        ControlClient(endpoint_at(listener.getsockname()[1]), timeout_s=0.05).status()


@pytest.fixture
def paths(home: Paths) -> Paths:
    make_private_folder(home.run_dir)
    return home


def test_probe_finds_the_daemon_that_runs(paths: Paths) -> None:
    with served(200, STATUS) as endpoint:
        write_endpoint(paths, endpoint)
        assert client.probe(paths).presence is Presence.RUNNING
        assert client.connect(paths).status().pid == 5


def test_connecting_to_nothing_says_how_to_start(paths: Paths) -> None:
    with pytest.raises(NotRunningError, match="Puna does not run; `puna start` starts it"):
        client.connect(paths)


def test_connecting_to_one_that_starts_says_to_wait(paths: Paths) -> None:
    with InstanceLock(paths), pytest.raises(NotRunningError, match="is starting or does not answer"):
        client.connect(paths)


def test_every_call_connects_anew_so_a_restart_is_no_matter() -> None:
    def instance_at(make: Callable[[Endpoint], ControlClient]) -> str:
        with served(200, STATUS) as endpoint:
            asked = make(endpoint)
            return asked.status().instance + asked.status().instance

    assert instance_at(ControlClient) == "ii"
