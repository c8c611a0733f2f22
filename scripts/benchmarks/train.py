"""What a training step costs, in forward passes of the same row."""

import json
import subprocess
import tempfile
from pathlib import Path

from benchmarks.train_peer import measure_train_peer
from environment import ROOT, venv_python
from make_random_model import parse_size
from random_model.gguf_file import count_tokens
from random_model.shape import choose_shape

_SIZE = "150M"
_VOCABULARY_OF = ROOT / "daemon/puna/assets/demo.gguf"
_ROW_LENGTH = 256
_RUN = ROOT / "scripts/benchmarks/train_run.py"
_MIB = 1024 * 1024


def measure_train(runs: int) -> None:
    """Print the cost of a step for a model with random weights, on one thread and on two; then that of peft's."""
    steps: dict[int, dict[str, float]] = {1: {}, 2: {}}
    with tempfile.TemporaryDirectory() as folder:
        for quantisation in ("q8_0", "q4_0", "f16"):
            model = _make(Path(folder), quantisation)
            for threads, own in steps.items():
                figures = _measure(model, threads, runs)
                _print(quantisation, threads, figures)
                own[quantisation] = figures["step_s"]
            model.unlink()
    shape = choose_shape(parse_size(_SIZE), count_tokens(_VOCABULARY_OF))
    measure_train_peer(shape, _ROW_LENGTH, runs, steps)


def _make(folder: Path, quantisation: str) -> Path:
    path = folder / f"random-{quantisation}.gguf"
    maker = ROOT / "scripts/make_random_model.py"
    subprocess.run(
        [str(venv_python()), str(maker), _SIZE, str(path), "--quantisation", quantisation],
        check=True,
        capture_output=True,
    )
    return path


def _measure(model: Path, threads: int, runs: int) -> dict[str, float]:
    command = [str(venv_python()), str(_RUN), str(model), str(_ROW_LENGTH), str(threads), str(runs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _print(quantisation: str, threads: int, figures: dict[str, float]) -> None:
    step_s, forward_s = figures["step_s"], figures["forward_s"]
    cpu = figures["step_cpu_s"] / figures["forward_cpu_s"]
    print(
        f"training {_SIZE} {quantisation}, {threads} thread{'s' * (threads > 1)}: step {step_s:.2f} s of {_ROW_LENGTH} "
        f"tokens, forward {forward_s:.2f} s, {step_s / forward_s:.2f} forward passes ({cpu:.2f} in processor time), "
        f"{_ROW_LENGTH / step_s:.0f} tokens/s, {figures['memory_bytes'] / _MIB:.0f} MiB; others used "
        f"{figures['others']:.1f} cores"
    )
