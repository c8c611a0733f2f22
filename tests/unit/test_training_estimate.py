"""What a training takes, and how copies are chosen by it."""

import pytest

from puna.domain.training_estimate import TrainedShape, estimate_memory, estimate_seconds
from puna.errors import ModelLoadError
from puna.llama.training.copies import CopyType
from puna.trainer.copying import Copying, choose_copying

SHAPE = TrainedShape(
    size_bytes=150_000_000,
    matrix_elements=140_000_000,
    layers=12,
    width=1024,
    feed_forward=2816,
    heads=16,
    vocabulary=4096,
)
MB = 1_000_000


def choose(free_bytes: int, *, must_copy: bool = False) -> Copying:
    return choose_copying(
        SHAPE,
        row_length=256,
        parameters=1_000_000,
        free_bytes=free_bytes,
        fast=CopyType.BF16,
        must_copy=must_copy,
    )


def test_copies_are_as_fast_as_memory_allows_and_slower_ones_are_told() -> None:
    assert choose(8000 * MB) == Copying(copy_type=CopyType.BF16, memory_bytes=choose(8000 * MB).memory_bytes)
    tight = choose(int(choose(8000 * MB).memory_bytes / 0.9) - MB)
    assert tight.copy_type is CopyType.Q8_0
    assert "8 bits" in (tight.note or "")
    tighter = choose(int(tight.memory_bytes / 0.9) - MB)
    assert tighter.copy_type is None
    assert "several times" in (tighter.note or "")


def test_what_does_not_fit_is_refused_with_both_numbers() -> None:
    with pytest.raises(ModelLoadError, match=r"\d\.\d GiB of memory, but 0\.1 GiB are free"):
        choose(100 * MB)


def test_weights_that_demand_copies_are_not_trained_without() -> None:
    tight = choose(8000 * MB).memory_bytes - 140 * MB
    assert choose(tight).copy_type is None
    with pytest.raises(ModelLoadError):
        choose(tight, must_copy=True)


def test_memory_grows_with_the_row_and_the_copies() -> None:
    short, long = (
        estimate_memory(SHAPE, row_length=length, copy_bytes=0, parameters=0) for length in (256, 512)
    )
    assert long - SHAPE.size_bytes > 1.9 * (short - SHAPE.size_bytes) - 200 * MB
    assert estimate_memory(SHAPE, row_length=256, copy_bytes=7, parameters=0) == short + 7


def test_time_is_counted_in_forward_passes() -> None:
    fast = estimate_seconds(forward_s=1, steps=10, evaluated_rows=4, has_copies=True)
    slow = estimate_seconds(forward_s=1, steps=10, evaluated_rows=4, has_copies=False)
    assert 14 <= fast <= 40
    assert slow > 3 * fast
