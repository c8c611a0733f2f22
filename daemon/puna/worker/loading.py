"""Loads the model of a `Load` message and builds the engine around it."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil
from msgspec import Struct

from puna.domain.models import LoadedModel
from puna.engine.protocol import Load
from puna.errors import ModelLoadError
from puna.llama import devices, library
from puna.llama.batch import Batch
from puna.llama.context import Context
from puna.llama.model import LlamaError, Model
from puna.prompting.chat_template import choose_formatter
from puna.worker.context_plan import ContextPlan, plan_context
from puna.worker.cost import CostTable
from puna.worker.engine import Engine
from puna.worker.governor import CpuMonitor, ThreadGovernor, count_cores
from puna.worker.outbox import Outbox
from puna.worker.preparation import Preparer
from puna.worker.runner import BatchRunner
from puna.worker.sequences import SequencePool

_BATCH_TOKENS = 512
_CACHED_SEQUENCES = 8
"""Sequences beyond the slots, for prefixes of finished requests."""
_PROBE_SIZES = (1, 1, 2, 4, 8)
"""The first decode pays for cold memory, so one token is measured twice and the second counts."""
_PROBE_BUDGET_S = 0.3


class Placement(Struct, frozen=True):
    """Where the weights are, and why there."""

    model: Model
    gpu_layers: int
    backend: str
    reason: str


class Runtime(Struct, frozen=True):
    """A model that is ready: what the child runs and what it tells the daemon."""

    engine: Engine
    preparer: Preparer
    loaded: LoadedModel


def load(message: Load, outbox: Outbox, on_progress: Callable[[float], None]) -> Runtime:
    """Load the model. Raises `ModelLoadError`."""
    started_s = time.monotonic()
    monitor = CpuMonitor()
    library.start()
    try:
        placement = _load_weights(message, on_progress)
        return _build(message, placement, outbox, monitor, started_s)
    except LlamaError as error:
        raise ModelLoadError(f"{Path(message.path).name} cannot be run: {error}") from error


def _load_weights(message: Load, on_progress: Callable[[float], None]) -> Placement:
    """Put all layers on the GPU where there is one; where that fails, run on the CPU and say so."""
    path = Path(message.path)
    gpu = next((d for d in devices.list_devices() if d.kind in ("gpu", "igpu")), None)
    if message.gpu_layers == 0 or gpu is None:
        reason = "the setting gpu_layers is 0" if gpu else "this llama.cpp sees no GPU"
        return Placement(Model(path, n_gpu_layers=0, on_progress=on_progress), 0, "CPU", reason)
    try:
        model = Model(path, n_gpu_layers=message.gpu_layers, on_progress=on_progress)
    except LlamaError as error:
        model = Model(path, n_gpu_layers=0, on_progress=on_progress)
        return Placement(model, 0, "CPU", f"the model does not fit {gpu.description}: {error}")
    layers = min(message.gpu_layers or model.n_layer + 1, model.n_layer + 1)
    return Placement(model, layers, gpu.name.rstrip("0123456789"), f"runs on {gpu.description}")


def _build(
    message: Load, placement: Placement, outbox: Outbox, monitor: CpuMonitor, started_s: float
) -> Runtime:
    model = placement.model
    if not model.is_decoder:
        raise ModelLoadError(f"{Path(message.path).name} is an encoder; it does not generate text.")
    plan = _plan_context(message, placement)
    governor = _build_governor(message, monitor)
    n_sequences = message.slots + _CACHED_SEQUENCES
    batch = Batch(min(_BATCH_TOKENS, plan.total_cells))
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
        SequencePool(context, n_sequences, can_trim=model.can_trim),
        outbox,
        slots=message.slots,
        context_length=plan.context_length,
    )
    loaded = _describe(message, placement, plan, context, governor.threads, time.monotonic() - started_s)
    return Runtime(engine, _build_preparer(model, plan), loaded)


def _build_governor(message: Load, monitor: CpuMonitor) -> ThreadGovernor:
    cores, logical_cores = count_cores()
    governor = ThreadGovernor(cores=cores, logical_cores=logical_cores, fixed=message.threads)
    others = monitor.poll(time.monotonic())
    if others is not None:
        governor.observe(others)
    return governor


def _build_preparer(model: Model, plan: ContextPlan) -> Preparer:
    vocabulary = model.vocabulary
    formatter = choose_formatter(model.chat_template, vocabulary.bos_text, vocabulary.eos_text)
    return Preparer(vocabulary, formatter, plan.context_length)


def _describe(
    message: Load, placement: Placement, plan: ContextPlan, context: Context, threads: int, load_s: float
) -> LoadedModel:
    model = placement.model
    return LoadedModel(
        architecture=model.architecture,
        description=model.description,
        n_parameters=model.n_parameters,
        size_bytes=model.size_bytes,
        context_length=plan.context_length,
        trained_context_length=model.n_ctx_train,
        total_cells=context.n_ctx,
        slots=message.slots,
        threads=threads,
        gpu_layers=placement.gpu_layers,
        backend=placement.backend,
        backend_reason=placement.reason,
        has_chat_template=model.chat_template is not None,
        devices=devices.list_devices(),
        load_s=load_s,
    )


def _plan_context(message: Load, placement: Placement) -> ContextPlan:
    """What the weights will take of this machine's memory is not free: they are mapped and read as they are used."""
    model = placement.model
    weights_bytes = 0 if placement.gpu_layers else model.size_bytes
    return plan_context(
        trained=model.n_ctx_train,
        wanted=message.context_length,
        slots=message.slots,
        cell_bytes=model.cell_bytes,
        free_bytes=max(0, psutil.virtual_memory().available - weights_bytes),
    )


def _measure(context: Context, batch: Batch) -> CostTable:
    """Decode a few tokens: the first steps of the cost table, and the weights warm in memory."""
    cost = CostTable()
    started_s = time.monotonic()
    for i, size in enumerate(_PROBE_SIZES):
        batch.clear()
        for position in range(size):
            batch.add(0, position, 0, wants_logits=position == size - 1)
        step_s = time.monotonic()
        context.decode(batch)
        context.synchronize()
        if i:
            cost.observe(size, time.monotonic() - step_s)
        context.drop_sequence(0)
        if time.monotonic() - started_s > _PROBE_BUDGET_S:
            break
    return cost
