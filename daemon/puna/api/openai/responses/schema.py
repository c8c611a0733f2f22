"""The bodies of `/v1/responses`. Field names are those on the wire; null is the same as absent."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from puna.api.bounds import MAX_MESSAGES
from puna.api.openai.schema import Share, Temperature, TopLogprobs
from puna.api.tool_fields import MAX_TOOLS
from puna.api.validation import BodySchema

# Some clients send whole numbers as 100.0, so each of these is a union of both types.
TokenLimit = (
    Annotated[int, Meta(ge=1, le=10_000_000)] | Annotated[float, Meta(ge=1, le=10_000_000, multiple_of=1)]
)


class Speaker(StrEnum):
    """Whose a message is."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    DEVELOPER = "developer"


class Include(StrEnum):
    """What an answer shall have beside the usual. Those of OpenAI's own tools add nothing where there are none."""

    LOGPROBS = "message.output_text.logprobs"
    ENCRYPTED_REASONING = "reasoning.encrypted_content"
    FILE_SEARCH = "file_search_call.results"
    WEB_SEARCH = "web_search_call.results"
    WEB_SOURCES = "web_search_call.action.sources"
    INPUT_IMAGE = "message.input_image.image_url"
    COMPUTER_IMAGE = "computer_call_output.output.image_url"
    CODE_OUTPUTS = "code_interpreter_call.outputs"


class Effort(StrEnum):
    """How much a model thinks, as far as its template can be told."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Summary(StrEnum):
    """How long a summary of the reasoning is."""

    AUTO = "auto"
    CONCISE = "concise"
    DETAILED = "detailed"


class Verbosity(StrEnum):
    """How many words an answer has; models here are not told."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Truncation(StrEnum):
    """What happens to a conversation that is longer than the context."""

    DISABLED = "disabled"
    AUTO = "auto"


class ToolChoiceWord(StrEnum):
    """Whether tools are called."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


class PartBody(Struct, kw_only=True, frozen=True):
    """A part of a message, of a tool's answer or of reasoning."""

    type: str
    text: str | None = None
    refusal: str | None = None


class ItemBody(Struct, kw_only=True, frozen=True):
    """Any item of a conversation: which fields it needs, its type says. Without one it is a message."""

    type: str | None = None
    id: str | None = None
    role: Speaker | None = None
    content: str | Annotated[list[PartBody], Meta(max_length=MAX_MESSAGES)] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Any = None
    input: Any = None
    """Of a call of a custom tool, text."""
    output: Any = None
    """Of a function call, text or parts; of other calls, which are refused, anything."""
    summary: Annotated[list[PartBody], Meta(max_length=MAX_MESSAGES)] | None = None
    encrypted_content: str | None = None


class InputFormatBody(Struct, kw_only=True, frozen=True):
    """What the input of a custom tool must look like: any text, or what a grammar allows."""

    type: str
    syntax: str | None = None
    definition: str | None = None


class MemberBody(Struct, kw_only=True, frozen=True):
    """A tool that may stand in a namespace."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: InputFormatBody | None = None
    """Of a custom tool, which takes text and no arguments."""


class ToolBody(MemberBody, kw_only=True, frozen=True):
    """A tool, or a namespace with several."""

    tools: Annotated[list[MemberBody], Meta(max_length=MAX_TOOLS)] | None = None
    """Of a namespace."""


class AllowedTool(Struct, kw_only=True, frozen=True):
    """A tool among those allowed."""

    type: str
    name: str | None = None


class ToolChoiceBody(Struct, kw_only=True, frozen=True):
    """A tool that is to be called, or some of which one may be."""

    type: str
    name: str | None = None
    mode: ToolChoiceWord | None = None
    tools: list[AllowedTool] | None = None


class FormatBody(Struct, kw_only=True, frozen=True):
    """What the text must look like."""

    type: str
    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextBody(Struct, kw_only=True, frozen=True):
    """`text`."""

    format: FormatBody | None = None
    verbosity: Verbosity | None = None


class ReasoningBody(Struct, kw_only=True, frozen=True):
    """`reasoning`."""

    effort: Effort | None = None
    summary: Summary | None = None
    generate_summary: Summary | None = None
    """The former name of `summary`."""
    mode: str | None = None
    context: str | None = None


class StreamOptions(Struct, kw_only=True, frozen=True):
    """`stream_options`."""

    include_obfuscation: bool | None = None


class ResponseBody(Struct, kw_only=True, frozen=True):
    """POST /v1/responses, and what counts its tokens."""

    model: str | None = None
    """Absent: the current or the default model."""
    input: str | Annotated[list[ItemBody], Meta(max_length=MAX_MESSAGES)] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    max_output_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_logprobs: TopLogprobs | None = None
    tools: Annotated[list[ToolBody], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoiceWord | ToolChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    text: TextBody | None = None
    reasoning: ReasoningBody | None = None
    include: list[Include] | None = None
    truncation: Truncation | None = None
    store: bool | None = None
    """Absent: true."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    max_tool_calls: TokenLimit | None = None
    """Of OpenAI's own tools, which are not here."""
    service_tier: str | None = None
    """Accepted: there is one queue for all."""
    background: bool | None = None
    conversation: Any = None
    prompt: Any = None
    context_management: Any = None
    moderation: Any = None


RESPONSE = BodySchema(ResponseBody)
