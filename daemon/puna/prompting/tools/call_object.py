"""Reads calls that are JSON objects, such as `{"name": "get_weather", "arguments": {"city": "Lima"}}`."""

import json
from collections.abc import Sequence

import msgspec

from puna.domain.chat import ToolCall
from puna.prompting.output import Reading
from puna.prompting.reader import MalformedError, TextReader, Waiting, gather
from puna.prompting.tools.format import Calls, Opener
from puna.prompting.tools.values import escape, read_string, read_value

_NAME_KEYS = frozenset({"name", "tool_name", "function", "function_name"})
_ARGUMENT_KEYS = frozenset({"arguments", "parameters", "args"})
_OTHER_KEYS = frozenset({"type", "id", "index", "call_id", "tool_call_id", "description"})
_MAX_DEPTH = 2
_LIST_KEYS = frozenset({"tool_calls", "tool_call", "calls"})


def read_calls(reader: TextReader, opener: Opener, calls: Calls, depth: int = 0) -> Reading[None]:
    """Read one call, or a list of them. Raises `MalformedError`."""
    if not (yield from reader.accept("[")):
        yield from _CallReading(reader, opener, calls, depth).read()
        return
    while True:
        yield from reader.take_blank()
        yield from _CallReading(reader, opener, calls, depth).read()
        reader.commit()
        yield from reader.take_blank()
        if (yield from reader.accept("]")):
            return
        yield from reader.expect(",")


def write_call(call: ToolCall, *, name_key: str = "name", arguments_key: str = "arguments") -> str:
    """Return a call as such an object."""
    return f'{{"{name_key}": "{escape(call.name)}", "{arguments_key}": {write_arguments(call)}}}'


def write_arguments(call: ToolCall) -> str:
    """Return a call's arguments as one line of JSON; as they are where they are no JSON."""
    try:
        return json.dumps(json.loads(call.arguments or "{}"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return call.arguments


def write_calls(calls: Sequence[ToolCall], **keys: str) -> str:
    """Return calls as a list of such objects."""
    return f"[{', '.join(write_call(call, **keys) for call in calls)}]"


class _CallReading:
    """One call, whose keys come in any order: arguments that come before the name are held back."""

    def __init__(self, reader: TextReader, opener: Opener, calls: Calls, depth: int) -> None:
        self._reader = reader
        self._depth = depth
        self._opener = opener
        self._calls = calls
        self._name = ""
        self._held: str | None = None
        self._is_begun = False
        self._is_list = False

    def read(self) -> Reading[None]:
        yield from self._read_members()
        if self._is_list:
            return
        if not self._is_begun:
            yield from self._begin()
            yield self._calls.argue(self._held or "{}")

    def _read_members(self) -> Reading[None]:
        yield from self._reader.expect("{")
        while True:
            yield from self._reader.take_blank()
            key = yield from self._read_text()
            yield from self._reader.take_blank()
            yield from self._reader.expect(":")
            yield from self._reader.take_blank()
            yield from self._read_member(key)
            yield from self._reader.take_blank()
            if (yield from self._reader.accept("}")):
                return
            yield from self._reader.expect(",")

    def _read_member(self, key: str) -> Reading[None]:
        char = yield from self._reader.peek()
        if key in _NAME_KEYS and char == '"':
            self._name = yield from self._read_text()
            self._calls.check(self._name, self._opener)
        elif key in _ARGUMENT_KEYS:
            yield from self._read_arguments(char)
        elif key in _LIST_KEYS and not self._name:
            self._descend()
            yield from read_calls(self._reader, self._opener, self._calls, self._depth)
            self._is_list = True
        elif key == "function" and char == "{":
            self._descend()
            yield from self._read_members()
        elif key in _OTHER_KEYS or self._opener.is_certain:
            yield from gather(read_value(self._reader), [])
        else:
            raise MalformedError

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise MalformedError

    def _read_arguments(self, first: str) -> Reading[None]:
        if self._is_begun or self._held is not None:
            raise MalformedError
        if first == "{" and self._name:
            yield from self._begin()
            yield from self._calls.stream(read_value(self._reader))
            return
        parts: list[str] = []
        yield from gather(read_value(self._reader), parts)
        self._held = _to_object("".join(parts))

    def _begin(self) -> Reading[None]:
        self._calls.check(self._name, self._opener)
        self._is_begun = True
        yield self._calls.begin(self._name)

    def _read_text(self) -> Waiting[str]:
        parts: list[str] = []
        yield from gather(read_string(self._reader), parts)
        return _decode_text("".join(parts))


def _decode_text(text: str) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except msgspec.MsgspecError:
        raise MalformedError from None


def _to_object(text: str) -> str:
    """Return arguments as JSON text of an object: models write it within a string, or null for none."""
    if text == "null":
        return "{}"
    if text.startswith('"'):
        text = _decode_text(text).strip() or "{}"
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        raise MalformedError from None
    return text
