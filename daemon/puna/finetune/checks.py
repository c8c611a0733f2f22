"""What can be known against a fine-tuning before anything is loaded."""

from pathlib import Path

from puna.domain.models import ModelEntry, ModelKind
from puna.domain.training import ROW_UNIT, TrainingSettings, find_obstacle
from puna.domain.training_estimate import TrainedShape, estimate_memory
from puna.errors import InvalidRequestError, ModelTooLargeError
from puna.hardware.memory import read_memory
from puna.models.gguf.reader import GgufHeader, read_header

_GIB = 1024**3


def check_settings(settings: TrainingSettings) -> None:
    """Raise `InvalidRequestError` for a value that cannot be used."""
    if fault := settings.find_fault():
        raise InvalidRequestError(f"`{fault[0]}` must be {fault[1]}.", field=fault[0])


def base_file(entry: ModelEntry) -> Path:
    """Return the file of a model that can be a base. Raises `InvalidRequestError`, or for one that cannot be."""
    if entry.adapter is not None:
        raise _refuse(entry, f"it is an adapter itself; fine-tune its base {entry.base}")
    if entry.path is None:
        raise _refuse(entry, "it runs elsewhere; choose one with a file on this machine")
    if entry.kind is not ModelKind.TEXT:
        raise _refuse(entry, f"it is for {entry.kind.value}; choose one that writes text")
    return entry.path


def check_base(entry: ModelEntry, settings: TrainingSettings) -> None:
    """Look at the header: whether the model can be trained, and whether it can fit. Blocks on the disk.

    Raises `InvalidRequestError`, `ModelLoadError`, and `ModelTooLargeError` with the numbers.
    """
    header = read_header(base_file(entry))
    obstacle = find_obstacle(entry.architecture, tuple(tensor.name for tensor in header.tensors))
    if obstacle:
        raise _refuse(entry, f"{obstacle}; choose a dense model such as Llama, Mistral, Qwen or SmolLM")
    least = least_memory(header, entry, settings)
    memory = read_memory()
    if least > memory.available_bytes:
        raise ModelTooLargeError(
            f"Fine-tuning {entry.id} takes at least {least / _GIB:.1f} GiB of memory, and "
            f"{memory.available_bytes / _GIB:.1f} of {memory.total_bytes / _GIB:.1f} GiB are free; "
            "unload models, close other programs, or choose a smaller model or shorter rows."
        )


def least_memory(header: GgufHeader, entry: ModelEntry, settings: TrainingSettings) -> int:
    """Return the bytes that a training takes with the shortest rows and no copies of weights. Pure."""

    def fact(name: str) -> int:
        return header.metadata.largest(f"{entry.architecture}.{name}") or 0

    table = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    trained = [t for t in header.tensors if any(f".{target}." in t.name for target in settings.targets)]
    shape = TrainedShape(
        size_bytes=entry.size_bytes,
        matrix_elements=0,
        layers=fact("block_count"),
        width=fact("embedding_length"),
        feed_forward=fact("feed_forward_length"),
        heads=fact("attention.head_count"),
        vocabulary=table.dims[1] if table and len(table.dims) > 1 else 0,
    )
    return estimate_memory(
        shape,
        row_length=settings.row_length or ROW_UNIT,
        copy_bytes=0,
        parameters=sum(settings.rank * sum(tensor.dims) for tensor in trained),
    )


def _refuse(entry: ModelEntry, reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"The model {entry.id} cannot be fine-tuned: {reason}.", field="model")
