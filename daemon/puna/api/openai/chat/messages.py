"""Messages of a chat as the domain's. Pure."""

from collections.abc import Mapping, Sequence

from puna.api.encoding import encode_json
from puna.api.openai.chat.schema import CalledFunction, CallPart, ChatMessage, ChatRole, ContentPart
from puna.domain.chat import Message, Role, ToolCall
from puna.errors import InvalidRequestError

_NOT_YET = {
    "image_url": "images are",
    "input_image": "images are",
    "input_audio": "audio is",
    "video_url": "videos are",
    "file": "files are",
}


def to_messages(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """Return the conversation. Raises `InvalidRequestError` for content that no model here can read."""
    return tuple(to_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def to_message(message: ChatMessage, field: str) -> Message:
    """Return one message; `field` is where the request has it. Raises `InvalidRequestError`."""
    if message.audio is not None:
        raise InvalidRequestError("`audio` is not supported yet: send text.", field=f"{field}.audio")
    content = to_text(message.content, f"{field}.content")
    match message.role:
        case ChatRole.ASSISTANT:
            return Message(
                Role.ASSISTANT,
                content or message.refusal or "",
                message.reasoning_content or message.reasoning,
                _to_calls(message, field),
            )
        case ChatRole.TOOL:
            return Message(
                Role.TOOL,
                _required(content, field),
                tool_call_id=message.tool_call_id,
                name=message.name,
            )
        case ChatRole.FUNCTION:
            # A function that has nothing to say is null in OpenAI's own clients.
            return Message(
                Role.TOOL, content or "", tool_call_id=_id_of_old(message.name or ""), name=message.name
            )
        case _:
            return Message(Role(message.role.value), _required(content, field))


def to_text(content: str | Sequence[ContentPart] | None, field: str) -> str | None:
    """Return the text of a content. Raises `InvalidRequestError` for a part that is none."""
    if content is None or isinstance(content, str):
        return content
    return "".join(_to_part(part, f"{field}[{index}]") for index, part in enumerate(content))


def _to_part(part: ContentPart, field: str) -> str:
    match part.type:
        case "text" | "input_text" | "output_text":
            if part.text is None:
                raise InvalidRequestError(f"`{field}.text` is required.", field=f"{field}.text")
            return part.text
        case "refusal":
            return part.refusal or ""
        case _:
            what = _NOT_YET.get(part.type, f"parts of the type {part.type[:40]} are")
            raise InvalidRequestError(f"`{field}`: {what} not supported yet; send text.", field=field)


def _required(content: str | None, field: str) -> str:
    if content is None:
        raise InvalidRequestError(f"`{field}.content` is required.", field=f"{field}.content")
    return content


def _to_calls(message: ChatMessage, field: str) -> tuple[ToolCall, ...]:
    calls = tuple(
        _to_call(call, f"{field}.tool_calls[{index}]") for index, call in enumerate(message.tool_calls or ())
    )
    if message.function_call is None:
        return calls
    old = message.function_call
    return (*calls, ToolCall(_id_of_old(old.name), old.name, _to_arguments(old)))


def _to_call(call: CallPart, field: str) -> ToolCall:
    if (call.type or "function") != "function":
        raise InvalidRequestError(
            f"`{field}.type` must be function: other tools are not supported.", field=f"{field}.type"
        )
    if call.function is None:
        raise InvalidRequestError(f"`{field}.function` is required.", field=f"{field}.function")
    return ToolCall(call.id or "", call.function.name, _to_arguments(call.function))


def _to_arguments(function: CalledFunction) -> str:
    if isinstance(function.arguments, Mapping):
        return encode_json(function.arguments).decode()
    return (function.arguments or "").strip() or "{}"


def _id_of_old(name: str) -> str:
    """Calls of the old form have no id; a result names the function that it comes from."""
    return f"function_{name}"
