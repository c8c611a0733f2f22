"""The `messages` of a conversation, in the shape of OpenAI's chat API."""

import msgspec
from msgspec import Struct

from puna.domain.chat import Message, Role, ToolCall


class _Part(Struct):
    type: str = "text"
    text: str | None = None


class _Function(Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Call(Struct):
    function: _Function
    id: str = ""


class _Message(Struct):
    role: Role
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None


_DECODER = msgspec.json.Decoder(list[_Message])


def decode_messages(raw: msgspec.Raw) -> tuple[Message, ...]:
    """Return the messages. Raises `ValueError` with what is wrong, as the end of a sentence."""
    return tuple(_to_message(message, place) for place, message in enumerate(_DECODER.decode(raw)))


def has_answer(messages: tuple[Message, ...]) -> bool:
    """Return whether an assistant says or calls anything."""
    return any(
        message.role is Role.ASSISTANT and (message.content.strip() or message.tool_calls)
        for message in messages
    )


def _to_message(message: _Message, place: int) -> Message:
    calls = tuple(_to_call(call) for call in message.tool_calls or ())
    if message.content is None and not calls:
        raise ValueError(f"`messages[{place}]` has no `content`")
    return Message(
        role=message.role,
        content=_join(message.content or "", place),
        reasoning=message.reasoning_content,
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def _join(content: str | list[_Part], place: int) -> str:
    if isinstance(content, str):
        return content
    texts = [part.text for part in content if part.type == "text" and part.text is not None]
    if len(texts) < len(content):
        raise ValueError(f"`messages[{place}].content` holds more than text")
    return "".join(texts)


def _to_call(call: _Call) -> ToolCall:
    """Return a call; its arguments may be an object, or the JSON text of one."""
    raw = bytes(call.function.arguments)
    arguments = msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()
    return ToolCall(id=call.id, name=call.function.name, arguments=arguments)
