"""Computes inputs on the context, several together."""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from msgspec import Struct

from puna.llama.abort_flag import AbortFlag
from puna.llama.batch import Batch
from puna.llama.context import DecodeResult, Vector
from puna.llama.model import LlamaError
from puna.worker.cost import CostTable
from puna.worker.governor import CpuMonitor, ThreadGovernor

Numbered = tuple[int, int, int]
"""A token, its position and its sequence."""


class PooledContext(Protocol):
    """What computes vectors; `puna.llama.context.Context` is one."""

    @property
    def abort_flag(self) -> AbortFlag: ...

    def clear(self) -> None: ...

    def set_pooling(self, *, is_on: bool) -> None: ...

    def set_threads(self, n_threads: int) -> None: ...

    def decode(self, batch: Batch) -> DecodeResult: ...

    def synchronize(self) -> None: ...

    def pooled(self, sequence: int, size: int) -> Vector: ...


class Computed(Struct, frozen=True):
    """What a decode came to; the vectors are in the order of the inputs, and there are none where it failed."""

    result: DecodeResult
    vectors: tuple[Vector, ...] = ()


class InputRunner:
    """Fills, decodes and reads batches, with as many threads as the machine has free."""

    def __init__(
        self,
        context: PooledContext,
        batch: Batch,
        governor: ThreadGovernor,
        monitor: CpuMonitor,
        *,
        pooled_size: int,
        pools_last: bool = False,
    ) -> None:
        """`pooled_size` is what the model gives for an input: components of a vector, or outputs of a classifier.

        With `pools_last` only the last token of an input has an output, and the others are computed before it,
        in parts: that spares the logits of all of them, and inputs may be longer than the batch.
        """
        self._context = context
        self._batch = batch
        self._cost = CostTable()
        self._governor = governor
        self._monitor = monitor
        self._pooled_size = pooled_size
        self._pools_last = pools_last
        self._only_request: int | None = None

    @property
    def threads(self) -> int:
        """Threads of the next decode."""
        return self._governor.threads

    def interrupt(self, request_id: int | None = None) -> None:
        """End the running decode if it serves this request alone, or (None) in any case. From any thread."""
        if request_id is None or request_id == self._only_request:
            self._context.abort_flag.set()

    def compute(self, inputs: Sequence[Sequence[int]], requests: frozenset[int] = frozenset()) -> Computed:
        """Compute all inputs together, which serves these requests; the context must hold their tokens."""
        self._context.clear()
        self._set_threads()
        self._context.abort_flag.clear()
        self._only_request = next(iter(requests)) if len(requests) == 1 else None
        started_s = time.monotonic()
        result = self._decode(inputs)
        self._only_request = None
        if result is not DecodeResult.OK:
            return Computed(result)
        self._learn(sum(map(len, inputs)), time.monotonic() - started_s)
        return self._read(len(inputs))

    def close(self) -> None:
        """Free the batch."""
        self._batch.close()

    def _decode(self, inputs: Sequence[Sequence[int]]) -> DecodeResult:
        if not self._pools_last:
            return self._decode_batch(_number(inputs), has_outputs=True)
        result = self._decode_ahead(inputs)
        if result is not DecodeResult.OK:
            return result
        lasts = [(tokens[-1], len(tokens) - 1, sequence) for sequence, tokens in enumerate(inputs)]
        self._context.set_pooling(is_on=True)
        return self._decode_batch(lasts, has_outputs=True)

    def _decode_ahead(self, inputs: Sequence[Sequence[int]]) -> DecodeResult:
        """Compute all tokens but the last ones, in as many decodes as it takes."""
        self._context.set_pooling(is_on=False)
        tokens = iter(_number([each[:-1] for each in inputs]))
        while part := list(islice(tokens, self._batch.capacity)):
            result = self._decode_batch(part, has_outputs=False)
            if result is not DecodeResult.OK:
                return result
        return DecodeResult.OK

    def _decode_batch(self, tokens: Iterable[Numbered], *, has_outputs: bool) -> DecodeResult:
        self._batch.clear()
        for token, position, sequence in tokens:
            self._batch.add(token, position, sequence, wants_logits=has_outputs)
        result = self._context.decode(self._batch)
        self._context.synchronize()
        return result

    def _read(self, count: int) -> Computed:
        try:
            vectors = [self._context.pooled(index, self._pooled_size) for index in range(count)]
        except LlamaError:
            return Computed(DecodeResult.FAILED)
        return Computed(DecodeResult.OK, tuple(vectors))

    def _set_threads(self) -> None:
        others = self._monitor.poll(time.monotonic())
        if others is not None:
            self._governor.observe(others)
        self._context.set_threads(self._governor.threads)

    def _learn(self, tokens: int, seconds: float) -> None:
        expected_s = self._cost.estimate(tokens)
        if expected_s is not None:
            self._governor.observe_step(seconds, expected_s)
        self._cost.observe(tokens, seconds)


def _number(inputs: Sequence[Sequence[int]]) -> Iterator[Numbered]:
    for sequence, tokens in enumerate(inputs):
        for position, token in enumerate(tokens):
            yield token, position, sequence
