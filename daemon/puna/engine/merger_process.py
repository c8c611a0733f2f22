"""The child process behind a merge, as the daemon sees it."""

from typing import ClassVar

from puna.domain.merging import MergeOrder
from puna.engine.job_process import JobProcess
from puna.engine.merger_protocol import FromMerger, decode_from_merger, encode_frame


class MergerProcess(JobProcess):
    """A running merger."""

    role: ClassVar[str] = "merger"

    async def tell(self, order: MergeOrder) -> None:
        """Send the order. Raises `ConnectionError` when the child is gone."""
        await self._write_frame(encode_frame(order))

    async def hear(self) -> FromMerger | None:
        """Return the next message; None when the child has closed its end. Raises `ProtocolError`."""
        body = await self._read_frame()
        return None if body is None else decode_from_merger(body)
