"""Computes what may come next in constrained texts while the decode runs."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from puna.errors import GenerationError
from puna.worker.closing import Tokens
from puna.worker.slot import Slot

Masks = dict[int, Tokens | GenerationError]
"""By request id: the tokens that cannot come next, or why the text cannot go on."""


class MaskThread:
    """One thread; llguidance and llama.cpp both release the interpreter lock."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="masks")

    def start(self, slots: Sequence[Slot]) -> "Future[Masks] | None":
        """Begin with the constrained ones of these slots; their constraints may not be used until it is done."""
        constrained = [slot for slot in slots if slot.constraint is not None]
        return self._executor.submit(_compute, constrained) if constrained else None

    def close(self) -> None:
        """End the thread."""
        self._executor.shutdown()


def _compute(slots: Sequence[Slot]) -> Masks:
    return {slot.request_id: _compute_one(slot) for slot in slots}


def _compute_one(slot: Slot) -> Tokens | GenerationError:
    assert slot.constraint is not None
    try:
        return slot.constraint.compute_forbidden(slot.tokens_left)
    except GenerationError as error:
        return error
