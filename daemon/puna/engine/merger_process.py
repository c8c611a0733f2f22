"""The child process behind a merge, as the daemon sees it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from puna import launch
from puna.domain.merging import MergeOrder
from puna.engine.merger_protocol import FromMerger, decode_from_merger, encode_frame
from puna.engine.process import WorkerProcess
from puna.engine.protocol import HEADER_BYTES, decode_header


class MergerProcess(WorkerProcess):
    """A running merger: pipe, log and end are a worker's, the messages its own."""

    @classmethod
    async def launch(
        cls,
        log_file: Path,
        *,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "MergerProcess":
        """Start the child. Raises `OSError`."""
        process = await cls.start(
            command or launch.child_command("merger"),
            launch.child_environment() if environment is None else environment,
            log_file,
        )
        assert isinstance(process, cls)
        return process

    async def tell(self, order: MergeOrder) -> None:
        """Send the order. Raises `ConnectionError` when the child is gone."""
        assert self._process.stdin is not None
        self._process.stdin.write(encode_frame(order))
        await self._process.stdin.drain()

    async def hear(self) -> FromMerger | None:
        """Return the next message; None when the child has closed its end. Raises `ProtocolError`."""
        assert self._process.stdout is not None
        try:
            header = await self._process.stdout.readexactly(HEADER_BYTES)
            body = await self._process.stdout.readexactly(decode_header(header))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return decode_from_merger(body)
