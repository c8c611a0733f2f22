"""What models really take of memory, against what Puna claims for them before they are loaded.

The claim is compared with the worker's resident memory (RSS) after a prompt that fills the context. That figure has
the weights in it, which are mapped from the file, as far as they were read; the claim has them as well, because a
model whose weights do not stay in memory is of no use. It also has the shared libraries, which all processes share
and nobody claims. Beside it stands the worker's own, anonymous memory (RSS less mapped files), which is what it
takes from other programs for sure: it is compared with the claim without the weights. Where llama.cpp packs weights
anew (Q4_0 on many processors) they are anonymous, too.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from environment import ROOT, venv_python

_PROGRAM = Path(__file__).with_name("residency_run.py")
_MAKER = ROOT / "scripts/make_random_model.py"
_MIB = 1024 * 1024


class Taken(NamedTuple):
    """One model's figures: sizes in bytes, times in seconds."""

    weights: int
    cache: int
    compute: int
    process: int
    rss: int
    anonymous: int
    context_length: int
    total_cells: int
    prompt_tokens: int
    load_s: float
    unload_s: float
    available_loaded: int
    available_after: int

    @property
    def claim(self) -> int:
        """All that was claimed."""
        return self.weights + self.own_claim

    @property
    def own_claim(self) -> int:
        """The claim without the weights."""
        return self.cache + self.compute + self.process


def measure_residency(model: Path) -> None:
    """Print the figures of a model, and of two with random weights that are made for it and removed again."""
    with tempfile.TemporaryDirectory(prefix="puna-bench-") as folder:
        for name, path in (
            (model.name, model),
            ("random 0.3B Q8_0", _make(Path(folder), "0.3B", "q8_0")),
            ("random 1B Q8_0", _make(Path(folder), "1B", "q8_0")),
            ("random 1B F16", _make(Path(folder), "1B", "f16")),
        ):
            _print(name, _measure(path))


def _make(folder: Path, size: str, quantisation: str) -> Path:
    path = folder / f"{size}-{quantisation}.gguf"
    command = [str(venv_python()), str(_MAKER), size, str(path), "--quantisation", quantisation]
    subprocess.run(command, check=True, capture_output=True)
    return path


def _measure(path: Path) -> Taken:
    done = subprocess.run(
        [str(venv_python()), "-P", str(_PROGRAM), str(path)], check=True, capture_output=True, text=True
    )
    return Taken(**json.loads(done.stdout))


def _print(name: str, taken: Taken) -> None:
    parts = ((taken.weights, "weights"), (taken.cache, "cache"), (taken.compute, "compute"))
    told = ", ".join(f"{size / _MIB:.0f} {what}" for size, what in (*parts, (taken.process, "process")))
    back = taken.available_after - taken.available_loaded
    print(f"{name}, {taken.context_length} tokens, {taken.total_cells} cells")
    print(f"  claimed                 {taken.claim / _MIB:.0f} MiB ({told})")
    print(
        f"  resident                {taken.rss / _MIB:.0f} MiB after {taken.prompt_tokens} tokens; "
        f"the claim is {taken.claim / taken.rss:.2f} times that"
    )
    print(
        f"  of it anonymous         {taken.anonymous / _MIB:.0f} MiB; "
        f"the claim without weights is {taken.own_claim / taken.anonymous:.2f} times that"
    )
    print(f"  load, unload            {taken.load_s:.2f} s, {taken.unload_s:.2f} s")
    print(f"  back after unload       {back / _MIB:.0f} MiB more available than while it was loaded")
