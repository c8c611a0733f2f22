"""The real commands with the real daemon, as a user types them."""

import json
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from puna import instance, launch
from puna.paths import Paths

Puna = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def puna(home: Paths) -> Iterator[Puna]:
    """Run a command as a process of its own; a daemon that is left is stopped."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = launch.child_command(*arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    yield run
    stopped = run("stop", "--timeout", "10")
    assert stopped.returncode == 0, stopped.stderr
    assert not instance.is_locked(home)


def test_a_day_in_the_life_of_a_daemon(puna: Puna, home: Paths) -> None:
    assert puna("status").returncode == 3

    started = puna("start", "--port", "0", "--no-load-on-start")
    assert started.returncode == 0, started.stderr
    endpoint = instance.read_endpoint(home.endpoint_file)
    assert endpoint is not None
    assert f"runs at {endpoint.url} (process {endpoint.pid})" in started.stdout
    assert f"curl {endpoint.url}/generate" in started.stdout
    with urllib.request.urlopen(f"{endpoint.url}/health") as answer:  # noqa: S310 - always http
        assert json.load(answer) == {"status": "healthy"}

    again = puna("start")
    assert (again.returncode, "already runs" in again.stdout) == (0, True)
    second = puna("serve", "--port", "0")
    assert second.returncode == 75
    assert (
        second.stderr
        == f"puna: Puna already runs at {endpoint.url} (process {endpoint.pid}); `puna stop` ends it.\n"
    )

    status = puna("status", "--json")
    assert (status.returncode, json.loads(status.stdout)["pid"]) == (0, endpoint.pid)
    assert "No model is loaded" in puna("status").stdout
    assert "GET /health locallab 200" in puna("logs").stdout

    stopped = puna("stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"Puna stopped (process {endpoint.pid}).\n")
    assert puna("status").returncode == 3
    assert not home.endpoint_file.exists()
    log = home.daemon_log.read_text(encoding="utf-8") + home.output_file.read_text(encoding="utf-8")
    assert endpoint.token not in log


def test_a_taken_port_is_said_with_its_holder_in_both_ways_to_start(puna: Puna) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port: int = holder.getsockname()[1]
        for command in ("serve", "start"):
            ended = puna(command, "--port", str(port))
            assert ended.returncode == 1
            assert f"Port {port} on 127.0.0.1 is taken by " in ended.stderr
            assert "choose another port with --port" in ended.stderr
            assert "Traceback" not in ended.stderr


def test_a_reader_that_leaves_early_is_no_error(puna: Puna, home: Paths) -> None:
    home.daemon_log.parent.mkdir(parents=True)
    home.daemon_log.write_text("line\n" * 100_000)
    command = launch.child_command("logs", "-n", "100000")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        assert logs.stderr is not None
        assert logs.stdout.readline().strip() == b"line"
        logs.stdout.close()
        assert logs.stderr.read() == b""
