"""A program that trains on single rows with llama.cpp, and says as JSON what came of it.

    row_training.py steps BASE [--noise N] [--copies f16|bf16|q8_0|none] [--steps N] [--packed-with N] [--wide]
    row_training.py moments BASE
    row_training.py gradient BASE
    row_training.py survey BASE
    row_training.py quantise BASE TARGET TYPE

It runs apart from the tests, so that an abort of llama.cpp takes none of them along.
"""

import argparse
import hashlib
import json
import os
import tempfile
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from puna.domain.training import TokenSample, TrainingSettings
from puna.llama import library
from puna.llama.quantising import FileType, quantise
from puna.llama.training import ggml
from puna.llama.training.copies import CopyType
from puna.llama.training.ggml import FloatArray
from puna.llama.training.head import NarrowHead
from puna.llama.training.row import Row
from puna.llama.training.session import BaseModel, TrainingSession
from puna.trainer.adapter_file import choose_matrices, initial_adapter, write_adapter
from puna.trainer.rows import build_row

ROW = 256
_PATTERN = [300 + 7 * i for i in range(40)]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["steps", "moments", "gradient", "survey", "quantise"])
    parser.add_argument("base", type=Path)
    parser.add_argument("target", type=Path, nargs="?")
    parser.add_argument("type", nargs="?")
    parser.add_argument("--noise", type=int, default=1)
    parser.add_argument("--packed-with", type=int, default=1)
    parser.add_argument("--copies", default="f16")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--wide", action="store_true", help="compute the logits of all positions")
    given = parser.parse_args()
    library.start()
    if given.wide:
        NarrowHead.see_backward = lambda *_arguments: False  # type: ignore[method-assign]  # for the comparison
    if given.what == "quantise":
        quantise(given.base, given.target, FileType[given.type], is_pure=True)
        return
    session = open_session(given.base)
    if given.what == "survey":
        print(json.dumps({"obstacles": list(session.survey.obstacles)}))
        return
    attach(session)
    session.start(None if given.copies == "none" else CopyType[given.copies.upper()])
    if given.what == "moments":
        print(json.dumps(compare_moments(session)))
    elif given.what == "gradient":
        print(json.dumps({"slopes": compare_slopes(session)}))
    else:
        print(json.dumps(train(session, make_row(given.noise, given.packed_with), given.steps)))


def open_session(base: Path) -> TrainingSession:
    """Return a session of one thread."""
    return TrainingSession(BaseModel(base), n_ctx=ROW, n_threads=1)


def attach(session: TrainingSession) -> None:
    """Attach a small adapter."""
    settings = TrainingSettings(rank=4)
    matrices = choose_matrices(session.survey.matrices.values(), settings.targets)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapter.gguf"
        write_adapter(path, initial_adapter(matrices, settings), architecture="llama", alpha=8)
        session.attach(path)


def make_row(noise: int, neighbours: int) -> Row:
    """Return a row with one sample that counts, behind `neighbours` of noise that do not."""
    rng = np.random.default_rng(noise)
    length = 161 // neighbours
    others = [TokenSample([*map(int, rng.integers(100, 4000, length))], ()) for _ in range(neighbours)]
    return build_row([*others, TokenSample([5, *_PATTERN], ((1, 1 + len(_PATTERN)),))], ROW)


def train(session: TrainingSession, row: Row, steps: int) -> dict[str, object]:
    """Return the losses before each step, and what the adapter is after the last."""
    losses = [
        session.step(row, number=i + 1, learning_rate=3e-3).loss_sum / len(_PATTERN) for i in range(steps)
    ]
    adapter = session.read_adapter()
    content = b"".join(adapter[name].tobytes() for name in sorted(adapter))
    moved = min(float(np.abs(array).max()) for name, array in adapter.items() if name.endswith("lora_b"))
    return {"losses": losses, "adapter": hashlib.sha256(content).hexdigest(), "least_moved": moved}


def compare_moments(session: TrainingSession) -> dict[str, object]:
    """Return how much larger the first moment is after a second step on the same row that changed nothing."""
    row, sizes = make_row(1, 1), []
    for number in (1, 2):
        session.step(row, number=number, learning_rate=1e-30)
        sizes.append(sum(float(np.abs(first).sum()) for first, _ in session.read_moments().values()))
    return {"ratio": sizes[1] / sizes[0]}


def compare_slopes(session: TrainingSession) -> dict[str, tuple[float, float]]:
    """Return for groups of the adapter's tensors how steep the loss is: by the gradient, and by trying."""
    row = make_row(1, 3)
    scale = ROW / len(row.counted)
    for number in range(1, 4):
        session.step(row, number=number, learning_rate=3e-3, gradient_scale=scale)
    before = session.read_moments()
    session.step(row, number=4, learning_rate=1e-30, gradient_scale=scale)
    after = session.read_moments()
    gradient = {
        name: ((after[name][0] - np.float32(0.9) * before[name][0]) / np.float32(0.1)).astype(np.float32)
        for name in after
    }
    groups = ("lora_a", "lora_b", "attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_down", "blk.0.", "blk.5.")
    return {
        group: _slope(session, row, {n: g for n, g in gradient.items() if group in n}) for group in groups
    }


def _slope(session: TrainingSession, row: Row, gradient: dict[str, FloatArray]) -> tuple[float, float]:
    steepness = sum(float((part**2).sum()) for part in gradient.values()) ** 0.5
    distance = 0.02 / steepness
    losses = []
    for sign in (1, -1):
        for name, part in gradient.items():
            _move(session, name, part / steepness * distance * sign)
        losses.append(session.evaluate(row).loss_sum / len(row.counted))
        for name, part in gradient.items():
            _move(session, name, -part / steepness * distance * sign)
    return steepness, (losses[0] - losses[1]) / (2 * distance)


def _move(session: TrainingSession, name: str, change: FloatArray) -> None:
    address = session._parameters[name]
    ggml.write(address, ggml.read(address) + change)


if __name__ == "__main__":
    main()
