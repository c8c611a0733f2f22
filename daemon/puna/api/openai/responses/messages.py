"""Items as the turns of a conversation. Pure.

What an assistant did in one go comes as several items: thoughts, a message, calls. A model's template knows them as
one turn, so they are put together again. Thoughts that nothing follows are left out.
"""

from collections.abc import Iterable

from puna.api.openai.responses.item_replies import (
    CallItem,
    CallOutputItem,
    CustomCallItem,
    CustomCallOutputItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    MessageItem,
    ReasoningItem,
    Refusal,
)
from puna.api.openai.responses.toolbox import name_for_model, to_arguments
from puna.domain.chat import Message, Role, ToolCall
from puna.errors import InvalidRequestError


class _Turn:
    """What an assistant did, as far as it is read."""

    def __init__(self) -> None:
        self.thoughts: list[str] = []
        self.content: str | None = None
        self.calls: list[ToolCall] = []

    def has_begun(self) -> bool:
        return self.content is not None or bool(self.calls)

    def to_message(self) -> Message:
        reasoning = "\n".join(self.thoughts) or None
        return Message(Role.ASSISTANT, self.content or "", reasoning, tuple(self.calls))


class _Reader:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._turn = _Turn()
        self._tools: dict[str, str] = {}

    def read(self, item: Item) -> None:
        match item:
            case ReasoningItem():
                self._read_reasoning(item)
            case MessageItem(role=Role.ASSISTANT):
                if self._turn.has_begun():
                    self.end_turn()
                self._turn.content = _text_of(item)
            case MessageItem():
                self.end_turn()
                self.messages.append(Message(Role(item.role), _text_of(item)))
            case FunctionCallItem() | CustomCallItem():
                call = _to_call(item)
                self._tools[call.id] = call.name
                self._turn.calls.append(call)
            case FunctionCallOutputItem() | CustomCallOutputItem():
                self.end_turn()
                self.messages.append(self._to_tool_message(item))

    def end_turn(self) -> None:
        if self._turn.has_begun():
            self.messages.append(self._turn.to_message())
        self._turn = _Turn()

    def _read_reasoning(self, item: ReasoningItem) -> None:
        if self._turn.has_begun():
            self.end_turn()
        self._turn.thoughts += [part.text for part in item.content or item.summary]

    def _to_tool_message(self, item: CallOutputItem) -> Message:
        if item.call_id not in self._tools:
            raise InvalidRequestError(
                f"`input` has the answer to the call {item.call_id[:100]} but not the call: send its "
                "item before it, or go on from the response that has it.",
                field="input",
            )
        return Message(Role.TOOL, item.output, tool_call_id=item.call_id, name=self._tools[item.call_id])


def to_messages(items: Iterable[Item]) -> tuple[Message, ...]:
    """Return the turns. Raises `InvalidRequestError` for a tool's answer to a call that is not there."""
    reader = _Reader()
    for item in items:
        reader.read(item)
    reader.end_turn()
    return tuple(reader.messages)


def _to_call(item: CallItem) -> ToolCall:
    arguments = item.arguments if isinstance(item, FunctionCallItem) else to_arguments(item.input)
    return ToolCall(item.call_id, name_for_model(item.name, item.namespace or None), arguments)


def _text_of(item: MessageItem) -> str:
    return "".join(part.refusal if isinstance(part, Refusal) else part.text for part in item.content)
