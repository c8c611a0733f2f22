"""What one step computes: a token for every decoding slot first, then chunks of prompts."""

from collections.abc import Sequence

from msgspec import Struct


class Chunk(Struct, frozen=True):
    """So many of the next pending tokens of a slot, named by its index in the input."""

    index: int
    tokens: int


def plan_step(pending: Sequence[int], *, capacity: int, prompt_tokens: int) -> list[Chunk]:
    """Return the chunks of one batch.

    `pending` holds each slot's number of tokens not yet computed, oldest slot first: 1 is a decoding slot (or the
    last token of a prompt) and always goes in; more is a prompt. Prompts share `prompt_tokens` tokens as equals:
    short ones end early and leave their share to the longer ones, so none waits behind another and a long one
    still moves in every step. The batch holds at most `capacity` tokens.
    """
    decoding = [Chunk(i, 1) for i, count in enumerate(pending) if count == 1][:capacity]
    room = min(capacity - len(decoding), prompt_tokens)
    prompts = sorted((i for i, count in enumerate(pending) if count > 1), key=lambda i: pending[i])
    chunks: list[Chunk] = []
    for taken, i in enumerate(prompts):
        share = -(-room // (len(prompts) - taken))
        size = min(pending[i], share)
        if size > 0:
            chunks.append(Chunk(i, size))
            room -= size
    return decoding + sorted(chunks, key=lambda chunk: chunk.index)
