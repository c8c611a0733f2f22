"""Adapters merged with their bases into files of their own, each in a child at low priority."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from puna.domain.finetune import AdapterRecord
from puna.domain.merging import MergedType, MergeOrder, MergeProgress, MergeResult
from puna.engine.merger_process import MergerProcess
from puna.engine.merger_protocol import FromMerger, Merged, MergeFailed, Progressed
from puna.engine.protocol import ProtocolError
from puna.errors import ErrorKind, InvalidRequestError, PunaError, StoreError, WorkerDiedError, error_of_kind

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
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> MergeResult:
    """Merge an adapter with its base into a new GGUF at `target`, which appears whole or not at all.

    `base` are the base's files in order; `merged_type` None keeps the type of each tensor. A cancelled export
    ends the child and leaves nothing of the file.
    Raises `InvalidRequestError` where base, type or target do not fit, `ModelLoadError` for a damaged file,
    `StoreError` where the disk does not take it, `WorkerDiedError`.
    """
    await asyncio.to_thread(check_target, target)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    order = MergeOrder(
        parts=tuple(str(part) for part in base),
        base_sha256=record.base_sha256,
        adapter=str(adapter),
        target=str(target),
        partial=str(partial),
        name=record.name or record.id,
        type=merged_type,
        metadata={"puna.adapter.id": record.id, "puna.base.sha256": record.base_sha256},
    )
    try:
        process = await MergerProcess.launch(log_file, command=command, environment=environment)
    except OSError as error:
        raise WorkerDiedError(f"The export cannot be started ({error.strerror}).") from error
    try:
        return await _hear_out(process, order, on_progress)
    finally:
        await asyncio.shield(_clean_up(process, partial))


def check_target(target: Path) -> None:
    """Look whether a file can be made there. Blocks on the disk. Raises `InvalidRequestError`."""
    if not target.is_absolute():
        raise InvalidRequestError("`path` must be an absolute path.", field="path")
    if target.suffix.lower() != ".gguf":
        raise InvalidRequestError("`path` must end in .gguf.", field="path")
    if not target.parent.is_dir():
        raise InvalidRequestError(f"There is no folder {target.parent}; make it first.", field="path")
    if target.exists():
        raise InvalidRequestError(f"{target.name} is there already; name a new file.", field="path")


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
