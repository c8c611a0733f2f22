"""The domain's requests as an engine takes them. Pure.

What cannot be passed on is refused with the reason; nothing that would change the answer is left out.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from puna.domain.chat import Message, Role, Tool, ToolChoice, ToolChoiceMode
from puna.domain.constraint import Constraint, JsonSchemaConstraint
from puna.domain.embedding import EmbeddingInput, EmbeddingRequest, RankingRequest
from puna.domain.generation import (
    ChatPrompt,
    GenerationRequest,
    InfillPrompt,
    Sampling,
    TextPrompt,
    TokenPrompt,
)
from puna.engine.upstream.brands import Brand
from puna.engine.upstream.requests import (
    CalledFunctionField,
    CallField,
    CountBody,
    EmbeddingBody,
    FormatField,
    FunctionField,
    FunctionName,
    GenerationBody,
    MessageField,
    NamedChoice,
    RankingBody,
    SchemaField,
    StreamField,
    ToolField,
)
from puna.errors import InvalidRequestError

_OFF_TOP_K = -1
"""Off for all engines; 0 is an error for SGLang."""
_UNLIMITED = -1
_CUT_AT_THE_END = -1
_ANY_OBJECT = {"type": "object"}


def to_body(request: GenerationRequest, model: str, brand: Brand) -> GenerationBody:
    """Return what is sent for a request. Raises `InvalidRequestError` for what the engine cannot be told."""
    body = _to_common(request, model, brand)
    match request.prompt:
        case ChatPrompt():
            return _to_chat(body, request, request.prompt, brand)
        case prompt:
            return _to_text(body, request, prompt, brand)


def needs_limit(request: GenerationRequest, brand: Brand) -> bool:
    """Return whether the engine cannot be told to run to the end of the context, as the request wants it."""
    return (
        request.max_tokens is None
        and not isinstance(request.prompt, ChatPrompt)
        and not brand.can_be_unlimited
    )


def to_count_body(prompt: TextPrompt | ChatPrompt, model: str) -> CountBody:
    """Return what vLLM is asked for the number of a prompt's tokens."""
    if isinstance(prompt, TextPrompt):
        return CountBody(model=model, prompt=prompt.text)
    goes_on = _goes_on(prompt)
    return CountBody(
        model=model,
        messages=tuple(map(_to_message, prompt.messages)),
        tools=_to_tools(prompt.tools, prompt.choice),
        chat_template_kwargs=_to_variables(prompt),
        add_generation_prompt=not goes_on,
        continue_final_message=goes_on,
    )


def to_embedding_body(request: EmbeddingRequest, model: str, brand: Brand) -> EmbeddingBody:
    """Return what is sent for vectors: whole ones, which are cut and scaled here."""
    return EmbeddingBody(
        model=model,
        input=_to_inputs(request.inputs),
        truncate_prompt_tokens=_to_cut(brand, is_wanted=request.is_truncated),
    )


def to_ranking_body(request: RankingRequest, model: str, brand: Brand) -> RankingBody:
    """Return what is sent for a ranking."""
    return RankingBody(
        model=model,
        query=request.query,
        documents=request.documents,
        truncate_prompt_tokens=_to_cut(brand, is_wanted=request.is_truncated),
    )


def _to_common(request: GenerationRequest, model: str, brand: Brand) -> GenerationBody:
    sampling = request.sampling
    has_penalty = sampling.repetition_penalty != 1.0
    # Engines have a value of their own for what is absent, so what is off is said to be off.
    says_all = brand.has_defaults
    return GenerationBody(
        model=model,
        stream_options=StreamField(continuous_usage_stats=True if brand.counts_early else UNSET),
        max_tokens=UNSET if request.max_tokens is None else request.max_tokens,
        stop=request.stop or UNSET,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k or (_OFF_TOP_K if says_all else UNSET),
        min_p=sampling.min_p if sampling.min_p or says_all else UNSET,
        repetition_penalty=sampling.repetition_penalty if has_penalty or says_all else UNSET,
        repeat_penalty=sampling.repetition_penalty if has_penalty else UNSET,
        repeat_last_n=_to_window(sampling),
        frequency_penalty=sampling.frequency_penalty or UNSET,
        presence_penalty=sampling.presence_penalty or UNSET,
        logit_bias={str(token): bias for token, bias in sampling.logit_bias} or UNSET,
        seed=UNSET if sampling.seed is None else sampling.seed,
    )


def _to_window(sampling: Sampling) -> int | UnsetType:
    has_penalty = (
        sampling.repetition_penalty != 1.0 or sampling.frequency_penalty or sampling.presence_penalty
    )
    differs = sampling.penalty_window != Sampling().penalty_window
    return sampling.penalty_window if has_penalty and differs else UNSET


