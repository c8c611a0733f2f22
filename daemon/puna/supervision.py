"""Starting the daemon in the background and stopping it, from outside; bounded in time."""

import subprocess
import time
from collections.abc import Callable, Sequence
from enum import Enum

import psutil
from msgspec import Struct

from puna import client, instance, launch
from puna.errors import NotRunningError, PunaError
from puna.instance import Endpoint, Presence, Probe
from puna.logs import escape
from puna.paths import Paths

EXIT_ALREADY_RUNNING = 75
"""What `puna serve` exits with when another daemon of this user runs (EX_TEMPFAIL of sysexits.h)."""

_POLL_S = 0.05
_STOP_WAIT_S = 30.0
"""How long a daemon that answers gets to stop at least."""
_TERMINATE_WAIT_S = 3.0
_KILL_WAIT_S = 5.0


class StartOutcome(Enum):
    """How a start ended."""

    STARTED = "started"
    ALREADY_RUNNING = "already running"
    FAILED = "failed"


class Start(Struct, frozen=True):
    """How a start ended; a failed one left no process behind."""

    outcome: StartOutcome
    endpoint: Endpoint | None = None
    exit_code: int | None = None
    """Of the daemon that failed; None when it did not answer in time."""
    output: tuple[str, ...] = ()
    """The last lines that it printed."""


class StopOutcome(Enum):
    """How a stop ended."""

    NOT_RUNNING = "not running"
    STOPPED = "stopped"
    KILLED = "killed"
    FAILED = "failed"
    """Something holds the lock, and nothing says which process it is."""


class Stop(Struct, frozen=True):
    """How a stop ended, and of which daemon."""

    outcome: StopOutcome
    endpoint: Endpoint | None = None


def start_daemon(paths: Paths, arguments: Sequence[str], timeout_s: float = 30.0) -> Start:
    """Start the daemon with these flags of `puna serve`, and wait until it answers. Raises `DaemonError`."""
    found = _settled(paths, timeout_s)
    if found.presence in (Presence.RUNNING, Presence.STARTING):
        return _already_there(found)
    child = launch.spawn_daemon(paths, arguments)
    endpoint: Endpoint | None = None

    def has_come_to_something() -> bool:
        nonlocal endpoint
        endpoint = _answering(paths)
        return endpoint is not None or child.poll() is not None

    if _wait(has_come_to_something, timeout_s):
        if child.poll() is None:
            return Start(StartOutcome.STARTED, endpoint)
        if child.returncode == EXIT_ALREADY_RUNNING:
            return _already_there(_settled(paths, timeout_s))
    exit_code = child.poll()
    if exit_code is None:
        _end(child)
    return Start(StartOutcome.FAILED, None, exit_code, _output(paths))


def stop_daemon(paths: Paths, timeout_s: float | None = None) -> Stop:
    """Ask the daemon to stop, wait, and kill it when it takes longer than `timeout_s`, or than it says itself.

    One that does not answer gets a signal instead of the question. Only the very process of the endpoint
    file is ever killed. Raises `PunaError` when the daemon refuses to be stopped.
    """
    found = _settled(paths, _TERMINATE_WAIT_S)
    endpoint = found.endpoint
    if found.presence in (Presence.ABSENT, Presence.STALE):
        return Stop(StopOutcome.NOT_RUNNING)
    process = instance.find_process(endpoint) if endpoint else None
    if endpoint is None or process is None:
        return Stop(StopOutcome.FAILED if instance.is_locked(paths) else StopOutcome.NOT_RUNNING)
    try:
        wait_s = _ask_to_stop(found.presence, process, endpoint, timeout_s)
    except (NotRunningError, psutil.NoSuchProcess):
        if _has_ended(process, _TERMINATE_WAIT_S):
            return Stop(StopOutcome.STOPPED, endpoint)
        raise
    if _has_ended(process, wait_s):
        return Stop(StopOutcome.STOPPED, endpoint)
    return _kill(process, endpoint)


def _ask_to_stop(
    presence: Presence, process: psutil.Process, endpoint: Endpoint, timeout_s: float | None
) -> float:
    """Return how many seconds the daemon gets. Raises as `ControlClient.shutdown`, or `psutil.NoSuchProcess`."""
    if presence is Presence.RUNNING:
        wait_s = max(client.ControlClient(endpoint).shutdown(), _STOP_WAIT_S)
        return wait_s if timeout_s is None else timeout_s
    process.terminate()
    return _TERMINATE_WAIT_S


def _answering(paths: Paths) -> Endpoint | None:
    endpoint = instance.read_endpoint(paths.endpoint_file)
    return endpoint if endpoint is not None and client.is_answering(endpoint) else None


def _settled(paths: Paths, timeout_s: float) -> Probe:
    """Wait while a daemon starts or stops; `STARTING` comes back when it does neither in time."""
    found = client.probe(paths)
    deadline = time.monotonic() + timeout_s
    while found.presence is Presence.STARTING and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        found = client.probe(paths)
    return found


def _already_there(found: Probe) -> Start:
    if found.presence is Presence.RUNNING:
        return Start(StartOutcome.ALREADY_RUNNING, found.endpoint)
    line = "Another Puna of this user holds the lock and does not answer; `puna stop` ends it."
    return Start(StartOutcome.FAILED, None, None, (line,))


def _has_ended(process: psutil.Process, timeout_s: float) -> bool:
    return _wait(lambda: not instance.is_alive(process), timeout_s)


def _kill(process: psutil.Process, endpoint: Endpoint) -> Stop:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return Stop(StopOutcome.STOPPED, endpoint)
    except psutil.AccessDenied as error:
        raise PunaError(f"Process {endpoint.pid} does not stop and cannot be killed ({error}).") from error
    return Stop(StopOutcome.KILLED if _has_ended(process, _KILL_WAIT_S) else StopOutcome.FAILED, endpoint)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_TERMINATE_WAIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(_KILL_WAIT_S)


def _output(paths: Paths, count: int = 15) -> tuple[str, ...]:
    try:
        text = paths.output_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(escape(line) for line in text.splitlines() if line.strip())[-count:]


def _wait(is_done: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
