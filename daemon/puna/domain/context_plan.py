"""How long the context of a model is, and how many cells its sequences share. Pure; the one rule for it."""

from msgspec import Struct

LONGEST_DEFAULT = 32_768
"""Tokens for one request unless a setting asks for more: most desktops cannot fill more in reasonable time."""
COMFORTABLE = 4096
"""Tokens that a conversation should have: below, it is worth to give up more of the memory, or another model."""
SHORTEST = 1024
"""However little memory is free: less is of no use for a conversation."""
_FULL_REQUESTS = 4
"""Cells for this many requests of full length; more than that run while they are shorter."""
PADDING = 256
"""llama.cpp pads `n_ctx` to a multiple of this."""


class ContextPlan(Struct, frozen=True):
    """Both in tokens: the limit of one request, and the cells of the cache."""

    context_length: int
    total_cells: int


def plan_context(
    *, trained: int, wanted: int | None, slots: int, free_cells: int, fair_cells: int, least: int
) -> ContextPlan | None:
    """Choose the lengths for a model trained on `trained` tokens; None where not even the least fits.

    `free_cells` is what memory could hold, `fair_cells` what it should, so that other models find room too. A wanted
    length is kept up to the trained one. Without one, the context is as long as the model allows and the fair share
    holds, and at least `least` tokens long.
    """
    free_cells -= free_cells % PADDING
    fair_cells -= fair_cells % PADDING
    most = trained or LONGEST_DEFAULT
    longest = min(most, wanted or LONGEST_DEFAULT)
    shortest = longest if wanted else min(longest, least)
    if pad(shortest) > free_cells:
        return None
    length = longest if wanted or longest <= fair_cells else max(shortest, fair_cells)
    for_several = min(pad(length * min(slots, _FULL_REQUESTS)), fair_cells)
    return ContextPlan(length, max(pad(length), for_several))


def pad(cells: int) -> int:
    """Return the cells that llama.cpp makes of so many."""
    return -(-cells // PADDING) * PADDING
