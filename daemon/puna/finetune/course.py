"""One run of the trainer for one fine-tuning: what it is told, what it says, and its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from puna.domain.training import TrainingPlan, TrainingResult
from puna.engine.protocol import ProtocolError
from puna.engine.trainer_process import TrainerProcess
from puna.engine.trainer_protocol import (
    Begin,
    Cancel,
    Cancelled,
    Done,
    FromTrainer,
    Prepare,
    Prepared,
    ToTrainer,
    TrainingFailed,
)
from puna.errors import WorkerDiedError, error_of_kind

_GRACE_S = 5.0
"""How long a trainer may take to read the word to stop, and to end once its pipe is closed."""
_CANCEL_S = 60.0
"""How long the step that runs, and writing a checkpoint, may take once the training is not wanted any more."""
_KILLED = "signal 9 "

LaunchTrainer = Callable[[Path], Awaitable[TrainerProcess]]
"""Starts a trainer whose log is this file. Raises `OSError`."""


class CourseCancelledError(Exception):
    """The trainer stopped because it was told to."""

    def __init__(self, *, has_checkpoint: bool) -> None:
        super().__init__()
        self.has_checkpoint = has_checkpoint


class TrainerDiedError(WorkerDiedError):
    """The child ended without a word. `is_killed`: by somebody's hand or for lack of memory, not by itself."""

    def __init__(self, ending: str) -> None:
        self.is_killed = ending.startswith(_KILLED)
        hint = " It may have run out of memory: close other programs, or choose shorter rows."
        super().__init__(f"The trainer ended with {ending}.{hint if self.is_killed else ''}")


class Course:
    """Started once, closed once; `cancel` may come at any time between."""

    def __init__(self, process: TrainerProcess, tell: Callable[[FromTrainer], None]) -> None:
        """`tell` gets everything that the trainer says, in its order."""
        self._process = process
        self._tell = tell
        self._killing: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def prepare(self, batches: AsyncIterator[Sequence[ToTrainer]]) -> TrainingPlan:
        """Hand everything over and return the plan. Errors as `train`."""
        with contextlib.suppress(ConnectionError):  # it says why, or its end does
            async for batch in batches:
                await self._process.tell(batch)
            await self._process.tell([Prepare()])
        return await self._hear_plan()

    async def train(self) -> TrainingResult:
        """Train to the end. Raises `TrainerDiedError`, `CourseCancelledError`, and the trainer's own errors."""
        with contextlib.suppress(OSError):  # what it said last tells why
            await self._process.tell([Begin()])
        last = await self._hear_out()
        if isinstance(last, Done):
            return last.result
        raise TrainerDiedError("a word out of turn")

    async def cancel(self, *, keeps_checkpoint: bool) -> None:
        """Ask the trainer to stop after the running step, and kill it where it does not."""
        if self._killing is None:
            self._killing = asyncio.get_running_loop().call_later(_CANCEL_S, self._process.kill)
        with contextlib.suppress(OSError):  # it is gone already, or reads nothing now
            async with asyncio.timeout(_GRACE_S):
                await self._process.tell([Cancel(keeps_checkpoint)])

    async def close(self) -> None:
        """End the child. Idempotent."""
        if self._killing is not None:
            self._killing.cancel()
        await self._process.end(_GRACE_S)

    async def _hear_plan(self) -> TrainingPlan:
        last = await self._hear_out()
        if isinstance(last, Prepared):
            return last.plan
        raise TrainerDiedError("a word out of turn")

    async def _hear_out(self) -> Prepared | Done:
        """Return the next message after which the trainer waits or ends."""
        try:
            while (messages := await self._process.hear()) is not None:
                for message in messages:
                    self._tell(message)
                    match message:
                        case TrainingFailed(kind, reason):
                            raise error_of_kind(kind, reason)
                        case Cancelled(_, has_checkpoint):
                            raise CourseCancelledError(has_checkpoint=has_checkpoint)
                        case Prepared() | Done():
                            return message
                        case _:
                            continue
        except ProtocolError:
            self._process.kill()
        raise TrainerDiedError(await self._process.describe_end())
