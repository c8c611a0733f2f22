"""The answers of `/v1/responses`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

from puna.api.openai.responses.item_replies import Item, OutputItem


class ResponseStatus(StrEnum):
    """Where an answer stands."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class InputTokens(Struct, frozen=True):
    """More about the tokens of the prompt."""

    cached_tokens: int
    cache_write_tokens: int = 0
    """Always 0, which clients need to be there: nobody pays for a cache here."""


class OutputTokens(Struct, frozen=True):
    """More about the tokens of the answer."""

    reasoning_tokens: int


class UsageReply(Struct, frozen=True, kw_only=True):
    """Tokens."""

    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: OutputTokens
    total_tokens: int


class FailureReply(Struct, frozen=True):
    """Why an answer failed."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteReply(Struct, frozen=True):
    """Why an answer is cut short."""

    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ReasoningReply(Struct, frozen=True):
    """How a model was told to think."""

    effort: str | None = None
    summary: str | None = None


class FormatReply(Struct, frozen=True, omit_defaults=True):
    """What the text must look like."""

    type: str
    name: str | None = None
    description: str | None = None
    schema: Mapping[str, Any] | None = None
    strict: bool | None = None


class TextReply(Struct, frozen=True):
    """What was asked of the text."""

    format: FormatReply
    verbosity: str = "medium"


class FunctionReply(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A function that the model could call."""

    name: str
    description: str | None
    parameters: Mapping[str, Any] | None
    strict: bool | None


class InputFormatReply(Struct, frozen=True, omit_defaults=True):
    """What the input of a custom tool was to look like."""

    type: str
    syntax: str | None = None
    definition: str | None = None


class CustomToolReply(Struct, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    """A custom tool that the model could call."""

    name: str
    description: str | None
    format: InputFormatReply


class NamespaceReply(Struct, frozen=True, kw_only=True, tag_field="type", tag="namespace"):
    """Tools that the model could call, under a name that they share."""

    name: str
    description: str | None
    tools: tuple[FunctionReply | CustomToolReply, ...]


class AllowedToolReply(Struct, frozen=True):
    """A tool among those allowed."""

    type: str
    name: str


class ToolChoiceReply(Struct, frozen=True, omit_defaults=True):
    """Which tool was to be called, or some of which."""

    type: str
    name: str | None = None
    mode: str | None = None
    tools: tuple[AllowedToolReply, ...] | None = None


class ResponseReply(Struct, frozen=True, kw_only=True):
    """An answer, finished or begun. Times are seconds since 1970."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: ResponseStatus = ResponseStatus.IN_PROGRESS
    completed_at: int | None = None
    error: FailureReply | None = None
    incomplete_details: IncompleteReply | None = None
    model: str
    output: tuple[OutputItem, ...] = ()
    usage: UsageReply | None = None
    instructions: str | None
    previous_response_id: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    temperature: float
    top_p: float
    top_logprobs: int
    tools: tuple[FunctionReply | CustomToolReply | NamespaceReply, ...]
    """Those that the model could call: not those that OpenAI would run."""
    tool_choice: str | ToolChoiceReply
    parallel_tool_calls: bool
    reasoning: ReasoningReply
    text: TextReply
    truncation: str
    store: bool
    background: bool = False
    service_tier: Literal["default"] = "default"
    prompt_cache_key: str | None
    safety_identifier: str | None
    user: str | None
    metadata: Mapping[str, str]


class ItemsReply(Struct, frozen=True, kw_only=True):
    """A page of items."""

    object: Literal["list"] = "list"
    data: tuple[Item, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedReply(Struct, frozen=True):
    """A stored answer is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class InputTokensReply(Struct, frozen=True):
    """What a request would cost before a word is said."""

    input_tokens: int
    object: Literal["response.input_tokens"] = "response.input_tokens"
