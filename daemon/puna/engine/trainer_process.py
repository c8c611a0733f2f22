"""The child process behind a training, as the daemon sees it."""

from collections.abc import Sequence
from typing import ClassVar

from puna.engine.job_process import JobProcess
from puna.engine.trainer_protocol import FromTrainer, ToTrainer, decode_from_trainer, encode_frame


class TrainerProcess(JobProcess):
    """A running trainer."""

    role: ClassVar[str] = "trainer"

    async def tell(self, messages: Sequence[ToTrainer]) -> None:
        """Write one frame; waits while the pipe is full. Raises `ConnectionError` when the child is gone."""
        await self._write_frame(encode_frame(messages))

    async def hear(self) -> list[FromTrainer] | None:
        """Return the next frame; None when the child has closed its end. Raises `ProtocolError`."""
        body = await self._read_frame()
        return None if body is None else decode_from_trainer(body)
