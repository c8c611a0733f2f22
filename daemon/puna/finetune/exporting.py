"""Adapters merged with their bases into files of their own, one at a time, in a child at low priority."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from puna.domain.finetune import AdapterRecord
from puna.domain.merging import MergedType, MergeOrder, MergeProgress, MergeResult
from puna.engine.merger_process import MergerProcess
from puna.engine.merger_protocol import FromMerger, Merged, MergeFailed, Progressed
from puna.engine.protocol import ProtocolError
from puna.errors import (
    ErrorKind,
    InvalidRequestError,
    PunaError,
    StoreError,
    WorkerDiedError,
    error_of_kind,
)
from puna.finetune.export_turns import ExportTurns

_NAME_CHARACTERS = 40
"""Of the target's name in that of the half file, which must not be too long for the disk."""
_GRACE_S = 5.0
"""For the child to take back the half file when the export is cancelled."""

OnProgress = Callable[[MergeProgress], None]


async def export_adapter(
    record: AdapterRecord,
    adapter: Path,
    base: Sequence[Path],
    target: Path,
    *,
    merged_type: MergedType | None = None,
    on_progress: OnProgress = lambda _progress: None,
    log_file: Path,
    turns: ExportTurns | None = None,
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> MergeResult:
    """Merge an adapter with its base into a new GGUF at `target`, which appears whole or not at all.

    Waits for those who share its `turns`. `base` are the base's files in order; `merged_type` None keeps the type of
    each tensor. A cancelled export ends the child and leaves nothing of the file.
    Raises `InvalidRequestError` where base, type or target do not fit, `ModelLoadError` for a damaged file,
    `StoreError` where the disk does not take it, `WorkerDiedError`, and `OverloadedError` when too many wait.
    """
    async with (turns or ExportTurns()).take():
        await asyncio.to_thread(check_target, target)
        order = _to_order(record, adapter, base, target, merged_type)
        try:
            process = await MergerProcess.launch(log_file, command=command, environment=environment)
        except OSError as error:
            raise WorkerDiedError(f"The export cannot be started ({error.strerror}).") from error
        try:
            return await _hear_out(process, order, on_progress)
        finally:
            await asyncio.shield(_clean_up(process, Path(order.partial)))


def _to_order(
    record: AdapterRecord, adapter: Path, base: Sequence[Path], target: Path, merged_type: MergedType | None
) -> MergeOrder:
    half = f".{target.name[:_NAME_CHARACTERS]}.{secrets.token_hex(4)}.part"
    return MergeOrder(
        parts=tuple(str(part) for part in base),
        base_sha256=record.base_sha256,
        adapter=str(adapter),
        target=str(target),
        partial=str(target.with_name(half)),
        name=record.name or record.id,
        type=merged_type,
        metadata={"puna.adapter.id": record.id, "puna.base.sha256": record.base_sha256},
    )


def check_target(target: Path) -> None:
    """Look whether a file can be made there. Blocks on the disk. Raises `InvalidRequestError`."""
    if not target.is_absolute():
        raise InvalidRequestError("`path` must be an absolute path.", field="path")
    if target.suffix.lower() != ".gguf":
        raise InvalidRequestError("`path` must end in .gguf.", field="path")
    try:
        has_folder, is_there = target.parent.is_dir(), _is_there(target)
    except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be looked into
        reason = error.strerror if isinstance(error, OSError) else "its name is wrong"
        raise InvalidRequestError(f"`path` cannot be used: {reason}.", field="path") from error
    if not has_folder:
        raise InvalidRequestError(f"There is no folder {target.parent}; make it first.", field="path")
    if is_there:
        raise InvalidRequestError(f"{target.name} is there already; name a new file.", field="path")
    if not os.access(target.parent, os.W_OK):
        raise InvalidRequestError(
            f"The folder {target.parent} cannot be written to; choose another.", field="path"
        )


def _is_there(target: Path) -> bool:
    """Return whether anything has this name, if only a link to nothing. Raises `OSError`, `ValueError`."""
    try:
        target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


async def _hear_out(process: MergerProcess, order: MergeOrder, on_progress: OnProgress) -> MergeResult:
    with contextlib.suppress(ConnectionError):
        await process.tell(order)
    while (message := await _hear(process)) is not None:
        match message:
            case Progressed(progress):
                on_progress(progress)
            case Merged(result):
                return result
            case MergeFailed():
                raise _error_of(message)
    raise WorkerDiedError(f"The export ended with {await process.describe_end()}.")


async def _hear(process: MergerProcess) -> FromMerger | None:
    try:
        return await process.hear()
    except ProtocolError as error:
        process.kill()
        raise WorkerDiedError(f"The export was given up: {error}.") from error


def _error_of(failed: MergeFailed) -> PunaError:
    if failed.kind is ErrorKind.INTERNAL:
        return StoreError(failed.message)
    error = error_of_kind(failed.kind, failed.message)
    error.field = failed.field
    return error


async def _clean_up(process: MergerProcess, partial: Path) -> None:
    """End the child and remove what a killed one left."""
    await process.end(_GRACE_S)
    with contextlib.suppress(OSError):
        await asyncio.to_thread(partial.unlink, missing_ok=True)
