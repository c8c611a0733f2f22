"""Measures training steps and forward passes of one model, in turns; prints JSON. Run by `benchmarks.train`.

train_run.py MODEL ROW_LENGTH THREADS RUNS
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the trainer sets them, before anything reads them
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
import psutil

from puna.domain.training import TokenSample, TrainingSettings
from puna.llama import library
from puna.llama.training.row import Row
from puna.llama.training.session import BaseModel, TrainingSession, fast_copy_type
from puna.trainer.adapter_file import choose_matrices, initial_adapter, write_adapter
from puna.trainer.peak_memory import peak_memory
from puna.trainer.rows import build_row


def main() -> None:
    """Measure what the command line names."""
    path, row_length, threads, runs = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    library.start()
    session, row = open_session(path, row_length, threads), make_row(row_length)
    session.step(row, number=1, learning_rate=1e-4)
    figures: dict[str, list[float]] = {"step_s": [], "step_cpu_s": [], "forward_s": [], "forward_cpu_s": []}
    psutil.cpu_percent()
    for number in range(runs):
        measure(figures, "forward", lambda: session.decode(row.tokens.tolist()))
        measure(figures, "step", lambda: session.step(row, number=number + 2, learning_rate=1e-4))  # noqa: B023
    own = sum(figures["step_cpu_s"]) + sum(figures["forward_cpu_s"])
    elapsed = sum(figures["step_s"]) + sum(figures["forward_s"])
    busy = psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)
    print(
        json.dumps(
            {
                **{name: sorted(values)[len(values) // 2] for name, values in figures.items()},
                "others": max(0.0, busy - own / elapsed),
                "memory_bytes": peak_memory(),
                "copies": fast_copy_type().name,
            }
        )
    )


def measure(figures: dict[str, list[float]], name: str, work: Callable[[], object]) -> None:
    """Note the time of a piece of work, and the processors' time that it took."""
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    work()
    figures[f"{name}_s"].append(time.perf_counter() - started_s)
    figures[f"{name}_cpu_s"].append(time.process_time() - started_cpu_s)


def open_session(path: Path, row_length: int, threads: int) -> TrainingSession:
    """Return a session with an adapter of the default rank on all matrices."""
    session = TrainingSession(BaseModel(path), n_ctx=row_length, n_threads=threads)
    settings = TrainingSettings()
    matrices = choose_matrices(session.survey.matrices.values(), settings.targets)
    with tempfile.TemporaryDirectory() as folder:
        adapter = Path(folder) / "adapter.gguf"
        write_adapter(
            adapter, initial_adapter(matrices, settings), architecture="llama", alpha=settings.scale
        )
        session.attach(adapter)
    session.start(fast_copy_type())
    return session


def make_row(row_length: int) -> Row:
    """Return a row of one sample in which every position counts."""
    tokens = np.random.default_rng(1).integers(300, 4000, row_length + 1)
    return build_row([TokenSample([*map(int, tokens)], ((1, row_length + 1),))], row_length)


if __name__ == "__main__":
    main()
