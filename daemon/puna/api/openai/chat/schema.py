"""The body of a chat completion. Names are those on the wire; null is the same as absent."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from puna.api.bounds import MAX_MESSAGES
from puna.api.openai.schema import GenerationFields, TokenLimit, TopLogprobs
from puna.api.tool_fields import MAX_TOOLS
from puna.api.validation import BodySchema


class ChatRole(StrEnum):
    """Who speaks; `function` is the old name of `tool`."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    FUNCTION = "function"


class ContentPart(Struct, frozen=True, kw_only=True):
    """A piece of a message."""

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(Struct, frozen=True, kw_only=True):
    """What an assistant asked for."""

    name: str
    arguments: str | dict[str, Any] | None = None
    """JSON text; some clients send the object itself."""


class CallPart(Struct, frozen=True, kw_only=True):
    """A call of an assistant."""

    id: str | None = None
    type: str | None = None
    """`function`, or absent."""
    function: CalledFunction | None = None


class ChatMessage(Struct, frozen=True, kw_only=True):
    """One turn."""

    role: ChatRole
    content: str | Annotated[list[ContentPart], Meta(max_length=MAX_MESSAGES)] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    """The same as `reasoning_content` under OpenRouter's name."""
    tool_calls: Annotated[list[CallPart], Meta(max_length=MAX_MESSAGES)] | None = None
    function_call: CalledFunction | None = None
    """The old form of `tool_calls`."""
    tool_call_id: str | None = None
    audio: dict[str, Any] | None = None


class FunctionFields(Struct, frozen=True, kw_only=True):
    """A function that the model may ask for."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolFields(Struct, frozen=True, kw_only=True):
    """A tool; Puna knows functions."""

    type: str | None = None
    """`function`, or absent."""
    function: FunctionFields | None = None


class NamedFunction(Struct, frozen=True, kw_only=True):
    """A function by its name."""

    name: str


class NamedTool(Struct, frozen=True, kw_only=True):
    """A tool by its name."""

    type: str | None = None
    """`function`, or absent."""
    function: NamedFunction | None = None
    name: str | None = None


class AllowedTools(Struct, frozen=True, kw_only=True):
    """Some of the tools, and whether one of them must be called."""

    mode: str | None = None
    """`auto` where it is absent."""
    tools: list[NamedTool] | None = None


class ChoiceFields(NamedTool, frozen=True, kw_only=True):
    """`tool_choice` where it is an object: a tool, or several."""

    allowed_tools: AllowedTools | None = None


class SchemaFields(Struct, frozen=True, kw_only=True):
    """A schema by a name that says nothing."""

    name: str | None = None
    schema_: dict[str, Any] | None = field(default=None, name="schema")


class ResponseFormat(Struct, frozen=True, kw_only=True):
    """What the answer must look like."""

    type: str
    json_schema: SchemaFields | None = None
    schema_: dict[str, Any] | None = field(default=None, name="schema")
    """llama-server's place for it, beside `json_object`."""


class ReasoningFields(Struct, frozen=True, kw_only=True):
    """OpenRouter's form of `reasoning_effort`."""

    effort: str | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    """Whether the reasoning is left out of the answer."""


class ChatBody(GenerationFields, kw_only=True, frozen=True):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]
    max_completion_tokens: TokenLimit | None = None
    tools: Annotated[list[ToolFields], Meta(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | ChoiceFields | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[FunctionFields], Meta(max_length=MAX_TOOLS)] | None = None
    """The old form of `tools`."""
    function_call: str | NamedFunction | None = None
    """The old form of `tool_choice`."""
    response_format: ResponseFormat | None = None
    json_schema: dict[str, Any] | None = None
    """llama-server's form of `response_format`."""
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningFields | None = None
    include_reasoning: bool | None = None
    """OpenRouter's and vLLM's; false is `reasoning.exclude`."""
    enable_thinking: bool | None = None
    think: bool | str | None = None
    """Ollama's: a switch, or an effort."""
    chat_template_kwargs: dict[str, Any] | None = None
    """Variables for the chat template."""
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    verbosity: str | None = None

    @property
    def is_legacy(self) -> bool:
        """Whether tools go by their old name, functions, in the request and so in the answer."""
        return bool(self.functions) and not self.tools

    @property
    def hides_reasoning(self) -> bool:
        """Whether the answer shall not tell what the model thought."""
        is_excluded = self.reasoning is not None and bool(self.reasoning.exclude)
        return is_excluded or self.include_reasoning is False


CHAT = BodySchema(ChatBody, foreign_names={"prompt": "messages", "input": "messages"})
