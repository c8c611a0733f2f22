"""The `input` of a request as items, checked and each with an id. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import UNSET, Struct

from puna.api.openai.responses.item_replies import (
    CallItem,
    CallOutputItem,
    CustomCallItem,
    CustomCallOutputItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputText,
    Item,
    ItemStatus,
    MessageItem,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Refusal,
    SummaryText,
)
from puna.api.openai.responses.schema import ItemBody, PartBody, Speaker
from puna.api.openai.responses.thoughts import open_thoughts
from puna.errors import InvalidRequestError, NotFoundError

NewId = Callable[[str], str]
"""Makes an id that nothing else has, from its prefix."""

_REFERENCE = "item_reference"
_MEDIA = {
    "input_image": "an image",
    "image_url": "an image",
    "input_file": "a file",
    "input_audio": "audio",
    "input_video": "a video",
}
_TEXT_TYPES = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_MAX_ID = 512


class ContextItem(Struct, frozen=True):
    """An item of a conversation, and where it lies if it is stored."""

    item: Item
    number: int | None = None


def referenced_ids(input_: str | Sequence[ItemBody] | None) -> list[str]:
    """Return the ids of the items that the input names and does not hold."""
    if input_ is None or isinstance(input_, str):
        return []
    return [body.id for body in input_ if body.id is not None and _is_reference(body)]


def to_items(
    input_: str | Sequence[ItemBody] | None,
    referenced: Mapping[str, ContextItem],
    known: Collection[int | None],
    new_id: NewId,
) -> list[ContextItem]:
    """Return the items of the input. Those referenced that are `known`, by their numbers, are there already.

    Raises `InvalidRequestError` for what is no item that Puna understands, `NotFoundError` for an unknown
    reference.
    """
    if input_ is None:
        return []
    if isinstance(input_, str):
        content = (InputText(input_),)
        return [ContextItem(MessageItem(new_id("msg"), ItemStatus.COMPLETED, Speaker.USER, content))]
    items: list[ContextItem] = []
    for index, body in enumerate(input_):
        field = f"input[{index}]"
        if not _is_reference(body):
            items.append(ContextItem(_to_item(body, field, new_id)))
        elif (found := _find_reference(body, referenced, field)).number not in known:
            items.append(found)
    return items


def _is_reference(body: ItemBody) -> bool:
    # OpenAI's schema lets the type of a reference be absent or null.
    if body.type is None:
        return body.id is not None and body.role is None and body.content is None
    return body.type == _REFERENCE


def _find_reference(body: ItemBody, referenced: Mapping[str, ContextItem], field: str) -> ContextItem:
    item_id = _require(body.id, f"{field}.id")
    if item_id not in referenced:
        raise NotFoundError(
            f"There is no item {item_id[:_MAX_ID]}: items are kept where `store` is true, and for a time; "
            "send the item itself.",
            field=f"{field}.id",
        )
    return referenced[item_id]


def _to_item(body: ItemBody, field: str, new_id: NewId) -> Item:
    match body.type:
        case None | "message":
            return _to_message(body, field, new_id)
        case "reasoning":
            return _to_reasoning(body, field, new_id)
        case "function_call" | "custom_tool_call":
            return _to_call(body, field, new_id)
        case "function_call_output" | "custom_tool_call_output":
            return _to_call_output(body, field, new_id)
        case other:
            raise InvalidRequestError(
                f"`{field}.type` is {other[:50]}, which Puna does not understand: send messages, reasoning, "
                "calls and outputs of functions and custom tools, or item_reference.",
                field=f"{field}.type",
            )


def _to_call(body: ItemBody, field: str, new_id: NewId) -> CallItem:
    call_id, name = _require(body.call_id, f"{field}.call_id"), _require(body.name, f"{field}.name")
    namespace = body.namespace or UNSET
    if body.type == "function_call":
        arguments = _require_text(body.arguments, f"{field}.arguments")
        return FunctionCallItem(
            _id_of(body, "fc", new_id), ItemStatus.COMPLETED, call_id, name, arguments, namespace
        )
    text = _require_text(body.input, f"{field}.input")
    return CustomCallItem(_id_of(body, "ctc", new_id), ItemStatus.COMPLETED, call_id, name, text, namespace)


def _to_call_output(body: ItemBody, field: str, new_id: NewId) -> CallOutputItem:
    call_id, output = _require(body.call_id, f"{field}.call_id"), _to_output(body.output, f"{field}.output")
    if body.type == "function_call_output":
        return FunctionCallOutputItem(_id_of(body, "fco", new_id), ItemStatus.COMPLETED, call_id, output)
    return CustomCallOutputItem(_id_of(body, "cto", new_id), ItemStatus.COMPLETED, call_id, output)


def _to_message(body: ItemBody, field: str, new_id: NewId) -> MessageItem:
    if body.role is None:
        raise InvalidRequestError(f"`{field}.role` is required.", field=f"{field}.role")
    if body.content is None:
        raise InvalidRequestError(f"`{field}.content` is required.", field=f"{field}.content")
    is_model = body.role is Speaker.ASSISTANT
    parts = [PartBody(type="text", text=body.content)] if isinstance(body.content, str) else body.content
    content = tuple(
        _to_part(part, f"{field}.content[{number}]", is_model=is_model) for number, part in enumerate(parts)
    )
    return MessageItem(_id_of(body, "msg", new_id), ItemStatus.COMPLETED, body.role, content)


def _to_part(part: PartBody, field: str, *, is_model: bool) -> InputText | OutputText | Refusal:
    if part.type == "refusal":
        return Refusal(_require_text(part.refusal, f"{field}.refusal"))
    text = _text_of(part, field)
    return OutputText(text) if is_model else InputText(text)


def _to_reasoning(body: ItemBody, field: str, new_id: NewId) -> ReasoningItem:
    """Return thoughts with their text, which may come in the open or as the opaque word that Puna gave out."""
    if isinstance(body.content, str):
        raise InvalidRequestError(f"`{field}.content` must be a list.", field=f"{field}.content")
    content = _texts_of(body.content, f"{field}.content")
    summary = _texts_of(body.summary, f"{field}.summary")
    if not content and body.encrypted_content is not None:
        thoughts = open_thoughts(body.encrypted_content)
        if thoughts is None and not summary:
            raise InvalidRequestError(
                f"`{field}.encrypted_content` is not from Puna and cannot be read; leave the item out.",
                field=f"{field}.encrypted_content",
            )
        content = [] if thoughts is None else [thoughts]
    return ReasoningItem(
        _id_of(body, "rs", new_id),
        ItemStatus.COMPLETED,
        tuple(map(SummaryText, summary)),
        tuple(map(ReasoningText, content)),
        body.encrypted_content,
    )


def _texts_of(parts: Sequence[PartBody] | None, field: str) -> list[str]:
    return [_text_of(part, f"{field}[{number}]") for number, part in enumerate(parts or ())]


def _text_of(part: PartBody, field: str) -> str:
    if part.type in _MEDIA:
        raise InvalidRequestError(
            f"`{field}` is {_MEDIA[part.type]}; this version of Puna understands text only.", field=field
        )
    if part.type not in _TEXT_TYPES:
        raise InvalidRequestError(
            f"`{field}.type` must be input_text or output_text; {part.type[:50]} is not known.",
            field=f"{field}.type",
        )
    return _require_text(part.text, f"{field}.text")


def _to_output(output: object, field: str) -> str:
    """Return a tool's answer as text; where it came in parts, they are joined."""
    if isinstance(output, list):
        parts = [_to_output_part(each, f"{field}[{number}]") for number, each in enumerate(output)]
        return "".join(_texts_of(parts, field))
    return _require_text(output, field)


def _to_output_part(part: object, field: str) -> PartBody:
    match part:
        case {"type": str(type_), "text": str(text)}:
            return PartBody(type=type_, text=text)
        case {"type": str(type_)}:
            return PartBody(type=type_)
        case _:
            raise InvalidRequestError(f"`{field}` must be an object with `type` and `text`.", field=field)


def _id_of(body: ItemBody, prefix: str, new_id: NewId) -> str:
    return body.id if body.id and len(body.id) <= _MAX_ID else new_id(prefix)


def _require(value: str | None, field: str) -> str:
    if not value:
        raise InvalidRequestError(f"`{field}` is required.", field=field)
    return value


def _require_text(value: object, field: str) -> str:
    if value is None:
        raise InvalidRequestError(f"`{field}` is required.", field=field)
    if not isinstance(value, str):
        raise InvalidRequestError(f"`{field}` must be a string.", field=field)
    return value
