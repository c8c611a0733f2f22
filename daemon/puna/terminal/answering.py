"""One answer, from the question to its last word: shown as it comes, and stopped when the user says so."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from msgspec import Struct

from puna.terminal.answer_view import FRAME_S, AnswerView
from puna.terminal.wire import Ended, Event, Piece, Usage

_PATIENCE_S = 0.5
"""How long nothing is said about waiting."""
_NOTE_S = 0.5
"""How often what is waited for is looked at."""


class Answer(Struct, frozen=True, kw_only=True):
    """What came of it."""

    text: str
    thought: str
    usage: Usage | None = None
    end: str | None = None
    """`stop`, `length`, or None where it was stopped."""
    first_s: float | None = None
    """Seconds until the first piece came; None where none did."""
    total_s: float = 0.0


class Events(Protocol):
    """An answer that comes in; `puna.terminal.answer_stream.AnswerStream` is one."""

    is_over: bool

    def take(self, timeout_s: float) -> list[Event]:
        """Wait for events and return them; raises the error that ended the answer."""
        ...

    def close(self) -> None:
        """Leave it."""
        ...


class _Draft:
    """An answer that is not complete."""

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.usage: Usage | None = None
        self.end: str | None = None
        self.first_s: float | None = None

    def take(self, event: Event, view: AnswerView, now_s: float) -> None:
        """Add an event, and show it."""
        match event:
            case Piece(text, thought):
                self.first_s = now_s - self.began_s if self.first_s is None else self.first_s
                if thought:
                    self.thoughts.append(thought)
                    view.think(thought)
                if text:
                    self.texts.append(text)
                    view.say(text)
            case Usage():
                self.usage = event
            case Ended(reason):
                self.end = reason

    def finish(self, now_s: float) -> Answer:
        """Return what there is of it."""
        return Answer(
            text="".join(self.texts),
            thought="".join(self.thoughts),
            usage=self.usage,
            end=self.end,
            first_s=self.first_s,
            total_s=now_s - self.began_s,
        )


def receive(
    events: Events,
    view: AnswerView,
    *,
    is_stopped: Callable[[], bool] = lambda: False,
    waiting_for: Callable[[], str] = lambda: "",
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """Show an answer until it ends or is stopped, and return it.

    `waiting_for` tells what keeps the first word; it may block for a moment. Raises what ended the answer, when
    what came before it has been shown.
    """
    draft = _Draft(clock())
    note_at_s = draft.began_s + _PATIENCE_S
    try:
        while not events.is_over and not is_stopped():
            for event in events.take(FRAME_S):
                draft.take(event, view, clock())
            if draft.first_s is None and clock() >= note_at_s:
                view.wait(waiting_for())
                note_at_s = clock() + _NOTE_S
            view.draw()
    finally:
        events.close()
        view.end()
    return draft.finish(clock())


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Have Ctrl-C stop an answer and nothing else; yields whether it was pressed. In the main thread only."""
    pressed = threading.Event()

    def press(_: int, __: FrameType | None) -> None:
        pressed.set()

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def figures(answer: Answer) -> str:
    """Return tokens and times as a line; empty where the daemon told none."""
    if answer.usage is None or answer.first_s is None:
        return ""
    writing_s = answer.total_s - answer.first_s
    count = answer.usage.completion_tokens
    rate = f", {(count - 1) / writing_s:.1f} tokens/s" if count > 1 and writing_s > 0 else ""
    return (
        f"{answer.usage.prompt_tokens} + {count} tokens, first after {answer.first_s:.1f} s, "
        f"all in {answer.total_s:.1f} s{rate}"
    )
