"""What the engine has to tell, gathered to one frame a step."""

import time
from collections.abc import Callable, Sequence

import msgspec

from puna.domain.generation import GenerationEvent
from puna.domain.models import WorkerStatus
from puna.engine.protocol import Counted, Embedded, Event, Failed, FromWorker, Ranked, Status
from puna.errors import PunaError

_COUNTERS_EVERY_S = 1.0
"""Counters alone are told this often; a change of the slots at once."""


class Outbox:
    """Collects messages until `flush`; adds the worker's status when it is worth telling."""

    def __init__(self, send: Callable[[Sequence[FromWorker]], None]) -> None:
        """`send` writes one frame and may block until the daemon reads."""
        self._send = send
        self._messages: list[FromWorker] = []
        self._told = WorkerStatus()
        self._told_s = 0.0

    def event(self, request_id: int, event: GenerationEvent) -> None:
        """Something happened to a request; nothing more does after `Finished`."""
        self._messages.append(Event(request_id, event))

    def counted(self, request_id: int, tokens: int) -> None:
        """The tokens of a prompt are counted."""
        self._messages.append(Counted(request_id, tokens))

    def answered(self, answer: Embedded | Ranked) -> None:
        """A request has its one answer."""
        self._messages.append(answer)

    def failed(self, request_id: int, error: PunaError) -> None:
        """A request failed."""
        self._messages.append(Failed(request_id, error.kind, error.message))

    def flush(self, status: WorkerStatus) -> None:
        """Send what was gathered."""
        if self._is_news(status):
            self._told, self._told_s = status, time.monotonic()
            self._messages.append(Status(status))
        if self._messages:
            self._send(self._messages)
            self._messages = []

    def _is_news(self, status: WorkerStatus) -> bool:
        if status == self._told:
            return False
        told = self._told
        is_change = (status.busy_slots, status.waiting_requests) != (told.busy_slots, told.waiting_requests)
        return is_change or time.monotonic() - self._told_s >= _COUNTERS_EVERY_S


class Counters(msgspec.Struct):
    """Totals since the load, for the status."""

    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
