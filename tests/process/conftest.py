"""Real daemons in a home of their own, with the demo model on one thread."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from puna.client import ControlClient, DaemonStatus
from puna.instance import Endpoint, read_endpoint
from puna.paths import Paths

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 60.0


@dataclass
class RunningDaemon:
    """A `puna serve` that answers."""

    process: subprocess.Popen[str]
    endpoint: Endpoint
    paths: Paths
    output: Path | None = None
    """What it prints, where that is kept."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.endpoint.port}"

    @property
    def status(self) -> DaemonStatus:
        return ControlClient(self.endpoint, _ANSWER_TIMEOUT_S).status()

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_for_model(self) -> psutil.Process:
        """Wait until the default model is ready; return its worker."""
        wait_until(lambda: any(model.state == "ready" for model in self.status.models))
        (worker,) = self.workers
        return worker

    def stop(self) -> int:
        """Ask it to stop and return its exit code."""
        ControlClient(self.endpoint, _ANSWER_TIMEOUT_S).shutdown()
        return self.process.wait(_STOP_TIMEOUT_S)


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Poll; fails the test when it does not become so. The time is a bound, not a measure."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a process that keeps its files in `home`."""
    source = str(Path(__file__).parents[2] / "daemon")
    settings = {"PUNA_HOME": str(home), "PUNA_THREADS": "1", "PUNA_RATE_LIMITS": "off"}
    settings["HF_HUB_CACHE"] = str(home / "hub")
    return {**os.environ, **settings, "PYTHONPATH": source}


StartDaemon = Callable[..., RunningDaemon]


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    started: list[RunningDaemon] = []
    processes: list[subprocess.Popen[str]] = []
    children: list[psutil.Process] = []

    def start(*flags: str) -> RunningDaemon:
        paths = Paths.under(tmp_path)
        # Not a pipe: one that nobody reads is full one day, and the daemon stands still.
        output = tmp_path / f"output-{len(processes)}.txt"
        with output.open("wb") as stdout:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "puna", "serve", "--port", "0", *flags],
                env=environment(tmp_path),
                stdout=stdout,
                stderr=subprocess.STDOUT,
                text=True,
            )
        processes.append(process)
        wait_until(lambda: _is_of(process, read_endpoint(paths.endpoint_file), output), _START_TIMEOUT_S)
        endpoint = read_endpoint(paths.endpoint_file)
        assert endpoint is not None
        daemon = RunningDaemon(process, endpoint, paths, output)
        started.append(daemon)
        return daemon

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            children.extend(daemon.workers)
            assert daemon.stop() == 0
    for process in processes:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "a worker outlived its daemon"


def _is_of(process: subprocess.Popen[str], endpoint: Endpoint | None, output: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"the daemon ended with {process.returncode}: {output.read_text()}")
    return endpoint is not None and endpoint.pid == process.pid


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> RunningDaemon:
    daemon = start_daemon()
    daemon.wait_for_model()
    return daemon
