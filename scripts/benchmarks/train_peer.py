"""The same training step in torch and peft, where they are installed; `benchmarks.train` prints it beside Puna's."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from environment import ROOT, venv_python
from random_model.shape import Shape

_VARIABLE = "PUNA_BENCH_TORCH_PYTHON"
_RUN = ROOT / "scripts/benchmarks/train_peer_run.py"
_MIB = 1024 * 1024
_DATA_TYPES = ("float32", "bfloat16")
_FIND = (
    "import importlib.util, sys; "
    "sys.exit(not all(importlib.util.find_spec(name) for name in ('torch', 'peft', 'transformers')))"
)
_SETTINGS = (
    "import json; from puna.domain.training import TrainingSettings; settings = TrainingSettings(); "
    "print(json.dumps({'rank': settings.rank, 'alpha': settings.scale, 'targets': settings.targets}))"
)
_NAMES = {
    "attn_q": "q_proj",
    "attn_k": "k_proj",
    "attn_v": "v_proj",
    "attn_output": "o_proj",
    "ffn_gate": "gate_proj",
    "ffn_up": "up_proj",
    "ffn_down": "down_proj",
}
"""GGUF's names of a block's matrices, and transformers'."""

OwnSteps = Mapping[int, Mapping[str, float]]
"""Seconds of Puna's step, by threads and by quantisation."""


def measure_train_peer(shape: Shape, row_length: int, runs: int, own: OwnSteps) -> None:
    """Print their steps for a model of this shape, in F32 and in bf16, and how many of them one of ours takes."""
    python = os.environ.get(_VARIABLE, sys.executable)
    if not _has_libraries(python):
        print(
            f"training with torch and peft: not measured, {python} cannot import torch, peft and transformers; "
            f"`pip install torch peft transformers` in an environment and name its Python in {_VARIABLE}"
        )
        return
    base = {**shape._asdict(), **_read_settings(), "row_length": row_length, "runs": runs}
    try:
        _measure_all(python, base, row_length, own)
    except subprocess.CalledProcessError:
        print(f"training with torch and peft: it failed in {python}, as said above")


def _measure_all(python: str, base: Mapping[str, object], row_length: int, own: OwnSteps) -> None:
    for data_type in _DATA_TYPES:
        for threads, own_steps in own.items():
            figures = _measure(python, {**base, "data_type": data_type, "threads": threads})
            if figures is None:
                print(
                    f"torch and peft {data_type}: not measured, torch finds no such numbers in this processor"
                )
                break
            _print(data_type, threads, row_length, figures, own_steps)


def _has_libraries(python: str) -> bool:
    try:
        return subprocess.run([python, "-c", _FIND], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _read_settings() -> dict[str, Any]:
    """Return what an adapter has by default, with its targets as transformers names them."""
    done = subprocess.run(
        [str(venv_python()), "-c", _SETTINGS], check=True, stdout=subprocess.PIPE, text=True
    )
    settings: dict[str, Any] = json.loads(done.stdout)
    return {**settings, "targets": [_NAMES[target] for target in settings["targets"]]}


def _measure(python: str, job: Mapping[str, object]) -> dict[str, float] | None:
    environ = {
        **os.environ,
        "OMP_NUM_THREADS": str(job["threads"]),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(ROOT / "daemon"),
    }
    command = [python, str(_RUN), json.dumps(job)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environ)
    figures: dict[str, float] | None = json.loads(done.stdout.splitlines()[-1])
    return figures


def _print(
    data_type: str,
    threads: int,
    row_length: int,
    figures: Mapping[str, float],
    own_steps: Mapping[str, float],
) -> None:
    step_s, forward_s = figures["step_s"], figures["forward_s"]
    ratios = _list(f"{own_s / step_s:.2f} ({name})" for name, own_s in own_steps.items())
    print(
        f"torch and peft {data_type}, {threads} thread{'s' * (threads > 1)}: step {step_s:.2f} s of {row_length} "
        f"tokens, forward {forward_s:.2f} s, {step_s / forward_s:.2f} forward passes, "
        f"{row_length / step_s:.0f} tokens/s, {figures['memory_bytes'] / _MIB:.0f} MiB; "
        f"others used {figures['others']:.1f} cores; Puna's step takes {ratios} times as long"
    )


def _list(parts: Iterable[str]) -> str:
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last
