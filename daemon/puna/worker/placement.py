"""Where the weights of a model go, and what is told of it then."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from puna.domain.models import LoadedModel, ModelKind
from puna.engine.protocol import Load
from puna.llama import devices, rpc
from puna.llama.context import Context
from puna.llama.model import LlamaError, Model


class Placement(Struct, frozen=True):
    """Where the weights are, and why there."""

    model: Model
    gpu_layers: int
    backend: str
    reason: str


def describe(
    message: Load, placement: Placement, context: Context, *, context_length: int, threads: int
) -> LoadedModel:
    """Return what the worker of any kind of model tells of it, but for the time of its load."""
    model = placement.model
    return LoadedModel(
        architecture=model.architecture,
        description=model.description,
        n_parameters=model.n_parameters,
        size_bytes=model.size_bytes,
        context_length=context_length,
        trained_context_length=model.n_ctx_train,
        total_cells=context.n_ctx,
        slots=message.slots,
        threads=threads,
        gpu_layers=placement.gpu_layers,
        layers=model.n_layer + 1,
        backend=placement.backend,
        backend_reason=placement.reason,
        has_chat_template=message.kind is ModelKind.TEXT and model.chat_template() is not None,
        kind=message.kind,
        devices=devices.list_devices(),
    )


def load_weights(message: Load, on_progress: Callable[[float], None]) -> Placement:
    """Put layers on the GPU where there is one. Where that fails, run on the CPU and say so, if nobody planned it:
    with a plan that is for the daemon to decide, which knows what room there is.

    Raises `LlamaError`.
    """
    rpc.add_servers(message.rpc_servers)
    path = Path(message.path)
    gpu = next((d for d in devices.list_devices() if d.kind in ("gpu", "igpu")), None)
    if message.gpu_layers == 0 or gpu is None:
        chosen = message.placement_reason or "the setting gpu_layers is 0"
        reason = chosen if gpu else "this llama.cpp sees no GPU"
        return Placement(Model(path, n_gpu_layers=0, on_progress=on_progress), 0, "CPU", reason)
    try:
        model = Model(path, n_gpu_layers=message.gpu_layers, on_progress=on_progress)
    except LlamaError as error:
        if message.total_cells is not None:
            raise
        model = Model(path, n_gpu_layers=0, on_progress=on_progress)
        return Placement(model, 0, "CPU", f"the model does not fit {gpu.description}: {error}")
    layers = min(message.gpu_layers or model.n_layer + 1, model.n_layer + 1)
    return Placement(
        model, layers, gpu.name.rstrip("0123456789"), message.placement_reason or f"runs on {gpu.description}"
    )
