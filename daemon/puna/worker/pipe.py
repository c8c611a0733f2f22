"""The worker's end of the pipe to the daemon."""

from collections.abc import Sequence

from puna.engine.child_pipe import ChildPipe
from puna.engine.protocol import FromWorker, ToWorker, decode_to_worker, encode_frame


class ParentPipe(ChildPipe):
    """Messages from and to the daemon. One thread reads; several may write."""

    def read(self) -> list[ToWorker] | None:
        """Block for the next frame; None when the daemon is gone. Raises `ProtocolError`."""
        body = self.read_body()
        return None if body is None else decode_to_worker(body)

    def write(self, messages: Sequence[FromWorker]) -> None:
        """Write one frame; blocks while the pipe is full. Raises `BrokenPipeError` when the daemon is gone."""
        self.write_frame(encode_frame(messages))
