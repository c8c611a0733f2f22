"""A request of `/v1/responses` as the domain has it, and the answer's head. Pure.

What would change the answer and is not served is refused, never ignored: see `check_supported`.
"""

from collections.abc import Iterable

from msgspec import Struct

from puna.api.encoding import encode_json
from puna.api.openai.responses.item_replies import Item
from puna.api.openai.responses.messages import to_messages
from puna.api.openai.responses.replies import FormatReply, ReasoningReply, ResponseReply, TextReply
from puna.api.openai.responses.schema import (
    FormatBody,
    Include,
    ReasoningBody,
    ResponseBody,
    Summary,
    TextBody,
    Truncation,
    Verbosity,
)
from puna.api.openai.responses.tools import from_choice, from_tools, to_choice, to_tools
from puna.domain.chat import Message, Role
from puna.domain.constraint import Constraint, JsonSchemaConstraint
from puna.domain.generation import ChatPrompt, GenerationRequest, Sampling
from puna.errors import InvalidRequestError

_ANY_OBJECT = '{"type":"object"}'
_MAX_PAIRS = 16
_MAX_KEY = 64
_MAX_VALUE = 512
"""OpenAI's limits of `metadata`."""


class ReasoningWish(Struct, frozen=True):
    """How the client wants to see what the model thinks."""

    is_summary: bool = False
    """As a summary, in place of the reasoning's own text."""
    is_sealed: bool = False
    """As an opaque word too."""


class ResponseHead(Struct, frozen=True):
    """What an answer has of its own, whatever was asked."""

    id: str
    model: str
    created_s: float


def check_supported(body: ResponseBody) -> None:
    """Refuse what would change the answer and is not served. Raises `InvalidRequestError`."""
    reasoning = body.reasoning or ReasoningBody()
    wants_padding = body.stream_options is not None and body.stream_options.include_obfuscation
    refusals = {
        "background": (body.background, "must be false: Puna answers at once; use `stream` for long answers"),
        "conversation": (body.conversation, "is not supported; go on with `previous_response_id`"),
        "prompt": (body.prompt, "is not supported; send `instructions` and `input`"),
        "context_management": (body.context_management, "is not supported; `truncation` may be auto"),
        "moderation": (body.moderation, "is not supported; leave it out"),
        "stream_options.include_obfuscation": (wants_padding, "must be false: Puna pads no events"),
        "reasoning.mode": (reasoning.mode not in {None, "standard"}, "must be standard"),
        "reasoning.context": (reasoning.context not in {None, "auto"}, "must be auto"),
        "reasoning.summary": (
            _summary_of(reasoning) is Summary.CONCISE,
            "must be auto or detailed: Puna shows what a model thinks, and does not shorten it",
        ),
    }
    for field, (value, refusal) in refusals.items():
        if value:
            raise InvalidRequestError(f"`{field}` {refusal}.", field=field)
    _check_metadata(body.metadata or {})
    if body.input is None and body.previous_response_id is None:
        raise InvalidRequestError("`input` is required: a text, or a list of items.", field="input")


def to_generation(body: ResponseBody, items: Iterable[Item]) -> GenerationRequest:
    """Return the request; the items are those of the whole conversation.

    Raises `InvalidRequestError` for what does not fit together.
    """
    tools = to_tools(body)
    reasoning = body.reasoning or ReasoningBody()
    return GenerationRequest(
        prompt=ChatPrompt(
            _to_messages(body, items),
            tools,
            to_choice(body, tools),
            effort=reasoning.effort,
        ),
        sampling=Sampling(
            temperature=1.0 if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
        ),
        max_tokens=None if body.max_output_tokens is None else int(body.max_output_tokens),
        top_logprobs=_to_top_logprobs(body),
        constraint=_to_constraint(body.text),
    )


def to_wish(body: ResponseBody) -> ReasoningWish:
    """Return how what the model thinks is shown."""
    return ReasoningWish(
        is_summary=_summary_of(body.reasoning or ReasoningBody()) is not None,
        is_sealed=Include.ENCRYPTED_REASONING in (body.include or ()),
    )


def to_reply(body: ResponseBody, head: ResponseHead) -> ResponseReply:
    """Return an answer that has begun: all that was asked for, and nothing said yet."""
    reasoning = body.reasoning or ReasoningBody()
    text = body.text or TextBody()
    return ResponseReply(
        id=head.id,
        created_at=int(head.created_s),
        model=head.model,
        instructions=body.instructions,
        previous_response_id=body.previous_response_id,
        max_output_tokens=None if body.max_output_tokens is None else int(body.max_output_tokens),
        max_tool_calls=None if body.max_tool_calls is None else int(body.max_tool_calls),
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_logprobs=int(body.top_logprobs or 0),
        tools=from_tools(body.tools),
        tool_choice=from_choice(body.tool_choice),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        reasoning=ReasoningReply(reasoning.effort, _summary_of(reasoning)),
        text=TextReply(_from_format(text.format), text.verbosity or Verbosity.MEDIUM),
        truncation=body.truncation or Truncation.DISABLED,
        store=body.store is not False,
        prompt_cache_key=body.prompt_cache_key,
        safety_identifier=body.safety_identifier,
        user=body.user,
        metadata=body.metadata or {},
    )


def _to_messages(body: ResponseBody, items: Iterable[Item]) -> tuple[Message, ...]:
    messages = to_messages(items)
    if body.instructions:
        messages = (Message(Role.SYSTEM, body.instructions), *messages)
    if not messages:
        raise InvalidRequestError("`input` must have at least one message.", field="input")
    return messages


def _to_top_logprobs(body: ResponseBody) -> int | None:
    if body.top_logprobs or Include.LOGPROBS in (body.include or ()):
        return int(body.top_logprobs or 0)
    return None


def _to_constraint(text: TextBody | None) -> Constraint | None:
    match text and text.format:
        case None | FormatBody(type="text"):
            return None
        case FormatBody(type="json_object"):
            return JsonSchemaConstraint(_ANY_OBJECT)
        case FormatBody(type="json_schema", schema=None):
            raise InvalidRequestError("`text.format.schema` is required.", field="text.format.schema")
        case FormatBody(type="json_schema", schema=schema):
            return JsonSchemaConstraint(encode_json(schema).decode())
        case _:
            raise InvalidRequestError(
                "`text.format.type` must be one of text, json_object, json_schema.", field="text.format.type"
            )


def _from_format(format_: FormatBody | None) -> FormatReply:
    if format_ is None:
        return FormatReply("text")
    if format_.type != "json_schema":
        return FormatReply(format_.type)
    return FormatReply(
        format_.type, format_.name or "response", format_.description, format_.schema, format_.strict
    )


def _summary_of(reasoning: ReasoningBody) -> Summary | None:
    return reasoning.summary or reasoning.generate_summary


def _check_metadata(metadata: dict[str, str]) -> None:
    is_small = len(metadata) <= _MAX_PAIRS and all(
        len(key) <= _MAX_KEY and len(value) <= _MAX_VALUE for key, value in metadata.items()
    )
    if not is_small:
        raise InvalidRequestError(
            f"`metadata` may have {_MAX_PAIRS} keys of {_MAX_KEY} characters, with values of {_MAX_VALUE}.",
            field="metadata",
        )
