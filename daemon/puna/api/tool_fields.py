"""Tools as requests of any dialect bring them: checked before a model sees them. Pure."""

import re
from collections.abc import Mapping, Sequence

from puna.api.encoding import encode_json
from puna.domain.chat import Tool
from puna.errors import InvalidRequestError

MAX_TOOLS = 512
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_NO_ARGUMENTS: Mapping[str, object] = {"type": "object", "properties": {}}


def to_tool(
    name: str, description: str | None, parameters: Mapping[str, object] | None, *, field: str
) -> Tool:
    """Return a tool; `field` is where the request has it. Raises `InvalidRequestError` for a name that is none."""
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"`{field}.name` must be 1 to 128 letters, digits or any of _ . : / -", field=f"{field}.name"
        )
    schema = encode_json(parameters or _NO_ARGUMENTS).decode()
    return Tool(name, description or "", schema)


def check_tools(tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """Return the tools of one request. Raises `InvalidRequestError` for too many, or two of one name."""
    if len(tools) > MAX_TOOLS:
        raise InvalidRequestError(
            f"`tools` must have at most {MAX_TOOLS} items, but has {len(tools)}.", field="tools"
        )
    names = [tool.name for tool in tools]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidRequestError(f"`tools` has two tools of the name {twice}.", field="tools")
    return tuple(tools)
