"""How many tasks may run beside the requests that somebody waits for. Pure."""

import math

from msgspec import Struct

QUIET_S = 15.0
"""How long after the last interactive request a model counts as used by somebody: a person reads the answer
and asks again, and should not find every slot taken by then."""


class Load(Struct, frozen=True, kw_only=True):
    """What a model is busy with."""

    slots: int
    """Requests that it runs at the same time."""
    interactive: int
    """Requests of others that run or wait for a slot now."""
    quiet_s: float = math.inf
    """Seconds since there was the last of those; infinite where there was none."""


def tasks_allowed(load: Load, share: float) -> int:
    """Return how many tasks may be in flight; more may run already, and then none starts.

    - Nobody else uses the model: all slots but one, which is there at once for whoever comes next.
    - Somebody does: `share` (0 to 1) of the slots, and of these only what still leaves one slot free.
    - Never less than one: a job moves on however busy the model is.
    """
    spare = load.slots - load.interactive - 1
    is_used = load.interactive > 0 or load.quiet_s < QUIET_S
    return max(1, min(spare, math.floor(share * load.slots)) if is_used else spare)
