"""The child's end of the pipe to the daemon."""

import os
import sys
import threading
from collections.abc import Sequence

from puna.engine.protocol import HEADER_BYTES, decode_header
from puna.engine.trainer_protocol import FromTrainer, ToTrainer, decode_to_trainer, encode_frame

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class ParentPipe:
    """Frames from and to the daemon. One thread reads; several may write."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._lock = threading.Lock()

    @classmethod
    def take_over_stdio(cls) -> "ParentPipe":
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

    def read(self) -> list[ToTrainer] | None:
        """Block for the next frame; None when the daemon is gone. Raises `ProtocolError`."""
        header = self._read_exactly(HEADER_BYTES)
        if header is None:
            return None
        body = self._read_exactly(decode_header(header))
        return None if body is None else decode_to_trainer(body)

    def write(self, message: FromTrainer) -> None:
        """Write one frame; blocks while the pipe is full. Raises `BrokenPipeError` when the daemon is gone."""
        self.write_all([message])

    def write_all(self, messages: Sequence[FromTrainer]) -> None:
        """Write one frame with these."""
        data = memoryview(encode_frame(messages))
        with self._lock:
            while data:
                data = data[os.write(self._write_fd, data) :]

    def _read_exactly(self, size: int) -> bytes | None:
        parts: list[bytes] = []
        while size:
            part = os.read(self._read_fd, size)
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
