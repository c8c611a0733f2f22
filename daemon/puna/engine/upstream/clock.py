"""How long one answer may take, and how long it took."""

import time

from puna.domain.generation import Timing
from puna.domain.remote import RemoteModel

_RESOLUTION_S = time.get_clock_info("monotonic").resolution
"""How much too early the event loop's timers may go off: some milliseconds on Windows."""


class AnswerClock:
    """Made when a request comes; monotonic seconds."""

    def __init__(self, remote: RemoteModel, max_time_s: float | None) -> None:
        self._remote = remote
        self._max_time_s = max_time_s
        self._asked_s = self._admitted_s = time.monotonic()
        self._first_s: float | None = None

    def admit(self) -> None:
        """Note that the request has its slot."""
        self._admitted_s = time.monotonic()

    def note_event(self) -> None:
        """Note that something came from the engine."""
        if self._first_s is None:
            self._first_s = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the request's own time is up, so that its text ends."""
        if self._max_time_s is None:
            return False
        return time.monotonic() - self._admitted_s + _RESOLUTION_S >= self._max_time_s

    @property
    def patience_s(self) -> float:
        """How long the engine may be silent: until its first event, or since the last one."""
        remote = self._remote
        return remote.first_event_timeout_s if self._first_s is None else remote.stall_timeout_s

    @property
    def wait_s(self) -> float:
        """How long to wait for the next event from now on."""
        passed_s = time.monotonic() - self._admitted_s
        patience_s = self.patience_s - (passed_s if self._first_s is None else 0)
        return patience_s if self._max_time_s is None else min(patience_s, self._max_time_s - passed_s)

    def timing(self) -> Timing:
        """Return what waiting for a slot, the prompt and the text took."""
        now_s = time.monotonic()
        first_s = now_s if self._first_s is None else self._first_s
        return Timing(self._admitted_s - self._asked_s, first_s - self._admitted_s, now_s - first_s)
