"""Everything that a training needs to go on where it was, in one file."""

from pathlib import Path

import msgspec
from msgspec import Struct

from puna.domain.training import Evaluation
from puna.trainer.gguf_file import DamagedFileError, FloatArray, read_gguf, write_gguf

_STATE = "puna.checkpoint"
_FIRST, _SECOND = ".moment_1", ".moment_2"

Moments = dict[str, tuple[FloatArray, FloatArray]]


class TrainingState(Struct, frozen=True, kw_only=True):
    """What is known besides the numbers."""

    fingerprint: str
    """Of the data, its order and the settings: a checkpoint of others is of no use."""
    step: int
    """Steps that are done."""
    losses: tuple[float, ...]
    """Of the last steps, one pass over the samples at most."""
    before: Evaluation | None
    seconds: float


class Checkpoint(Struct, frozen=True):
    """The state, the adapter, and the optimizer's moments of each of its tensors."""

    state: TrainingState
    adapter: dict[str, FloatArray]
    moments: Moments


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file in one step. Raises `OSError`, and then leaves the one before."""
    moments = checkpoint.moments
    write_gguf(
        path,
        {"general.type": "checkpoint", _STATE: msgspec.json.encode(checkpoint.state).decode()},
        checkpoint.adapter
        | {name + _FIRST: first for name, (first, _) in moments.items()}
        | {name + _SECOND: second for name, (_, second) in moments.items()},
    )


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Return what the file holds; None where there is none, or a damaged one. Raises `OSError`."""
    try:
        metadata, tensors = read_gguf(path)
        state = msgspec.json.decode(str(metadata[_STATE]), type=TrainingState)
        adapter = {name: array for name, array in tensors.items() if not name.endswith((_FIRST, _SECOND))}
        moments = {name: (tensors[name + _FIRST], tensors[name + _SECOND]) for name in adapter}
    except (FileNotFoundError, DamagedFileError, KeyError, msgspec.MsgspecError):
        return None
    return Checkpoint(state, adapter, moments)
