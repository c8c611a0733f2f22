"""The values of parameters that stand between tags as they are: text, numbers, lists as JSON."""

import json
from collections.abc import Mapping

import msgspec

from puna.prompting.landmarks import Landmarks
from puna.prompting.reader import Chunks, MalformedError, TextReader, gather
from puna.prompting.tools.schemas import type_name
from puna.prompting.tools.values import escape, quote

_PYTHON_WORDS: Mapping[str, str] = {"True": "true", "False": "false", "None": "null"}


def read_parameter(reader: TextReader, end: str, types: frozenset[str]) -> Chunks[None]:
    """Read a value and the tag that ends it, and yield it as JSON; text comes at once, all else when whole.

    The line breaks that set a value off from its tags are no part of it. Raises `MalformedError` without the tag.
    """
    if types == {"string"}:
        yield '"'
        is_whole = yield from _read_text(reader, end)
        if is_whole:
            yield '"'
    else:
        is_whole = yield from _read_any(reader, end, types)
    if not is_whole:
        raise MalformedError
    reader.skip(len(end))


def _read_text(reader: TextReader, end: str) -> Chunks[bool]:
    """Yield text as it comes, escaped; return whether the tag stands behind it."""
    yield from reader.accept("\n")
    chunks = reader.until(Landmarks([end]))
    held = ""
    while True:
        try:
            chunk = next(chunks)
        except StopIteration as ended:
            if not ended.value:
                yield escape(held)
            return bool(ended.value)
        if chunk is None:
            yield None
            continue
        text = held + chunk
        held = "\n" if text.endswith("\n") else ""
        yield escape(text[: len(text) - len(held)])


def _read_any(reader: TextReader, end: str, types: frozenset[str]) -> Chunks[bool]:
    yield from reader.accept("\n")
    parts: list[str] = []
    landmark = yield from gather(reader.until(Landmarks([end])), parts)
    yield to_json("".join(parts).removesuffix("\n"), types)
    return bool(landmark)


def to_json(text: str, types: frozenset[str]) -> str:
    """Return a value as JSON: as one of these types if it can be read so, as a string otherwise."""
    word = text.strip()
    candidate = _PYTHON_WORDS.get(word, word)
    try:
        kind = type_name(msgspec.json.decode(candidate))
    except (msgspec.MsgspecError, RecursionError):
        return quote(text)
    is_number = kind == "integer" and "number" in types
    if kind != "string" and ("string" not in types or kind in types or is_number):
        return msgspec.json.format(candidate, indent=-1)
    return quote(text)


def to_texts(arguments: str) -> dict[str, str]:
    """Return arguments as a model of such a format writes them: text as it is, all else as JSON."""
    try:
        values = msgspec.json.decode(arguments or "{}", type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in values.items()
    }
