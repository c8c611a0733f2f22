"""Tools under the names that models know them by, and back to the client's. Pure.

A model knows one flat list of functions. A client may have tools in namespaces, and custom tools, which take a text
and no arguments: for the model that is a function with one string.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from puna.api.encoding import encode_json

_INPUT = "input"
CUSTOM_PARAMETERS: Mapping[str, object] = {
    "type": "object",
    "properties": {_INPUT: {"type": "string"}},
    "required": [_INPUT],
    "additionalProperties": False,
}
"""The schema of a custom tool's arguments, as a model sees it."""
_arguments = msgspec.json.Decoder(dict[str, object])


class ClientTool(Struct, frozen=True, kw_only=True):
    """A tool as the client knows it."""

    name: str
    namespace: str | None = None
    is_custom: bool = False


Toolbox = Mapping[str, ClientTool]
"""The tools of a request by the names that the model knows them by."""


def name_for_model(name: str, namespace: str | None) -> str:
    """Return the name in the flat list."""
    return f"{namespace.rstrip('_')}__{name}" if namespace else name


def tool_of(name: str, toolbox: Toolbox) -> ClientTool:
    """Return the tool that a model calls; one that it made up is the client's to refuse."""
    return toolbox.get(name) or ClientTool(name=name)


def to_arguments(text: str) -> str:
    """Return the input of a custom tool as a model gives it: JSON text of an object."""
    return encode_json({_INPUT: text}).decode()


def from_arguments(arguments: str) -> str:
    """Return the input of a custom tool; none where the arguments were cut off, since half of it must not run.

    Models that are not held to the schema may give the text another name, which does not matter.
    """
    try:
        given = _arguments.decode(arguments)
    except (msgspec.MsgspecError, RecursionError):
        return ""
    if not given:
        return ""
    text = given.get(_INPUT, next(iter(given.values())) if len(given) == 1 else None)
    return text if isinstance(text, str) else arguments
