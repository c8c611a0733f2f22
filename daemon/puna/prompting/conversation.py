"""Messages and tools as chat templates know them: the shapes of OpenAI's API."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from puna.domain.chat import Message, Role, Tool, ToolCall
from puna.prompting.tools.schemas import decode_schema
from puna.prompting.traits import TemplateTraits

_SHORT_ID_CHARACTERS = 9
_MARKUP_CHARACTERS = 64
"""What a template may write around one message without being called wasteful."""


def to_tool_values(tools: Sequence[Tool]) -> list[dict[str, object]]:
    """Return tools as templates list them. Raises `InvalidRequestError` for a schema that is none."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": decode_schema(tool),
            },
        }
        for tool in tools
    ]


def to_message_values(messages: Sequence[Message], traits: TemplateTraits) -> list[dict[str, object]]:
    """Return messages as a template with these traits reads them; absent fields are absent."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return [_to_message(message, names, traits) for message in messages]


def count_characters(messages: Sequence[Message], tools: Sequence[Tool]) -> int:
    """Return how long the input of a rendering is, with room for what stands around each message."""
    said = sum(
        len(message.content)
        + len(message.reasoning or "")
        + sum(len(call.name) + len(call.arguments) for call in message.tool_calls)
        for message in messages
    )
    said += _MARKUP_CHARACTERS * len(messages)
    return said + sum(len(tool.name) + len(tool.description) + len(tool.parameters) for tool in tools)


def _to_message(message: Message, names: Mapping[str, str], traits: TemplateTraits) -> dict[str, object]:
    value: dict[str, object] = {"role": message.role.value, "content": message.content}
    if message.reasoning is not None:
        value |= _to_reasoning(message, traits)
    if message.tool_calls:
        value["content"] = value["content"] or traits.content_beside_calls
        value["tool_calls"] = [_to_call(call, traits) for call in message.tool_calls]
    if message.role is Role.TOOL:
        value |= _to_result(message, names, traits)
    return value


def _to_reasoning(message: Message, traits: TemplateTraits) -> dict[str, object]:
    """Return the reasoning under the names that templates have for it.

    gpt-oss has one place for what was thought and said before a call.
    """
    if traits.joins_reasoning and message.tool_calls:
        joined = "\n\n".join(text for text in (message.reasoning, message.content) if text)
        return {"content": "", "thinking": joined}
    return {"reasoning_content": message.reasoning, "thinking": message.reasoning}


def _to_call(call: ToolCall, traits: TemplateTraits) -> dict[str, object]:
    function = {"name": call.name, "arguments": _to_arguments(call, traits)}
    return {"id": _to_id(call.id, traits), "type": "function", "function": function}


def _to_arguments(call: ToolCall, traits: TemplateTraits) -> object:
    if traits.wants_argument_text:
        return call.arguments
    try:
        return msgspec.json.decode(call.arguments or "{}", type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError):
        return call.arguments


def _to_result(message: Message, names: Mapping[str, str], traits: TemplateTraits) -> dict[str, object]:
    result: dict[str, object] = {}
    name = message.name or names.get(message.tool_call_id or "")
    if name:
        result["name"] = name
    if message.tool_call_id is not None:
        result["tool_call_id"] = _to_id(message.tool_call_id, traits)
    return result


def _to_id(call_id: str, traits: TemplateTraits) -> str:
    """Return an id that the template takes: Mistral's want nine letters and digits."""
    is_short = len(call_id) == _SHORT_ID_CHARACTERS and call_id.isalnum()
    if not traits.wants_short_ids or is_short:
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:_SHORT_ID_CHARACTERS]
