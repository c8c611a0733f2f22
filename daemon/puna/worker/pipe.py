"""The worker's end of the pipe to the daemon."""

import os
from collections.abc import Sequence

from puna.engine.child_pipe import ChildPipe
from puna.engine.protocol import FromWorker, ToWorker, decode_to_worker, encode_frame

EXIT_OK = 0


class ParentPipe(ChildPipe):
    """Messages from and to the daemon. One thread reads; several may write."""

    def read(self) -> list[ToWorker] | None:
        """Block for the next frame; None when the daemon is gone. Raises `ProtocolError`."""
        body = self.read_body()
        return None if body is None else decode_to_worker(body)

    def write(self, messages: Sequence[FromWorker]) -> None:
        """Write one frame; blocks while the pipe is full. Ends the process when the daemon is gone."""
        try:
            self.write_frame(encode_frame(messages))
        except BrokenPipeError:
            os._exit(EXIT_OK)
