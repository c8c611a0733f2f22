"""Products of numpy are those of ggml's definitions, on one thread and on several."""

import numpy as np
import pytest

from puna.llama.training import products
from puna.llama.training.products import Products
from puna.llama.training.row import Row, score


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("a", "b", "target"),
    [
        ((1, 1, 8, 5), (1, 1, 5, 6), (1, 1, 8, 6)),
        ((1, 1, 2, 5), (1, 1, 5, 9), (1, 1, 2, 9)),
        ((1, 6, 4, 5), (1, 2, 5, 3), (1, 6, 4, 3)),
        ((2, 6, 4, 5), (1, 3, 5, 3), (2, 6, 4, 3)),
    ],
)
def test_neighbours_share_a_matrix(
    a: tuple[int, ...],
    b: tuple[int, ...],
    target: tuple[int, ...],
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "_WORTH_SHARING", 0)
    rng = np.random.default_rng(1)
    left, right = (rng.random(shape, np.float32) for shape in (a, b))
    found = np.empty(target, np.float32)
    Products(threads).multiply(left, right, found)
    repeated = np.repeat(np.repeat(right, a[0] // b[0], 0), a[1] // b[1], 1)
    np.testing.assert_allclose(found, left @ repeated, rtol=1e-5)


def test_transposed_views_are_multiplied_in_place() -> None:
    rng = np.random.default_rng(2)
    left, right = rng.random((1, 1, 5, 8), np.float32), rng.random((1, 1, 6, 5), np.float32)
    found = np.empty((1, 1, 8, 6), np.float32)
    Products(1).multiply(left.swapaxes(-1, -2), right.swapaxes(-1, -2), found)
    np.testing.assert_allclose(found[0, 0], left[0, 0].T @ right[0, 0].T, rtol=1e-5)


def test_only_counted_positions_are_scored() -> None:
    logits = np.array([[2, 0, 0], [0, 0, np.log(2)]], np.float32)
    numbers = np.zeros(3, np.int32)
    row = Row(numbers, np.array([0, 0, 1], np.int32), np.array([False, True, True]), numbers, numbers)
    found = score(logits, row)
    assert found.losses == pytest.approx([np.log(np.exp(2) + 2) - 2, np.log(4)])
    assert found.is_best.tolist() == [True, False]
    assert found.loss_sum == pytest.approx(float(found.losses.sum()))


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[5000, 0]], np.float32)
    numbers = np.zeros(1, np.int32)
    assert score(logits, Row(numbers, numbers, np.array([True]), numbers, numbers)).losses.tolist() == [0.0]
