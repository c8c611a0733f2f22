"""The request of `/api/chat` to the domain's. Pure.

Ollama's older clients name no calls: what a tool answers belongs to the first open call of its name, else to
the first open call. Arguments are objects here, JSON text in the domain.
"""

import itertools
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence

from puna.api.encoding import encode_json
from puna.api.ollama.options import to_request
from puna.api.ollama.schema import CallBody, ChatBody, MessageBody, ToolBody
from puna.api.ollama.think import to_thinking
from puna.api.tool_fields import check_tools, to_tool
from puna.domain.chat import Message, Role, Tool, ToolCall
from puna.domain.generation import ChatPrompt, GenerationRequest
from puna.domain.models import LoadedModel
from puna.errors import InvalidRequestError


def check_conversation(body: ChatBody) -> None:
    """Refuse what no model supports. Raises `InvalidRequestError`."""
    for index, message in enumerate(body.messages or ()):
        if message.images:
            field = f"messages[{index}].images"
            raise InvalidRequestError(
                f'"{body.model}" does not support images: `{field}` is not supported yet.', field=field
            )


def to_chat(body: ChatBody, loaded: LoadedModel) -> GenerationRequest:
    """Return the request. Raises `InvalidRequestError` for what this model cannot do, or for unsound tools."""
    thinking = to_thinking(body.think, model=body.model, can_think=loaded.can_think)
    prompt = ChatPrompt(
        to_messages(body.messages or ()),
        tools=check_tools([_to_tool(index, tool) for index, tool in enumerate(body.tools or ())]),
        is_thinking=thinking.is_wanted,
        effort=thinking.effort,
    )
    return to_request(prompt, body, loaded)


def to_messages(turns: Sequence[MessageBody]) -> tuple[Message, ...]:
    """Return the conversation, every call and every answer to one with an id."""
    messages: list[Message] = []
    open_calls = _OpenCalls()
    calls_made = 0
    for turn in turns:
        call = open_calls.take_answered(turn) if turn.role is Role.TOOL else None
        calls = tuple(
            _to_call(each, calls_made + number) for number, each in enumerate(turn.tool_calls or (), start=1)
        )
        calls_made += len(calls)
        open_calls.add(calls)
        messages.append(_to_message(turn, calls, call))
    return tuple(messages)


class _OpenCalls:
    """Calls that no tool has answered yet, the first ones first; a step takes as long with thousands of them."""

    def __init__(self) -> None:
        self._calls: OrderedDict[int, ToolCall] = OrderedDict()
        self._by_id: defaultdict[str, deque[int]] = defaultdict(deque)
        self._by_name: defaultdict[str, deque[int]] = defaultdict(deque)
        self._numbers = itertools.count()

    def add(self, calls: Sequence[ToolCall]) -> None:
        """Take in what an assistant asked for."""
        for call in calls:
            number = next(self._numbers)
            self._calls[number] = call
            self._by_id[call.id].append(number)
            self._by_name[call.name].append(number)

    def take_answered(self, turn: MessageBody) -> ToolCall | None:
        """Return the call that a tool answers, which is open no longer."""
        if turn.tool_call_id:
            number = self._first_open(self._by_id[turn.tool_call_id])
        else:
            number = self._first_open(self._by_name[turn.tool_name or ""])
            number = next(iter(self._calls), None) if number is None else number
        return None if number is None else self._calls.pop(number)

    def _first_open(self, numbers: deque[int]) -> int | None:
        while numbers and numbers[0] not in self._calls:
            numbers.popleft()
        return numbers[0] if numbers else None


def _to_message(turn: MessageBody, calls: tuple[ToolCall, ...], answered: ToolCall | None) -> Message:
    return Message(
        turn.role,
        turn.content or "",
        reasoning=turn.thinking or None,
        tool_calls=calls,
        tool_call_id=turn.tool_call_id or (answered.id if answered else None),
        name=turn.tool_name or (answered.name if answered else None),
    )


def _to_call(call: CallBody, number: int) -> ToolCall:
    arguments = encode_json(call.function.arguments or {}).decode()
    return ToolCall(call.id or f"call_{number}", call.function.name, arguments)


def _to_tool(index: int, tool: ToolBody) -> Tool:
    if tool.type not in (None, "", "function"):
        raise InvalidRequestError(f"`tools[{index}].type` must be function.", field=f"tools[{index}].type")
    function = tool.function
    return to_tool(function.name, function.description, function.parameters, field=f"tools[{index}].function")
