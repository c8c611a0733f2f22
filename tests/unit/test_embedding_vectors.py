"""From what a model computed to what a client gets."""

import math
import struct

import numpy as np
import pytest

from puna.llama.context import Vector
from puna.worker.embedding.vectors import is_sound, to_bytes, to_score


def vector(*numbers: float) -> Vector:
    return np.array(numbers, dtype=np.float32)


def read(raw: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(raw) // 4}f", raw)


def test_a_vector_gets_the_length_one() -> None:
    assert read(to_bytes(vector(3, 4), dimensions=None, is_normalised=True)) == pytest.approx((0.6, 0.8))


def test_a_vector_may_stay_as_it_is() -> None:
    assert read(to_bytes(vector(3, 4), dimensions=None, is_normalised=False)) == (3, 4)


def test_what_is_left_of_a_cut_vector_has_the_length_one() -> None:
    raw = to_bytes(vector(3, 4, 12), dimensions=2, is_normalised=True)
    assert read(raw) == pytest.approx((0.6, 0.8))


def test_the_zero_vector_stays_zero() -> None:
    assert read(to_bytes(vector(0, 0), dimensions=None, is_normalised=True)) == (0, 0)


def test_the_input_is_not_changed() -> None:
    original = vector(3, 4)
    to_bytes(original, dimensions=1, is_normalised=True)
    assert original.tolist() == [3, 4]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_sound(number: float) -> None:
    assert not is_sound(vector(1, number))
    assert is_sound(vector(1, 2))


@pytest.mark.parametrize(("logit", "score"), [(0, 0.5), (2, 0.880797), (-2, 0.119203), (1000, 1), (-1000, 0)])
def test_one_output_is_a_logit(logit: float, score: float) -> None:
    assert to_score(vector(logit)) == pytest.approx(score, abs=1e-6)


def test_probabilities_are_taken_as_they_are() -> None:
    assert to_score(vector(0.9, 0.1)) == pytest.approx(0.9)


def test_logits_of_classes_become_the_chance_of_the_first() -> None:
    assert to_score(vector(3, 1)) == pytest.approx(0.880797, abs=1e-6)
    assert to_score(vector(-2000, 2000)) == 0
