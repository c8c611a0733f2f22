"""The events of a streamed answer, each with its name in `type`. Whoever writes them numbers them."""

from msgspec import Struct

from puna.api.openai.chat.replies import LogprobReply
from puna.api.openai.error_replies import ErrorObject
from puna.api.openai.responses.item_replies import (
    OutputItem,
    OutputText,
    ReasoningText,
    SummaryText,
)
from puna.api.openai.responses.replies import ResponseReply


class EventReply(Struct, frozen=True, kw_only=True, tag_field="type"):
    """Any of them."""

    sequence_number: int = 0


class Created(EventReply, frozen=True, kw_only=True, tag="response.created"):
    """The first."""

    response: ResponseReply


class InProgress(EventReply, frozen=True, kw_only=True, tag="response.in_progress"):
    """The second."""

    response: ResponseReply


class Completed(EventReply, frozen=True, kw_only=True, tag="response.completed"):
    """The last, after the model ended."""

    response: ResponseReply


class Incomplete(EventReply, frozen=True, kw_only=True, tag="response.incomplete"):
    """The last, after the text was cut short."""

    response: ResponseReply


class Failed(EventReply, frozen=True, kw_only=True, tag="response.failed"):
    """The last, behind an error."""

    response: ResponseReply


class ErrorEvent(EventReply, frozen=True, kw_only=True, tag="error"):
    """What failed: flat as the document has it, and in `error` as OpenAI's server sends and its SDK raises it."""

    code: str
    message: str
    param: str | None
    error: ErrorObject


class ItemEvent(EventReply, frozen=True, kw_only=True):
    """Of one item of the output."""

    output_index: int


class ItemAdded(ItemEvent, frozen=True, kw_only=True, tag="response.output_item.added"):
    """An item has begun."""

    item: OutputItem


class ItemDone(ItemEvent, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item has ended, here it is whole."""

    item: OutputItem


class PartEvent(ItemEvent, frozen=True, kw_only=True):
    """Of a part of the content; items here have one."""

    item_id: str
    content_index: int = 0


class PartAdded(PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A part has begun."""

    part: OutputText | ReasoningText


class PartDone(PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A part has ended, here it is whole."""

    part: OutputText | ReasoningText


class TextDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"):
    """More text."""

    delta: str
    logprobs: tuple[LogprobReply, ...]


class TextDone(PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    """All the text."""

    text: str
    logprobs: tuple[LogprobReply, ...]


class ReasoningDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.reasoning_text.delta"):
    """More thoughts."""

    delta: str


class ReasoningDone(PartEvent, frozen=True, kw_only=True, tag="response.reasoning_text.done"):
    """All thoughts."""

    text: str


class SummaryEvent(ItemEvent, frozen=True, kw_only=True):
    """Of a part of the summary; items here have one."""

    item_id: str
    summary_index: int = 0


class SummaryPartAdded(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_part.added"):
    """The summary has begun."""

    part: SummaryText


class SummaryPartDone(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_part.done"):
    """The summary has ended, here it is whole."""

    part: SummaryText


class SummaryDelta(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_text.delta"):
    """More of the summary."""

    delta: str


class SummaryDone(SummaryEvent, frozen=True, kw_only=True, tag="response.reasoning_summary_text.done"):
    """All of the summary."""

    text: str


class ArgumentsDelta(ItemEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"):
    """More of a call's arguments."""

    item_id: str
    delta: str


class ArgumentsDone(ItemEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"):
    """All of a call's arguments."""

    item_id: str
    name: str
    arguments: str


class CustomInputDelta(ItemEvent, frozen=True, kw_only=True, tag="response.custom_tool_call_input.delta"):
    """More of a custom tool's input."""

    item_id: str
    delta: str


class CustomInputDone(ItemEvent, frozen=True, kw_only=True, tag="response.custom_tool_call_input.done"):
    """All of a custom tool's input."""

    item_id: str
    input: str
