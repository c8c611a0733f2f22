"""The small products of a training step, computed with numpy.

ggml computes an `OUT_PROD` row by row, and a product over as few elements as an adapter's rank without its fast
kernels: together a third of a step. The matrix library behind numpy needs a fifth of that time.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

from puna.llama.training.ggml import FloatArray, Tensor, floats

Product = Callable[[], None]
Factors = tuple[FloatArray, FloatArray, FloatArray]
"""Two matrices, or equally many, and the one that takes their product."""
_WORTH_SHARING = 30_000_000
"""Multiplications of a product from which on several threads gain more than the hand-over costs."""


class Products:
    """Computes with up to `threads` threads; the matrix library itself must use one."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._crew: ThreadPoolExecutor | None = None
        self._crew_size = 0

    def outer(self, node: Tensor, left: Tensor, right: Tensor) -> Product:
        """Return what computes `OUT_PROD`: node(i, j) = sum over t of left(i, t) right(j, t), in ggml's order.

        `left` may have fewer matrices than `right` (grouped keys and values).
        """
        target, first, second = floats(node), floats(left), floats(right)
        return lambda: self.multiply(second.swapaxes(-1, -2), first, target)

    def inner(self, node: Tensor, left: Tensor, right: Tensor) -> Product:
        """Return what computes `MUL_MAT`: node(i, j) = sum over t of left(t, i) right(t, j)."""
        target, first, second = floats(node), floats(left), floats(right)
        return lambda: self.multiply(second, first.swapaxes(-1, -2), target)

    def multiply(self, a: FloatArray, b: FloatArray, target: FloatArray) -> None:
        """Write the products of the last two of four dimensions; a matrix of `b` serves neighbours of `a` alike."""
        factors = list(_pair_up(a, b, target))
        if self.threads == 1 or target.size * a.shape[-1] < _WORTH_SHARING:
            _compute(factors)
            return
        if len(factors) < self.threads:
            factors = [part for whole in factors for part in _split(whole, self.threads)]
        self._share([factors[i :: self.threads] for i in range(self.threads)])

    def _share(self, shares: list[list[Factors]]) -> None:
        if self._crew is None or self._crew_size < len(shares):
            self._crew = ThreadPoolExecutor(len(shares), thread_name_prefix="products")
            self._crew_size = len(shares)
        for done in wait([self._crew.submit(_compute, share) for share in shares]).done:
            done.result()


def _pair_up(a: FloatArray, b: FloatArray, target: FloatArray) -> Iterator[Factors]:
    shared, repeated = a.shape[1] // b.shape[1], a.shape[0] // b.shape[0]
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            yield a[i, j], b[i // repeated, j // shared], target[i, j]


def _split(whole: Factors, parts: int) -> Iterator[Factors]:
    """Cut along the longer side of the target."""
    a, b, target = whole
    rows, width = target.shape
    for part in range(parts):
        if rows >= width:
            lines = slice(rows * part // parts, rows * (part + 1) // parts)
            yield a[lines], b, target[lines]
        else:
            columns = slice(width * part // parts, width * (part + 1) // parts)
            yield a, b[:, columns], target[:, columns]


def _compute(factors: list[Factors]) -> None:
    for a, b, target in factors:
        np.matmul(a, b, out=target)
