"""Conversations in files: JSON that people can read, and that other tools' lists of messages load into."""

import json
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from puna.errors import InvalidRequestError
from puna.files import write_private
from puna.terminal.conversation import Conversation, Message
from puna.terminal.options import ChatOptions, set_option

_LARGEST_FILE_BYTES = 64 * 1024 * 1024


class SavedConversation(Struct, frozen=True, kw_only=True):
    """What `/save` writes."""

    puna_conversation: int = 1
    """Marks the file, and says how it is written."""
    model: str
    options: ChatOptions = ChatOptions()
    messages: tuple[Message, ...] = ()


class _Part(Struct, frozen=True):
    text: str = ""


class _ForeignMessage(Struct, frozen=True):
    role: str
    content: str | list[_Part] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Foreign(Struct, frozen=True):
    messages: list[_ForeignMessage]
    model: str | None = None


class _Marked(Struct, frozen=True):
    puna_conversation: int


def encode_conversation(conversation: Conversation) -> bytes:
    """Return the file's content."""
    saved = SavedConversation(
        model=conversation.model, options=conversation.options, messages=conversation.messages
    )
    return msgspec.json.format(msgspec.json.encode(saved), indent=2) + b"\n"


def decode_conversation(content: bytes, current: Conversation) -> Conversation:
    """Return what a file holds: Puna's own, an OpenAI request, or a bare list of messages.

    What the file does not say stays as it is in `current`. Raises `msgspec.MsgspecError` or
    `InvalidRequestError`.
    """
    if not is_saved(content):
        return _from_foreign(content, current)
    saved = msgspec.json.decode(content, type=SavedConversation)
    _check(saved.options)
    return Conversation(model=saved.model or current.model, options=saved.options, messages=saved.messages)


def is_saved(content: bytes) -> bool:
    """Return whether this is a file of `/save`, which `/save` may replace."""
    try:
        msgspec.json.decode(content, type=_Marked)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


def write_conversation(file: Path, conversation: Conversation) -> None:
    """Write the file, for this user only. Raises `InvalidRequestError` rather than replace some other file."""
    try:
        if file.exists() and not is_saved(_read(file)):
            raise InvalidRequestError(f"{file} is there already and is no conversation; take another name.")
        write_private(file, encode_conversation(conversation))
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be written ({error.strerror}).") from error


def read_conversation(file: Path, current: Conversation) -> Conversation:
    """Return what a file holds; see `decode_conversation`. Raises `InvalidRequestError`."""
    try:
        return decode_conversation(_read(file), current)
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be read ({error.strerror}).") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestError(f"{file} holds no conversation ({error}).") from error


def file_of(text: str) -> Path:
    """Return the file that somebody named, `~` included. Raises `InvalidRequestError`."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InvalidRequestError(
            f"{text} is in the home folder of nobody here; type its whole path."
        ) from error


def read_format(text: str) -> str:
    """Return what `/set format` means: the content of the file that is named, else the text as it stands.

    Raises `InvalidRequestError`.
    """
    file = file_of(text) if text.endswith(".json") else None
    try:
        if file is None or not file.is_file():
            return text
        return json.dumps(json.loads(_read(file)), separators=(",", ":"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{file} holds no JSON schema ({error}).") from error


def _read(file: Path) -> bytes:
    if file.stat().st_size > _LARGEST_FILE_BYTES:
        raise InvalidRequestError(f"{file} is too large for a conversation.")
    return file.read_bytes()


def _check(options: ChatOptions) -> None:
    """Hold a file's format to what `/set` takes; the daemon checks the numbers."""
    set_option(ChatOptions(), "format", options.format)


def _from_foreign(content: bytes, current: Conversation) -> Conversation:
    given: Any = msgspec.json.decode(content)
    wrapped = {"messages": given} if isinstance(given, list) else given
    foreign = msgspec.convert(wrapped, type=_Foreign)
    system = "\n\n".join(_text_of(each) for each in foreign.messages if _is_system(each))
    options = msgspec.structs.replace(current.options, system=system) if system else current.options
    messages = tuple(_to_message(each) for each in foreign.messages if not _is_system(each))
    return Conversation(model=foreign.model or current.model, options=options, messages=messages)


def _is_system(message: _ForeignMessage) -> bool:
    return message.role in {"system", "developer"}


def _to_message(message: _ForeignMessage) -> Message:
    thought = message.reasoning or message.reasoning_content or ""
    match message.role:
        case "user":
            return Message("user", _text_of(message))
        case "assistant":
            return Message("assistant", _text_of(message), thought)
        case role:
            raise msgspec.ValidationError(f"a message of {role[:40]!r} cannot be part of a chat here")


def _text_of(message: _ForeignMessage) -> str:
    if isinstance(message.content, list):
        return "".join(part.text for part in message.content)
    return message.content or ""
