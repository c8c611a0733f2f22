"""An answer as it comes, read in a thread of its own, so that keys and the screen never wait for it."""

import queue
import threading
from collections.abc import Iterator

from msgspec import Struct

from puna.errors import NotRunningError, PunaError
from puna.terminal.http_door import StreamingReply
from puna.terminal.wire import Ended, Event, decode_event

_BROKEN_OFF = "The answer broke off: Puna stopped in the middle of it; ask again."


class _Failed(Struct, frozen=True):
    error: PunaError


class _Over(Struct, frozen=True):
    pass


class AnswerStream:
    """The events of one answer. Use it from one thread, and close it."""

    def __init__(self, reply: StreamingReply) -> None:
        self._reply = reply
        self._queue: queue.SimpleQueue[Event | _Failed | _Over] = queue.SimpleQueue()
        self.is_over = False
        threading.Thread(target=self._read, name="answer", daemon=True).start()

    def take(self, timeout_s: float) -> list[Event]:
        """Wait at most so long for something, and return all that is there.

        Raises the error that ended the answer, after what came before it was returned.
        """
        events: list[Event] = []
        for item in self._waiting(timeout_s):
            match item:
                case _Failed(error):
                    if events:
                        # It is the last one, so that it keeps its place.
                        self._queue.put(item)
                        return events
                    self.is_over = True
                    raise error
                case _Over():
                    self.is_over = True
                    return events
                case event:
                    events.append(event)
        return events

    def close(self) -> None:
        """Leave the answer, wherever it is. Idempotent."""
        self._reply.close()

    def _waiting(self, timeout_s: float) -> Iterator[Event | _Failed | _Over]:
        try:
            yield self._queue.get(timeout=timeout_s)
            while True:
                yield self._queue.get_nowait()
        except queue.Empty:
            return

    def _read(self) -> None:
        """Queue the events and one end, which is a failure or not."""
        is_whole = False
        try:
            for line in self._reply.lines():
                for event in decode_event(line):
                    self._queue.put(event)
                    is_whole = is_whole or isinstance(event, Ended)
        except PunaError as error:
            self._queue.put(_Failed(error))
        except Exception as error:  # noqa: BLE001 - a thread's end must be told to who waits for it
            self._queue.put(
                _Failed(PunaError(f"Reading the answer failed ({type(error).__name__}: {error})."))
            )
        else:
            # A daemon that is killed closes its connections as one that has said everything does.
            is_expected = is_whole or self._reply.is_closed
            self._queue.put(_Over() if is_expected else _Failed(NotRunningError(_BROKEN_OFF)))
