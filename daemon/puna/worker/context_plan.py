"""How long the context is, and how many cells the sequences share."""

from msgspec import Struct

_LONGEST_DEFAULT = 32_768
"""Tokens for one request unless a setting asks for more: most desktops cannot fill more in reasonable time."""
_SHORTEST = 1024
"""However little memory is free: less is of no use for a conversation."""
_FULL_REQUESTS = 4
"""Cells for this many requests of full length; more than that run while they are shorter."""
_MEMORY_SHARE = 0.25
"""Of the free memory, for keys and values."""
_PADDING = 256
"""llama.cpp pads `n_ctx` to a multiple of this."""


class ContextPlan(Struct, frozen=True):
    """Both in tokens: the limit of one request, and the cells of the cache."""

    context_length: int
    total_cells: int


def plan_context(
    *, trained: int, wanted: int | None, slots: int, cell_bytes: int, free_bytes: int
) -> ContextPlan:
    """Choose the lengths for a model trained on `trained` tokens whose cells take `cell_bytes`.

    A wanted length is kept up to the trained one, whatever the memory: the user asked for it. Without one, the
    context is as long as the model allows and a share of the free memory holds.
    """
    affordable = max(_SHORTEST, int(free_bytes * _MEMORY_SHARE) // max(cell_bytes, 1))
    most = trained or _LONGEST_DEFAULT
    length = min(most, wanted) if wanted else min(most, _LONGEST_DEFAULT, affordable)
    cells = max(length, min(length * min(slots, _FULL_REQUESTS), affordable))
    return ContextPlan(length, -(-cells // _PADDING) * _PADDING)
