"""The one book of memory: what each device has, and what every model of Puna claims of it. Sizes in bytes.

What counts on a device is

    capacity  =  total - reserve - what others use
    room      =  capacity - all claims

A claim is made before a load begins and given back when the worker is gone. It covers weights, cells (the prefix
cache shares them), compute buffers and the process. Weights that the system maps from the file and could drop are
counted too: a model whose weights are read from the disk for each token is of no use.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import count

from msgspec import Struct

from puna.domain.memory import CPU, LoadPlan

GIB = 1024**3
_CPU_RESERVE = (0.10, 1 * GIB, 4 * GIB)
"""Share of the total, at least, at most: what is left to other programs, which grow."""
_GPU_RESERVE = (0.03, GIB // 4, 1 * GIB)
_LARGEST_RESERVE = 0.25
"""Of the total, so that small machines can do something."""

Rooms = Mapping[str, int]
"""Free bytes by device."""


class Reading(Struct, frozen=True, kw_only=True):
    """What was seen of one device at one moment."""

    device: str
    total_bytes: int
    free_bytes: int
    """What programs could take now; files that are only cached count as free."""
    ours_bytes: int | None = None
    """What Puna's workers hold of what is not free; None where that cannot be seen, as on GPUs."""
    since_s: float = math.inf
    """When the look at it began, by the ledger's clock; without end for one of this very moment."""


class ClaimExceedsRoomError(Exception):
    """A claim was made for which there is no room: a mistake of the one who makes it."""


class Ledger:
    """Owned by the coordinator. Without a reading of a device there is no room on it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed_s = -math.inf
        """When a claim came into use or was given back the last time."""
        self._ids = count(1)
        self._claims: dict[int, dict[str, int]] = {}
        self._unsettled: set[int] = set()
        self._leaving: set[int] = set()
        self._capacity: dict[str, int] = {}

    def observe(self, readings: Iterable[Reading]) -> None:
        """Take in what the devices have now.

        Where it cannot be seen what is Puna's own, the claims stand for it; while a load is under way that would
        be wrong, so the earlier figure stays then. It stays everywhere while a worker ends, for the system says that
        it holds nothing before all is free, and when the look is from before a load or a worker was over.
        """
        for reading in readings:
            ours = reading.ours_bytes
            if self._is_outdated(reading) and reading.device in self._capacity:
                continue
            if ours is None:
                ours = self.claimed(reading.device)
            others = max(0, reading.total_bytes - reading.free_bytes - ours)
            self._capacity[reading.device] = reading.total_bytes - others - reserve_of(reading)

    def _is_outdated(self, reading: Reading) -> bool:
        if self._leaving or reading.since_s <= self._changed_s:
            return True
        return reading.ours_bytes is None and bool(self._unsettled)

    @property
    def capacity(self) -> dict[str, int]:
        """What Puna may use of each device in all."""
        return dict(self._capacity)

    @property
    def rooms(self) -> dict[str, int]:
        """What is left of it; below zero where other programs took what was claimed."""
        return {device: size - self.claimed(device) for device, size in self._capacity.items()}

    def claimed(self, device: str) -> int:
        """Return the bytes of all claims on a device."""
        return sum(claim.get(device, 0) for claim in self._claims.values())

    @property
    def claims(self) -> int:
        """How many claims stand."""
        return len(self._claims)

    def claim(self, plan: LoadPlan) -> int:
        """Take what a plan needs; return the number of the claim. Raises `ClaimExceedsRoomError`."""
        wanted = claim_of(plan)
        if not fits(wanted, self.rooms):
            raise ClaimExceedsRoomError(f"{wanted} exceeds {self.rooms}")
        number = next(self._ids)
        self._claims[number] = wanted
        self._unsettled.add(number)
        return number

    def settle(self, number: int) -> None:
        """The load is over: what was claimed is in use."""
        self._unsettled.discard(number)
        self._changed_s = self._clock()

    def note_leaving(self, number: int) -> None:
        """The worker is about to end: how much of the claim is in use is not known until it is released."""
        if number in self._claims:
            self._leaving.add(number)

    def release(self, number: int) -> None:
        """Give a claim back: its worker is gone. Idempotent."""
        self._unsettled.discard(number)
        self._leaving.discard(number)
        self._claims.pop(number, None)
        self._changed_s = self._clock()


def claim_of(plan: LoadPlan) -> dict[str, int]:
    """Return the bytes of a plan by device."""
    return {need.device: need.total_bytes for need in plan.needs}


def fits(claim: Mapping[str, int], rooms: Rooms) -> bool:
    """Return whether there is room for a claim on every device."""
    return all(size <= rooms.get(device, 0) for device, size in claim.items() if size)


def add(rooms: Rooms, *claims: Mapping[str, int]) -> dict[str, int]:
    """Return the rooms once these claims are given back."""
    total = dict(rooms)
    for claim in claims:
        for device, size in claim.items():
            total[device] = total.get(device, 0) + size
    return total


def subtract(rooms: Rooms, claim: Mapping[str, int]) -> dict[str, int]:
    """Return the rooms once a claim is made."""
    return add(rooms, {device: -size for device, size in claim.items()})


def reserve_of(reading: Reading) -> int:
    """Return what is kept free for other programs on a device."""
    share, least, most = _CPU_RESERVE if reading.device == CPU else _GPU_RESERVE
    wanted = min(max(int(reading.total_bytes * share), least), most)
    return min(wanted, int(reading.total_bytes * _LARGEST_RESERVE))
