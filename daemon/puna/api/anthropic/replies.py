"""Anthropic's answers, and the events of its streams. `type` comes from the tags."""

from msgspec import Struct


class ThinkingReply(Struct, frozen=True, tag_field="type", tag="thinking"):
    """What the model thought."""

    thinking: str
    signature: str


class TextReply(Struct, frozen=True, tag_field="type", tag="text"):
    """What it said."""

    text: str


class ToolUseReply(Struct, frozen=True, tag_field="type", tag="tool_use"):
    """A tool that it calls."""

    id: str
    name: str
    input: dict[str, object]


BlockReply = ThinkingReply | TextReply | ToolUseReply


class OutputDetails(Struct, frozen=True):
    """Of the tokens of an answer, those that the model thought with."""

    thinking_tokens: int


class UsageReply(Struct, frozen=True):
    """Tokens. The whole prompt is the sum of the first three."""

    input_tokens: int
    """Those that were computed."""
    cache_creation_input_tokens: int
    """None are counted apart: every prompt is kept for the next one."""
    cache_read_input_tokens: int
    """Those from the prefix cache."""
    output_tokens: int
    output_tokens_details: OutputDetails


class MessageReply(Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A whole answer; in `message_start` one that has only begun."""

    id: str
    role: str = "assistant"
    model: str
    """The name that the request used."""
    content: tuple[BlockReply, ...]
    stop_reason: str | None
    """`end_turn`, `max_tokens`, `stop_sequence` or `tool_use`."""
    stop_sequence: str | None
    """The one of the request that was found."""
    usage: UsageReply


class TokenCountReply(Struct, frozen=True):
    """How long a prompt is."""

    input_tokens: int


class ErrorDetails(Struct, frozen=True):
    """What programs do something about."""

    error_code: str
    unsupported: tuple[str, ...] = ()


class ErrorObject(Struct, frozen=True, omit_defaults=True):
    """What failed."""

    type: str
    message: str
    details: ErrorDetails | None = None


class ErrorBody(Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """An answer that is an error, and the event that ends a stream which failed."""

    error: ErrorObject
    request_id: str
    detail: str
    """The message again, where clients of other APIs look for it."""


class MessageStart(Struct, frozen=True, tag_field="type", tag="message_start"):
    """The first event."""

    message: MessageReply


class Ping(Struct, frozen=True, tag_field="type", tag="ping"):
    """Says that the connection lives."""


class BlockStart(Struct, frozen=True, tag_field="type", tag="content_block_start"):
    """A block begins, empty."""

    index: int
    content_block: BlockReply


class TextDelta(Struct, frozen=True, tag_field="type", tag="text_delta"):
    """More text."""

    text: str


class ThinkingDelta(Struct, frozen=True, tag_field="type", tag="thinking_delta"):
    """More thinking."""

    thinking: str


class SignatureDelta(Struct, frozen=True, tag_field="type", tag="signature_delta"):
    """The signature, right before its block ends."""

    signature: str


class InputDelta(Struct, frozen=True, tag_field="type", tag="input_json_delta"):
    """More of a tool's input."""

    partial_json: str


DeltaReply = TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockDelta(Struct, frozen=True, tag_field="type", tag="content_block_delta"):
    """More of the block that began last."""

    index: int
    delta: DeltaReply


class BlockStop(Struct, frozen=True, tag_field="type", tag="content_block_stop"):
    """A block is complete."""

    index: int


class StopDelta(Struct, frozen=True):
    """Why the answer ended."""

    stop_reason: str
    stop_sequence: str | None


class MessageDelta(Struct, frozen=True, tag_field="type", tag="message_delta"):
    """What is known at the end."""

    delta: StopDelta
    usage: UsageReply


class MessageStop(Struct, frozen=True, tag_field="type", tag="message_stop"):
    """The last event."""


EventReply = (
    MessageStart | Ping | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | ErrorBody
)
