"""Anthropic's values from and to the domain's. Pure.

Thinking
--------
Anthropic's models think only when they are told to, and clients take the first block of other answers for text.
So without `thinking` a model is told not to think, and what one thinks that cannot help it is left out. `effort`
alone leaves it to the model.
"""

from enum import Enum

from msgspec import Struct

from puna.api.anthropic.conversation import to_messages
from puna.api.anthropic.errors import ThreadUnsupportedError
from puna.api.anthropic.replies import (
    BlockReply,
    MessageReply,
    OutputDetails,
    StopDelta,
    TextReply,
    ThinkingReply,
    UsageReply,
)
from puna.api.anthropic.schema import (
    Effort,
    FormatBody,
    MessagesBody,
    OutputConfigBody,
    PromptBody,
    ThinkingBody,
    ThinkingDisplay,
    ThinkingType,
)
from puna.api.anthropic.tools import from_calls, to_choice, to_tools
from puna.api.encoding import encode_json
from puna.domain.chat import Role
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.generation import (
    ChatPrompt,
    Completion,
    Finished,
    FinishReason,
    GenerationRequest,
    Sampling,
    Usage,
)
from puna.errors import InvalidRequestError

SIGNATURE = "cHVuYQ=="
"""Of every thinking block. Clients send it back with the block, and whatever comes back is taken."""


class ShownThinking(Enum):
    """What an answer shows of what the model thinks."""

    ALL = "all"
    EMPTY = "empty"
    """A block without text."""
    NOTHING = "nothing"


class AnswerHead(Struct, frozen=True):
    """What an answer has from its request."""

    id: str
    model: str
    """The name that the request used."""
    stop_sequences: tuple[str, ...] = ()
    thinking: ShownThinking = ShownThinking.NOTHING


def to_head(body: MessagesBody, message_id: str) -> AnswerHead:
    """Return the head of the answer to a request."""
    return AnswerHead(message_id, body.model, tuple(body.stop_sequences or ()), _to_shown(body.thinking))


def to_generation(body: MessagesBody) -> GenerationRequest:
    """Return the request. Raises `InvalidRequestError` for what is not supported."""
    _check_supported(body)
    prompt = to_prompt(body)
    return GenerationRequest(
        prompt=prompt,
        sampling=_to_sampling(body),
        max_tokens=int(body.max_tokens),
        stop=tuple(body.stop_sequences or ()),
        constraint=_to_constraint(body, prompt),
    )


def to_prompt(body: PromptBody) -> ChatPrompt:
    """Return what the model reads. Raises `InvalidRequestError` for what is not supported."""
    if body.mcp_servers:
        raise InvalidRequestError(
            "`mcp_servers` is not supported: connect to them from your program, and send their tools as `tools`.",
            field="mcp_servers",
        )
    tools = to_tools(body.tools or ())
    effort = (body.output_config or OutputConfigBody()).effort
    return ChatPrompt(
        to_messages(body.system, body.messages),
        tools,
        to_choice(body.tool_choice, tools),
        is_thinking=_to_thinking(body.thinking, effort),
        effort=effort,
    )


def from_completion(completion: Completion, head: AnswerHead) -> MessageReply:
    """Return a whole answer: what was thought, what was said, and the tools that are called."""
    calls = from_calls(completion.tool_calls)
    stop = to_stop(completion.finished, head, has_calls=bool(calls))
    content: list[BlockReply] = []
    if completion.reasoning and head.thinking is not ShownThinking.NOTHING:
        shown = completion.reasoning if head.thinking is ShownThinking.ALL else ""
        content.append(ThinkingReply(shown, SIGNATURE))
    if completion.text:
        content.append(TextReply(completion.text))
    return MessageReply(
        id=head.id,
        model=head.model,
        content=(*content, *calls),
        stop_reason=stop.stop_reason,
        stop_sequence=stop.stop_sequence,
        usage=from_usage(completion.finished.usage),
    )


def to_beginning(head: AnswerHead, usage: Usage) -> MessageReply:
    """Return an answer that has only begun."""
    return MessageReply(
        id=head.id,
        model=head.model,
        content=(),
        stop_reason=None,
        stop_sequence=None,
        usage=from_usage(usage),
    )


def to_stop(finished: Finished, head: AnswerHead, *, has_calls: bool) -> StopDelta:
    """Return why an answer ended. It asks for tools only where it has a call that is whole."""
    match finished.reason:
        case FinishReason.LENGTH:
            return StopDelta("max_tokens", None)
        case FinishReason.TOOL_CALLS if has_calls:
            return StopDelta("tool_use", None)
        case _ if finished.stop_text in head.stop_sequences:
            return StopDelta("stop_sequence", finished.stop_text)
        case _:
            return StopDelta("end_turn", None)


def from_usage(usage: Usage) -> UsageReply:
    """Return the counts as Anthropic keeps them: cached tokens are not among those of the input."""
    return UsageReply(
        usage.prompt_tokens - usage.cached_tokens,
        0,
        usage.cached_tokens,
        usage.completion_tokens,
        OutputDetails(usage.reasoning_tokens),
    )


def _check_supported(body: MessagesBody) -> None:
    if body.thread is not None:
        raise ThreadUnsupportedError(
            "`thread` is not supported: no conversation is kept; send all its messages without it.",
            field="thread",
        )
    if body.container is not None:
        raise InvalidRequestError(
            "`container` is not supported: nothing is run here; leave it out.", field="container"
        )
    if body.compaction is not None:
        raise InvalidRequestError(
            "`compaction` is not supported; ask the model for a summary instead.", field="compaction"
        )


def _to_thinking(thinking: ThinkingBody | None, effort: Effort | None) -> bool | None:
    if thinking is None:
        return None if effort else False
    return thinking.type in {ThinkingType.ENABLED, ThinkingType.ADAPTIVE}


def _to_shown(thinking: ThinkingBody | None) -> ShownThinking:
    if thinking is None or not _to_thinking(thinking, None):
        return ShownThinking.NOTHING
    return ShownThinking.EMPTY if thinking.display is ThinkingDisplay.OMITTED else ShownThinking.ALL


def _to_sampling(body: MessagesBody) -> Sampling:
    return Sampling(
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        top_k=int(body.top_k or 0),
    )


def _to_constraint(body: MessagesBody, prompt: ChatPrompt) -> JsonSchemaConstraint | None:
    format_ = _format_of(body)
    if format_ is None:
        return None
    if prompt.messages[-1].role is Role.ASSISTANT:
        raise InvalidRequestError(
            "`messages` ends with the assistant's, which cannot go on in a given form; "
            "end it with a message of the user, or leave `output_config.format` out.",
            field="messages",
        )
    return JsonSchemaConstraint(encode_json(format_.schema).decode())


def _format_of(body: MessagesBody) -> FormatBody | None:
    return (body.output_config and body.output_config.format) or body.output_format
