"""The course of one merge in the child: check, plan, write, put in place."""

import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import BinaryIO

from puna.domain.merging import MergeOrder, MergePhase, MergeProgress, MergeResult
from puna.errors import InvalidRequestError, StoreError
from puna.llama import blocks
from puna.merging.conversion import Converter
from puna.merging.plan import Plan, make_plan
from puna.models.gguf.check import pad

_HASHED_BYTES = 4 * 1024 * 1024
_RESERVE_BYTES = 256 * 1024 * 1024
"""What stays free on the disk: the machine does more than this."""

Tell = Callable[[MergeProgress], None]


class CancelledError(Exception):
    """Nobody wants the file any more."""


def merge(
    order: MergeOrder,
    tell: Tell,
    check: Callable[[], None],
    *,
    threads: int,
    measure_free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
) -> MergeResult:
    """Make the merged model's file. `tell` hears of each piece; `check` is called between pieces and may raise.

    Raises `InvalidRequestError` where base, adapter or type do not fit, `ModelLoadError` for a damaged file,
    `StoreError` where the disk does not take it, `LlamaError`. Then there is no file, and nothing is left of it.
    """
    blocks.check()
    check_base(order, tell, check)
    plan = make_plan(order)
    _check_room(order, plan.size_bytes, measure_free)
    try:
        _write(order, plan, tell, check, threads)
    except OSError as error:
        raise StoreError(
            f"The merged model cannot be written ({error.strerror or 'input/output error'}); free some space."
        ) from error
    return MergeResult(
        path=order.target,
        size_bytes=plan.size_bytes,
        quantisation=plan.quantisation,
        changed_tensors=len(plan.lora),
    )


def check_base(order: MergeOrder, tell: Tell, check: Callable[[], None]) -> None:
    """Raise `InvalidRequestError` unless the base is the file that the adapter was trained on."""
    base = Path(order.parts[0])
    digest = hashlib.sha256()
    try:
        with base.open("rb", buffering=0) as file:
            total = os.fstat(file.fileno()).st_size
            while content := file.read(_HASHED_BYTES):
                check()
                digest.update(content)
                tell(_progress(MergePhase.CHECKING, file.tell(), total))
    except OSError as error:
        raise InvalidRequestError(f"The base {base.name} cannot be read ({error.strerror}).") from error
    if digest.hexdigest() != order.base_sha256.lower():
        raise InvalidRequestError(
            f"The adapter was trained on another file than {base.name}; get that one, or train again on this."
        )


def _check_free(target: Path) -> None:
    if target.exists():
        raise InvalidRequestError(f"{target.name} is there already; name a new file.", field="path")


def _check_room(order: MergeOrder, size_bytes: int, measure_free: Callable[[Path], int]) -> None:
    target = Path(order.target)
    _check_free(target)
    try:
        free = measure_free(target.parent)
    except OSError as error:
        raise StoreError(f"The folder of {target.name} cannot be used ({error.strerror}).") from error
    if size_bytes + _RESERVE_BYTES > free:
        raise StoreError(
            f"Not enough room for {target.name}: {_gigabytes(size_bytes)} and {_gigabytes(_RESERVE_BYTES)} to spare "
            f"are needed, {_gigabytes(free)} are free; free some space or choose a smaller type."
        )


def _write(order: MergeOrder, plan: Plan, tell: Tell, check: Callable[[], None], threads: int) -> None:
    partial = Path(order.partial)
    try:
        with partial.open("wb") as target:
            target.write(plan.head)
            with closing(_write_tensors(order, plan, target, threads)) as pieces:
                for done in pieces:
                    check()
                    tell(_progress(MergePhase.WRITING, done, plan.size_bytes))
            target.flush()
            os.fsync(target.fileno())
        _check_free(Path(order.target))
        partial.replace(order.target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _write_tensors(order: MergeOrder, plan: Plan, target: BinaryIO, threads: int) -> Generator[int]:
    """Write all data; yield the bytes of the file so far, after each piece."""
    with ExitStack() as stack:
        files = [stack.enter_context(Path(part).open("rb")) for part in order.parts]
        converter = Converter(threads)
        stack.callback(converter.close)
        done = len(plan.head)
        for tensor in plan.tensors:
            start = plan.headers[tensor.part].data_offset + tensor.source.offset
            pair = plan.lora.get(tensor.source.name)
            for piece in converter.convert(files[tensor.part], start, tensor, pair):
                done += target.write(piece)
                yield done
            done += target.write(bytes(pad(tensor.size_bytes, plan.headers[0].alignment) - tensor.size_bytes))


def _progress(phase: MergePhase, done_bytes: int, total_bytes: int) -> MergeProgress:
    return MergeProgress(phase=phase, done_bytes=done_bytes, total_bytes=total_bytes)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
