"""A real daemon that runs out of descriptors, and gets them back."""

import socket
import sys
from contextlib import ExitStack

import psutil
import pytest
import requests

from process.conftest import RunningDaemon, wait_until

if sys.platform != "linux":
    pytest.skip("limits of a running process can be set on Linux only", allow_module_level=True)

LIMIT = 64


def connect(daemon: RunningDaemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.endpoint.port), timeout=60)


def ask(daemon: RunningDaemon) -> int:
    body = {"prompt": "Hello", "max_length": 2}
    return requests.post(f"{daemon.url}/generate", json=body, timeout=60).status_code


def test_idle_connections_take_all_descriptors_and_give_them_back(daemon: RunningDaemon) -> None:
    process = psutil.Process(daemon.process.pid)
    at_rest = process.num_fds()
    process.rlimit(psutil.RLIMIT_NOFILE, (LIMIT, LIMIT))
    with ExitStack() as idle:
        for _ in range(2 * LIMIT):
            idle.enter_context(connect(daemon))
        wait_until(lambda: process.num_fds() == LIMIT, 60)
    wait_until(lambda: process.num_fds() < (at_rest + LIMIT) // 2, 60)
    assert ask(daemon) == 200
    assert "Traceback" not in (daemon.paths.log_dir / "daemon.log").read_text()
