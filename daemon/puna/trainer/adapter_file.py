"""An adapter: its first values, and its file as llama.cpp reads it (`llama-adapter.cpp`)."""

import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from puna.domain.training import TrainingSettings
from puna.errors import InvalidRequestError
from puna.llama.training.survey import Matrix
from puna.trainer.gguf_file import FloatArray, write_gguf

_BLOCK_MATRIX = re.compile(r"blk\.\d+\.(?P<target>\w+)\.weight")


def choose_matrices(matrices: Iterable[Matrix], targets: Iterable[str]) -> list[Matrix]:
    """Return the matrices that the adapter changes. Raises `InvalidRequestError` for a target that is not there."""
    by_target: dict[str, list[Matrix]] = {}
    for matrix in matrices:
        if found := _BLOCK_MATRIX.fullmatch(matrix.name):
            by_target.setdefault(found["target"], []).append(matrix)
    wanted = list(dict.fromkeys(targets))
    if missing := [target for target in wanted if target not in by_target]:
        raise InvalidRequestError(
            f"This model has no {', '.join(missing)}; choose targets among {', '.join(sorted(by_target))}.",
            field="targets",
        )
    return [matrix for target in wanted for matrix in by_target[target]]


def count_parameters(matrices: Iterable[Matrix], rank: int) -> int:
    """Return the numbers in an adapter of these."""
    return sum(rank * (matrix.width + matrix.rows) for matrix in matrices)


def initial_adapter(matrices: Iterable[Matrix], settings: TrainingSettings) -> dict[str, FloatArray]:
    """Return an adapter that changes nothing yet: `a` random and uniform within 1/sqrt(width), `b` zero."""
    tensors: dict[str, FloatArray] = {}
    for matrix in matrices:
        rng = np.random.default_rng([settings.seed, zlib.crc32(matrix.name.encode())])
        bound = matrix.width**-0.5
        shape = (settings.rank, matrix.width)
        tensors[f"{matrix.name}.lora_a"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        tensors[f"{matrix.name}.lora_b"] = np.zeros((matrix.rows, settings.rank), np.float32)
    return tensors


def write_adapter(
    path: Path,
    tensors: Mapping[str, FloatArray],
    *,
    architecture: str,
    alpha: float,
    metadata: Mapping[str, str] = {},
) -> None:
    """Replace the file in one step. `metadata` are further texts for its header. Raises `OSError`."""
    header: dict[str, str | int | float] = {
        "general.architecture": architecture,
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(alpha),
    }
    write_gguf(path, {**metadata, **header}, tensors)
