"""Conversations, the tools that a model may call, and the calls that it makes."""

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """Who speaks. Templates that know no `developer` or `tool` decide themselves what to do with them."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class ToolCall(Struct, frozen=True):
    """A model's wish to have a tool run."""

    id: str
    name: str
    arguments: str
    """JSON text of an object."""


class Message(Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str
    reasoning: str | None = None
    """What an assistant thought before it spoke."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant."""
    tool_call_id: str | None = None
    """Of a tool's answer: the call that it answers."""
    name: str | None = None
    """Of a tool's answer: the tool."""


class Tool(Struct, frozen=True):
    """A function that a model may ask for."""

    name: str
    description: str = ""
    parameters: str = '{"type": "object", "properties": {}}'
    """JSON schema of its arguments, as JSON text."""


class ToolChoiceMode(StrEnum):
    """Whether a model may, must or must not call tools."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class ToolChoice(Struct, frozen=True):
    """What a model does with its tools."""

    mode: ToolChoiceMode = ToolChoiceMode.AUTO
    name: str | None = None
    """The tool that must be called, where the mode is `NAMED`."""
    is_parallel: bool = True
    """Whether several calls may come in one answer."""
