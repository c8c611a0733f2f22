"""What a chat template does with tools, found out by trying it with a short conversation."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Values = list[dict[str, object]]
Render = Callable[[Values, Values | None], str | None]
"""Renders messages and tools; None where the template refuses or fails."""

_TOOL, _CALL, _FURTHER_CALL = "puna_tool", "puna_call", "puna_further_call"
_KEY, _VALUE, _RESULT, _FURTHER_RESULT = "puna_key", "puna_value", "puna_result", "puna_further_result"
_IDS = ("puna00001", "puna00002")
_SHORT_ID = re.compile(r"id['\"]?\]?\s*\|\s*length\s*(?:!=|<)\s*9")
_USER: dict[str, object] = {"role": "user", "content": "Hello"}


@dataclass(frozen=True)
class TemplateTraits:
    """How a template takes tools and what became of them."""

    shows_tools: bool = False
    """Whether it tells the model of tools."""
    shows_calls: bool = False
    """Whether it shows which tools were called."""
    shows_further_calls: bool = False
    """Whether it shows all calls of one message, not only the first."""
    shows_results: bool = False
    """Whether it shows messages of the role `tool`."""
    wants_argument_text: bool = False
    """Whether arguments must be JSON text; else they are an object."""
    content_beside_calls: str | None = ""
    """The content of a message that only calls."""
    wants_short_ids: bool = False
    """Whether ids must have nine characters."""
    joins_reasoning: bool = False
    """Whether content and reasoning beside a call are one."""


def find_traits(render: Render, source: str) -> TemplateTraits:
    """Return the traits of a template."""
    shown = render([_USER], _describe_tools())
    way = _find_way(render)
    content, as_text = way or ("", False)
    one = render(_converse(1, content, as_text=as_text), _describe_tools()) or ""
    two = render(_converse(2, content, as_text=as_text), _describe_tools()) or ""
    return TemplateTraits(
        shows_tools=_TOOL in (shown or ""),
        shows_calls=way is not None,
        shows_further_calls=all(text in two for text in (_CALL, _FURTHER_CALL, _RESULT, _FURTHER_RESULT)),
        shows_results=_RESULT in one,
        wants_argument_text=as_text,
        content_beside_calls=content,
        wants_short_ids=_SHORT_ID.search(source) is not None,
        joins_reasoning="<|channel|>analysis" in source,
    )


def _find_way(render: Render) -> tuple[str | None, bool] | None:
    """Return the content beside calls and whether arguments are text, as the template shows calls best.

    Some fail without content, some write an empty turn with it. Where none shows a call together with its
    result, the call alone is tried.
    """
    for end in (None, -1):
        for as_text in (False, True):
            shown: dict[str | None, str] = {}
            for content in ("", None):
                text = render(_converse(1, content, as_text=as_text)[:end], _describe_tools())
                if text and _shows_call(text):
                    shown[content] = text
            if shown:
                return min(shown, key=lambda content: len(shown[content])), as_text
    return None


def _shows_call(text: str) -> bool:
    """Return whether the call is there with its arguments, which must not look like Python's."""
    return _CALL in text and _KEY in text and _VALUE in text and f"{{'{_KEY}'" not in text


def _describe_tools() -> Values:
    schema = {
        "type": "object",
        "properties": {_KEY: {"type": "string", "description": ""}},
        "required": [_KEY],
    }
    return [{"type": "function", "function": {"name": _TOOL, "description": "", "parameters": schema}}]


def _converse(count: int, content: str | None, *, as_text: bool) -> Values:
    arguments: object = f'{{"{_KEY}": "{_VALUE}"}}' if as_text else {_KEY: _VALUE}
    names: Sequence[str] = (_CALL, _FURTHER_CALL)[:count]
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name in zip(_IDS, names, strict=False)
    ]
    results: Values = [
        {"role": "tool", "tool_call_id": call_id, "name": name, "content": text}
        for call_id, name, text in zip(_IDS, names, (_RESULT, _FURTHER_RESULT), strict=False)
    ]
    return [_USER, {"role": "assistant", "content": content, "tool_calls": calls}, *results]
