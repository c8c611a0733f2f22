"""Conversations as Anthropic's clients write them, as the domain's messages. Pure.

A turn is made of blocks. What a user says in several of them stands in paragraphs; what the assistant said is
put together as it was, since answers come cut into blocks. Consecutive turns of one role are one turn.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from puna.api.anthropic.schema import (
    Block,
    MessageBody,
    MessageRole,
    RedactedThinkingBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from puna.domain.chat import Message, Role, ToolCall
from puna.errors import InvalidRequestError

_PARAGRAPH = "\n\n"
_BILLING = "x-anthropic-billing-header:"
"""How Claude Code's first system text begins: a line for Anthropic's books that differs in each request, so that
no two prompts would begin alike."""
_ERROR = "Error: "
_BLOCKS: dict[MessageRole, tuple[type[Block], ...]] = {
    MessageRole.USER: (TextBlock, ToolResultBlock),
    MessageRole.ASSISTANT: (TextBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock),
    MessageRole.SYSTEM: (TextBlock,),
}
"""What each role may say."""


def to_messages(
    system: str | Sequence[TextBlock] | None, turns: Sequence[MessageBody]
) -> tuple[Message, ...]:
    """Return the conversation. Raises `InvalidRequestError` for a block that the role of its turn cannot have."""
    instructions = _PARAGRAPH.join(filter(None, map(_without_billing, _texts_of(system or ""))))
    messages = [Message(Role.SYSTEM, instructions)] if instructions else []
    for index, turn in enumerate(turns):
        messages += _to_turn(turn, f"messages[{index}].content")
    return tuple(_merge(messages))


def _texts_of(content: str | Iterable[TextBlock]) -> list[str]:
    return [content] if isinstance(content, str) else [block.text for block in content]


def _without_billing(text: str) -> str:
    return text.partition("\n")[2].lstrip() if text.startswith(_BILLING) else text


def _to_turn(turn: MessageBody, field: str) -> list[Message]:
    if isinstance(turn.content, str):
        return [Message(Role(turn.role), turn.content)]
    for index, block in enumerate(turn.content):
        _check_block(block, turn.role, f"{field}[{index}].type")
    if turn.role is MessageRole.ASSISTANT:
        return [_to_assistant(turn.content)]
    return [message for block in turn.content for message in _to_said(block, Role(turn.role))]


def _check_block(block: Block, role: MessageRole, field: str) -> None:
    allowed = _BLOCKS[role]
    if not isinstance(block, allowed):
        names = ", ".join(str(each.__struct_config__.tag) for each in allowed)
        given = block.__struct_config__.tag
        raise InvalidRequestError(
            f"`{field}` must be one of {names} in a message of the role {role}, not {given}.", field=field
        )


def _to_said(block: Block, role: Role) -> list[Message]:
    """Return what a user or the system says in one block."""
    match block:
        case TextBlock(text):
            return [Message(role, text)]
        case ToolResultBlock():
            return [_to_result(block)]
        case _:
            return []


def _to_result(block: ToolResultBlock) -> Message:
    text = _PARAGRAPH.join(_texts_of(block.content or ""))
    if block.is_error and not text.startswith(_ERROR):
        text = f"{_ERROR}{text or 'the tool failed.'}"
    return Message(Role.TOOL, text, tool_call_id=block.tool_use_id)


def _to_assistant(blocks: Sequence[Block]) -> Message:
    thoughts = [block.thinking for block in blocks if isinstance(block, ThinkingBlock) and block.thinking]
    return Message(
        Role.ASSISTANT,
        "".join(block.text for block in blocks if isinstance(block, TextBlock)),
        reasoning=_PARAGRAPH.join(thoughts) or None,
        tool_calls=tuple(
            ToolCall(block.id, block.name, msgspec.json.encode(block.input).decode())
            for block in blocks
            if isinstance(block, ToolUseBlock)
        ),
    )


def _merge(messages: Iterable[Message]) -> Iterator[Message]:
    """Return the messages, those of one role that follow each other as one; results of tools stay apart."""
    for role, group in groupby(messages, key=lambda message: message.role):
        turn = list(group)
        if role is Role.TOOL or len(turn) == 1:
            yield from turn
        else:
            yield _join(turn)


def _join(messages: Sequence[Message]) -> Message:
    return Message(
        messages[0].role,
        _PARAGRAPH.join(filter(None, (message.content for message in messages))),
        reasoning=_PARAGRAPH.join(filter(None, (message.reasoning for message in messages))) or None,
        tool_calls=tuple(call for message in messages for call in message.tool_calls),
    )
