"""Rows of arrays from packed samples. Pure."""

from collections.abc import Sequence

import numpy as np

from puna.domain.training import TokenSample
from puna.llama.training.row import Row


def build_row(samples: Sequence[TokenSample], row_length: int) -> Row:
    """Lay samples side by side; they must fit. What is left is filled with a sample in which nothing counts."""
    row = Row(
        tokens=np.zeros(row_length, np.int32),
        labels=np.zeros(row_length, np.int32),
        is_counted=np.zeros(row_length, np.bool_),
        samples=np.full(row_length, len(samples), np.int32),
        positions=np.zeros(row_length, np.int32),
    )
    start = 0
    for number, sample in enumerate(samples):
        end = start + len(sample.tokens) - 1
        row.tokens[start:end] = sample.tokens[:-1]
        row.labels[start:end] = sample.tokens[1:]
        row.samples[start:end] = number
        row.positions[start:end] = np.arange(end - start)
        for first, last in sample.answers:
            row.is_counted[start + max(first - 1, 0) : min(start + last - 1, end)] = True
        start = end
    row.positions[start:] = np.arange(row_length - start)
    return row
