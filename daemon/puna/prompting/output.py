"""What a model's text is made of: content, reasoning and the calls of tools, as events."""

from collections.abc import Generator
from typing import Protocol, TypeVar

from msgspec import Struct


class ContentText(Struct, frozen=True, tag="content"):
    """More of what the assistant says."""

    text: str


class ReasoningText(Struct, frozen=True, tag="reasoning"):
    """More of what the assistant thinks before it speaks."""

    text: str


class ToolCallBegin(Struct, frozen=True, tag="tool_call"):
    """A call has begun; its name is certain."""

    index: int
    """Which call of this text it is, from 0."""
    id: str
    name: str


class ToolCallArguments(Struct, frozen=True, tag="tool_arguments"):
    """More of the arguments of the call that began last.

    Joined they are compact JSON text of an object. A text that ends within a call, or breaks its format there,
    leaves them open, so that they never parse as something that the model did not say.
    """

    index: int
    text: str


OutputEvent = ContentText | ReasoningText | ToolCallBegin | ToolCallArguments

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
