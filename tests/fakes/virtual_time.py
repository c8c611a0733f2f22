"""An event loop whose clock jumps to the next timer: hours of waiting take no time and repeat exactly."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Skipper(selectors.SelectSelector):
    """Never sleeps; adds up what it should have slept."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self.now_s += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipper = _Skipper()
        super().__init__(self._skipper)

    def time(self) -> float:
        return self._skipper.now_s


def run_virtually(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine; `asyncio.get_running_loop().time()` is its clock, and starts at 0."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


def now_s() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()
