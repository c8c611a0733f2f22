"""A child that does one job, trainer or merger, as the daemon sees it: frames in, frames out, and its end."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from puna import launch
from puna.engine.process import WorkerProcess
from puna.engine.protocol import HEADER_BYTES, decode_header


class JobProcess(WorkerProcess):
    """Pipe, log and end are a worker's; each kind of child adds its own messages."""

    role: ClassVar[str]
    """The sub-command of `puna` that the child is."""

    @classmethod
    async def launch(
        cls,
        log_file: Path,
        *,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Start the child. Raises `OSError`."""
        process = await cls.start(
            command or launch.child_command(cls.role),
            launch.child_environment() if environment is None else environment,
            log_file,
        )
        assert isinstance(process, cls)
        return process

    async def write_frame(self, frame: bytes) -> None:
        """Write; waits while the pipe is full. Raises `ConnectionError` when the child is gone."""
        pipe = self._process.stdin
        assert pipe is not None
        if pipe.is_closing():  # uvloop raises a RuntimeError for it
            raise ConnectionResetError("the child is gone")
        pipe.write(frame)
        await pipe.drain()

    async def read_frame(self) -> bytes | None:
        """Return the body of the next frame; None when the child has closed its end. Raises `ProtocolError`."""
        pipe = self._process.stdout
        assert pipe is not None
        try:
            header = await pipe.readexactly(HEADER_BYTES)
            return await pipe.readexactly(decode_header(header))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
