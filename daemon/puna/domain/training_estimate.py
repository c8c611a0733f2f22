"""What a training takes, before it starts. Pure; constants were measured with llama-cpp-python 0.3.36 on a CPU."""

from msgspec import Struct

_FORWARD_PASSES = 2.1
"""Cost of a step with copies, in forward passes of the same row."""
_FORWARD_PASSES_SLOW = 14.0
"""Cost of a step without copies of the weights."""
_FLOATS_OF_WIDTH = 7
_FLOATS_OF_FEED_FORWARD = 2.6
_FLOATS_OF_SCORES = 1.3
"""Numbers that a block keeps for each token until the backward pass: for each of its width, of its feed-forward
width, and of each head's scores for a row."""
_FLOATS_OF_VOCABULARY = 7
"""Logits, labels and gradients of one token, for each token of the vocabulary."""
_OPTIMIZER_FLOATS = 7
"""An adapter's number, its gradient and its two moments, and the copies that a checkpoint is written from."""
_PROCESS_BYTES = 110 * 1024 * 1024
"""The trainer without any model."""
_FLOAT_BYTES = 4


class TrainedShape(Struct, frozen=True, kw_only=True):
    """What matters of a model."""

    size_bytes: int
    """All weights."""
    matrix_elements: int
    """Of the matrices that the backward pass goes through."""
    layers: int
    width: int
    feed_forward: int
    heads: int
    vocabulary: int


def estimate_memory(shape: TrainedShape, *, row_length: int, copy_bytes: int, parameters: int) -> int:
    """Return the bytes at the peak; `copy_bytes` are those of the transposed copies."""
    block = (
        _FLOATS_OF_WIDTH * shape.width
        + _FLOATS_OF_FEED_FORWARD * shape.feed_forward
        + _FLOATS_OF_SCORES * shape.heads * row_length
    )
    token = shape.layers * block + _FLOATS_OF_VOCABULARY * shape.vocabulary
    floats = row_length * token + _OPTIMIZER_FLOATS * parameters
    return shape.size_bytes + copy_bytes + int(floats) * _FLOAT_BYTES + _PROCESS_BYTES


def estimate_seconds(*, forward_s: float, steps: int, evaluated_rows: int, has_copies: bool) -> float:
    """Return the time of a training whose forward pass over a row takes `forward_s`."""
    passes = _FORWARD_PASSES if has_copies else _FORWARD_PASSES_SLOW
    return forward_s * (steps * passes + evaluated_rows)
