"""Which waiting requests get a slot, and which running ones give theirs back. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from puna.domain.generation import Priority

_BACKGROUND_SHARE = 4
"""While somebody waits for an answer, background requests keep one slot in so many."""


class Turn(Struct, frozen=True):
    """What to do now. Indices point into the inputs."""

    admit: tuple[int, ...]
    """Waiting requests to start, in this order."""
    give_back: tuple[int, ...]
    """Active background requests that continue later, the youngest first."""


def plan_turn(active: Sequence[Priority], waiting: Sequence[Priority], *, slots: int) -> Turn:
    """Choose who runs in `slots` slots; both inputs are ordered by age, oldest first.

    Interactive requests go first, each kind in its order. Background ones take what is free; while any interactive
    request is there they hold at most a quarter of the slots, yet always one, so that neither starves. They give
    slots back only when an interactive request needs them.
    """
    interactive = [i for i, priority in enumerate(waiting) if priority is Priority.INTERACTIVE]
    background = [i for i, priority in enumerate(waiting) if priority is Priority.BACKGROUND]
    running = [i for i, priority in enumerate(active) if priority is Priority.BACKGROUND]
    is_shared = bool(interactive) or len(running) < len(active)
    share = max(1, slots // _BACKGROUND_SHARE) if is_shared else slots
    free = slots - len(active)
    needed = max(0, len(interactive) - free)
    give_back = min(needed, max(0, len(running) - share))
    admitted = interactive[: free + give_back]
    room = min(free + give_back - len(admitted), share - (len(running) - give_back))
    return Turn(
        tuple(admitted + background[: max(0, room)]),
        tuple(reversed(running[len(running) - give_back :])),
    )
