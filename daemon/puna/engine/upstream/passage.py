"""Which starts of Puna a request has passed: remote models can lead in a circle, and would ask each other for ever."""

import re
from collections.abc import Iterable
from contextvars import ContextVar

INSTANCES_HEADER = "Puna-Via"
"""Which starts of Puna (`Services.instance`) a request has passed, the first one first, with commas between."""
_INSTANCE = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_MOST = 32
"""A list that is longer is no passage; its end is enough to find a circle."""

_passed: ContextVar[tuple[str, ...]] = ContextVar("_passed", default=())


def read_passed(values: Iterable[str]) -> tuple[str, ...]:
    """Return the instances that the headers of a request name; what is no instance is left out. Pure."""
    named = (each.strip() for each in ",".join(values).split(","))
    return tuple(each for each in named if _INSTANCE.fullmatch(each))


def note_passed(instances: tuple[str, ...]) -> None:
    """Say through which instances the request came that is answered here and now: in this task, and those it makes."""
    _passed.set(instances)


def passage_through(instance: str) -> str:
    """Return the header's value for a request that this instance sends for the one that is answered here and now."""
    return ", ".join((*_passed.get(), instance)[-_MOST:])
