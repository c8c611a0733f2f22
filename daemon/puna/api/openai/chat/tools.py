"""Tools of a chat, in their new and their old form, as the domain's. Pure."""

from collections.abc import Sequence

from puna.api.openai.chat.schema import AllowedTools, ChatBody, ChoiceFields, NamedTool
from puna.api.tool_fields import check_tools, to_tool
from puna.domain.chat import Tool, ToolChoice, ToolChoiceMode
from puna.errors import InvalidRequestError

_MODES = {
    "auto": ToolChoiceMode.AUTO,
    "none": ToolChoiceMode.NONE,
    "required": ToolChoiceMode.REQUIRED,
    "any": ToolChoiceMode.REQUIRED,
}


def to_tools(body: ChatBody) -> tuple[tuple[Tool, ...], ToolChoice]:
    """Return the tools that the model sees, and what it does with them. Raises `InvalidRequestError`."""
    tools = check_tools(_list_tools(body))
    # The old form knows one call in an answer.
    is_parallel = body.parallel_tool_calls is not False and not body.is_legacy
    field = "function_call" if body.is_legacy else "tool_choice"
    match body.function_call if body.is_legacy else body.tool_choice:
        case None:
            return tools, ToolChoice(is_parallel=is_parallel)
        case str() as mode:
            return tools, ToolChoice(_to_mode(mode, tools, field), is_parallel=is_parallel)
        case ChoiceFields(type="allowed_tools", allowed_tools=AllowedTools() as allowed):
            chosen = _choose(tools, allowed)
            mode = _to_mode(allowed.mode or "auto", chosen, f"{field}.allowed_tools.mode")
            return chosen, ToolChoice(mode, is_parallel=is_parallel)
        case named:
            name = _name_of(named, field) if isinstance(named, NamedTool) else named.name
            return tools, ToolChoice(ToolChoiceMode.NAMED, _known(name, tools, field), is_parallel)


def _list_tools(body: ChatBody) -> list[Tool]:
    if body.is_legacy:
        return [
            to_tool(each.name, each.description, each.parameters, field=f"functions[{index}]")
            for index, each in enumerate(body.functions or ())
        ]
    tools = []
    for index, tool in enumerate(body.tools or ()):
        field = f"tools[{index}]"
        if (tool.type or "function") != "function":
            raise InvalidRequestError(
                f"`{field}.type` must be function: other tools are not supported.", field=f"{field}.type"
            )
        if tool.function is None:
            raise InvalidRequestError(f"`{field}.function` is required.", field=f"{field}.function")
        function = tool.function
        tools.append(
            to_tool(function.name, function.description, function.parameters, field=f"{field}.function")
        )
    return tools


def _to_mode(mode: str, tools: Sequence[Tool], field: str) -> ToolChoiceMode:
    chosen = _MODES.get(mode)
    if chosen is None:
        raise InvalidRequestError(
            f"`{field}` must be auto, none, required or an object that names a function.", field=field
        )
    if chosen is ToolChoiceMode.REQUIRED and not tools:
        raise InvalidRequestError(f"`{field}` demands a call, and there are no tools.", field=field)
    return chosen


def _name_of(tool: NamedTool, field: str) -> str:
    name = tool.function.name if tool.function is not None else tool.name
    if name is None or (tool.type or "function") != "function":
        raise InvalidRequestError(
            f'`{field}` must name a function: {{"type": "function", "function": {{"name": "..."}}}}.',
            field=field,
        )
    return name


def _known(name: str, tools: Sequence[Tool], field: str) -> str:
    if all(tool.name != name for tool in tools):
        raise InvalidRequestError(f"`{field}` names {name[:128]}, which is none of the tools.", field=field)
    return name


def _choose(tools: Sequence[Tool], allowed: AllowedTools) -> tuple[Tool, ...]:
    field = "tool_choice.allowed_tools.tools"
    names = dict.fromkeys(_name_of(tool, field) for tool in allowed.tools or ())
    for name in names:
        _known(name, tools, field)
    return tuple(tool for tool in tools if tool.name in names)
