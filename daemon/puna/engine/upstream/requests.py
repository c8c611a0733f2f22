"""What is sent to an engine. Fields that are `UNSET` are left out; None is null."""

from collections.abc import Mapping

from msgspec import UNSET, Raw, Struct, UnsetType


class CallField(Struct, frozen=True, kw_only=True):
    """A call of an earlier turn."""

    id: str
    type: str = "function"
    function: "CalledFunctionField"


class CalledFunctionField(Struct, frozen=True):
    """What was called."""

    name: str
    arguments: str


class MessageField(Struct, frozen=True, kw_only=True):
    """One turn."""

    role: str
    content: str | None
    reasoning_content: str | UnsetType = UNSET
    """What an assistant thought, under the name of DeepSeek, vLLM, SGLang and llama-server."""
    tool_calls: tuple[CallField, ...] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class FunctionField(Struct, frozen=True):
    """A function that the model may ask for."""

    name: str
    description: str
    parameters: Raw


class ToolField(Struct, frozen=True, kw_only=True):
    """A tool."""

    type: str = "function"
    function: FunctionField


class FunctionName(Struct, frozen=True):
    """A function by its name."""

    name: str


class NamedChoice(Struct, frozen=True, kw_only=True):
    """The one tool that must be called."""

    type: str = "function"
    function: FunctionName


class SchemaField(Struct, frozen=True, kw_only=True, rename={"schema_": "schema"}):
    """A schema under a name that says nothing."""

    name: str = "answer"
    strict: bool = True
    schema_: Raw


class FormatField(Struct, frozen=True, kw_only=True):
    """What the answer must look like."""

    type: str
    json_schema: SchemaField | UnsetType = UNSET


class StreamField(Struct, frozen=True):
    """What a stream tells beside the text."""

    include_usage: bool = True
    continuous_usage_stats: bool | UnsetType = UNSET


class GenerationBody(Struct, frozen=True, kw_only=True):
    """POST /chat/completions, with messages, or /completions, with a prompt."""

    model: str
    messages: tuple[MessageField, ...] | UnsetType = UNSET
    prompt: str | tuple[int, ...] | UnsetType = UNSET
    suffix: str | UnsetType = UNSET
    stream: bool = True
    stream_options: StreamField = StreamField()
    max_tokens: int | UnsetType | None = UNSET
    stop: tuple[str, ...] | UnsetType = UNSET
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | UnsetType = UNSET
    min_p: float | UnsetType = UNSET
    repetition_penalty: float | UnsetType = UNSET
    """vLLM's and SGLang's name."""
    repeat_penalty: float | UnsetType = UNSET
    """llama-server's name for the same."""
    repeat_last_n: int | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    logit_bias: Mapping[str, float] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    logprobs: bool | int | UnsetType = UNSET
    """A switch in a chat; for a text how many likely tokens are told."""
    top_logprobs: int | UnsetType = UNSET
    tools: tuple[ToolField, ...] | UnsetType = UNSET
    tool_choice: str | NamedChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    response_format: FormatField | UnsetType = UNSET
    json_schema: Raw | UnsetType = UNSET
    """llama-server's `response_format` of text completions."""
    reasoning_effort: str | UnsetType = UNSET
    chat_template_kwargs: Mapping[str, object] | UnsetType = UNSET
    add_generation_prompt: bool | UnsetType = UNSET
    continue_final_message: bool | UnsetType = UNSET
    """With `add_generation_prompt` off, vLLM and SGLang go on from the last message."""


class EmbeddingBody(Struct, frozen=True, kw_only=True):
    """POST /embeddings."""

    model: str
    input: tuple[str, ...] | tuple[tuple[int, ...], ...]
    encoding_format: str = "base64"
    truncate_prompt_tokens: int | UnsetType = UNSET
    """vLLM's: -1 cuts what exceeds the context."""


class RankingBody(Struct, frozen=True, kw_only=True):
    """POST /rerank."""

    model: str
    query: str
    documents: tuple[str, ...]
    truncate_prompt_tokens: int | UnsetType = UNSET


class CountBody(Struct, frozen=True, kw_only=True):
    """POST /tokenize of vLLM, beside the folder of OpenAI's routes."""

    model: str
    prompt: str | UnsetType = UNSET
    messages: tuple[MessageField, ...] | UnsetType = UNSET
    tools: tuple[ToolField, ...] | UnsetType = UNSET
    chat_template_kwargs: Mapping[str, object] | UnsetType = UNSET
    add_generation_prompt: bool | UnsetType = UNSET
    continue_final_message: bool | UnsetType = UNSET
