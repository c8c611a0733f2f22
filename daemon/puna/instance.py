"""One daemon for each user: the lock, and the file that says where it answers.

The operating system drops the lock when its holder ends, however it ends. The endpoint file may then be
left over; who holds the lock decides, never the file alone. A look at the lock takes it for an instant, so a
daemon that starts waits for it a little (`LOCK_WAIT_S`).
"""

import contextlib
import os
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock
import msgspec
import psutil
from msgspec import Struct

from puna.errors import AlreadyRunningError, DaemonError
from puna.files import make_private_folder, write_private
from puna.paths import Paths
from puna.redaction import conceal

LOCK_WAIT_S = 1.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}
_CREATE_TIME_TOLERANCE_S = 2.0
"""psutil derives the time from the boot time, which moves when the clock is set."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """Where a daemon answers, and who it is."""

    pid: int
    create_time: float
    """Seconds since 1970 when that process began: tells it from a later one with the same number."""
    host: str
    """What it listens on: `localhost` or one address."""
    port: int
    token: str
    """The admin token; for this user only."""
    instance: str
    """Random; new for every start."""
    version: str

    @property
    def connect_host(self) -> str:
        """The address to connect to; the `host` may be one that only a listener can use."""
        return _ANY_ADDRESS.get(self.host, self.host)

    @property
    def url(self) -> str:
        """The address for people, without a slash at its end."""
        host = self.host if self.host == "localhost" else self.connect_host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class Presence(Enum):
    """Whether a daemon of this user is there."""

    ABSENT = "absent"
    STALE = "stale"
    """None runs; the last one was killed and left its endpoint file."""
    STARTING = "starting"
    """One holds the lock and does not answer: it starts, stops, or hangs."""
    RUNNING = "running"


class Probe(Struct, frozen=True):
    """What a look at lock, file and address found; the endpoint is the one in the file."""

    presence: Presence
    endpoint: Endpoint | None = None


class InstanceLock:
    """The lock that one daemon of this user holds while it lives. Use it as a context manager."""

    def __init__(self, paths: Paths, wait_s: float = LOCK_WAIT_S) -> None:
        self._paths = paths
        self._wait_s = wait_s
        self._lock = _file_lock(paths)

    def __enter__(self) -> Self:
        """Take the lock. Raises `AlreadyRunningError` when another daemon keeps it, else `DaemonError`."""
        make_private_folder(self._paths.run_dir)
        try:
            self._lock.acquire(timeout=self._wait_s)
        except filelock.Timeout:
            raise AlreadyRunningError(_already_running(read_endpoint(self._paths.endpoint_file))) from None
        except OSError as error:
            message = f"The lock {self._paths.lock_file} cannot be taken ({error.strerror}); set PUNA_HOME."
            raise DaemonError(message) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        self._lock.release()


def write_endpoint(paths: Paths, endpoint: Endpoint) -> None:
    """Tell where this daemon answers; only with the lock held. Raises `DaemonError`.

    From now on the token is kept out of this process's log.
    """
    conceal(endpoint.token)
    try:
        # Nobody looks for a daemon that a power cut ended.
        write_private(paths.endpoint_file, msgspec.json.encode(endpoint), is_lasting=False)
    except OSError as error:
        raise DaemonError(
            f"{paths.endpoint_file} cannot be written ({error.strerror}): remove what stands there, or set PUNA_HOME."
        ) from error


def remove_endpoint(paths: Paths) -> None:
    """Take the file away, as the last thing before the lock is given back. Missing is fine.

    One that cannot be removed counts as left over, since the lock is free.
    """
    with contextlib.suppress(OSError):
        paths.endpoint_file.unlink(missing_ok=True)


def read_endpoint(file: Path) -> Endpoint | None:
    """Return what the file says; None when it is missing or damaged.

    Raises `DaemonError` when other users could have written it: then it may point anywhere.
    """
    try:
        with file.open("rb") as stream:
            _refuse_foreign(file, os.fstat(stream.fileno()))
            return msgspec.json.decode(stream.read(), type=Endpoint)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _refuse_foreign(file: Path, status: os.stat_result) -> None:
    if sys.platform == "win32":
        return
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise DaemonError(
            f"{file} can be written by other users, so it is not trusted: "
            "remove it and start Puna again, or set PUNA_HOME to a folder of your own."
        )


def probe(paths: Paths, answers: Callable[[Endpoint], bool]) -> Probe:
    """Say whether a daemon of this user is there; `answers` asks the one of the file who it is.

    The lock is looked at only when nothing answers. Blocks as long as `answers` does.
    """
    endpoint = read_endpoint(paths.endpoint_file)
    if endpoint is not None and answers(endpoint):
        return Probe(Presence.RUNNING, endpoint)
    if is_locked(paths):
        return Probe(Presence.STARTING, endpoint)
    return Probe(Presence.STALE if endpoint else Presence.ABSENT, endpoint)


def is_locked(paths: Paths) -> bool:
    """Whether some daemon holds the lock now."""
    if not paths.lock_file.exists():
        return False
    lock = _file_lock(paths)
    try:
        with lock.acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False


def find_process(endpoint: Endpoint) -> psutil.Process | None:
    """Return the process of this daemon; None when it ended, even if another now has its number."""
    try:
        process = psutil.Process(endpoint.pid)
        is_same = abs(process.create_time() - endpoint.create_time) < _CREATE_TIME_TOLERANCE_S
    except psutil.Error:
        return None
    return process if is_same and is_alive(process) else None


def is_alive(process: psutil.Process) -> bool:
    """Whether this very process still runs. One that only waits to be collected by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _file_lock(paths: Paths) -> filelock.BaseFileLock:
    return filelock.FileLock(paths.lock_file, mode=0o600, thread_local=False)


def _already_running(endpoint: Endpoint | None) -> str:
    if endpoint is None:
        return "Another Puna of this user is just starting; `puna status` tells more in a moment."
    return f"Puna already runs at {endpoint.url} (process {endpoint.pid}); `puna stop` ends it."
