"""What llama.cpp is here and which devices it sees, found out by a child that lives for a moment.

The one way for the daemon and the command line to know of GPUs and their free memory before a model runs:
neither loads llama.cpp, and a driver that crashes takes only the child along.
"""

import asyncio
import contextlib
import math
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from puna import launch
from puna.domain.hardware import LlamaBuild
from puna.engine.last_words import last_words
from puna.engine.process import describe_exit
from puna.errors import EngineUnusableError
from puna.hardware.installing import rebuild_command

TIMEOUT_S = 30.0
"""The first look at a GPU after the machine's start may take seconds: drivers wake up, kernels are compiled."""
_KILLED_GRACE_S = 10.0
"""A kill may never come to a child that waits for a driver."""
_ILLEGAL_INSTRUCTION = frozenset({-4, 0xC000001D, 0xC000001D - (1 << 32)})
"""Exit codes of a program that uses what the processor does not have, on POSIX and on Windows."""


async def probe(
    *,
    timeout_s: float = TIMEOUT_S,
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> LlamaBuild:
    """Start a child, take what it found, and see to its end.

    Raises `EngineUnusableError` with the child's last words when llama.cpp cannot be loaded, crashes or hangs;
    no child is left behind then, nor on cancellation, unless even a kill does not end it. Takes some 0.2 s without
    a GPU, about a second with one.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(command or launch.child_command("probe")),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=dict(launch.child_environment() if environment is None else environment),
        )
    except OSError as error:
        raise EngineUnusableError(
            f"The process that looks at llama.cpp cannot be started ({error.strerror})."
        ) from error
    try:
        async with asyncio.timeout(timeout_s):
            return await _take_answer(process)
    except TimeoutError:
        raise EngineUnusableError(
            f"llama.cpp did not say within {timeout_s:g} s which devices it sees; a graphics driver may hang: "
            "update it, or restart the machine."
        ) from None
    finally:
        await asyncio.shield(_end(process))


async def _take_answer(process: Process) -> LlamaBuild:
    assert process.stdout is not None
    assert process.stderr is not None
    answer, output = await asyncio.gather(process.stdout.read(), process.stderr.read())
    code = await process.wait()
    try:
        return msgspec.json.decode(answer, type=LlamaBuild)
    except msgspec.MsgspecError:
        raise EngineUnusableError(_describe_failure(code, output.decode("utf-8", "replace"))) from None


def _describe_failure(code: int, output: str) -> str:
    if code in _ILLEGAL_INSTRUCTION:
        return (
            "This llama.cpp was built for a newer processor and cannot run here; "
            f"build it on this machine: {rebuild_command()}"
        )
    words = last_words(output)
    said = "; its last words: " + " | ".join(words) if words else ""
    return f"llama.cpp cannot be loaded ({describe_exit(code)}{said})."


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILLED_GRACE_S):
            await process.wait()
    assert process.stdin is not None
    process.stdin.close()


class LlamaProbe:
    """What the last look found. One look at a time, and only as many as somebody asks for.

    Of one event loop. Without a GPU nothing that a look tells can change, so it is never repeated.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[LlamaBuild]] = probe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`look` may raise `EngineUnusableError`."""
        self._look = look
        self._clock = clock
        self._looking: asyncio.Task[LlamaBuild] | None = None
        self._at_s = 0.0
        self.known: LlamaBuild | None = None
        """None until a look succeeded."""
        self.since_s = -math.inf
        """When the look began that found what is known, by the clock."""
        self.error: str | None = None
        """Why the last look failed; None where it did not."""

    async def build(self, *, max_age_s: float = float("inf")) -> LlamaBuild:
        """Return what is known, looking first where nothing is, or where free GPU memory is older than that.

        Raises `EngineUnusableError`. A caller that leaves does not end the look.
        """
        if self.known is not None and not self._is_stale(self.known, max_age_s):
            return self.known
        return await asyncio.shield(self._begin())

    def refresh(self, *, max_age_s: float) -> None:
        """Begin a look in the background where nothing is known, or what is known is older. Returns at once.

        One that failed is not repeated. To be called from the event loop.
        """
        is_wanted = self._is_stale(self.known, max_age_s) if self.known else self.error is None
        if is_wanted:
            self._begin()

    async def close(self) -> None:
        """End a look that runs. Idempotent."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def _is_stale(self, build: LlamaBuild, max_age_s: float) -> bool:
        return bool(build.gpus) and self._clock() - self._at_s > max_age_s

    def _begin(self) -> asyncio.Task[LlamaBuild]:
        if self._looking is None:
            self._looking = asyncio.create_task(self._run(), name="probe llama.cpp")
            self._looking.add_done_callback(_retrieve)
        return self._looking

    async def _run(self) -> LlamaBuild:
        began_s = self._clock()
        try:
            self.known, self.error = await self._look(), None
            self._at_s, self.since_s = self._clock(), began_s
        except EngineUnusableError as error:
            self.error = error.message
            raise
        finally:
            self._looking = None
        return self.known


def _retrieve(task: asyncio.Task[LlamaBuild]) -> None:
    """Mark a failed look as seen: nobody may wait for it."""
    if not task.cancelled():
        task.exception()
