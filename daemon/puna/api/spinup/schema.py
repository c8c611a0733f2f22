"""The request body of Spin-Up and Ollama. Field names are those on the wire; null is the same as absent."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from puna.api.validation import BodySchema

# Some clients send whole numbers as 100.0, so each of these is a union of both types.
TokenLimit = (
    Annotated[int, Meta(ge=-2, le=10_000_000)] | Annotated[float, Meta(ge=-2, le=10_000_000, multiple_of=1)]
)
TopK = Annotated[int, Meta(ge=-1, le=1_000_000)] | Annotated[float, Meta(ge=-1, le=1_000_000, multiple_of=1)]
Window = (
    Annotated[int, Meta(ge=-1, le=10_000_000)] | Annotated[float, Meta(ge=-1, le=10_000_000, multiple_of=1)]
)
Length = (
    Annotated[int, Meta(ge=0, le=100_000_000)] | Annotated[float, Meta(ge=0, le=100_000_000, multiple_of=1)]
)
Seed = (
    Annotated[int, Meta(ge=-1, le=4_294_967_295)]
    | Annotated[float, Meta(ge=-1, le=4_294_967_295, multiple_of=1)]
)
Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Factor = Annotated[float, Meta(ge=0.1, le=10)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Text = Annotated[str, Meta(min_length=1)]


class Options(Struct, kw_only=True, frozen=True):
    """Ollama's `options`, as far as they say how the next token is chosen and when the text ends."""

    num_predict: TokenLimit | None = None
    """New tokens; -1, -2 and 0 run to the end of the context."""
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    repeat_penalty: Factor | None = None
    repeat_last_n: Window | None = None
    """Tokens that the penalties look at: 0 is off, -1 the whole context."""
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    seed: Seed | None = None
    """-1 draws a fresh one."""
    stop: str | list[str] | None = None
    num_ctx: Length | None = None
    """Accepted: the context is chosen when the model is loaded, and a prompt that does not fit it is told."""


class GenerateBody(Struct, kw_only=True, frozen=True):
    """POST /api/generate."""

    model: Text
    prompt: str | None = None
    """Absent or empty: only load the model, or unload it when `keep_alive` is 0."""
    stream: bool | None = None
    """Absent: true."""
    system: str | None = None
    raw: bool | None = None
    """The prompt goes to the model as it stands, without the chat template."""
    format: str | dict[str, Any] | None = None
    """`json`, or a JSON schema."""
    options: Options | None = None
    keep_alive: str | float | None = None
    suffix: str | None = None
    template: str | None = None
    images: list[str] | None = None
    think: bool | str | None = None
    context: list[int] | None = None
    logprobs: bool | None = None


GENERATE = BodySchema(GenerateBody)
