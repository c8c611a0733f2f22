"""Runs one planned batch on the context."""

import time
from collections.abc import Sequence

from puna.llama.batch import Batch
from puna.llama.context import Context, DecodeResult
from puna.worker.batching import Chunk, Pending, plan_step
from puna.worker.cost import CostTable
from puna.worker.governor import CpuMonitor, ThreadGovernor
from puna.worker.slot import Slot

_STALL_BUDGET_S = 0.1
"""How long a prompt chunk may hold up requests that are decoding."""
_SMALLEST_CHUNK = 16
_WORTH_INTERRUPTING_S = 0.05
"""A shorter step is not interrupted when a client leaves: what it computed for others would be lost."""


class BatchRunner:
    """Plans, fills and decodes batches, with as many threads as the machine has free."""

    def __init__(
        self, context: Context, batch: Batch, cost: CostTable, governor: ThreadGovernor, monitor: CpuMonitor
    ) -> None:
        self.context = context
        self._batch = batch
        self._cost = cost
        self._governor = governor
        self._monitor = monitor
        self._interruptible: frozenset[int] = frozenset()

    @property
    def threads(self) -> int:
        """Threads of the next step."""
        return self._governor.threads

    def interrupt(self, request_id: int | None = None) -> None:
        """End the running decode if it mostly serves this request, or (None) in any case. From any thread."""
        if request_id is None or request_id in self._interruptible:
            self.context.abort_flag.set()

    def plan(self, slots: Sequence[Slot]) -> list[Chunk]:
        """Return what the next batch computes for these slots."""
        pending = [Pending(slot.computable, slot.is_prompting) for slot in slots]
        kinds = {slot.is_prompt for slot in pending}
        prompt_tokens = self._batch.capacity
        if len(kinds) == 2:
            prompt_tokens = self._cost.tokens_within(
                _STALL_BUDGET_S, minimum=_SMALLEST_CHUNK, maximum=self._batch.capacity
            )
        return plan_step(pending, capacity=self._batch.capacity, prompt_tokens=prompt_tokens)

    def fill(self, slots: Sequence[Slot], chunks: Sequence[Chunk]) -> list[tuple[Slot, int]]:
        """Fill the batch; return the slots that can sample after it, each with the index of its logits."""
        self._batch.clear()
        outputs = []
        for chunk in chunks:
            slot = slots[chunk.index]
            index = self._add(slot, chunk.tokens)
            if chunk.tokens == slot.pending:
                outputs.append((slot, index))
        return outputs

    def decode(self, slots: Sequence[Slot], chunks: Sequence[Chunk]) -> DecodeResult:
        """Compute the filled batch."""
        expected_s = self._cost.estimate(len(self._batch))
        self._set_threads()
        self.context.abort_flag.clear()
        if expected_s is None or expected_s >= _WORTH_INTERRUPTING_S:
            self._interruptible = frozenset(
                slots[chunk.index].request_id for chunk in chunks if chunk.tokens > 1 or len(chunks) == 1
            )
        started_s = time.monotonic()
        result = self.context.decode(self._batch)
        self.context.synchronize()
        self._interruptible = frozenset()
        if result is DecodeResult.OK:
            self._learn(time.monotonic() - started_s, expected_s)
        return result

    def close(self) -> None:
        """Free the batch."""
        self._batch.close()

    def _add(self, slot: Slot, count: int) -> int:
        assert slot.sequence is not None
        first, last, index = slot.computed, len(slot.tokens) - 1, 0
        for position in range(first, first + count):
            index = self._batch.add(
                slot.tokens[position], position, slot.sequence.id, wants_logits=position == last
            )
        return index

    def _set_threads(self) -> None:
        others = self._monitor.poll(time.monotonic())
        if others is not None:
            self._governor.observe(others)
        self.context.set_threads(self._governor.threads)

    def _learn(self, seconds: float, expected_s: float | None) -> None:
        if expected_s is not None:
            self._governor.observe_step(seconds, expected_s)
        self._cost.observe(len(self._batch), seconds)
