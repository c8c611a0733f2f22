"""The prompt of models without a chat template."""

from collections.abc import Sequence

from puna.domain.chat import Message, Role

_HEADINGS = {
    Role.SYSTEM: "### System:",
    Role.DEVELOPER: "### System:",
    Role.USER: "### User:",
    Role.ASSISTANT: "### Assistant:",
    Role.TOOL: "### Tool:",
}

PLAIN_STOP_STRINGS = tuple(f"\n{heading}" for heading in dict.fromkeys(_HEADINGS.values()))
"""Where a model goes on with the next turn by itself, its own text is over."""


def render_plain(messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
    """Return the conversation as headings and text, ready for the assistant's turn."""
    turns = [f"{_HEADINGS[message.role]}\n{message.content}\n\n" for message in messages]
    if add_generation_prompt:
        turns.append(f"{_HEADINGS[Role.ASSISTANT]}\n")
    return "".join(turns)
