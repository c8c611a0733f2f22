"""Fits tool calls and their results into conversations for templates that know nothing of them."""

import json
from collections.abc import Callable, Sequence

import msgspec

from puna.domain.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolChoiceMode
from puna.prompting.tools.schemas import decode_schema
from puna.prompting.traits import TemplateTraits

_SYSTEM_ROLES = (Role.SYSTEM, Role.DEVELOPER)


def has_tool_turns(messages: Sequence[Message]) -> bool:
    """Return whether any tool was called, or answered."""
    return any(message.tool_calls or message.role is Role.TOOL for message in messages)


def teach_tools(
    messages: Sequence[Message], tools: Sequence[Tool], choice: ToolChoice
) -> tuple[Message, ...]:
    """Return the conversation with the tools and the generic format at the end of its first system message.

    Raises `InvalidRequestError` for a schema that is none.
    """
    if not tools:
        return tuple(messages)
    instructions = write_instructions(tools, choice)
    for index, message in enumerate(messages):
        if message.role in _SYSTEM_ROLES:
            taught = msgspec.structs.replace(message, content=f"{message.content}\n\n{instructions}".strip())
            return (*messages[:index], taught, *messages[index + 1 :])
    return (Message(Role.SYSTEM, instructions), *messages)


def write_instructions(tools: Sequence[Tool], choice: ToolChoice) -> str:
    """Return what a model has to know to call tools in the generic format."""
    functions = "\n".join(
        json.dumps(
            {"name": tool.name, "description": tool.description, "parameters": decode_schema(tool)},
            ensure_ascii=False,
        )
        for tool in tools
    )
    return (
        "You can call functions. These are the functions, each with the JSON schema of its arguments:\n"
        f"{functions}\n\n"
        "To call functions, answer with nothing but a JSON object of this form:\n"
        '{"tool_calls": [{"name": "<name of the function>", "arguments": {<its arguments>}}]}\n'
        f"{_demand(choice)}"
    )


def _demand(choice: ToolChoice) -> str:
    only = "" if choice.is_parallel else " Call one function at a time."
    match choice.mode:
        case ToolChoiceMode.REQUIRED:
            return f"You must call a function now.{only}"
        case ToolChoiceMode.NAMED:
            return f"You must call the function {choice.name} now."
        case _:
            return (
                "Call a function only when the answer needs it, and wait for its result, which the next message"
                f" brings. Otherwise answer in plain text.{only}"
            )


def fit_tool_turns(
    messages: Sequence[Message], traits: TemplateTraits, write: Callable[[Sequence[ToolCall]], str]
) -> tuple[Message, ...]:
    """Return the conversation with what a template leaves out as text; `write` writes calls.

    A template that knows no tools gets all of it as text, in the format that its model was taught.
    """
    shows_calls = traits.shows_tools and traits.shows_calls
    turns = tuple(messages)
    if shows_calls and not traits.shows_further_calls:
        turns = split_calls(turns)
    if not (traits.shows_tools and traits.shows_results):
        turns = write_results_out(turns)
    return turns if shows_calls else write_calls_out(turns, write)


def write_calls_out(
    messages: Sequence[Message], write: Callable[[Sequence[ToolCall]], str]
) -> tuple[Message, ...]:
    """Return the conversation with calls as text of the assistant, in the format of `write`."""
    return tuple(
        Message(
            message.role,
            "\n".join(text for text in (message.content, write(message.tool_calls)) if text),
            message.reasoning,
        )
        if message.tool_calls
        else message
        for message in messages
    )


def write_results_out(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return the conversation with results as a user's messages, one for all that come together.

    What the user says next joins them: many templates want user and assistant to take turns.
    """
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    turns: list[Message] = []
    is_result = False
    for message in messages:
        name = message.name or names.get(message.tool_call_id or "") or "the function"
        text = f"Result of {name}:\n{message.content}" if message.role is Role.TOOL else message.content
        if is_result and message.role in (Role.TOOL, Role.USER):
            turns[-1] = Message(Role.USER, f"{turns[-1].content}\n\n{text}")
        else:
            turns.append(Message(Role.USER, text) if message.role is Role.TOOL else message)
        is_result = message.role is Role.TOOL or (is_result and message.role is Role.USER)
    return tuple(turns)


def split_calls(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return the conversation with one call in each message, followed by its result.

    For templates that show the first call of a message only.
    """
    turns: list[Message] = []
    index = 0
    while index < len(messages):
        message = messages[index]
        index += 1
        if len(message.tool_calls) < 2:
            turns.append(message)
            continue
        results: list[Message] = []
        while index < len(messages) and messages[index].role is Role.TOOL:
            results.append(messages[index])
            index += 1
        turns += _split(message, results)
    return tuple(turns)


def _split(message: Message, results: Sequence[Message]) -> list[Message]:
    turns: list[Message] = []
    waiting = list(results)
    for position, call in enumerate(message.tool_calls):
        first = position == 0
        turns.append(
            Message(
                message.role,
                message.content if first else "",
                message.reasoning if first else None,
                (call,),
            )
        )
        own = [result for result in waiting if result.tool_call_id == call.id]
        turns += own
        waiting = [result for result in waiting if result.tool_call_id != call.id]
    return turns + waiting
