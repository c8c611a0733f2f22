"""What the step loops are told by the threads beside them."""

import queue
from collections.abc import Iterator
from typing import Generic, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from puna.errors import PunaError
from puna.worker.outbox import Outbox


class Expected(Struct, frozen=True):
    """A request arrived and is being prepared."""

    request_id: int


class CountedPrompt(Struct, frozen=True):
    """The tokens of a prompt."""

    request_id: int
    tokens: int


class UnpreparedRequest(Struct, frozen=True):
    """A request whose preparation failed."""

    request_id: int
    error: PunaError


class Cancelled(Struct, frozen=True):
    """Nobody wants the request any more."""

    request_id: int


class Stop(Struct, frozen=True):
    """End the loop."""


class _Prepared(Protocol):
    @property
    def request_id(self) -> int: ...


PreparedT = TypeVar("PreparedT", bound=_Prepared)
Command: TypeAlias = Expected | CountedPrompt | UnpreparedRequest | Cancelled | Stop | PreparedT


class Mailbox(Generic[PreparedT]):
    """Commands in their order. `put` may be called from any thread; all else belongs to the one that steps."""

    def __init__(self, outbox: Outbox) -> None:
        """Answers that need no step go to `outbox`."""
        self._outbox = outbox
        self._commands: queue.SimpleQueue[Command[PreparedT]] = queue.SimpleQueue()
        self._expected: set[int] = set()

    @property
    def expected(self) -> int:
        """Requests that are being prepared."""
        return len(self._expected)

    def put(self, command: Command[PreparedT]) -> None:
        """Queue a command; returns at once."""
        self._commands.put(command)

    def take(self, *, is_idle: bool) -> Iterator[PreparedT | Cancelled | Stop]:
        """Yield what the loop has to act upon; one that is idle waits for the first command.

        What comes of a request that was cancelled while it was being prepared is left out.
        """
        while (command := self._next(is_waiting=is_idle)) is not None:
            is_idle = False
            if isinstance(command, Stop):
                yield command
            elif isinstance(command, Expected):
                self._expected.add(command.request_id)
            else:
                is_expected = command.request_id in self._expected
                self._expected.discard(command.request_id)
                if isinstance(command, Cancelled):
                    yield command
                elif is_expected:
                    yield from self._pass(command)

    def _next(self, *, is_waiting: bool) -> Command[PreparedT] | None:
        try:
            return self._commands.get(block=is_waiting)
        except queue.Empty:
            return None

    def _pass(self, command: PreparedT | CountedPrompt | UnpreparedRequest) -> Iterator[PreparedT]:
        match command:
            case UnpreparedRequest(request_id, error):
                self._outbox.failed(request_id, error)
            case CountedPrompt(request_id, tokens):
                self._outbox.counted(request_id, tokens)
            case _:
                yield command
