"""What a model made, as items of the answer, and the answer complete. Pure."""

from msgspec import UNSET
from msgspec.structs import replace

from puna.api.openai.chat.replies import LogprobReply
from puna.api.openai.logprobs import to_chat_logprobs
from puna.api.openai.responses.convert import ReasoningWish
from puna.api.openai.responses.item_replies import (
    CallItem,
    CustomCallItem,
    FunctionCallItem,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputText,
    ReasoningItem,
    ReasoningText,
    SummaryText,
)
from puna.api.openai.responses.items import NewId
from puna.api.openai.responses.replies import (
    FailureReply,
    IncompleteReply,
    InputTokens,
    OutputTokens,
    ResponseReply,
    ResponseStatus,
    UsageReply,
)
from puna.api.openai.responses.thoughts import seal_thoughts
from puna.api.openai.responses.toolbox import ClientTool, Toolbox, from_arguments, tool_of
from puna.domain.chat import ToolCall
from puna.domain.generation import Completion, Finished, FinishReason, Usage
from puna.errors import ErrorKind, PunaError

_BUSY = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED})
_UNFIT = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.CONTEXT_OVERFLOW})


def from_completion(
    completion: Completion, wish: ReasoningWish, toolbox: Toolbox, new_id: NewId
) -> tuple[OutputItem, ...]:
    """Return thoughts, text and calls in this order; the last item is incomplete where the text was cut."""
    items: list[OutputItem] = []
    whole = ItemStatus.COMPLETED
    if completion.reasoning:
        items.append(to_reasoning_item(new_id("rs"), completion.reasoning, wish, whole))
    if completion.text or not (completion.reasoning or completion.tool_calls):
        logprobs = to_chat_logprobs(completion.logprobs).content
        items.append(to_message_item(new_id("msg"), completion.text, logprobs, whole))
    for call in completion.tool_calls:
        tool = tool_of(call.name, toolbox)
        items.append(to_call_item(new_call_id(tool, new_id), call, tool, whole))
    items[-1] = replace(items[-1], status=last_status(completion.finished))
    return tuple(items)


def complete_reply(
    reply: ResponseReply,
    output: tuple[OutputItem, ...],
    finished: Finished,
    *,
    now_s: float,
) -> ResponseReply:
    """Return the answer at its end."""
    is_cut = finished.reason is FinishReason.LENGTH
    return replace(
        reply,
        status=ResponseStatus.INCOMPLETE if is_cut else ResponseStatus.COMPLETED,
        completed_at=None if is_cut else int(now_s),
        incomplete_details=IncompleteReply() if is_cut else None,
        output=output,
        usage=_to_usage(finished.usage),
    )


def fail_reply(reply: ResponseReply, output: tuple[OutputItem, ...], error: PunaError) -> ResponseReply:
    """Return the answer after a failure, with what there is of it."""
    if error.kind in _BUSY:
        failure = FailureReply("rate_limit_exceeded", error.message)
    elif error.kind in _UNFIT:
        failure = FailureReply("invalid_prompt", error.message)
    else:
        failure = FailureReply("server_error", error.message)
    return replace(reply, status=ResponseStatus.FAILED, error=failure, output=output)


def last_status(finished: Finished) -> ItemStatus:
    """Return whether the item that a text ended with is whole."""
    return ItemStatus.INCOMPLETE if finished.reason is FinishReason.LENGTH else ItemStatus.COMPLETED


def to_message_item(
    item_id: str, text: str, logprobs: tuple[LogprobReply, ...], status: ItemStatus
) -> MessageItem:
    """Return a text."""
    return MessageItem(item_id, status, "assistant", (OutputText(text, logprobs=logprobs),))


def to_reasoning_item(item_id: str, text: str, wish: ReasoningWish, status: ItemStatus) -> ReasoningItem:
    """Return thoughts, shown as the client wants it."""
    return ReasoningItem(
        item_id,
        status,
        summary=(SummaryText(text),) if wish.is_summary else (),
        content=() if wish.is_summary else (ReasoningText(text),),
        encrypted_content=seal_thoughts(text) if wish.is_sealed else None,
    )


def to_call_item(item_id: str, call: ToolCall, tool: ClientTool, status: ItemStatus) -> CallItem:
    """Return a call, under the name that the client knows."""
    namespace = tool.namespace or UNSET
    if tool.is_custom:
        text = from_arguments(call.arguments)
        return CustomCallItem(item_id, status, call.id, tool.name, text, namespace)
    return FunctionCallItem(item_id, status, call.id, tool.name, call.arguments, namespace)


def new_call_id(tool: ClientTool, new_id: NewId) -> str:
    """Return an id for the item of a call."""
    return new_id("ctc" if tool.is_custom else "fc")


def _to_usage(usage: Usage) -> UsageReply:
    return UsageReply(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputTokens(usage.cached_tokens),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputTokens(usage.reasoning_tokens),
        total_tokens=usage.total_tokens,
    )
