"""Anthropic's request bodies. Field names are those on the wire; null is the same as absent.

What says nothing about the answer (`metadata`, `service_tier`, `cache_control`, ...) is not here: unknown fields
are ignored.
"""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from puna.api.bounds import MAX_MESSAGES
from puna.api.tool_fields import MAX_TOOLS
from puna.api.validation import BodySchema

MAX_STOPS = 64
"""Strings that end a text; workers take no more."""
MIN_THINKING_BUDGET = 1024
"""The least `budget_tokens`, as documented."""

# Some clients send whole numbers as 100.0, so each of these is a union of both types.
TokenLimit = (
    Annotated[int, Meta(ge=1, le=10_000_000)] | Annotated[float, Meta(ge=1, le=10_000_000, multiple_of=1)]
)
ThinkingBudget = (
    Annotated[int, Meta(ge=MIN_THINKING_BUDGET)]
    | Annotated[float, Meta(ge=MIN_THINKING_BUDGET, multiple_of=1)]
)
TopK = Annotated[int, Meta(ge=0, le=1_000_000)] | Annotated[float, Meta(ge=0, le=1_000_000, multiple_of=1)]
Temperature = Annotated[float, Meta(ge=0, le=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1)]


class TextBlock(Struct, frozen=True, tag_field="type", tag="text"):
    """Text."""

    text: str


class ThinkingBlock(Struct, frozen=True, tag_field="type", tag="thinking"):
    """What the assistant thought; its `signature` is taken as it is."""

    thinking: str


class RedactedThinkingBlock(Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """What another server's assistant thought and nobody here can read: left out."""


class ToolUseBlock(Struct, frozen=True, tag_field="type", tag="tool_use"):
    """A call of a tool, by the assistant."""

    id: Text
    name: Text
    input: dict[str, Any]


class ToolResultBlock(Struct, frozen=True, kw_only=True, tag_field="type", tag="tool_result"):
    """What a tool answered, told by the user."""

    tool_use_id: Text
    content: str | Annotated[list[TextBlock], Meta(max_length=MAX_MESSAGES)] | None = None
    is_error: bool | None = None


Block = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock


class MessageRole(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    """Instructions in the middle of a conversation."""


class MessageBody(Struct, frozen=True):
    """One turn, or a part of it: consecutive ones of a role are one turn."""

    role: MessageRole
    content: str | Annotated[list[Block], Meta(max_length=MAX_MESSAGES)]


class ToolBody(Struct, frozen=True, kw_only=True):
    """A tool that the client runs."""

    name: str | None = None
    type: str | None = None
    """`custom` or absent; the others are Anthropic's own, which bring no schema and cannot be used."""
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    input_examples: list[dict[str, Any]] | None = None


class ToolChoiceType(StrEnum):
    """Whether tools may, must or must not be called."""

    AUTO = "auto"
    ANY = "any"
    TOOL = "tool"
    NONE = "none"


class ToolChoiceBody(Struct, frozen=True, kw_only=True):
    """What the model does with its tools."""

    type: ToolChoiceType
    name: str | None = None
    """The tool that must be called, where the type is `tool`."""
    disable_parallel_tool_use: bool | None = None


class ThinkingType(StrEnum):
    """Whether the model thinks before it speaks."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    ADAPTIVE = "adaptive"
    BETWEEN_TOOLS = "between_tools"
    """As `disabled`: what Anthropic shows as thinking then is what the model says between calls."""


class ThinkingDisplay(StrEnum):
    """How thinking is shown."""

    SUMMARIZED = "summarized"
    """As it is: nothing here makes it shorter."""
    OMITTED = "omitted"


class ThinkingBody(Struct, frozen=True, kw_only=True):
    """Whether and how the model thinks."""

    type: ThinkingType
    budget_tokens: ThinkingBudget | None = None
    """Required for `enabled`. Models here have no separate limit for it: `max_tokens` counts for both. It may be
    the greater number, as Anthropic has it where a model thinks between calls."""
    display: ThinkingDisplay | None = None

    def __post_init__(self) -> None:
        if self.type is ThinkingType.ENABLED and self.budget_tokens is None:
            raise ValueError("`thinking.budget_tokens` is required where `thinking.type` is enabled.")


class FormatType(StrEnum):
    """The forms that an answer can have."""

    JSON_SCHEMA = "json_schema"


class FormatBody(Struct, frozen=True, kw_only=True):
    """The form of the answer."""

    type: FormatType
    schema: dict[str, Any]


class Effort(StrEnum):
    """How much work the model puts into its answer."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class OutputConfigBody(Struct, frozen=True, kw_only=True):
    """What the answer is like."""

    effort: Effort | None = None
    format: FormatBody | None = None


class PromptBody(Struct, frozen=True, kw_only=True):
    """POST /v1/messages/count_tokens, and what it shares with `/v1/messages`: all that makes the prompt."""

    model: Text
    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=MAX_MESSAGES)]
    system: str | Annotated[list[TextBlock], Meta(max_length=MAX_MESSAGES)] | None = None
    tools: Annotated[list[ToolBody], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoiceBody | None = None
    thinking: ThinkingBody | None = None
    output_config: OutputConfigBody | None = None
    output_format: FormatBody | None = None
    """The older name of `output_config.format`."""
    mcp_servers: list[Any] | None = None


class MessagesBody(PromptBody, frozen=True, kw_only=True):
    """POST /v1/messages."""

    max_tokens: TokenLimit
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    stop_sequences: Annotated[list[Text], Meta(max_length=MAX_STOPS)] | None = None
    stream: bool | None = None
    container: Any = None
    thread: Any = None
    compaction: Any = None


MESSAGES = BodySchema(MessagesBody)
COUNT_TOKENS = BodySchema(PromptBody)
