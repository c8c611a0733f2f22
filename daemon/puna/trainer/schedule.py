"""How long a training is, which row each step trains on, and how fast. Pure."""

import math
import random

from puna.domain.training import TrainingSettings

_LEAST_RATE = 1e-12
"""llama.cpp aborts at a learning rate of 0."""
USUAL_EPOCHS = 3.0
_MOST_EPOCHS, _ENOUGH_STEPS = 20.0, 60
_RATE, _RATE_WIDTH, _LOWEST_RATE, _HIGHEST_RATE = 5e-4, 1024, 1e-4, 1e-3


def choose_epochs(rows: int) -> float:
    """Return the passes over so many rows where nobody says how many.

    Rows are packed, so 40 sentences are 9 steps in 3 passes, from which a model learns nothing: of 120 other
    sentences with 3 labels the demo model then knew 44, after 20 passes 108.
    """
    return max(USUAL_EPOCHS, min(_MOST_EPOCHS, math.ceil(_ENOUGH_STEPS / rows)))


def choose_learning_rate(width: int) -> float:
    """Return the peak rate for a model of this width where nobody says it: wider models take smaller steps.

    "LoRA Without Regret" (Schulman et al. 2025, https://thinkingmachines.ai/blog/lora/) found the best rate of LoRA at
    10 times that of full fine-tuning, 5e-4 (2000 / width) ** p, with p = 0.08 for Qwen and 0.78 for Llama, in larger
    batches than one row. This is between the two: 0.001 for 256, 0.00035 for 2048, 0.00025 for 4096.
    """
    return min(max(_RATE * math.sqrt(_RATE_WIDTH / max(width, 1)), _LOWEST_RATE), _HIGHEST_RATE)


def count_steps(rows: int, epochs: float) -> int:
    """Return the number of steps, each of one row."""
    return max(1, math.ceil(rows * epochs))


def learning_rate(step: int, steps: int, peak: float, settings: TrainingSettings) -> float:
    """Return the rate of a step, counted from 1: a straight rise, then half a cosine down to the final rate."""
    warm_up = math.ceil(steps * settings.warm_up)
    if step <= warm_up:
        return max(peak * step / warm_up, _LEAST_RATE)
    progress = (step - warm_up) / max(steps - warm_up, 1)
    left = settings.final_rate + (1 - settings.final_rate) * (1 + math.cos(math.pi * progress)) / 2
    return max(peak * left, _LEAST_RATE)


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
