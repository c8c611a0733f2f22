"""Fits a conversation to what a template can take."""

from collections.abc import Sequence

from puna.domain.chat import Message, Role

_SYSTEM_ROLES = (Role.SYSTEM, Role.DEVELOPER)


def has_system(messages: Sequence[Message]) -> bool:
    """Return whether anything is said by the system or the developer."""
    return any(message.role in _SYSTEM_ROLES for message in messages)


def fold_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return the conversation with all system text at the head of the first user message, in its order.

    Where no user message is, the system text becomes one.
    """
    system = "\n\n".join(message.content for message in messages if message.role in _SYSTEM_ROLES)
    others = [message for message in messages if message.role not in _SYSTEM_ROLES]
    for index, message in enumerate(others):
        if message.role is Role.USER:
            others[index] = Message(Role.USER, f"{system}\n\n{message.content}")
            return tuple(others)
    return (Message(Role.USER, system), *others)


def rename_developer(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return the conversation with `system` for `developer`, for templates that do not know the latter."""
    return tuple(
        Message(Role.SYSTEM, message.content) if message.role is Role.DEVELOPER else message
        for message in messages
    )


def keeps_system(text: str, messages: Sequence[Message]) -> bool:
    """Return whether the rendered text has all that the system said: some templates leave it out silently."""
    return all(message.content.strip() in text for message in messages if message.role in _SYSTEM_ROLES)
