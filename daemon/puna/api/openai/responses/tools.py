"""The tools of a request, and what is to be done with them. Pure."""

from collections.abc import Sequence

from puna.api.openai.responses.replies import AllowedToolReply, FunctionReply, ToolChoiceReply
from puna.api.openai.responses.schema import (
    AllowedTool,
    ResponseBody,
    ToolBody,
    ToolChoiceBody,
    ToolChoiceWord,
)
from puna.api.tool_fields import check_tools, to_tool
from puna.domain.chat import Tool, ToolChoice, ToolChoiceMode
from puna.errors import InvalidRequestError

_FUNCTION = "function"


def to_tools(body: ResponseBody) -> tuple[Tool, ...]:
    """Return the tools that the model may call: of those brought, the allowed ones.

    Raises `InvalidRequestError` for tools that are no functions.
    """
    tools = check_tools([_to_tool(tool, f"tools[{index}]") for index, tool in enumerate(body.tools or ())])
    match body.tool_choice:
        case ToolChoiceBody(type="allowed_tools", tools=allowed):
            return _pick(tools, allowed or [])
        case _:
            return tools


def to_choice(body: ResponseBody, tools: Sequence[Tool]) -> ToolChoice:
    """Return whether tools are called. Raises `InvalidRequestError` for a demand that the tools cannot meet."""
    is_parallel = body.parallel_tool_calls is not False
    match body.tool_choice:
        case None:
            return ToolChoice(is_parallel=is_parallel)
        case ToolChoiceBody(type="function", name=name):
            _check_named(name, tools)
            return ToolChoice(ToolChoiceMode.NAMED, name, is_parallel)
        case ToolChoiceBody(type="allowed_tools", mode=mode):
            return ToolChoice(_to_mode(mode or ToolChoiceWord.AUTO, tools), None, is_parallel)
        case ToolChoiceBody(type=other):
            raise InvalidRequestError(
                f"`tool_choice.type` must be function or allowed_tools; Puna has no {other[:50]}.",
                field="tool_choice.type",
            )
        case word:
            return ToolChoice(_to_mode(word, tools), None, is_parallel)


def from_tools(tools: Sequence[ToolBody] | None) -> tuple[FunctionReply, ...]:
    """Return the tools as the answer repeats them."""
    return tuple(
        FunctionReply(
            name=tool.name or "",
            description=tool.description,
            parameters=tool.parameters,
            strict=tool.strict,
        )
        for tool in tools or ()
    )


def from_choice(choice: ToolChoiceWord | ToolChoiceBody | None) -> str | ToolChoiceReply:
    """Return the choice as the answer repeats it."""
    match choice:
        case None:
            return ToolChoiceWord.AUTO
        case ToolChoiceBody(tools=allowed):
            tools = tuple(AllowedToolReply(tool.type, tool.name or "") for tool in allowed or ())
            return ToolChoiceReply(choice.type, choice.name, choice.mode, tools or None)
        case word:
            return word


def _to_tool(tool: ToolBody, field: str) -> Tool:
    if tool.type != _FUNCTION:
        raise InvalidRequestError(
            f"`{field}.type` must be function: Puna has no tool {tool.type[:50]} of its own; "
            "describe one as a function and run it yourself.",
            field=f"{field}.type",
        )
    if tool.name is None:
        raise InvalidRequestError(f"`{field}.name` is required.", field=f"{field}.name")
    return to_tool(tool.name, tool.description, tool.parameters, field=field)


def _to_mode(word: ToolChoiceWord, tools: Sequence[Tool]) -> ToolChoiceMode:
    if word is ToolChoiceWord.REQUIRED and not tools:
        raise InvalidRequestError(
            "`tool_choice` is required, but there are no tools to choose from; send `tools`.",
            field="tool_choice",
        )
    return ToolChoiceMode(word)


def _check_named(name: str | None, tools: Sequence[Tool]) -> None:
    if all(tool.name != name for tool in tools):
        raise InvalidRequestError(
            "`tool_choice.name` must be the name of one of the `tools`.", field="tool_choice.name"
        )


def _pick(tools: tuple[Tool, ...], allowed: Sequence[AllowedTool]) -> tuple[Tool, ...]:
    known = {tool.name for tool in tools}
    for index, each in enumerate(allowed):
        if each.type != _FUNCTION or each.name not in known:
            raise InvalidRequestError(
                f"`tool_choice.tools[{index}]` must name one of the `tools`.",
                field=f"tool_choice.tools[{index}]",
            )
    wanted = {each.name for each in allowed}
    return tuple(tool for tool in tools if tool.name in wanted)
