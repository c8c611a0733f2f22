"""Ollama's and Spin-Up's answers in one: whoever knows only one of them ignores the other's fields.

Durations are whole nanoseconds. What is `UNSET` is left out, as Ollama leaves out what is empty.
"""

from collections.abc import Mapping

from msgspec import UNSET, Raw, Struct, UnsetType


class UsageReply(Struct, frozen=True):
    """Tokens; `tokens`, which Spin-Up's document has, is the sum of the others."""

    tokens: int
    prompt_tokens: int
    completion_tokens: int


class TokenReply(Struct, frozen=True):
    """A token and its log probability."""

    token: str
    """Its text; bytes that are no whole characters are replaced in it."""
    logprob: float
    bytes: tuple[int, ...]


class LogprobReply(TokenReply, frozen=True):
    """A token of the answer, with those that were likely in its place."""

    top_logprobs: tuple[TokenReply, ...] | UnsetType = UNSET


class ChunkReply(Struct, frozen=True, kw_only=True):
    """A line of the stream of `/api/generate` before the last."""

    id: str
    model: str
    created_at: str
    response: str
    output: str
    """The same as `response`, under the name of Spin-Up's document."""
    thinking: str | UnsetType = UNSET
    logprobs: tuple[LogprobReply, ...] | UnsetType = UNSET
    done: bool = False


class GenerateReply(ChunkReply, frozen=True, kw_only=True):
    """The whole answer of `/api/generate`, or the last line of its stream."""

    done: bool = True
    done_reason: str
    context: tuple[int, ...] | UnsetType = UNSET
    """The conversation so far, to be sent with the next prompt; absent with `raw`, with a `suffix`,
    and behind more than half a megabyte of text."""
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    usage: UsageReply


class LoadReply(Struct, frozen=True, kw_only=True):
    """Answer to a request of `/api/generate` without a prompt."""

    model: str
    created_at: str
    response: str = ""
    done: bool = True
    done_reason: str


class FunctionReply(Struct, frozen=True, kw_only=True):
    """What a call asks for."""

    index: int
    name: str
    arguments: Mapping[str, object]


class CallReply(Struct, frozen=True, kw_only=True):
    """A call of a tool."""

    id: str
    function: FunctionReply


class MessageReply(Struct, frozen=True, kw_only=True):
    """The assistant's turn, or a part of it."""

    role: str = "assistant"
    content: str = ""
    thinking: str | UnsetType = UNSET
    tool_calls: tuple[CallReply, ...] | UnsetType = UNSET


class ChatChunkReply(Struct, frozen=True, kw_only=True):
    """A line of the stream of `/api/chat` before the last."""

    model: str
    created_at: str
    message: MessageReply
    logprobs: tuple[LogprobReply, ...] | UnsetType = UNSET
    done: bool = False


class ChatReply(ChatChunkReply, frozen=True, kw_only=True):
    """The whole answer of `/api/chat`, or the last line of its stream."""

    done: bool = True
    done_reason: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int


class ChatLoadReply(Struct, frozen=True, kw_only=True):
    """Answer to a request of `/api/chat` without messages."""

    model: str
    created_at: str
    message: MessageReply = MessageReply()
    done: bool = True
    done_reason: str


class ErrorLine(Struct, frozen=True):
    """The last line of a stream that failed."""

    error: str


class EmbedHead(Struct, frozen=True, kw_only=True):
    """What stands beside the vectors of `/api/embed`."""

    model: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class EmbedReply(EmbedHead, frozen=True, kw_only=True):
    """Answer of `/api/embed`."""

    embeddings: tuple[tuple[float, ...], ...]


class EncodedEmbedReply(EmbedHead, frozen=True, kw_only=True):
    """The same with vectors that are JSON already: they were encoded a few at a time."""

    embeddings: tuple[Raw, ...]


class EmbeddingsReply(Struct, frozen=True):
    """Answer of `/api/embeddings`."""

    embedding: tuple[float, ...]


class EncodedEmbeddingsReply(Struct, frozen=True):
    """The same with a vector that is JSON already."""

    embedding: Raw


class DetailsReply(Struct, frozen=True, kw_only=True):
    """What a model is, in a few words."""

    parent_model: str = ""
    """What an adapter was trained on."""
    format: str = "gguf"
    family: str
    families: tuple[str, ...]
    parameter_size: str
    quantization_level: str


class TagReply(Struct, frozen=True, kw_only=True):
    """A model in the list."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: DetailsReply


class TagsReply(Struct, frozen=True):
    """Answer of `/api/tags`."""

    models: tuple[TagReply, ...]


class ProcessReply(Struct, frozen=True, kw_only=True):
    """A model in memory."""

    name: str
    model: str
    size: int
    digest: str
    details: DetailsReply
    expires_at: str
    size_vram: int
    context_length: int


class ProcessesReply(Struct, frozen=True):
    """Answer of `/api/ps`."""

    models: tuple[ProcessReply, ...]


class ShowReply(Struct, frozen=True, kw_only=True):
    """Answer of `/api/show`. One client fails without `model_info`."""

    license: str | UnsetType = UNSET
    """What the file says, such as `apache-2.0`."""
    modelfile: str
    parameters: str | UnsetType = UNSET
    """Lines of a name and a value; one client fails at a line that is empty."""
    template: str
    """The model's own, in Jinja and not in Go's language."""
    details: DetailsReply
    model_info: Mapping[str, str | int]
    capabilities: tuple[str, ...]
    modified_at: str


class VersionReply(Struct, frozen=True):
    """Answer of `/api/version`."""

    version: str


class StatusReply(Struct, frozen=True):
    """A line of a pull."""

    status: str


class PullReply(Struct, frozen=True, kw_only=True):
    """How far a file of a pull is."""

    status: str
    digest: str
    total: int
    completed: int
