"""The model's last matrix, computed for the positions that count alone.

It is a quarter of a small model with a large vocabulary, and where answers are short most positions do not count.
The counted rows move to the front of each tensor between the last norm and the gradient of that norm, and the
tensors get that many rows. llama.cpp builds each graph anew, so nothing has to be put back but what goes on.
"""

import numpy as np

from puna.llama.training import ggml
from puna.llama.training.ggml import Address, Tensor
from puna.llama.training.row import Row


class NarrowHead:
    """Decides whether that is possible by the graph of a step without it; then follows each graph's tensors."""

    def __init__(self) -> None:
        self._is_possible = False
        self._weight: Address | None = None
        self._gradient: Address | None = None
        self._norm: Tensor | None = None
        self._narrowed: Row | None = None

    def begin(self) -> None:
        """Forget the graph before."""
        self._weight = self._gradient = self._norm = self._narrowed = None

    @property
    def is_narrow(self) -> bool:
        """Whether the tensors of this graph have only the rows that count."""
        return self._narrowed is not None

    def see_norm(self, node: Tensor) -> None:
        """Take in the last norm before it is computed."""
        self._norm = node

    def see_product(self, node: Tensor, row: Row) -> None:
        """Take in the product that makes the logits; the norm is computed."""
        norm = self._norm
        if norm is None or node.src[1] != ggml.address_of_struct(norm):
            return
        self._weight = node.src[0]
        if self._is_possible and len(row.counted) < len(row.tokens):
            self._narrowed = row
            gather(norm, row)
            set_rows(node, len(row.counted))

    def see_labels(self, labels: Tensor) -> None:
        """Take in the labels before the loss is computed."""
        if self._narrowed is not None:
            gather(labels, self._narrowed)

    def leave_forward(self) -> None:
        """The forward pass is computed."""
        if self._narrowed is not None and self._norm is not None:
            set_rows(self._norm, len(self._narrowed.tokens))

    def see_gradient(self, node: Tensor) -> None:
        """Take in the gradient of the logits before it is computed."""
        self._gradient = ggml.address_of_struct(node)
        if self._narrowed is not None:
            set_rows(node, len(self._narrowed.counted))

    def see_backward(self, node: Tensor, weight: Address, gradient: Address) -> bool:
        """Take in the product of the gradient with a weight; return whether `widen` must follow its computation."""
        if weight != self._weight or gradient != self._gradient:
            return False
        self._is_possible = True
        if self._narrowed is not None:
            set_rows(node, len(self._narrowed.counted))
        return self._narrowed is not None

    def widen(self, node: Tensor) -> None:
        """Give each computed row its place back; the others are zero."""
        assert self._narrowed is not None
        counted = self._narrowed.counted
        set_rows(node, len(self._narrowed.tokens))
        rows = ggml.floats(node)[0, 0]
        computed = rows[: len(counted)].copy()
        rows[...] = 0
        rows[counted] = computed


def gather(tensor: Tensor, row: Row) -> None:
    """Move the rows that count to the front, and leave the tensor no others."""
    rows = ggml.floats(tensor)[0, 0]
    rows[: len(row.counted)] = np.take(rows, row.counted, axis=0)
    set_rows(tensor, len(row.counted))


def set_rows(tensor: Tensor, rows: int) -> None:
    """Give a contiguous matrix another number of rows, within its memory."""
    tensor.ne[1] = rows
    tensor.nb[2] = tensor.nb[3] = tensor.nb[1] * rows
