"""Main memory, within what a container allows."""

import psutil

from puna.domain.hardware import Memory
from puna.hardware.container import MemoryGroup, read_memory_group


def read_memory() -> Memory:
    """Return what there is and what is free now; well below a millisecond."""
    memory = psutil.virtual_memory()
    return within(memory.total, memory.available, read_memory_group())


def within(total_bytes: int, available_bytes: int, group: MemoryGroup | None) -> Memory:
    """Return the memory that a process in this group can count on. Pure."""
    if group is None or group.limit_bytes >= total_bytes:
        return Memory(total_bytes=total_bytes, available_bytes=available_bytes)
    left = max(0, group.limit_bytes - group.used_bytes)
    return Memory(total_bytes=group.limit_bytes, available_bytes=min(available_bytes, left), is_limited=True)
