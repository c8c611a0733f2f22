"""The child process behind a worker: its pipe, its log and its end."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from puna.engine.last_words import last_words
from puna.engine.protocol import (
    HEADER_BYTES,
    FromWorker,
    ToWorker,
    decode_from_worker,
    decode_header,
    encode_frame,
)

_DYING_GRACE_S = 10.0
_KILLED_GRACE_S = 10.0
"""A kill takes longer where the system frees much memory; where a driver hangs it may never come."""
_LOG_TAIL_BYTES = 4096
_LOG_LIMIT_BYTES = 1024 * 1024


class WorkerProcess:
    """A running child. Its stdin and stdout carry frames; its stderr is the log file."""

    def __init__(self, process: Process, log_file: Path, log_start: int) -> None:
        self._process = process
        self._log_file = log_file
        self._log_start = log_start

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], log_file: Path
    ) -> "WorkerProcess":
        """Start the child; its log is appended to the file, which is begun anew when it has grown large."""
        log_start = await asyncio.to_thread(_prepare_log, log_file)
        with log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=log, env=dict(environment)
            )
        return cls(process, log_file, log_start)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """False once the child's end was seen."""
        return self._process.returncode is None

    async def read(self) -> list[FromWorker] | None:
        """Return the next frame; None when the child has closed its end. Raises `ProtocolError`."""
        body = await self._read_frame()
        return None if body is None else decode_from_worker(body)

    async def write(self, messages: Sequence[ToWorker]) -> None:
        """Write one frame; waits while the pipe is full. Raises `ConnectionError` when the child is gone."""
        await self._write_frame(encode_frame(messages))

    async def _read_frame(self) -> bytes | None:
        """Return the body of the next frame; None when the child has closed its end. Raises `ProtocolError`."""
        assert self._process.stdout is not None
        try:
            header = await self._process.stdout.readexactly(HEADER_BYTES)
            return await self._process.stdout.readexactly(decode_header(header))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _write_frame(self, frame: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frame)
            await self._process.stdin.drain()
        except RuntimeError as error:  # uvloop's, for a pipe that was seen to be closed
            raise ConnectionResetError(str(error)) from error

    def write_soon(self, messages: Sequence[ToWorker]) -> None:
        """Queue a small frame without waiting; lost when the child is gone."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(encode_frame(messages))

    async def end(self, grace_s: float) -> None:
        """Close the pipe, which asks the child to end; kill it after `grace_s` seconds. Idempotent, bounded in time."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._wait(grace_s)

    def kill(self) -> None:
        """End the child at once."""
        try:
            self._process.kill()
        except ProcessLookupError:
            return

    async def describe_end(self) -> str:
        """Say how the child's end came, with the last lines of its log; one that stays without its pipe is killed."""
        code = await self._wait(_DYING_GRACE_S)
        lines = await asyncio.to_thread(self._read_last_lines)
        said = "; its last words: " + " | ".join(lines) if lines else ""
        return ("a kill does not end it" if code is None else describe_exit(code)) + said

    async def _wait(self, grace_s: float) -> int | None:
        """Return the exit code, after a kill if need be; None where even that does not end the child."""
        for patience_s in (grace_s, _KILLED_GRACE_S):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    return await self._process.wait()
            self.kill()
        return None

    def _read_last_lines(self) -> list[str]:
        try:
            with self._log_file.open("rb") as log:
                size = log.seek(0, 2)
                log.seek(max(self._log_start, size - _LOG_TAIL_BYTES))
                text = log.read(_LOG_TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return []
        return last_words(text)


def describe_exit(code: int) -> str:
    """Say what an exit code of a child means: `signal 9 (SIGKILL)` or `exit code 1`."""
    if code < 0 and sys.platform != "win32":
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
        return f"signal {-code} ({name})"
    return f"exit code {code}"


def _prepare_log(log_file: Path) -> int:
    """Return where the child's lines will begin; a large log becomes the previous one."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    size = log_file.stat().st_size if log_file.exists() else 0
    if size < _LOG_LIMIT_BYTES:
        return size
    log_file.replace(log_file.with_suffix(".previous.log"))
    return 0
