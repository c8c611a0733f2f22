"""The `context` of `/api/generate`: the conversation so far, as numbers that a client sends back. Pure.

In Ollama these are the tokens of the prompt and of the answer. Clients only hand them on, so here they are the turns
themselves, and the model's own template stands around them anew. The first number tells them from tokens, the second
is the count of bytes that follow, three in a number: some clients keep 32 bits of each.
"""

import zlib
from collections.abc import Sequence

import msgspec

from puna.domain.chat import Message, Role
from puna.errors import InvalidRequestError

_MARK = 0x50_55_4E
"""No token: no vocabulary is that large."""
_BYTES = 3
_MOST_BYTES = 512 * 1024
"""Of all turns together, some 130,000 tokens: packing them takes time that others wait."""

_Turns = list[tuple[Role, str]]


def to_numbers(turns: Sequence[Message]) -> tuple[int, ...]:
    """Return the numbers of a conversation of plain texts; none for one that is too long to be kept so."""
    text = msgspec.json.encode([(turn.role, turn.content) for turn in turns])
    if len(text) > _MOST_BYTES:
        return ()
    packed = zlib.compress(text, 1)
    padded = packed + bytes(-len(packed) % _BYTES)
    groups = (padded[at : at + _BYTES] for at in range(0, len(padded), _BYTES))
    return _MARK, len(packed), *(int.from_bytes(group) for group in groups)


def from_numbers(numbers: Sequence[int]) -> tuple[Message, ...]:
    """Return the conversation. Raises `InvalidRequestError` for what `to_numbers` did not make."""
    try:
        turns = msgspec.json.decode(_unpack(numbers), type=_Turns)
    except (ValueError, OverflowError, zlib.error, msgspec.MsgspecError) as error:
        raise InvalidRequestError(
            "`context` must be what an earlier answer of Puna had there; /api/chat takes turns from anywhere.",
            field="context",
        ) from error
    return tuple(Message(role, text) for role, text in turns)


def _unpack(numbers: Sequence[int]) -> bytes:
    mark, size, *groups = numbers[:_MOST_BYTES]
    if mark != _MARK:
        raise ValueError("tokens of another program")
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(b"".join(group.to_bytes(_BYTES) for group in groups)[:size], _MOST_BYTES)
    if not unpacking.eof:
        raise ValueError("cut short, or too long")
    return text
