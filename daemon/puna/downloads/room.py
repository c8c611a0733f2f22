"""How much memory there is for models, as far as that is known before one is on disk."""

from collections.abc import Iterable

from puna.domain.models import Device
from puna.hardware.memory import read_memory
from puna.hub.offers import Room

_SYSTEM_SHARE = 0.15
"""Of the machine's memory, what the system and other programs keep."""


def measure_room(gpus: Iterable[Device]) -> Room:
    """Return the memory of this machine and of its own graphics cards; those that share the machine's add none.

    In a container the machine has what that allows. Well below a millisecond.
    """
    memory = read_memory()
    cards = [gpu for gpu in gpus if gpu.kind == "gpu" and gpu.name.rstrip("0123456789") not in _SHARING]
    return Room(
        free_bytes=memory.available_bytes + sum(card.memory_free_bytes for card in cards),
        total_bytes=int(memory.total_bytes * (1 - _SYSTEM_SHARE))
        + sum(card.memory_total_bytes for card in cards),
    )


_SHARING = frozenset({"MTL", "Metal"})
