"""How transposed copies of the weights are kept, by the memory that is free. Pure."""

from collections.abc import Collection

from msgspec import Struct

from puna.domain.training_estimate import TrainedShape, estimate_memory
from puna.errors import ModelLoadError
from puna.llama.training.copies import CopyType

_SHARE = 0.9
"""Of the free memory: what the machine does besides goes on."""
_GIB = 1024**3


class Copying(Struct, frozen=True, kw_only=True):
    """The choice, what the training takes with it, and what a person should know of it."""

    copy_type: CopyType | None
    memory_bytes: int
    note: str | None = None


def choose_copying(
    shape: TrainedShape, *, row_length: int, parameters: int, free_bytes: int, fast: CopyType, must_copy: bool
) -> Copying:
    """Choose the fastest way that fits. `fast` is the machine's best; `must_copy` where weights demand copies.

    Raises `ModelLoadError` when nothing fits.
    """
    ways: Collection[tuple[CopyType | None, str | None]] = (
        (fast, None),
        (
            CopyType.Q8_0,
            "Memory is short, so the transposed copies of the weights are kept in 8 bits, a little slower.",
        ),
        (
            None,
            "Memory is too short for transposed copies of the weights, so each step takes several times as long.",
        ),
    )
    least = 0
    for copy_type, note in ways:
        if copy_type is None and must_copy:
            break
        copy_bytes = 0 if copy_type is None else copy_type.size_bytes(shape.matrix_elements)
        least = estimate_memory(shape, row_length=row_length, copy_bytes=copy_bytes, parameters=parameters)
        if least <= free_bytes * _SHARE:
            return Copying(copy_type=copy_type, memory_bytes=least, note=note)
    raise ModelLoadError(
        f"Training this model in rows of {row_length} tokens takes {least / _GIB:.1f} GiB of memory, but "
        f"{free_bytes / _GIB:.1f} GiB are free; close other programs, choose shorter rows, or a smaller model."
    )
