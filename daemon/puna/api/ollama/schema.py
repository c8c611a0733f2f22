"""The request bodies of Ollama and Spin-Up. Field names are those on the wire; null is the same as absent."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from puna.api.bounds import MAX_MESSAGES, MAX_PROMPT_TOKENS
from puna.api.validation import BodySchema
from puna.domain.chat import Role

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
TopLogprobs = Annotated[int, Meta(ge=0, le=20)] | Annotated[float, Meta(ge=0, le=20, multiple_of=1)]
Dimensions = (
    Annotated[int, Meta(ge=0, le=1_000_000)] | Annotated[float, Meta(ge=0, le=1_000_000, multiple_of=1)]
)
Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Factor = Annotated[float, Meta(ge=0.1, le=10)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Text = Annotated[str, Meta(min_length=1)]
KeepAlive = str | float
"""Seconds, or a duration of Go such as `1h30m`; below 0 is for ever."""


class Options(Struct, kw_only=True, frozen=True):
    """Ollama's `options`, as far as they say how the next token is chosen and when the text ends.

    The others do nothing here: they place a model in memory, which Puna's settings do (`num_gpu`, `num_thread`),
    shift a context that Puna does not shift (`num_keep`), or are gone from Ollama too (`mirostat`, `tfs_z`).
    """

    num_predict: TokenLimit | None = None
    """New tokens; -1, -2 and 0 run to the end of the context."""
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    """Off at 1, and nothing else can be had."""
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


class AnswerBody(Struct, kw_only=True, frozen=True):
    """What `/api/generate` and `/api/chat` have in common."""

    model: Text
    stream: bool | None = None
    """Absent: true."""
    format: str | dict[str, Any] | None = None
    """`json`, or a JSON schema."""
    options: Options | None = None
    keep_alive: KeepAlive | None = None
    think: bool | str | None = None
    """Absent: true, where the model can."""
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    """Counts with `logprobs` only."""


class GenerateBody(AnswerBody, kw_only=True, frozen=True):
    """POST /api/generate."""

    prompt: str | None = None
    """Absent or empty: only load the model, or unload it when `keep_alive` is 0."""
    suffix: str | None = None
    system: str | None = None
    raw: bool | None = None
    """The prompt goes to the model as it stands, without the chat template."""
    template: str | None = None
    images: list[str] | None = None
    context: Annotated[list[int], Meta(max_length=MAX_PROMPT_TOKENS)] | None = None
    """What the answer before had there: its conversation goes on."""


class CalledFunction(Struct, kw_only=True, frozen=True):
    """What a call of an earlier turn asked for."""

    name: Text
    arguments: dict[str, Any] | None = None


class CallBody(Struct, kw_only=True, frozen=True):
    """A call that an assistant made in an earlier turn."""

    function: CalledFunction
    id: str | None = None


class MessageBody(Struct, kw_only=True, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[CallBody] | None = None
    tool_name: str | None = None
    """Of a tool's answer."""
    tool_call_id: str | None = None
    """Of a tool's answer; absent, it answers the first call that is open."""


class FunctionBody(Struct, kw_only=True, frozen=True):
    """A function that the model may call."""

    name: Text
    description: str | None = None
    parameters: dict[str, Any] | None = None
    """JSON schema of the arguments."""


class ToolBody(Struct, kw_only=True, frozen=True):
    """A tool, of the only type that there is."""

    function: FunctionBody
    type: str | None = None


class ChatBody(AnswerBody, kw_only=True, frozen=True):
    """POST /api/chat."""

    messages: Annotated[list[MessageBody], Meta(max_length=MAX_MESSAGES)] | None = None
    """Absent or empty: only load the model, or unload it when `keep_alive` is 0."""
    tools: list[ToolBody] | None = None


class EmbedBody(Struct, kw_only=True, frozen=True):
    """POST /api/embed."""

    model: Text
    input: str | list[str] | None = None
    """Absent or empty: only load the model."""
    truncate: bool | None = None
    """Absent: true."""
    dimensions: Dimensions | None = None
    """0 keeps all."""
    keep_alive: KeepAlive | None = None


class EmbeddingsBody(Struct, kw_only=True, frozen=True):
    """POST /api/embeddings, which came before `/api/embed`."""

    model: Text
    prompt: str | None = None
    """Absent or empty: only load the model."""
    keep_alive: KeepAlive | None = None


class NameBody(Struct, kw_only=True, frozen=True):
    """POST /api/show, POST /api/pull and DELETE /api/delete."""

    model: str | None = None
    name: str | None = None
    """The same, as older clients call it."""
    stream: bool | None = None
    """Of a pull; absent: true."""


class CopyBody(Struct, kw_only=True, frozen=True):
    """POST /api/copy."""

    source: Text
    destination: Text


GENERATE = BodySchema(GenerateBody)
CHAT = BodySchema(ChatBody)
EMBED = BodySchema(EmbedBody)
EMBEDDINGS = BodySchema(EmbeddingsBody)
NAME = BodySchema(NameBody)
COPY = BodySchema(CopyBody)
