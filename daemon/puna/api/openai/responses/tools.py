"""The tools of a request, and what is to be done with them. Pure.

Tools that OpenAI's own servers run (a search of the web, say) are not here. Agents such as Codex send them with every
request, beside those that they run themselves: there they are left out, and the answer does not list them. A request
that has nothing else is refused.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from puna.api.openai.responses.replies import (
    AllowedToolReply,
    CustomToolReply,
    FunctionReply,
    InputFormatReply,
    NamespaceReply,
    ToolChoiceReply,
)
from puna.api.openai.responses.schema import (
    AllowedTool,
    InputFormatBody,
    MemberBody,
    ResponseBody,
    ToolBody,
    ToolChoiceBody,
    ToolChoiceWord,
)
from puna.api.openai.responses.toolbox import CUSTOM_PARAMETERS, ClientTool, Toolbox, name_for_model
from puna.api.tool_fields import check_tools, to_tool
from puna.domain.chat import Tool, ToolChoice, ToolChoiceMode
from puna.errors import InvalidRequestError

_FUNCTION, _CUSTOM, _NAMESPACE = "function", "custom", "namespace"


class _Place(Struct, frozen=True):
    """A tool that the client runs, and where the request has it."""

    tool: MemberBody
    field: str
    namespace: ToolBody | None = None


def to_tools(body: ResponseBody) -> tuple[Tool, ...]:
    """Return the tools that the model may call: of those brought, the allowed ones.

    Raises `InvalidRequestError` for tools that nobody here can run.
    """
    tools = check_tools([_to_tool(place) for place in _list_places(body.tools or ())])
    match body.tool_choice:
        case ToolChoiceBody(type="allowed_tools", tools=allowed):
            return _pick(tools, allowed or [], body)
        case _:
            return tools


def to_toolbox(body: ResponseBody) -> Toolbox:
    """Return the tools as the client knows them. Raises as `to_tools`."""
    clients = (
        ClientTool(
            name=place.tool.name or "",
            namespace=place.namespace.name if place.namespace else None,
            is_custom=place.tool.type == _CUSTOM,
        )
        for place in _list_places(body.tools or ())
    )
    return {name_for_model(each.name, each.namespace): each for each in clients}


def to_choice(body: ResponseBody, tools: Sequence[Tool]) -> ToolChoice:
    """Return whether tools are called. Raises `InvalidRequestError` for a demand that the tools cannot meet."""
    is_parallel = body.parallel_tool_calls is not False
    match body.tool_choice:
        case None:
            return ToolChoice(is_parallel=is_parallel)
        case ToolChoiceBody(type="function" | "custom", name=name):
            called = _names_for_model(body).get(name or "")
            if called is None:
                raise InvalidRequestError(
                    "`tool_choice.name` must be the name of one of the `tools`.", field="tool_choice.name"
                )
            return ToolChoice(ToolChoiceMode.NAMED, called, is_parallel)
        case ToolChoiceBody(type="allowed_tools", mode=mode):
            return ToolChoice(_to_mode(mode or ToolChoiceWord.AUTO, tools), None, is_parallel)
        case ToolChoiceBody(type=other):
            raise InvalidRequestError(
                f"`tool_choice.type` must be function, custom or allowed_tools; Puna has no {other[:50]}.",
                field="tool_choice.type",
            )
        case word:
            return ToolChoice(_to_mode(word, tools), None, is_parallel)


def from_tools(
    tools: Sequence[ToolBody] | None,
) -> tuple[FunctionReply | CustomToolReply | NamespaceReply, ...]:
    """Return the tools as the answer repeats them."""
    return tuple(
        NamespaceReply(
            name=tool.name or "",
            description=tool.description,
            tools=tuple(map(_from_tool, tool.tools or ())),
        )
        if tool.type == _NAMESPACE
        else _from_tool(tool)
        for tool in tools or ()
        if _is_run_by_client(tool)
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


def _list_places(tools: Sequence[ToolBody]) -> list[_Place]:
    """Return the tools that the client runs. Raises `InvalidRequestError` where there are others only."""
    places = [place for index, tool in enumerate(tools) for place in _places_of(tool, f"tools[{index}]")]
    if not places and tools and not any(map(_is_run_by_client, tools)):
        raise _not_here(tools[0], "tools[0]")
    return places


def _places_of(tool: ToolBody, field: str) -> Iterator[_Place]:
    if tool.type != _NAMESPACE:
        if _is_run_by_client(tool):
            yield _Place(tool, field)
        return
    if not tool.name:
        raise InvalidRequestError(f"`{field}.name` is required.", field=f"{field}.name")
    for index, member in enumerate(tool.tools or ()):
        if member.type not in {_FUNCTION, _CUSTOM}:
            raise _not_here(member, f"{field}.tools[{index}]")
        yield _Place(member, f"{field}.tools[{index}]", tool)


def _is_run_by_client(tool: ToolBody) -> bool:
    return tool.type in {_FUNCTION, _CUSTOM, _NAMESPACE}


def _not_here(tool: MemberBody, field: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"`{field}.type` must be function or custom: Puna has no tool {tool.type[:50]} of its own; "
        "describe one as a function and run it yourself.",
        field=f"{field}.type",
    )


def _to_tool(place: _Place) -> Tool:
    tool, field = place.tool, place.field
    if tool.name is None:
        raise InvalidRequestError(f"`{field}.name` is required.", field=f"{field}.name")
    name = name_for_model(tool.name, place.namespace.name if place.namespace else None)
    if tool.type == _FUNCTION:
        return to_tool(name, tool.description, tool.parameters, field=field)
    return to_tool(name, _describe_input(tool, f"{field}.format"), CUSTOM_PARAMETERS, field=field)


def _describe_input(tool: MemberBody, field: str) -> str | None:
    """Return the description with the grammar, which the model is told and not held to."""
    match tool.format:
        case None | InputFormatBody(type="text"):
            return tool.description
        case InputFormatBody(type="grammar", syntax=str() as syntax, definition=str() as definition):
            told = f"The input must match this {syntax} grammar:\n{definition}"
            return "\n\n".join(filter(None, (tool.description, told)))
        case _:
            raise InvalidRequestError(
                f"`{field}` must be of the type text, or grammar with `syntax` and `definition`.", field=field
            )


def _from_tool(tool: MemberBody) -> FunctionReply | CustomToolReply:
    if tool.type == _FUNCTION:
        return FunctionReply(
            name=tool.name or "",
            description=tool.description,
            parameters=tool.parameters,
            strict=tool.strict,
        )
    format_ = tool.format or InputFormatBody(type="text")
    return CustomToolReply(
        name=tool.name or "",
        description=tool.description,
        format=InputFormatReply(format_.type, format_.syntax, format_.definition),
    )


def _to_mode(word: ToolChoiceWord, tools: Sequence[Tool]) -> ToolChoiceMode:
    if word is ToolChoiceWord.REQUIRED and not tools:
        raise InvalidRequestError(
            "`tool_choice` is required, but there are no tools to choose from; send `tools`.",
            field="tool_choice",
        )
    return ToolChoiceMode(word)


def _pick(tools: tuple[Tool, ...], allowed: Sequence[AllowedTool], body: ResponseBody) -> tuple[Tool, ...]:
    known = _names_for_model(body)
    for index, each in enumerate(allowed):
        if each.type not in {_FUNCTION, _CUSTOM} or each.name not in known:
            raise InvalidRequestError(
                f"`tool_choice.tools[{index}]` must name one of the `tools`.",
                field=f"tool_choice.tools[{index}]",
            )
    wanted = {known[each.name or ""] for each in allowed}
    return tuple(tool for tool in tools if tool.name in wanted)


def _names_for_model(body: ResponseBody) -> dict[str, str]:
    """Return the names that the model knows tools by, under the client's.

    A choice may call a custom tool a function, as LangChain does: the name is enough.
    """
    return {tool.name: name for name, tool in to_toolbox(body).items()}
