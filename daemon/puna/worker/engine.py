"""The step loop: one batch a step for all requests of the model."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from puna.domain.generation import FinishReason, Priority
from puna.domain.models import WorkerStatus
from puna.errors import GenerationError, InvalidRequestError
from puna.llama.context import DecodeResult
from puna.llama.vocabulary import Vocabulary
from puna.worker.adapters import AdapterShelf, Turns
from puna.worker.admission import plan_turn
from puna.worker.batching import Chunk
from puna.worker.logprobs import Logprobs
from puna.worker.mailbox import Cancelled, Command, Mailbox, Stop
from puna.worker.masks import Masks, MaskThread
from puna.worker.outbox import Counters, Outbox
from puna.worker.preparation import PreparedRequest
from puna.worker.runner import BatchRunner
from puna.worker.sampling import build_sampler
from puna.worker.sequences import Placement, SequencePool
from puna.worker.slot import Progress, Slot

_LOOK_AHEAD = 32
"""Waiting requests that are compared with the cached prefixes in one step."""


class Engine:
    """Owns the context. `put` may be called from any thread; everything else belongs to the one that runs."""

    def __init__(
        self,
        runner: BatchRunner,
        vocabulary: Vocabulary,
        pool: SequencePool,
        adapters: AdapterShelf,
        outbox: Outbox,
        *,
        slots: int,
        context_length: int,
    ) -> None:
        """`slots` requests run at once, each with at most `context_length` tokens."""
        self._runner = runner
        self._vocabulary = vocabulary
        self._pool = pool
        self._adapters = adapters
        self._turns = Turns()
        self._outbox = outbox
        self._slots = slots
        self._context_length = context_length
        self._masks = MaskThread()
        self._mailbox: Mailbox[PreparedRequest] = Mailbox(outbox)
        self._waiting: deque[Slot] = deque()
        self._active: list[Slot] = []
        self._counters = Counters()
        self._is_full = False
        self._is_stopping = False

    def put(self, command: Command[PreparedRequest]) -> None:
        """Queue a command; one that makes the running decode pointless ends it. From any thread."""
        self._mailbox.put(command)
        match command:
            case Cancelled(request_id):
                self._runner.interrupt(request_id)
            case Stop():
                self._runner.interrupt()

    def run(self) -> None:
        """Step until `Stop`; open requests then end with reason `abort`."""
        while not self._is_stopping:
            self._take_commands()
            if self._active or self._waiting:
                self._step()
            self._outbox.flush(self._status())
        for slot in [*self._active, *self._waiting]:
            self._finish(slot, FinishReason.ABORT)
        self._outbox.flush(self._status())
        self._masks.close()
        self._runner.close()

    def _status(self) -> WorkerStatus:
        return WorkerStatus(
            busy_slots=len(self._active),
            waiting_requests=len(self._waiting) + self._mailbox.expected,
            cached_sequences=self._pool.cached,
            used_cells=self._pool.held_tokens,
            threads=self._runner.threads,
            prompt_tokens=self._counters.prompt_tokens,
            cached_prompt_tokens=self._counters.cached_prompt_tokens,
            completion_tokens=self._counters.completion_tokens,
            steps=self._counters.steps,
        )

    # Commands

    def _take_commands(self) -> None:
        for command in self._mailbox.take(is_idle=not self._active and not self._waiting):
            match command:
                case Cancelled(request_id):
                    self._cancel(request_id)
                case Stop():
                    self._is_stopping = True
                case PreparedRequest():
                    self._admit(command)

    def _admit(self, prepared: PreparedRequest) -> None:
        request = prepared.request
        try:
            adapter = self._adapters.hold(request.adapter) if request.adapter is not None else None
        except InvalidRequestError as error:
            self._outbox.failed(prepared.request_id, error)
            return
        sampler = build_sampler(request.sampling, prepared.tokens, n_vocab=self._vocabulary.n_tokens)
        slot = Slot(prepared, sampler, adapter, limit=self._context_length, now_s=time.monotonic())
        self._waiting.append(slot)
        self._guarded(slot, lambda: slot.open(self._vocabulary))

    def _cancel(self, request_id: int) -> None:
        for slot in [*self._active, *self._waiting]:
            if slot.request_id == request_id:
                self._finish(slot, FinishReason.ABORT)

    # One step

    def _step(self) -> None:
        now_s = time.monotonic()
        for slot in [slot for slot in self._active if slot.is_late(now_s)]:
            self._guarded(slot, slot.cut)
        self._place_waiting()
        slots = self._choose_slots(now_s)
        chunks = self._runner.plan(slots)
        if not chunks:
            return
        outputs = self._runner.fill(slots, chunks)
        computing = self._masks.start([slot for slot, _ in outputs])
        result = self._runner.decode(slots, chunks)
        masks = computing.result() if computing else {}
        match result:
            case DecodeResult.OK:
                self._advance(slots, chunks)
                self._sample(outputs, masks)
            case DecodeResult.NO_CELLS:
                self._make_room()
            case DecodeResult.ABORTED:
                self._rewind(slots, chunks)
            case DecodeResult.FAILED:
                self._fail(slots, chunks)

    def _choose_slots(self, now_s: float) -> Sequence[Slot]:
        """Return the requests that the next step may hold: a decode computes with one adapter."""
        wanting = [slot.request.adapter for slot in self._active]
        if not wanting:
            return ()
        chosen = self._turns.choose(wanting, now_s)
        slots = [slot for slot in self._active if slot.request.adapter == chosen]
        self._runner.context.use_adapter(slots[0].adapter)
        return slots

    def _place_waiting(self) -> None:
        if self._is_full and self._active:
            return
        self._is_full = False
        if not self._waiting or not self._has_room():
            return
        active, ready = list(self._active), self._list_ready()
        turn = plan_turn(
            [slot.request.priority for slot in active],
            [slot.request.priority for slot in ready],
            slots=self._slots,
        )
        for slot in (active[i] for i in turn.give_back):
            self._put_back(slot)
        for slot in (ready[i] for i in turn.admit):
            self._place(slot)

    def _has_room(self) -> bool:
        """Whether a slot is free, or held by a job's task that may have to give it back to somebody who waits."""
        if len(self._active) < self._slots:
            return True
        is_yielding = any(slot.request.priority is Priority.BACKGROUND for slot in self._active)
        return is_yielding and any(slot.request.priority is Priority.INTERACTIVE for slot in self._waiting)

    def _list_ready(self) -> list[Slot]:
        """Return the next waiting requests, without those that wait for another one's prefix."""
        ordered = sorted(self._waiting, key=lambda slot: slot.request.priority is Priority.BACKGROUND)
        return [slot for slot in ordered[:_LOOK_AHEAD] if self._find_place(slot) is not None]

    def _place(self, slot: Slot) -> None:
        placement = self._find_place(slot)
        if placement is not None:
            self._waiting.remove(slot)
            sequence = self._pool.take(placement, slot.tokens, slot.request.adapter)
            slot.start(sequence, time.monotonic())
            self._counters.cached_prompt_tokens += slot.computed
            self._active.append(slot)

    def _find_place(self, slot: Slot) -> Placement | None:
        request = slot.request
        return self._pool.place(slot.tokens, request.adapter, is_repeatable=request.sampling.is_repeatable)

    def _put_back(self, slot: Slot) -> None:
        """Let a request wait again; what it computed stays cached as long as there is room."""
        self._active.remove(slot)
        self._pool.release(slot.preempt())
        self._waiting.appendleft(slot)

    def _advance(self, slots: Sequence[Slot], chunks: Sequence[Chunk]) -> None:
        self._counters.steps += 1
        for chunk in chunks:
            slot = slots[chunk.index]
            if slot.is_prompting or not slot.generated:
                self._counters.prompt_tokens += chunk.tokens
            slot.advance(chunk.tokens)

    def _sample(self, outputs: Sequence[tuple[Slot, int]], masks: Masks) -> None:
        for slot, index in outputs:
            before = slot.generated
            self._guarded(slot, partial(self._push_next, slot, index, masks))
            self._counters.completion_tokens += slot.generated - before

    def _push_next(self, slot: Slot, index: int, masks: Masks) -> Progress:
        logprobs = self._read_logprobs(slot, index)
        mask = masks.get(slot.request_id)
        if isinstance(mask, GenerationError):
            raise mask
        if mask is not None:
            self._runner.context.forbid(index, mask)
        token = slot.sampler.sample(self._runner.context, index)
        if logprobs is not None and not self._vocabulary.is_end(token):
            slot.note_logprob(logprobs.describe(token))
        return slot.push(token, self._vocabulary, time.monotonic())

    def _read_logprobs(self, slot: Slot, index: int) -> Logprobs | None:
        """Read the chances before the format and the sampler change them."""
        top = slot.request.top_logprobs
        if top is None:
            return None
        return Logprobs(self._runner.context.logits(index, self._vocabulary.n_tokens), self._vocabulary, top)

    def _guarded(self, slot: Slot, go_on: Callable[[], Progress]) -> None:
        """Deliver what a slot has to say; one that cannot go on fails alone."""
        try:
            events, reason = go_on()
        except GenerationError as error:
            self._outbox.failed(slot.request_id, error)
            self._forget(slot)
            return
        for event in slot.announce(events, is_last=reason is not None):
            self._outbox.event(slot.request_id, event)
        if reason is not None:
            self._finish(slot, reason)

    def _finish(self, slot: Slot, reason: FinishReason) -> None:
        self._outbox.event(slot.request_id, slot.finish(reason, time.monotonic()))
        self._forget(slot)

    def _forget(self, slot: Slot) -> None:
        if slot.sequence is None:
            self._waiting.remove(slot)
        else:
            self._pool.release(slot.sequence)
            self._active.remove(slot)
            self._is_full = False
        if slot.request.adapter is not None:
            self._adapters.release(slot.request.adapter)
        slot.sampler.close()

    # When a step does not go through

    def _make_room(self) -> None:
        """Evict a cached prefix; with none left, the youngest request waits until another one ends."""
        if self._pool.evict():
            return
        youngest = self._active[-1]
        if len(self._active) == 1:
            error = GenerationError("The context is full; shorten the prompt or ask for less text.")
            self._outbox.failed(youngest.request_id, error)
            self._forget(youngest)
            return
        self._put_back(youngest)
        self._is_full = True

    def _rewind(self, slots: Sequence[Slot], chunks: Sequence[Chunk]) -> None:
        """Drop what an aborted decode left behind the tokens that are known to be computed."""
        for chunk in chunks:
            sequence = slots[chunk.index].sequence
            assert sequence is not None
            self._pool.trim(sequence, len(sequence.tokens))

    def _fail(self, slots: Sequence[Slot], chunks: Sequence[Chunk]) -> None:
        error = GenerationError("llama.cpp could not compute this request; the worker's log says why.")
        for slot in [slots[chunk.index] for chunk in chunks]:
            assert slot.sequence is not None
            self._pool.trim(slot.sequence, 0)
            self._outbox.failed(slot.request_id, error)
            self._forget(slot)
