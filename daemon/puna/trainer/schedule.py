"""Which row each step trains on, and how fast. Pure."""

import math
import random

from puna.domain.training import TrainingSettings

_LEAST_RATE = 1e-12
"""llama.cpp aborts at a learning rate of 0."""


def count_steps(rows: int, epochs: float) -> int:
    """Return the number of steps, each of one row."""
    return max(1, math.ceil(rows * epochs))


def learning_rate(step: int, steps: int, settings: TrainingSettings) -> float:
    """Return the rate of a step, counted from 1: a straight rise, then half a cosine down to the final rate."""
    warm_up = math.ceil(steps * settings.warm_up)
    if step <= warm_up:
        return settings.learning_rate * step / warm_up
    progress = (step - warm_up) / max(steps - warm_up, 1)
    left = settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * progress)) / 2
    return max(settings.learning_rate * left, _LEAST_RATE)


class DataOrder:
    """Each pass takes all rows in an order of its own, which the seed alone decides."""

    def __init__(self, rows: int, seed: int) -> None:
        self._rows = rows
        self._seed = seed
        self._epoch = -1
        self._order: list[int] = []

    def row_of(self, step: int) -> int:
        """Return the row of a step, counted from 1."""
        epoch, place = divmod(step - 1, self._rows)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffle(epoch)
        return self._order[place]

    def _shuffle(self, epoch: int) -> list[int]:
        order = list(range(self._rows))
        random.Random(f"order/{self._seed}/{epoch}").shuffle(order)  # noqa: S311 - an order, no secret
        return order
