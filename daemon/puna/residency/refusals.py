"""Why a model cannot be loaded, as one sentence with the numbers and what to do. Pure."""

from collections.abc import Sequence
from typing import assert_never

from puna.domain.memory import Shortfall
from puna.errors import ModelTooLargeError, OverloadedError, PunaError
from puna.residency.policy import Obstacle, Refusal

RETRY_AFTER_S = 5.0
_RETRY_WHEN_PINNED_S = 60.0
_UNITS = ((1024**3, "GiB", 1), (1024**2, "MiB", 0))


def to_error(model: str, refusal: Refusal, *, limit: int) -> PunaError:
    """Return the error for a model that cannot be loaded as things stand."""
    match refusal.obstacle:
        case Obstacle.MEMORY:
            return ModelTooLargeError(f"{_describe(model, refusal)}; {_advise(refusal)}.")
        case Obstacle.PINNED_MEMORY:
            names = _join(refusal.pinned)
            return OverloadedError(
                f"{_describe(model, refusal)}, because {names} must stay in memory; unload {names}.",
                retry_after_s=_RETRY_WHEN_PINNED_S,
            )
        case Obstacle.PINNED_PLACES:
            names = _join(refusal.pinned)
            return OverloadedError(
                f"{names} must stay in memory, and max_loaded_models is {limit}; unload one of them, or raise it.",
                retry_after_s=_RETRY_WHEN_PINNED_S,
            )
        case _:
            assert_never(refusal.obstacle)


def too_long_queue(limit: int) -> OverloadedError:
    """Return the error for a request that finds the queue full."""
    return OverloadedError(
        f"{limit} requests wait for models to be loaded already; try again later.",
        retry_after_s=RETRY_AFTER_S,
    )


def waited_in_vain(model: str, wait_s: float, busy: Sequence[str]) -> OverloadedError:
    """Return the error for a request whose model got no room in time."""
    reason = f"{_join(busy)} was in use" if len(busy) == 1 else f"{_join(busy)} were in use"
    held = f", because {reason}" if busy else ""
    return OverloadedError(
        f"{model} found no room in memory within {wait_s:.0f} s{held}; try again later.",
        retry_after_s=RETRY_AFTER_S,
    )


def format_size(size_bytes: int) -> str:
    """Return a size as people write it: `1.5 GiB`, `300 MiB`."""
    for unit, name, digits in _UNITS:
        if size_bytes >= unit:
            return f"{size_bytes / unit:.{digits}f} {name}"
    return f"{max(size_bytes, 0) / 1024**2:.0f} MiB"


def _describe(model: str, refusal: Refusal) -> str:
    assert refusal.shortfall is not None
    need, shortfall = refusal.shortfall.need, refusal.shortfall
    return (
        f"{model} needs {format_size(need.total_bytes)} of memory ({_describe_parts(shortfall)}), "
        f"and {format_size(shortfall.room_bytes)} can be had"
    )


def _describe_parts(shortfall: Shortfall) -> str:
    need = shortfall.need
    return ", ".join(
        (
            f"{format_size(need.weights_bytes)} for weights",
            f"{format_size(need.cache_bytes)} for a context of {shortfall.context_length} tokens",
            f"{format_size(need.compute_bytes + need.process_bytes)} to compute",
        )
    )


def _advise(refusal: Refusal) -> str:
    assert refusal.shortfall is not None
    shorter = ", a shorter context_length" if refusal.shortfall.is_length_wished else ""
    return f"choose a smaller quantisation{shorter}, or close other programs"


def _join(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
