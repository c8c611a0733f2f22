"""AITextGen's request bodies and answers. Field names are those on the wire; null is the same as absent."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema

# Python clients send whole numbers as 100.0 too, so this is a union of both types.
TokenLimit = Annotated[int, Meta(ge=1, le=32_000)] | Annotated[float, Meta(ge=1, le=32_000, multiple_of=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1)]


class GenerateBody(Struct, kw_only=True, frozen=True):
    """POST /v1/aitextgen/generate."""

    prompt: Text
    """The text that goes on."""
    max_length: TokenLimit | None = None
    """New tokens, at most. Absent: 50."""
    temperature: Share | None = None
    """How freely tokens are chosen; 0 takes the most likely one each time. Absent: 0.7."""
    top_p: Share | None = None
    """Only the most likely tokens that have this share together. Absent: 0.9."""
    model: str | None = None
    """Not in the document: which model; None and the empty name are the current one."""


class GenerateReply(Struct, frozen=True, kw_only=True):
    """Answer of /v1/aitextgen/generate."""

    generated_text: str
    tokens_generated: int
    generation_time: float
    """Seconds."""


GENERATE = BodySchema(GenerateBody)
