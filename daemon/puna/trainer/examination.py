"""What a model makes of samples that it is not trained on."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from puna.domain.training import Evaluation
from puna.llama.training.session import TrainingSession
from puna.trainer.material import Material, PackedSamples

FloatArray = npt.NDArray[np.float64]


def count_examined_rows(material: Material) -> int:
    """Return the forward passes of one examination."""
    return len(material.held_out) + len(material.options)


def examine(session: TrainingSession, material: Material, check: Callable[[], None]) -> Evaluation | None:
    """Measure; None where there is nothing to measure with. `check` is called before each row and may raise."""
    if not count_examined_rows(material):
        return None
    losses, tokens, exact = _score(session, material.held_out, check)
    of_options, _, _ = _score(session, material.options, check)
    samples = int((tokens > 0).sum())
    right = sum(_is_right(of_options, *choice) for choice in material.choices)
    return Evaluation(
        samples=samples,
        loss=float(losses.sum() / max(tokens.sum(), 1)),
        exact=int(exact.sum()),
        choices=len(material.choices),
        right=right,
    )


def _is_right(losses: FloatArray, first: int, end: int, right: int) -> bool:
    """Return whether the right option is likelier than each other one."""
    return all(losses[right] < losses[i] for i in range(first, end) if i != right)


def _score(
    session: TrainingSession, packed: PackedSamples, check: Callable[[], None]
) -> tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return for each sample its loss, the tokens that counted, and whether each of them was the likeliest."""
    count = len(packed.samples)
    losses, tokens, wrong = np.zeros(count), np.zeros(count, np.int64), np.zeros(count, np.int64)
    for number, indices in enumerate(packed.packing.rows):
        check()
        row = packed.build(number)
        score = session.evaluate(row)
        places = np.asarray(indices)[row.samples[row.counted]]
        np.add.at(losses, places, score.losses)
        np.add.at(tokens, places, 1)
        np.add.at(wrong, places, ~score.is_best)
    return losses, tokens, (tokens > 0) & (wrong == 0)