def _to_chat(
    body: GenerationBody, request: GenerationRequest, prompt: ChatPrompt, brand: Brand
) -> GenerationBody:
    needs_flags = _goes_on(prompt) and not brand.goes_on_by_itself
    tools = _to_tools(prompt.tools, prompt.choice)
    has_logprobs = request.top_logprobs is not None
    return replace(
        body,
        messages=tuple(map(_to_message, prompt.messages)),
        tools=tools,
        tool_choice=_to_choice(prompt.choice) if tools else UNSET,
        parallel_tool_calls=False if tools and not prompt.choice.is_parallel else UNSET,
        response_format=UNSET if request.constraint is None else _to_format(request.constraint),
        logprobs=True if has_logprobs else UNSET,
        top_logprobs=request.top_logprobs or UNSET,
        reasoning_effort=prompt.effort or UNSET,
        chat_template_kwargs=_to_variables(prompt),
        add_generation_prompt=False if needs_flags else UNSET,
        continue_final_message=True if needs_flags else UNSET,
    )


def _to_text(
    body: GenerationBody,
    request: GenerationRequest,
    prompt: TextPrompt | TokenPrompt | InfillPrompt,
    brand: Brand,
) -> GenerationBody:
    # Text completions stop after 16 tokens where they are told nothing.
    unlimited = None if brand is Brand.VLLM else _UNLIMITED
    body = replace(
        body,
        max_tokens=unlimited if request.max_tokens is None else request.max_tokens,
        logprobs=UNSET if request.top_logprobs is None else request.top_logprobs,
    )
    if request.constraint is not None:
        body = _constrain_text(body, request.constraint, brand)
    match prompt:
        case TextPrompt(text):
            return replace(body, prompt=text)
        case TokenPrompt(tokens):
            return replace(body, prompt=tokens)
        case InfillPrompt(prefix, suffix):
            return replace(body, prompt=prefix, suffix=suffix)


def _constrain_text(body: GenerationBody, constraint: Constraint, brand: Brand) -> GenerationBody:
    field = _to_format(constraint)
    if not brand.constrains_texts:
        raise InvalidRequestError(
            "This remote model takes a JSON schema in chats only, not for a text that it goes on with; "
            "send messages, or ask for plain text."
        )
    if brand is Brand.LLAMA_SERVER and isinstance(constraint, JsonSchemaConstraint):
        return replace(body, json_schema=Raw(constraint.schema.encode()))
    return replace(body, response_format=field)


def _to_format(constraint: Constraint) -> FormatField:
    if not isinstance(constraint, JsonSchemaConstraint):
        raise InvalidRequestError(
            "A remote model can be held to a JSON schema, but not to a regular expression or a grammar; "
            "use a JSON schema, or a model that runs on this machine."
        )
    if msgspec.json.decode(constraint.schema) == _ANY_OBJECT:
        return FormatField(type="json_object")
    return FormatField(type="json_schema", json_schema=SchemaField(schema_=Raw(constraint.schema.encode())))


def _goes_on(prompt: ChatPrompt) -> bool:
    """Whether the answer goes on from what the assistant said last."""
    last = prompt.messages[-1] if prompt.messages else None
    return last is not None and last.role is Role.ASSISTANT and not last.tool_calls


def _to_message(message: Message) -> MessageField:
    calls = tuple(
        CallField(id=call.id, function=CalledFunctionField(call.name, call.arguments))
        for call in message.tool_calls
    )
    return MessageField(
        role=message.role.value,
        content=None if calls and not message.content else message.content,
        reasoning_content=message.reasoning or UNSET,
        tool_calls=calls or UNSET,
        tool_call_id=message.tool_call_id or UNSET,
        name=message.name or UNSET,
    )


def _to_tools(tools: tuple[Tool, ...], choice: ToolChoice) -> tuple[ToolField, ...] | UnsetType:
    if choice.mode is ToolChoiceMode.NONE:
        return UNSET
    return (
        tuple(
            ToolField(function=FunctionField(tool.name, tool.description, Raw(tool.parameters.encode())))
            for tool in tools
        )
        or UNSET
    )


def _to_choice(choice: ToolChoice) -> str | NamedChoice | UnsetType:
    if choice.mode is ToolChoiceMode.NAMED:
        return NamedChoice(function=FunctionName(choice.name or ""))
    return UNSET if choice.mode is ToolChoiceMode.AUTO else choice.mode.value


def _to_variables(prompt: ChatPrompt) -> Mapping[str, object] | UnsetType:
    """Return the template's variables; whether to think goes by the two names that templates have for it."""
    variables = msgspec.json.decode(prompt.template_variables, type=dict[str, object])
    if prompt.is_thinking is not None:
        variables = {"enable_thinking": prompt.is_thinking, "thinking": prompt.is_thinking, **variables}
    return variables or UNSET


def _to_inputs(inputs: tuple[EmbeddingInput, ...]) -> tuple[str, ...] | tuple[tuple[int, ...], ...]:
    texts = tuple(each for each in inputs if isinstance(each, str))
    tokens = tuple(each for each in inputs if not isinstance(each, str))
    if texts and tokens:
        raise InvalidRequestError("The inputs for a remote model must be all texts, or all tokens.")
    return texts or tokens


def _to_cut(brand: Brand, *, is_wanted: bool) -> int | UnsetType:
    return _CUT_AT_THE_END if is_wanted and brand is Brand.VLLM else UNSET
