"""A context that computes no model: the vector of an input is its tokens' sum and their number."""

from collections.abc import Callable

import numpy as np

from puna.llama.abort_flag import AbortFlag
from puna.llama.batch import Batch
from puna.llama.context import DecodeResult, Vector
from puna.worker.embedding.runner import InputRunner
from puna.worker.governor import CpuMonitor, CpuTimes, ThreadGovernor

Decoded = list[tuple[int, int, int]]
"""Token, position and sequence of each entry of a batch."""


class PoolingContext:
    """Knows what was decoded; `on_decode` may do things in the middle of it, and say what it comes to."""

    def __init__(self, on_decode: Callable[[int], DecodeResult] = lambda _: DecodeResult.OK) -> None:
        self.abort_flag = AbortFlag()
        self.decoded: list[Decoded] = []
        self.is_pooling = True
        self.outputs: list[int] = []
        self._on_decode = on_decode
        self._cells: Decoded = []

    def clear(self) -> None:
        self._cells = []

    def set_pooling(self, *, is_on: bool) -> None:
        self.is_pooling = is_on

    def set_threads(self, n_threads: int) -> None:
        assert n_threads == 1

    def synchronize(self) -> None:
        pass

    def decode(self, batch: Batch) -> DecodeResult:
        struct = batch.struct
        entries = [(struct.token[i], struct.pos[i], struct.seq_id[i][0]) for i in range(len(batch))]
        self.decoded.append(entries)
        self.outputs.append(sum(bool(struct.logits[i]) for i in range(len(batch))))
        result = self._on_decode(len(self.decoded))
        if self.abort_flag.is_set:
            return DecodeResult.ABORTED
        self._cells += entries
        return result

    def pooled(self, sequence: int, size: int) -> Vector:
        tokens = [token for token, _, owner in self._cells if owner == sequence]
        return np.array([sum(tokens), len(tokens)][:size], dtype=np.float32)


def make_runner(context: PoolingContext, *, capacity: int = 100, pools_last: bool = False) -> InputRunner:
    """Return a runner over it, on one thread."""
    governor = ThreadGovernor(cores=1, logical_cores=1, fixed=1)
    monitor = CpuMonitor(lambda: CpuTimes(0, 0, 0), interval_s=1e9)
    return InputRunner(context, Batch(capacity), governor, monitor, pooled_size=2, pools_last=pools_last)
