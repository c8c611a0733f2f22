"""The trainer's end of the pipe to the daemon."""

from collections.abc import Sequence

from puna.engine.child_pipe import ChildPipe
from puna.engine.trainer_protocol import FromTrainer, ToTrainer, decode_to_trainer, encode_frame


class ParentPipe(ChildPipe):
    """Messages from and to the daemon. One thread reads; several may write."""

    def read(self) -> list[ToTrainer] | None:
        """Block for the next frame; None when the daemon is gone. Raises `ProtocolError`."""
        body = self.read_body()
        return None if body is None else decode_to_trainer(body)

    def write(self, message: FromTrainer) -> None:
        """Write one message; blocks while the pipe is full. Raises `BrokenPipeError` when the daemon is gone."""
        self.write_all([message])

    def write_all(self, messages: Sequence[FromTrainer]) -> None:
        """Write one frame with these."""
        self.write_frame(encode_frame(messages))
