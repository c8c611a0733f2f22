"""A child's end of the pipe to the daemon: frames in, frames out, whatever they hold."""

import errno
import os
import sys
import threading
from typing import Self

from puna.engine.protocol import HEADER_BYTES, decode_header

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class ChildPipe:
    """One thread reads; several may write. Each kind of child adds its own messages."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._lock = threading.Lock()

    @classmethod
    def take_over_stdio(cls) -> Self:
        """Keep stdin and stdout for frames alone; whatever prints to them from now on goes to stderr's file.

        Must run before llama.cpp is loaded, so that no native print can corrupt a frame.
        """
        read_fd, write_fd = os.dup(_STDIN), os.dup(_STDOUT)
        if sys.platform == "win32":
            import msvcrt

            for fd in (read_fd, write_fd):
                msvcrt.setmode(fd, os.O_BINARY)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, _STDIN)
        os.close(null)
        os.dup2(_STDERR, _STDOUT)
        return cls(read_fd, write_fd)

    def read_body(self) -> bytes | None:
        """Block for the next frame's body; None when the daemon is gone. Raises `ProtocolError`."""
        header = self._read_exactly(HEADER_BYTES)
        return None if header is None else self._read_exactly(decode_header(header))

    def write_frame(self, frame: bytes) -> None:
        """Write one frame; blocks while the pipe is full. Raises `BrokenPipeError` when the daemon is gone."""
        data = memoryview(frame)
        with self._lock:
            while data:
                data = data[self._write(data) :]

    def wait_for_end(self) -> None:
        """Block until the daemon has closed its end; what still comes is dropped."""
        while os.read(self._read_fd, 1):
            pass

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self._write_fd, data)
        except OSError as error:
            # A pipe of uvloop is a socket; EINVAL is what Windows says of one that nobody reads, see `subprocess`.
            if error.errno in {errno.ECONNRESET, errno.EINVAL}:
                raise BrokenPipeError(error.errno, error.strerror) from None
            raise

    def _read_exactly(self, size: int) -> bytes | None:
        parts: list[bytes] = []
        while size:
            part = os.read(self._read_fd, size)
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
