"""From what a model computed to what a client gets. Pure."""

import math

import numpy as np

from puna.llama.context import Vector


def is_sound(vector: Vector) -> bool:
    """Return whether all components are numbers."""
    return bool(np.isfinite(vector).all())


def to_bytes(vector: Vector, *, dimensions: int | None, is_normalised: bool) -> bytes:
    """Return the first components as 32-bit floats, little-endian; of length 1 where that is wanted.

    The zero vector has no direction and stays as it is.
    """
    kept = vector[:dimensions].astype(np.float64)
    length = float(np.linalg.norm(kept))
    if is_normalised and length > 0:
        kept /= length
    return kept.astype("<f4").tobytes()


def to_score(outputs: Vector) -> float:
    """Return how well a document answers its query, 0 to 1.

    One output is a logit. Several are classes, and the first is `yes`; llama.cpp gives those of Qwen3 as
    probabilities and those of others as logits.
    """
    if outputs.size == 1:
        return _sigmoid(float(outputs[0]))
    values = outputs.astype(np.float64)
    if bool((values >= 0).all()) and math.isclose(float(values.sum()), 1, abs_tol=1e-3):
        return min(float(values[0]), 1.0)
    chances = np.exp(values - np.max(values))
    return float(chances[0] / chances.sum())


def _sigmoid(logit: float) -> float:
    """Return 1 / (1 + e^-x), without an overflow at either end."""
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    return math.exp(logit) / (1 + math.exp(logit))
