"""Conversations."""

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """Who speaks. Templates that know no `developer` or `tool` decide themselves what to do with them."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Message(Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str
