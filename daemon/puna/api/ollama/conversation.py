"""The request of `/api/chat` to the domain's. Pure.

Ollama's older clients name no calls: what a tool answers belongs to the first open call of its name, else to
the first open call. Arguments are objects here, JSON text in the domain.
"""

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
    open_calls: list[ToolCall] = []
    calls_made = 0
    for turn in turns:
        call = _take_answered(turn, open_calls) if turn.role is Role.TOOL else None
        calls = tuple(
            _to_call(each, calls_made + number) for number, each in enumerate(turn.tool_calls or (), start=1)
        )
        calls_made += len(calls)
        open_calls += calls
        messages.append(_to_message(turn, calls, call))
    return tuple(messages)


def _take_answered(turn: MessageBody, open_calls: list[ToolCall]) -> ToolCall | None:
    """Return the call that a tool answers, which is open no longer."""
    if turn.tool_call_id:
        candidates = [call for call in open_calls if call.id == turn.tool_call_id]
    else:
        candidates = [call for call in open_calls if call.name == turn.tool_name] or open_calls[:1]
    if not candidates:
        return None
    open_calls.remove(candidates[0])
    return candidates[0]


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
