"""Loads the model of a `Load` message and builds the engine around it."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from puna.domain.context_plan import ContextPlan, plan_context
from puna.domain.memory import BATCH_TOKENS, CACHED_SEQUENCES
from puna.domain.models import LoadedModel, ModelKind
from puna.engine.protocol import Load
from puna.errors import ModelLoadError
from puna.llama import library
from puna.llama.adapter import Adapter
from puna.llama.batch import Batch
from puna.llama.context import Context, DecodeResult
from puna.llama.model import LlamaError, Model
from puna.prompting.chat_template import ChatFormatter, choose_formatter
from puna.worker.adapters import AdapterShelf
from puna.worker.cost import CostTable
from puna.worker.embedding.loading import build_embedding_service
from puna.worker.engine import Engine
from puna.worker.governor import CpuMonitor, start_governor
from puna.worker.outbox import Outbox
from puna.worker.placement import Placement, describe, load_weights
from puna.worker.preparation import Preparer
from puna.worker.runner import BatchRunner
from puna.worker.sequences import SequencePool
from puna.worker.service import Service
from puna.worker.text_service import TextService

_ENOUGH_CELLS = 1 << 40
"""What a worker takes memory to hold that nobody planned for."""
_PROBE_SIZES = (1, 1, 2, 4, 8)
"""The first decode pays for cold memory, so one token is measured twice and the second counts."""
_PROBE_BUDGET_S = 0.3


class Runtime(Struct, frozen=True):
    """A model that is ready: what the child runs and what it tells the daemon."""

    service: Service
    loaded: LoadedModel


def load(message: Load, outbox: Outbox, on_progress: Callable[[float], None]) -> Runtime:
    """Load the model. Raises `ModelLoadError`."""
    started_s = time.monotonic()
    monitor = CpuMonitor()
    library.start()
    try:
        placement = load_weights(message, on_progress)
        build = _build_text_service if message.kind is ModelKind.TEXT else build_embedding_service
        service, loaded = build(message, placement, outbox, monitor)
        return Runtime(service, replace(loaded, load_s=time.monotonic() - started_s))
    except LlamaError as error:
        raise ModelLoadError(f"{Path(message.path).name} cannot be run: {error}") from error


def _build_text_service(
    message: Load, placement: Placement, outbox: Outbox, monitor: CpuMonitor
) -> tuple[TextService, LoadedModel]:
    model = placement.model
    if not model.is_decoder:
        raise ModelLoadError(f"{Path(message.path).name} is an encoder; it does not generate text.")
    plan = _plan_context(message, model)
    governor = start_governor(monitor, fixed=message.threads)
    n_sequences = message.slots + CACHED_SEQUENCES
    batch = Batch(min(BATCH_TOKENS, plan.total_cells))
    context = Context(
        model,
        n_ctx=plan.total_cells,
        n_batch=batch.capacity,
        n_seq_max=n_sequences,
        n_threads=governor.threads,
    )
    engine = Engine(
        BatchRunner(context, batch, _measure(context, batch), governor, monitor),
        model.vocabulary,
        SequencePool(context, n_sequences, can_trim=model.can_trim, window=model.window),
        AdapterShelf(partial(Adapter, model), context.forget_adapter),
        outbox,
        slots=message.slots,
        context_length=plan.context_length,
    )
    formatter = _choose_formatter(model)
    loaded = replace(
        describe(message, placement, context, context_length=plan.context_length, threads=governor.threads),
        can_think=formatter.output_format.knows_reasoning,
        can_infill=model.vocabulary.infill_tokens is not None,
    )
    return TextService(engine, Preparer(model.vocabulary, formatter, plan.context_length)), loaded


def _choose_formatter(model: Model) -> ChatFormatter:
    vocabulary = model.vocabulary
    return choose_formatter(
        model.chat_template(),
        vocabulary.bos_text,
        vocabulary.eos_text,
        tool_source=model.chat_template("tool_use"),
    )


def _plan_context(message: Load, model: Model) -> ContextPlan:
    """Keep to what the daemon planned; without a plan, memory is not looked at."""
    if message.context_length is not None and message.total_cells is not None:
        return ContextPlan(message.context_length, message.total_cells)
    plan = plan_context(
        trained=model.n_ctx_train,
        wanted=message.context_length,
        slots=message.slots,
        free_cells=_ENOUGH_CELLS,
        fair_cells=_ENOUGH_CELLS,
        least=1,
    )
    assert plan is not None
    return plan


def _measure(context: Context, batch: Batch) -> CostTable:
    """Decode a few tokens: the first steps of the cost table, and the weights warm in memory.

    Raises `LlamaError` for a model that computes nothing.
    """
    cost = CostTable()
    started_s = time.monotonic()
    for i, size in enumerate(_PROBE_SIZES):
        batch.clear()
        for position in range(size):
            batch.add(0, position, 0, wants_logits=position == size - 1)
        step_s = time.monotonic()
        if context.decode(batch) is DecodeResult.FAILED:
            raise LlamaError("llama.cpp cannot compute it; the worker's log says why")
        context.synchronize()
        if i:
            cost.observe(size, time.monotonic() - step_s)
        context.drop_sequence(0)
        if time.monotonic() - started_s > _PROBE_BUDGET_S:
            break
    return cost
