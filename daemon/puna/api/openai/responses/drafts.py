"""Items under way: the events of each as its text comes, and the item as it stands. Pure, but for what they hold."""

from typing import Protocol

from puna.api.openai.chat.replies import LogprobReply
from puna.api.openai.logprobs import to_chat_logprobs
from puna.api.openai.responses.convert import ReasoningWish
from puna.api.openai.responses.event_replies import (
    ArgumentsDelta,
    ArgumentsDone,
    CustomInputDelta,
    CustomInputDone,
    EventReply,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    ReasoningDeltaEvent,
    ReasoningDone,
    SummaryDelta,
    SummaryDone,
    SummaryPartAdded,
    SummaryPartDone,
    TextDeltaEvent,
    TextDone,
)
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
from puna.api.openai.responses.output import (
    to_call_item,
    to_message_item,
    to_reasoning_item,
)
from puna.api.openai.responses.toolbox import ClientTool
from puna.domain.chat import ToolCall
from puna.domain.generation import TextDelta, ToolCallBegin

Events = tuple[EventReply, ...]


class Draft(Protocol):
    """An item that has begun."""

    def to_item(self, status: ItemStatus) -> OutputItem:
        """Return the item with all that has come."""
        ...

    def end(self, status: ItemStatus) -> Events:
        """Return the events of its end."""
        ...


class MessageDraft:
    """A text."""

    def __init__(self, item_id: str, index: int) -> None:
        """`index` is its place in the output."""
        self._id = item_id
        self._index = index
        self._texts: list[str] = []
        self._logprobs: list[LogprobReply] = []

    def begin(self) -> Events:
        """Return the events of its begin."""
        empty = MessageItem(self._id, ItemStatus.IN_PROGRESS, "assistant", ())
        return (
            ItemAdded(output_index=self._index, item=empty),
            PartAdded(output_index=self._index, item_id=self._id, part=OutputText("")),
        )

    def push(self, delta: TextDelta) -> Events:
        """Take more text and return its event."""
        logprobs = to_chat_logprobs(delta.logprobs).content
        self._texts.append(delta.text)
        self._logprobs.extend(logprobs)
        return (
            TextDeltaEvent(output_index=self._index, item_id=self._id, delta=delta.text, logprobs=logprobs),
        )

    def to_item(self, status: ItemStatus) -> MessageItem:
        """Return the message."""
        return to_message_item(self._id, "".join(self._texts), tuple(self._logprobs), status)

    def end(self, status: ItemStatus) -> Events:
        """Return the events of its end."""
        text, logprobs = "".join(self._texts), tuple(self._logprobs)
        return (
            TextDone(output_index=self._index, item_id=self._id, text=text, logprobs=logprobs),
            PartDone(output_index=self._index, item_id=self._id, part=OutputText(text, logprobs=logprobs)),
            ItemDone(output_index=self._index, item=self.to_item(status)),
        )


class ReasoningDraft:
    """Thoughts, as themselves or as their summary."""

    def __init__(self, item_id: str, index: int, wish: ReasoningWish) -> None:
        self._id = item_id
        self._index = index
        self._wish = wish
        self._texts: list[str] = []

    def begin(self) -> Events:
        """Return the events of its begin."""
        empty = ReasoningItem(self._id, ItemStatus.IN_PROGRESS)
        added = ItemAdded(output_index=self._index, item=empty)
        if self._wish.is_summary:
            summary = SummaryText("")
            return added, SummaryPartAdded(output_index=self._index, item_id=self._id, part=summary)
        return added, PartAdded(output_index=self._index, item_id=self._id, part=ReasoningText(""))

    def push(self, text: str) -> Events:
        """Take more thoughts and return their event."""
        self._texts.append(text)
        if self._wish.is_summary:
            return (SummaryDelta(output_index=self._index, item_id=self._id, delta=text),)
        return (ReasoningDeltaEvent(output_index=self._index, item_id=self._id, delta=text),)

    def to_item(self, status: ItemStatus) -> ReasoningItem:
        """Return the thoughts."""
        return to_reasoning_item(self._id, "".join(self._texts), self._wish, status)

    def end(self, status: ItemStatus) -> Events:
        """Return the events of its end."""
        text = "".join(self._texts)
        done = ItemDone(output_index=self._index, item=self.to_item(status))
        if self._wish.is_summary:
            return (
                SummaryDone(output_index=self._index, item_id=self._id, text=text),
                SummaryPartDone(output_index=self._index, item_id=self._id, part=SummaryText(text)),
                done,
            )
        return (
            ReasoningDone(output_index=self._index, item_id=self._id, text=text),
            PartDone(output_index=self._index, item_id=self._id, part=ReasoningText(text)),
            done,
        )


class CallDraft:
    """A call. The input of a custom tool comes at once, at the end: the model gives it within JSON."""

    def __init__(self, item_id: str, index: int, call: ToolCallBegin, tool: ClientTool) -> None:
        self._id = item_id
        self._index = index
        self._call = call
        self._tool = tool
        self._arguments: list[str] = []

    def begin(self) -> Events:
        """Return the event of its begin."""
        return (ItemAdded(output_index=self._index, item=self.to_item(ItemStatus.IN_PROGRESS)),)

    def push(self, text: str) -> Events:
        """Take more of the arguments and return their event, if they have one."""
        self._arguments.append(text)
        if self._tool.is_custom:
            return ()
        return (ArgumentsDelta(output_index=self._index, item_id=self._id, delta=text),)

    def to_item(self, status: ItemStatus) -> CallItem:
        """Return the call."""
        call = ToolCall(self._call.id, self._call.name, "".join(self._arguments))
        return to_call_item(self._id, call, self._tool, status)

    def end(self, status: ItemStatus) -> Events:
        """Return the events of its end."""
        index, item = self._index, self.to_item(status)
        done = ItemDone(output_index=index, item=item)
        match item:
            case CustomCallItem(input=text):
                delta = CustomInputDelta(output_index=index, item_id=self._id, delta=text)
                return delta, CustomInputDone(output_index=index, item_id=self._id, input=text), done
            case FunctionCallItem(name=name, arguments=arguments):
                told = ArgumentsDone(output_index=index, item_id=self._id, name=name, arguments=arguments)
                return told, done
