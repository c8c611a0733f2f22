"""The child's end of the pipe to the daemon."""

import os
import sys
import threading

from puna.domain.merging import MergeOrder
from puna.engine.merger_protocol import FromMerger, decode_order, encode_frame
from puna.engine.protocol import HEADER_BYTES, ProtocolError, decode_header

_STDOUT, _STDERR = 1, 2
_STDIN = 0


class OrderPipe:
    """One order comes in, messages go out; the end of what comes in is the daemon's word to stop."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd

    @classmethod
    def take_over_stdio(cls) -> "OrderPipe":
        """Keep stdin and stdout for frames alone; whatever prints to stdout from now on goes to stderr's file.

        Must run before ggml is loaded, so that no native print can corrupt a frame.
        """
        write_fd = os.dup(_STDOUT)
        if sys.platform == "win32":
            import msvcrt

            for fd in (_STDIN, write_fd):
                msvcrt.setmode(fd, os.O_BINARY)
        os.dup2(_STDERR, _STDOUT)
        return cls(_STDIN, write_fd)

    def receive(self) -> MergeOrder:
        """Block for the order. Raises `ProtocolError`."""
        return decode_order(self._read_exactly(decode_header(self._read_exactly(HEADER_BYTES))))

    def tell(self, message: FromMerger) -> None:
        """Write one message. Raises `BrokenPipeError` when the daemon is gone."""
        data = memoryview(encode_frame(message))
        while data:
            data = data[os.write(self._write_fd, data) :]

    def watch(self, is_over: threading.Event, grace_s: float, exit_code: int) -> None:
        """Set the event when the daemon stops or is gone, and end the process when it has not ended in time."""
        threading.Thread(
            target=self._wait_for_end, args=(is_over, grace_s, exit_code), name="watch", daemon=True
        ).start()

    def _wait_for_end(self, is_over: threading.Event, grace_s: float, exit_code: int) -> None:
        while os.read(self._read_fd, 1):
            pass
        is_over.set()
        threading.Event().wait(grace_s)
        os._exit(exit_code)

    def _read_exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            part = os.read(self._read_fd, size)
            if not part:
                raise ProtocolError("the pipe ended inside a frame")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
