"""One row of a training step: several samples side by side, and which of their tokens count. Pure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """All arrays have an entry for each position of the row."""

    tokens: IntArray
    labels: IntArray
    """The token that should come next."""
    is_counted: BoolArray
    """Whether the prediction made here is part of the loss."""
    samples: IntArray
    """Number of the sample that the position belongs to; what fills the row up is one of its own."""
    positions: IntArray
    """Counted from 0 in each sample."""

    @cached_property
    def counted(self) -> npt.NDArray[np.intp]:
        """The positions whose predictions count."""
        return np.flatnonzero(self.is_counted)

    @cached_property
    def is_apart(self) -> BoolArray:
        """For each pair of positions, whether they belong to different samples."""
        return np.not_equal(self.samples[:, None], self.samples[None, :])


@dataclass(frozen=True)
class RowScore:
    """What the model made of the counted positions of a row, in their order."""

    losses: FloatArray
    """Minus the logarithm of the probability of each label."""
    is_best: BoolArray
    """Whether the label was the likeliest token."""

    @property
    def loss_sum(self) -> float:
        """The sum of the losses, in nats."""
        return float(self.losses.sum(dtype=np.float64))


def score(chosen: FloatArray, row: Row) -> RowScore:
    """Return what these logits, one line for each counted position of the row, make of it."""
    best = chosen.max(axis=1)
    labels = row.labels[row.counted]
    of_label = chosen[np.arange(len(labels)), labels]
    normaliser = np.log(np.exp(chosen - best[:, None]).sum(axis=1)) + best
    return RowScore((normaliser - of_label).astype(np.float32), chosen.argmax(axis=1) == labels)
