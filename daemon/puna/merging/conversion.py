"""The data of one tensor of the merged model, piece by piece and in bounded memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod
from typing import BinaryIO

from puna.errors import ModelLoadError
from puna.llama import blocks
from puna.merging.blueprint import TYPE_NUMBERS, PlannedTensor
from puna.merging.lora import LoraPair

_PIECE_BYTES = 4 * 1024 * 1024
_PIECE_ELEMENTS = 1024 * 1024
"""Converted at a time by one thread: 4 MiB as numbers, and as much again for what is added to them."""

Piece = bytes | memoryview


class Converter:
    """Converts rows in some threads. The base's files are read by the caller's thread alone."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "conversion")

    def convert(
        self, file: BinaryIO, start: int, tensor: PlannedTensor, pair: LoraPair | None
    ) -> Iterator[Piece]:
        """Yield the tensor's data as stored. `start` is where the base's is in its file.

        Raises `OSError`, `ModelLoadError` for a file that became shorter, `LlamaError`.
        """
        file.seek(start)
        return (
            self._convert_rows(file, tensor, pair) if not tensor.is_copied else _copy(file, tensor.size_bytes)
        )

    def close(self) -> None:
        """End the threads. Idempotent."""
        self._pool.shutdown(cancel_futures=True)

    def _convert_rows(self, file: BinaryIO, tensor: PlannedTensor, pair: LoraPair | None) -> Iterator[Piece]:
        width, rows = tensor.source.dims[0], prod(tensor.source.dims[1:])
        row_bytes = tensor.source.size_bytes // rows
        piece_rows = max(1, _PIECE_ELEMENTS // width)
        firsts = range(0, rows, piece_rows)
        convert = partial(_convert, tensor, pair)
        for at in range(0, len(firsts), self._threads):
            window = firsts[at : at + self._threads]
            contents = [_read(file, min(piece_rows, rows - first) * row_bytes) for first in window]
            yield from self._pool.map(convert, window, contents)


def _convert(tensor: PlannedTensor, pair: LoraPair | None, first: int, content: bytes) -> memoryview:
    width = tensor.source.dims[0]
    values = blocks.decode_rows(content, TYPE_NUMBERS[tensor.source.type.name], width)
    if pair is not None:
        values += pair.change(first, len(values))
    return blocks.encode_rows(values, TYPE_NUMBERS[tensor.type_name]).data


def _copy(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = _read(file, min(size, _PIECE_BYTES))
        size -= len(piece)
        yield piece


def _read(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise ModelLoadError("The base became shorter while it was read; get it again.")
    return content
