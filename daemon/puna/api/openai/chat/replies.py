"""Answers of a chat, whole and in chunks. Fields that are `UNSET` are not sent."""

from msgspec import UNSET, Struct, UnsetType

from puna.api.openai.replies import UsageReply


class FunctionReply(Struct, frozen=True):
    """What the model asks for."""

    name: str
    arguments: str
    """JSON text of an object."""


class ToolCallReply(Struct, frozen=True, kw_only=True):
    """A call."""

    id: str
    type: str = "function"
    function: FunctionReply


class MessageReply(Struct, frozen=True, kw_only=True):
    """What the model said."""

    role: str = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    """What it thought, under the name of DeepSeek, vLLM and llama-server."""
    reasoning: str | UnsetType = UNSET
    """The same under the name of OpenRouter and Ollama."""
    tool_calls: tuple[ToolCallReply, ...] | UnsetType = UNSET
    function_call: FunctionReply | UnsetType = UNSET
    """The call, for requests that call tools functions."""


class TopLogprobReply(Struct, frozen=True):
    """A likely token."""

    token: str
    """Its text; what is not whole characters shows replacement characters."""
    logprob: float
    bytes: tuple[int, ...]
    """What it really is, in UTF-8."""


class LogprobReply(Struct, frozen=True):
    """A token of the content, and others in its place."""

    token: str
    logprob: float
    bytes: tuple[int, ...]
    top_logprobs: tuple[TopLogprobReply, ...]


class LogprobsReply(Struct, frozen=True):
    """The tokens of the content."""

    content: tuple[LogprobReply, ...]
    refusal: None = None


class ChoiceReply(Struct, frozen=True, kw_only=True):
    """One answer."""

    index: int
    message: MessageReply
    logprobs: LogprobsReply | None
    finish_reason: str


class ChatReply(Struct, frozen=True, kw_only=True):
    """A whole chat completion."""

    id: str
    object: str = "chat.completion"
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[ChoiceReply, ...]
    usage: UsageReply


class FunctionDelta(Struct, frozen=True, kw_only=True):
    """More of a call."""

    name: str | UnsetType = UNSET
    arguments: str


class ToolCallDelta(Struct, frozen=True, kw_only=True):
    """The begin of a call, with its id and name, or more of its arguments."""

    index: int
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    function: FunctionDelta


class DeltaReply(Struct, frozen=True, kw_only=True):
    """What has come since the last chunk; clients append each field to what they have."""

    role: str | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: tuple[ToolCallDelta, ...] | UnsetType = UNSET
    function_call: FunctionDelta | UnsetType = UNSET


class ChunkChoiceReply(Struct, frozen=True, kw_only=True):
    """More of one answer."""

    index: int
    delta: DeltaReply
    logprobs: LogprobsReply | None = None
    finish_reason: str | None = None


class ChunkReply(Struct, frozen=True, kw_only=True):
    """One event of a stream."""

    id: str
    object: str = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[ChunkChoiceReply, ...]
    usage: UsageReply | UnsetType | None = UNSET
    """Where it is asked for: null until the last chunk, which has no choices."""
