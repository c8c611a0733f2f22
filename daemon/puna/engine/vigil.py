"""Whether a worker that says nothing still lives: one that hangs is given up, one that is slow or idle is not."""

import asyncio
import math
from collections.abc import Callable

_LONGEST_GRACE_S = 30.0
"""For the step that runs when the worker is asked; it ends early where nobody wants its outcome any more."""


class Vigil:
    """Watches one worker, on one event loop. A worker that has nothing to do is silent, and nobody minds.

    Doubt begins with a request that ends without the worker's word: given up, or left by its client. When nothing at
    all has come for `patience_s` since it was sent, the worker is asked for a sign of life; without one it hangs.
    """

    def __init__(
        self, patience_s: float, *, ask: Callable[[], None], give_up: Callable[[float], None]
    ) -> None:
        """`ask` sends what every worker answers; `give_up` gets the seconds of silence. Neither may block."""
        self._patience_s = patience_s
        self._ask = ask
        self._give_up = give_up
        self._heard_s = -math.inf
        self._silent_since_s = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def hear(self) -> None:
        """Something came from the worker: it lives."""
        self._heard_s = asyncio.get_running_loop().time()
        self._believe()

    def doubt(self, since_s: float) -> None:
        """A request ended without an answer, for which it has waited since this time of the loop."""
        since_s = max(since_s, self._heard_s)
        if since_s < self._silent_since_s and not self._is_over:
            self._believe()
            self._silent_since_s = since_s
            due_s = since_s + self._patience_s
            self._timer = asyncio.get_running_loop().call_at(due_s, self._ask_once, since_s)

    def end(self) -> None:
        """The worker is gone: ask and conclude nothing any more. Idempotent."""
        self._is_over = True
        self._believe()

    def _believe(self) -> None:
        self._silent_since_s = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask_once(self, since_s: float) -> None:
        self._silent_since_s = -math.inf  # an earlier request gives it no second grace
        self._ask()
        grace_s = min(_LONGEST_GRACE_S, self._patience_s)
        self._timer = asyncio.get_running_loop().call_later(grace_s, self._conclude, since_s)

    def _conclude(self, since_s: float) -> None:
        self._believe()
        self._give_up(asyncio.get_running_loop().time() - since_s)
