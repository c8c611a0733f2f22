"""What one step computes: a token for every decoding slot first, then chunks of prompts."""

from collections.abc import Sequence

from msgspec import Struct


class Pending(Struct, frozen=True):
    """What a slot has not computed yet."""

    tokens: int
    is_prompt: bool
    """False for the last token of a text, and those that its format forces behind it."""


class Chunk(Struct, frozen=True):
    """So many of the next pending tokens of a slot, named by its index in the input."""

    index: int
    tokens: int


def plan_step(pending: Sequence[Pending], *, capacity: int, prompt_tokens: int) -> list[Chunk]:
    """Return the chunks of one batch; `pending` is ordered by age, oldest slot first.

    Texts always go in. Prompts share `prompt_tokens` tokens as equals: short ones end early and leave their share
    to the longer ones, so none waits behind another and a long one still moves in every step. The batch holds at
    most `capacity` tokens.
    """
    chunks: list[Chunk] = []
    room = capacity
    for i, slot in enumerate(pending):
        if not slot.is_prompt and room:
            chunks.append(Chunk(i, min(slot.tokens, room)))
            room -= chunks[-1].tokens
    room = min(room, prompt_tokens)
    prompts = sorted((i for i, slot in enumerate(pending) if slot.is_prompt), key=lambda i: pending[i].tokens)
    shares: list[Chunk] = []
    for taken, i in enumerate(prompts):
        share = min(pending[i].tokens, -(-room // (len(prompts) - taken)))
        if share > 0:
            shares.append(Chunk(i, share))
            room -= share
    return chunks + sorted(shares, key=lambda chunk: chunk.index)
