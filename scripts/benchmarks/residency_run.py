"""Loads one model as the daemon does, fills its context, unloads it, and prints the figures as JSON.

.venv/bin/python -P scripts/benchmarks/residency_run.py FILE
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from puna.domain.generation import GenerationRequest, TokenPrompt
from puna.domain.memory import CPU
from puna.domain.models import ModelEntry
from puna.engine.launcher import WorkerLauncher, WorkerOptions
from puna.engine.probe import LlamaProbe
from puna.errors import ModelNotFoundError
from puna.residency.coordinator import Coordinator
from puna.residency.estimate import Wish
from puna.residency.lease import Lease
from puna.residency.machine import MachineMemory

_FIRST_TOKEN, _TOKENS = 300, 3000
"""Ordinary tokens of the demo model's vocabulary."""


class OneFile:
    """A catalogue of one model."""

    def __init__(self, path: Path) -> None:
        self._entry = ModelEntry(id="model", name="model", path=path, size_bytes=path.stat().st_size)

    async def entries(self) -> Sequence[ModelEntry]:
        """Return it."""
        return [self._entry]

    async def find(self, name: str) -> ModelEntry:
        """Return it, under its one name."""
        if name != self._entry.id:
            raise ModelNotFoundError(f"There is no model {name}.")
        return self._entry


async def run(path: Path, logs: Path) -> dict[str, float]:
    """Return the figures; see `benchmarks.residency.Taken`."""
    launcher, llama = WorkerLauncher(WorkerOptions(log_dir=logs)), LlamaProbe()
    memory = MachineMemory(llama, Wish(), launcher.worker_pids)
    coordinator = Coordinator(
        OneFile(path), launcher, memory, default_model="model", max_loaded_models=1, queue_limit=1
    )
    path.read_bytes()  # noqa: ASYNC240 - nothing else runs; loading is not to be measured on a cold disk
    started_s = time.perf_counter()
    async with coordinator.acquire("model") as lease:
        load_s = time.perf_counter() - started_s
        prompt_tokens = await _fill(lease)
        (resident,) = coordinator.residents()
        (pid,) = launcher.worker_pids()
        used = psutil.Process(pid).memory_info()
        loaded = psutil.virtual_memory().available
    started_s = time.perf_counter()
    await coordinator.unload("model")
    unload_s = time.perf_counter() - started_s
    after = psutil.virtual_memory().available
    await coordinator.close()
    await llama.close()
    assert resident.plan is not None
    (need,) = (need for need in resident.plan.needs if need.device == CPU)
    return {
        "weights": need.weights_bytes,
        "cache": need.cache_bytes,
        "compute": need.compute_bytes,
        "process": need.process_bytes,
        "rss": used.rss,
        "anonymous": used.rss - getattr(used, "shared", 0),
        "context_length": lease.loaded.context_length,
        "total_cells": lease.loaded.total_cells,
        "prompt_tokens": prompt_tokens,
        "load_s": load_s,
        "unload_s": unload_s,
        "available_loaded": loaded,
        "available_after": after,
    }


async def _fill(lease: Lease) -> int:
    """Let the model read a prompt as long as its context."""
    count = lease.loaded.context_length - 8
    tokens = tuple(_FIRST_TOKEN + number * 7 % _TOKENS for number in range(count))
    completion = await lease.complete(GenerationRequest(prompt=TokenPrompt(tokens), max_tokens=4))
    return completion.finished.usage.prompt_tokens


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(run(Path(sys.argv[1]), Path(folder)))))
