"""Tools as Anthropic's clients describe them, and the calls that models make of them. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from puna.api.anthropic.replies import ToolUseReply
from puna.api.anthropic.schema import ToolBody, ToolChoiceBody, ToolChoiceType
from puna.api.tool_fields import check_tools, to_tool
from puna.domain.chat import Tool, ToolCall, ToolChoice, ToolChoiceMode
from puna.errors import InvalidRequestError

_CUSTOM = (None, "custom")
_MODES: dict[ToolChoiceType, ToolChoiceMode] = {
    ToolChoiceType.AUTO: ToolChoiceMode.AUTO,
    ToolChoiceType.ANY: ToolChoiceMode.REQUIRED,
    ToolChoiceType.TOOL: ToolChoiceMode.NAMED,
    ToolChoiceType.NONE: ToolChoiceMode.NONE,
}
_input = msgspec.json.Decoder(dict[str, object])


def to_tools(bodies: Sequence[ToolBody]) -> tuple[Tool, ...]:
    """Return the tools. Raises `InvalidRequestError` for those without a schema: they are Anthropic's own."""
    return check_tools([_to_tool(body, f"tools[{index}]") for index, body in enumerate(bodies)])


def to_choice(choice: ToolChoiceBody | None, tools: Sequence[Tool]) -> ToolChoice:
    """Return what the model does with its tools. Raises `InvalidRequestError` for tools that are not there."""
    if choice is None:
        return ToolChoice()
    if not tools and choice.type in {ToolChoiceType.ANY, ToolChoiceType.TOOL}:
        raise InvalidRequestError(f"`tool_choice` {choice.type} needs `tools`.", field="tool_choice")
    is_named = choice.type is ToolChoiceType.TOOL
    if is_named:
        _check_name(choice.name, tools)
    return ToolChoice(
        _MODES[choice.type],
        choice.name if is_named else None,
        is_parallel=not choice.disable_parallel_tool_use,
    )


def from_calls(calls: Iterable[ToolCall]) -> tuple[ToolUseReply, ...]:
    """Return the calls that are whole.

    One that the end of the text cut off has no input that could be told, and must not run with another.
    """
    inputs = ((call, to_input(call.arguments)) for call in calls)
    return tuple(ToolUseReply(call.id, call.name, given) for call, given in inputs if given is not None)


def to_input(arguments: str) -> dict[str, object] | None:
    """Return the arguments of a call as an object; None where they are none, since they were cut off."""
    try:
        return _input.decode(arguments)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _to_tool(body: ToolBody, field: str) -> Tool:
    if body.input_schema is None:
        raise _without_schema(body, field)
    if not body.name:
        raise InvalidRequestError(f"`{field}.name` is required.", field=f"{field}.name")
    return to_tool(body.name, _to_description(body), body.input_schema, field=field)


def _without_schema(body: ToolBody, field: str) -> InvalidRequestError:
    if body.type in _CUSTOM:
        return InvalidRequestError(f"`{field}.input_schema` is required.", field=f"{field}.input_schema")
    return InvalidRequestError(
        f"`{field}.type` {body.type} is one of Anthropic's own tools, which are not here; "
        "describe a tool that your program runs, with `input_schema`.",
        field=f"{field}.type",
    )


def _to_description(body: ToolBody) -> str:
    """Return the description with the examples, which no chat template has a place for."""
    examples = [msgspec.json.encode(example).decode() for example in body.input_examples or ()]
    told = ["Examples of its input:", *examples] if examples else []
    return "\n".join(filter(None, (body.description, *told)))


def _check_name(name: str | None, tools: Sequence[Tool]) -> None:
    names = [tool.name for tool in tools]
    if name not in names:
        raise InvalidRequestError(
            f"`tool_choice.name` must be one of {', '.join(names)}.", field="tool_choice.name"
        )
