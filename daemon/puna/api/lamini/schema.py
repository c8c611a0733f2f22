"""Lamini's request bodies. Field names are those on the wire; null is the same as absent."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from puna.api.lamini.output_type import OutputType, parse_output_type
from puna.api.validation import BodySchema

MAX_PROMPTS = 256
"""Prompts of one list. More would take longer than their client waits."""

# Python clients send whole numbers as 100.0 too, so this is a union of both types.
TokenLimit = Annotated[int, Meta(ge=1, le=32_000)] | Annotated[float, Meta(ge=1, le=32_000, multiple_of=1)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Text = Annotated[str, Meta(min_length=1)]


class CompletionBody(Struct, kw_only=True, frozen=True):
    """All routes that complete prompts."""

    model_name: str | None = None
    prompt: Text | Annotated[list[Text], Meta(min_length=1, max_length=MAX_PROMPTS)]
    """One prompt, or several; the answer is one or several, too."""
    out_type: dict[str, Any] | None = None
    """What the answer has: each key with `str`, `int`, `float`, `bool` or a list of its values."""
    output_type: dict[str, Any] | None = None
    """The name of `out_type` since 2024."""
    max_tokens: TokenLimit | None = None
    """New tokens, at most. Absent: 512, and for a typed object what it takes."""
    max_new_tokens: TokenLimit | None = None
    """As `max_tokens`; the smaller of both counts."""
    model: str | None = None
    """Not Lamini's: what people write who come from another API."""

    @property
    def wanted_model(self) -> str | None:
        """The model asked for; None and the empty name are the current one."""
        return self.model_name or self.model or None

    @property
    def prompts(self) -> list[str]:
        """The prompts, one or many."""
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt

    @property
    def is_list(self) -> bool:
        """Whether the answer is a list, too."""
        return isinstance(self.prompt, list)

    def read_output_type(self) -> OutputType | None:
        """Return what the answers must look like. Raises `InvalidRequestError`."""
        field = "out_type" if self.out_type is not None else "output_type"
        given = self.output_type if self.out_type is None else self.out_type
        return None if given is None else parse_output_type(given, field)


class StreamingBody(CompletionBody, kw_only=True, frozen=True):
    """POST /v1/streaming_completions of clients up to 2.1.8, which send the whole request with each poll."""

    server: str | None = None
    """What the answer before said; the id of the text under way."""


class ReservationBody(Struct, kw_only=True, frozen=True):
    """POST /v1/reservation."""

    capacity: Count | None = None
    batch_size: Count | None = None


COMPLETION = BodySchema(CompletionBody, foreign_names={"inputs": "prompt", "messages": "prompt"})
STREAMING = BodySchema(StreamingBody)
RESERVATION = BodySchema(ReservationBody)
