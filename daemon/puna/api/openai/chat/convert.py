"""Chat completions from and to the domain's values. Pure.

A field that would change the answer and is not served is refused, never ignored: see `check_supported`.
"""

from collections.abc import Sequence

from msgspec import UNSET, Struct

from puna.api.openai.answer_head import AnswerHead
from puna.api.openai.chat.formats import to_constraint
from puna.api.openai.chat.messages import to_messages
from puna.api.openai.chat.replies import (
    ChatReply,
    ChoiceReply,
    FunctionReply,
    LogprobsReply,
    MessageReply,
    ToolCallReply,
)
from puna.api.openai.chat.schema import ChatBody
from puna.api.openai.chat.thinking import to_effort, to_is_thinking, to_template_variables
from puna.api.openai.chat.tools import to_tools
from puna.api.openai.logprobs import to_chat_logprobs
from puna.api.openai.sampling import check_shared, to_sampling, to_stop, vary
from puna.api.openai.usage import to_usage
from puna.domain.chat import ToolCall
from puna.domain.generation import ChatPrompt, Completion, Finished, FinishReason, GenerationRequest
from puna.errors import InvalidRequestError


class ChatStyle(Struct, frozen=True):
    """How an answer is written, beside what it says."""

    is_legacy: bool = False
    """Tools are functions, as they once were."""
    hides_reasoning: bool = False
    wants_logprobs: bool = False
    wants_usage: bool = False
    """Whether a stream tells what it cost."""


def check_supported(body: ChatBody) -> None:
    """Refuse what would change the answer and is not served. Raises `InvalidRequestError`."""
    check_shared(body)
    refusals = {
        "modalities": set(body.modalities or ()) - {"text"} and 'must be ["text"]: audio is not supported',
        "audio": body.audio and "is not supported: answers are text",
        "web_search_options": body.web_search_options is not None and "is not supported: nothing is searched",
        "moderation": body.moderation and "is not supported: nothing is moderated",
        "top_logprobs": body.top_logprobs and not body.logprobs and "needs `logprobs` set to true",
    }
    for field, refusal in refusals.items():
        if refusal:
            raise InvalidRequestError(f"`{field}` {refusal}.", field=field)


def to_style(body: ChatBody) -> ChatStyle:
    """Return how the answer is written."""
    return ChatStyle(body.is_legacy, body.hides_reasoning, bool(body.logprobs), body.wants_usage)


def to_requests(body: ChatBody) -> list[GenerationRequest]:
    """Return a request for each answer, which `fit_windows` makes fit the model. Raises `InvalidRequestError`."""
    tools, choice = to_tools(body)
    request = GenerationRequest(
        prompt=ChatPrompt(
            to_messages(body.messages),
            tools,
            choice,
            to_is_thinking(body),
            to_effort(body),
            to_template_variables(body),
        ),
        sampling=to_sampling(body),
        max_tokens=_to_limit(body),
        stop=to_stop(body),
        top_logprobs=int(body.top_logprobs or 0) if body.logprobs else None,
        constraint=to_constraint(body),
    )
    return vary(request, body.count)


def from_completions(completions: Sequence[Completion], head: AnswerHead, style: ChatStyle) -> ChatReply:
    """Return the whole answer."""
    return ChatReply(
        id=head.id,
        created=head.created,
        model=head.model,
        system_fingerprint=head.fingerprint,
        choices=tuple(_to_choice(index, each, style) for index, each in enumerate(completions)),
        usage=to_usage([each.finished.usage for each in completions], per_prompt=len(completions)),
    )


def to_finish_reason(finished: Finished, style: ChatStyle) -> str:
    """Return why an answer ended, in OpenAI's words."""
    if finished.reason is FinishReason.TOOL_CALLS and style.is_legacy:
        return "function_call"
    return finished.reason.value


def _to_limit(body: ChatBody) -> int | None:
    """A chat's answer has no limit of its own: it runs to the end of the context."""
    is_new = body.max_completion_tokens is not None
    limit = body.max_completion_tokens if is_new else body.max_tokens
    if limit == 0:
        field = "max_completion_tokens" if is_new else "max_tokens"
        raise InvalidRequestError(f"`{field}` must be a whole number of at least 1.", field=field)
    return None if limit is None or limit < 0 else int(limit)


def _to_choice(index: int, completion: Completion, style: ChatStyle) -> ChoiceReply:
    return ChoiceReply(
        index=index,
        message=_to_message(completion, style),
        logprobs=_to_logprobs(completion, style),
        finish_reason=to_finish_reason(completion.finished, style),
    )


def _to_logprobs(completion: Completion, style: ChatStyle) -> LogprobsReply | None:
    return to_chat_logprobs(completion.logprobs) if style.wants_logprobs else None


def _to_message(completion: Completion, style: ChatStyle) -> MessageReply:
    calls, thought = completion.tool_calls, completion.reasoning
    reasoning = thought if thought and not style.hides_reasoning else UNSET
    return MessageReply(
        content=None if calls and not completion.text else completion.text,
        reasoning_content=reasoning,
        reasoning=reasoning,
        tool_calls=tuple(map(_to_call, calls)) if calls and not style.is_legacy else UNSET,
        function_call=_to_function(calls[0]) if calls and style.is_legacy else UNSET,
    )


def _to_call(call: ToolCall) -> ToolCallReply:
    return ToolCallReply(id=call.id, function=_to_function(call))


def _to_function(call: ToolCall) -> FunctionReply:
    return FunctionReply(call.name, call.arguments)
