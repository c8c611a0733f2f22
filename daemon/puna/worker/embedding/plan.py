"""Which inputs the next decode computes. Pure."""

from collections import deque
from collections.abc import Sequence

_MOST_TOKENS, _FEWEST_TOKENS = 512, 128
_LOGITS_BYTES = 256 * 1024 * 1024


def plan_batch(waiting: Sequence[Sequence[int]], *, tokens: int, inputs: int) -> list[int]:
    """Return how many of its next inputs each request puts into the batch.

    `waiting` has the lengths of their inputs; whoever comes first in it goes first. Requests take turns, an input
    each, until the batch has `tokens` tokens or `inputs` inputs: many short texts share a decode, and nobody
    waits for the whole of another's. The very first input goes in however long it is, so all of them get their turn.
    """
    taken = [0] * len(waiting)
    turns = deque(range(len(waiting)))
    used = 0
    while turns and sum(taken) < inputs:
        index = turns.popleft()
        if taken[index] == len(waiting[index]):
            continue
        length = waiting[index][taken[index]]
        if used and used + length > tokens:
            continue
        used += length
        taken[index] += 1
        turns.append(index)
    return taken


def plan_batch_tokens(*, n_vocab: int) -> int:
    """Return up to where a batch of short inputs is filled.

    All of them attend to the whole batch, so more is slower; and llama.cpp keeps room for the logits of every
    token, though nobody reads them.
    """
    affordable = _LOGITS_BYTES // (4 * max(n_vocab, 1))
    return min(_MOST_TOKENS, max(_FEWEST_TOKENS, affordable))


def plan_length(*, trained: int, wanted: int | None, default: int) -> int:
    """Return the longest input in tokens: what was asked for, or the default, and never more than was trained.

    A model with learnt positions has none beyond those; `trained` is 0 where the file does not say it.
    """
    length = wanted or default
    return min(length, trained) if trained else length
