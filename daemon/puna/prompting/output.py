"""What a model's text is made of: content, reasoning and the calls of tools, as events."""

from collections.abc import Generator
from typing import Protocol, TypeVar

from puna.domain.generation import OutputEvent

Result = TypeVar("Result")
Reading = Generator[OutputEvent | None, None, Result]
"""Reading that yields events, and None whenever more text is needed."""


class OutputParser(Protocol):
    """Reads one text as it comes. Never raises: what is in no known format is content.

    However the text is split, the events mean the same: joined they give the same content, reasoning and calls.
    Markup and the blank around it is left out; everything else comes out once.
    """

    def push(self, text: str) -> list[OutputEvent]:
        """Take the next piece and return what is certain now; neighbours of the same kind are one event."""
        ...

    def flush(self) -> list[OutputEvent]:
        """Return what was held back, at the end of the text. Nothing may be pushed afterwards."""
        ...
