"""Completions and events to Ollama's answers. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from puna.api.ollama.memory import to_numbers
from puna.api.ollama.replies import (
    CallReply,
    ChatChunkReply,
    ChatLoadReply,
    ChatReply,
    ChunkReply,
    FunctionReply,
    GenerateReply,
    LoadReply,
    LogprobReply,
    MessageReply,
    TokenReply,
    UsageReply,
)
from puna.domain.chat import Message, Role, ToolCall
from puna.domain.generation import Completion, Finished, FinishReason, TokenLogprob, Usage
from puna.errors import GenerationError


class AnswerHead(Struct, frozen=True):
    """What all lines of one answer share."""

    id: str
    model: str
    """The name that the request used."""
    load_s: float
    """Seconds until the model was ready."""
    turns: tuple[Message, ...] = ()
    """The conversation before the answer, where its `context` shall go on from there."""


def from_completion(completion: Completion, head: AnswerHead, now: datetime) -> GenerateReply:
    """Return a whole answer of `/api/generate`."""
    finished = completion.finished
    return GenerateReply(
        id=head.id,
        model=head.model,
        created_at=to_timestamp(now),
        response=completion.text,
        output=completion.text,
        thinking=completion.reasoning or UNSET,
        logprobs=to_logprobs(completion.logprobs),
        done_reason=to_done_reason(finished.reason),
        context=_to_context(head, completion.text),
        total_duration=_total_ns(finished, head),
        load_duration=to_ns(head.load_s),
        prompt_eval_count=finished.usage.prompt_tokens,
        prompt_eval_duration=to_ns(finished.timing.prompt_s),
        eval_count=finished.usage.completion_tokens,
        eval_duration=to_ns(finished.timing.decode_s),
        usage=_to_usage(finished.usage),
    )


def from_chat_completion(completion: Completion, head: AnswerHead, now: datetime) -> ChatReply:
    """Return a whole answer of `/api/chat`. Raises `GenerationError` for a call that the model broke."""
    finished = completion.finished
    calls = to_calls(completion.tool_calls, finished.reason)
    return ChatReply(
        model=head.model,
        created_at=to_timestamp(now),
        message=MessageReply(
            content=completion.text, thinking=completion.reasoning or UNSET, tool_calls=calls or UNSET
        ),
        logprobs=to_logprobs(completion.logprobs),
        done_reason=to_done_reason(finished.reason),
        total_duration=_total_ns(finished, head),
        load_duration=to_ns(head.load_s),
        prompt_eval_count=finished.usage.prompt_tokens,
        prompt_eval_duration=to_ns(finished.timing.prompt_s),
        eval_count=finished.usage.completion_tokens,
        eval_duration=to_ns(finished.timing.decode_s),
    )


def from_finish(finished: Finished, head: AnswerHead, now: datetime, text: str = "") -> GenerateReply:
    """Return the last line of a stream of `/api/generate`: all but the text, which only its `context` has."""
    whole = from_completion(Completion(text, finished), head, now)
    return structs.replace(whole, response="", output="")


def from_chat_finish(finished: Finished, head: AnswerHead, now: datetime) -> ChatReply:
    """Return the last line of a stream of `/api/chat`: all but the message."""
    return from_chat_completion(Completion("", finished), head, now)


def from_text(
    text: str,
    head: AnswerHead,
    now: datetime,
    *,
    thinking: str | UnsetType = UNSET,
    logprobs: Sequence[TokenLogprob] = (),
) -> ChunkReply:
    """Return a line of `/api/generate` with more text, or more of what the model thinks."""
    return ChunkReply(
        id=head.id,
        model=head.model,
        created_at=to_timestamp(now),
        response=text,
        output=text,
        thinking=thinking,
        logprobs=to_logprobs(logprobs),
    )


def from_message(
    message: MessageReply, head: AnswerHead, now: datetime, *, logprobs: Sequence[TokenLogprob] = ()
) -> ChatChunkReply:
    """Return a line of `/api/chat` with a part of the message."""
    return ChatChunkReply(
        model=head.model, created_at=to_timestamp(now), message=message, logprobs=to_logprobs(logprobs)
    )


def to_load_reply(model: str, done_reason: str, now: datetime) -> LoadReply:
    """Return the answer to a request without a prompt; the reason is `load` or `unload`."""
    return LoadReply(model=model, created_at=to_timestamp(now), done_reason=done_reason)


def to_chat_load_reply(model: str, done_reason: str, now: datetime) -> ChatLoadReply:
    """Return the answer to a request without messages; the reason is `load` or `unload`."""
    return ChatLoadReply(model=model, created_at=to_timestamp(now), done_reason=done_reason)


def to_calls(
    calls: Sequence[ToolCall], reason: FinishReason | None, *, first_index: int = 0
) -> tuple[CallReply, ...]:
    """Return the calls; `reason` is why the text ended, None while it goes on.

    The last call of a text that was cut off is left out, since nobody knows its arguments. Raises
    `GenerationError` for another one without proper arguments.
    """
    replies = [to_call(index, call) for index, call in enumerate(calls, start=first_index)]
    if replies and replies[-1] is None and reason is FinishReason.LENGTH:
        replies.pop()
    broken = next((call.name for call, reply in zip(calls, replies, strict=False) if reply is None), None)
    if broken is not None:
        raise GenerationError(f"The model broke off its call of the tool {broken}; ask again.")
    return tuple(reply for reply in replies if reply is not None)


def to_call(index: int, call: ToolCall) -> CallReply | None:
    """Return a call with its arguments as an object, None where they are none."""
    try:
        arguments = msgspec.json.decode(call.arguments, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError):
        return None
    return CallReply(id=call.id, function=FunctionReply(index=index, name=call.name, arguments=arguments))


def to_logprobs(logprobs: Sequence[TokenLogprob]) -> tuple[LogprobReply, ...] | UnsetType:
    """Return log probabilities, unset where there are none."""
    if not logprobs:
        return UNSET
    return tuple(
        LogprobReply(
            _to_token_text(each.text),
            each.logprob,
            tuple(each.text),
            tuple(TokenReply(_to_token_text(top.text), top.logprob, tuple(top.text)) for top in each.top)
            or UNSET,
        )
        for each in logprobs
    )


def to_done_reason(reason: FinishReason) -> str:
    """Return Ollama's word, which is `stop` after calls too."""
    return "length" if reason is FinishReason.LENGTH else "stop"


def to_timestamp(moment: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_ns(seconds: float) -> int:
    """Return whole nanoseconds, at least one: clients divide by durations."""
    return max(1, round(seconds * 1e9))


def _total_ns(finished: Finished, head: AnswerHead) -> int:
    timing = finished.timing
    return to_ns(head.load_s + timing.queue_s + timing.prompt_s + timing.decode_s)


def _to_context(head: AnswerHead, text: str) -> tuple[int, ...] | UnsetType:
    if not head.turns:
        return UNSET
    return to_numbers((*head.turns, Message(Role.ASSISTANT, text))) or UNSET


def _to_usage(usage: Usage) -> UsageReply:
    return UsageReply(usage.total_tokens, usage.prompt_tokens, usage.completion_tokens)


def _to_token_text(token: bytes) -> str:
    return token.decode("utf-8", "replace")
