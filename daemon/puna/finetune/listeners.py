"""Whoever watches fine-tunings: what is news is kept once for each job, as it is when it is read."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from puna.domain.finetune import FinetuneJob


class Listener:
    """One that watches; a slow one misses what was between."""

    def __init__(self, look: Callable[[str], FinetuneJob | None]) -> None:
        """`look` returns a job as it is now, None where it is gone."""
        self._look = look
        self._news: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._is_closed = False

    def tell(self, job_id: str) -> None:
        """Note that a job has news."""
        self._news[job_id] = None
        self._wake.set()

    def close(self) -> None:
        """Let `read` end once the news are read."""
        self._is_closed = True
        self._wake.set()

    async def read(self) -> AsyncGenerator[FinetuneJob]:
        """Yield jobs that have news, until the daemon stops."""
        while self._news or not self._is_closed:
            await self._wake.wait()
            self._wake.clear()
            while self._news:
                job_id = next(iter(self._news))
                del self._news[job_id]
                job = self._look(job_id)
                if job is not None:
                    yield job
