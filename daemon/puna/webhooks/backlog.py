"""Which message goes out next: the deliveries that have not ended, ordered by receiver. Pure: times are handed in.

Receivers are apart: each has its own queue and its own limit, and those whose last attempt failed share half of
all places at most. So one that stalls, or many that do, hold up nobody who answers.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct


class Pending(Struct, frozen=True, kw_only=True):
    """A delivery that has not ended."""

    id: int
    webhook_id: str
    receiver: str
    due_s: float
    """When its next attempt comes, in seconds since 1970."""
    attempts: int = 0
    """So many are over."""


class Limits(Struct, frozen=True, kw_only=True):
    """How many messages may be under way."""

    in_all: int = 8
    each: int = 2
    """To one receiver; to one whose last attempt failed, one."""

    @property
    def troubled(self) -> int:
        """To all receivers together whose last attempts failed."""
        return max(1, self.in_all // 2)


@dataclass
class _Receiver:
    queue: list[tuple[float, int]] = field(default_factory=list)
    in_flight: int = 0
    is_troubled: bool = False
    paused_until_s: float = -math.inf

    @property
    def next_s(self) -> float:
        """When its first message may go out; its queue is not empty."""
        return max(self.queue[0][0], self.paused_until_s)


class Backlog:
    """Belongs to the runner, which alone changes it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: dict[int, Pending] = {}
        self._in_flight: dict[int, Pending] = {}
        self._receivers: dict[str, _Receiver] = {}

    @property
    def waiting(self) -> int:
        """Deliveries that wait for an attempt."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Messages under way."""
        return len(self._in_flight)

    def add(self, pending: Pending) -> None:
        """Queue a delivery, for the first time or again; one that is known already stays as it is."""
        if pending.id in self._waiting or pending.id in self._in_flight:
            return
        self._waiting[pending.id] = pending
        receiver = self._receiver(pending.receiver)
        receiver.is_troubled = receiver.is_troubled or pending.attempts > 0
        heapq.heappush(receiver.queue, (pending.due_s, pending.id))

    def pause(self, receiver: str, until_s: float) -> None:
        """Send nothing to a receiver before that time."""
        known = self._receiver(receiver)
        known.paused_until_s = max(known.paused_until_s, until_s)

    def take(self, now_s: float) -> Pending | None:
        """Return the delivery whose attempt begins now, the one that is due for longest; None where none may."""
        ready = [
            (each.next_s, each.queue[0][1], name) for name, each in self._ready() if each.next_s <= now_s
        ]
        if not ready:
            return None
        receiver = self._receivers[min(ready)[2]]
        _, delivery_id = heapq.heappop(receiver.queue)
        receiver.in_flight += 1
        pending = self._in_flight[delivery_id] = self._waiting.pop(delivery_id)
        return pending

    def next_s(self) -> float:
        """Return when `take` has something, if nothing lands before; infinite where only a landing makes room."""
        return min((each.next_s for _, each in self._ready()), default=math.inf)

    def land(self, delivery_id: int, *, is_delivered: bool | None) -> None:
        """Give the place of a message free; None where the attempt tells nothing about its receiver.

        To be tried again it is added anew.
        """
        pending = self._in_flight.pop(delivery_id, None)
        if pending is None:
            return
        receiver = self._receivers[pending.receiver]
        receiver.in_flight -= 1
        if is_delivered is not None:
            receiver.is_troubled = not is_delivered

    def forget(self, delivery_ids: Iterable[int]) -> None:
        """Drop deliveries that wait; those under way land as usual."""
        gone = {self._waiting.pop(each).receiver for each in delivery_ids if each in self._waiting}
        for name in gone:
            receiver = self._receivers[name]
            receiver.queue = [entry for entry in receiver.queue if entry[1] in self._waiting]
            heapq.heapify(receiver.queue)

    def tidy(self, now_s: float) -> None:
        """Forget receivers to which nothing goes, and of whose pauses nothing is left."""
        self._receivers = {
            name: each
            for name, each in self._receivers.items()
            if each.queue or each.in_flight or each.paused_until_s > now_s
        }

    def of_webhook(self, webhook_id: str) -> tuple[list[int], list[int]]:
        """Return the deliveries of a webhook: those that wait, and those under way."""
        waiting = [each.id for each in self._waiting.values() if each.webhook_id == webhook_id]
        return waiting, [each.id for each in self._in_flight.values() if each.webhook_id == webhook_id]

    def _receiver(self, name: str) -> _Receiver:
        return self._receivers.setdefault(name, _Receiver())

    def _ready(self) -> Iterable[tuple[str, _Receiver]]:
        """Return the receivers that have messages waiting, and room for one more."""
        if len(self._in_flight) >= self._limits.in_all:
            return ()
        troubled = sum(each.in_flight for each in self._receivers.values() if each.is_troubled)
        return [
            (name, each)
            for name, each in self._receivers.items()
            if each.queue and self._has_room(each, troubled)
        ]

    def _has_room(self, receiver: _Receiver, troubled: int) -> bool:
        if receiver.is_troubled:
            return receiver.in_flight < 1 and troubled < self._limits.troubled
        return receiver.in_flight < self._limits.each
