"""What of the machine a model in memory uses, and why it is not more. Pure."""

from msgspec import Struct

from puna.domain.context_plan import LONGEST_DEFAULT
from puna.domain.hardware import GpuUse, ModelUse, Processor
from puna.domain.memory import DeviceNeed
from puna.domain.models import LoadedModel

_ELSEWHERE = "it runs on another machine, which decides"


class Wishes(Struct, frozen=True, kw_only=True):
    """The settings of these names; None leaves it to Puna."""

    threads: int | None = None
    gpu_layers: int | None = None
    context_length: int | None = None


def explain_model(
    model_id: str,
    loaded: LoadedModel,
    *,
    threads: int,
    wishes: Wishes,
    processor: Processor,
    gpu_use: GpuUse,
    needs: tuple[DeviceNeed, ...] = (),
) -> ModelUse:
    """Return what the model uses now; `threads` is how many compute at this moment, `needs` what was set aside."""
    return _use(
        model_id,
        loaded,
        threads=threads,
        layers_reason=explain_layers(loaded, wishes.gpu_layers, gpu_use),
        threads_reason=explain_threads(threads, wishes.threads, processor),
        context_reason=explain_context(loaded, wishes.context_length),
        needs=needs,
    )


def explain_remote(model_id: str, loaded: LoadedModel) -> ModelUse:
    """Return the use of a model that runs elsewhere: nothing of this machine."""
    return _use(
        model_id,
        loaded,
        threads=0,
        layers_reason=_ELSEWHERE,
        threads_reason=_ELSEWHERE,
        context_reason=_ELSEWHERE,
    )


def _use(
    model_id: str,
    loaded: LoadedModel,
    *,
    threads: int,
    layers_reason: str,
    threads_reason: str,
    context_reason: str,
    needs: tuple[DeviceNeed, ...] = (),
) -> ModelUse:
    return ModelUse(
        id=model_id,
        backend=loaded.backend,
        backend_reason=loaded.backend_reason,
        gpu_layers=loaded.gpu_layers,
        layers=loaded.layers or None,
        layers_reason=layers_reason,
        threads=threads,
        threads_reason=threads_reason,
        context_length=loaded.context_length,
        trained_context_length=loaded.trained_context_length,
        context_reason=context_reason,
        total_cells=loaded.total_cells,
        slots=loaded.slots,
        size_bytes=loaded.size_bytes,
        needs=needs,
    )


def explain_layers(loaded: LoadedModel, wish: int | None, gpu_use: GpuUse) -> str:
    """Say why these layers are on the GPU and no others."""
    if loaded.gpu_layers == 0:
        return "the setting gpu_layers is 0" if wish == 0 else _explain_cpu(loaded, gpu_use)
    if not loaded.layers or loaded.gpu_layers >= loaded.layers:
        return "all layers are on the GPU"
    if wish is not None and loaded.gpu_layers >= wish:
        return f"the setting gpu_layers is {wish}"
    return "no more layers fit the GPU's free memory"


def _explain_cpu(loaded: LoadedModel, gpu_use: GpuUse) -> str:
    """Where a GPU could be used the worker knows why it was not; else the look at llama.cpp knows more."""
    return loaded.backend_reason if gpu_use.is_possible or not gpu_use.is_known else gpu_use.reason


def explain_threads(threads: int, wish: int | None, processor: Processor) -> str:
    """Say why so many threads compute."""
    if wish is not None and threads >= wish:
        return f"the setting threads is {wish}"
    if threads >= processor.physical_cores:
        is_hyper = processor.logical_cores > processor.physical_cores
        return "all physical cores; a second thread on a core gains nothing" if is_hyper else "all cores"
    if processor.usable_cores is not None and threads >= int(processor.usable_cores):
        return f"this process may use {processor.usable_cores:g} of {processor.logical_cores} cores"
    return "the other cores are left to programs that use them now"


def explain_context(loaded: LoadedModel, wish: int | None) -> str:
    """Say why a request may have so many tokens."""
    trained = loaded.trained_context_length
    if trained and loaded.context_length >= trained:
        return "all that the model was trained for"
    if wish is not None and loaded.context_length >= wish:
        return f"the setting context_length is {wish}"
    if loaded.context_length >= LONGEST_DEFAULT:
        return "as long as it gets unasked; the setting context_length asks for more"
    return "chosen to fit the memory that was free; the setting context_length asks for more"
