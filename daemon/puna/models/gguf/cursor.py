"""Walks through the header of a large file with few reads and in bounded memory."""

import struct
from typing import BinaryIO

from puna.models.gguf.defect import UnusableFileError

MAX_HEADER_BYTES = 256 * 1024 * 1024
"""Ten times the largest headers in use, which hold vocabularies of 260,000 tokens."""
CHUNK_BYTES = 256 * 1024

_UINT32 = struct.Struct("<I")
_UINT64 = struct.Struct("<Q")


class Cursor:
    """A little-endian reader from the start of a file; at its end each method raises `UnusableFileError`."""

    def __init__(self, file: BinaryIO, file_size: int) -> None:
        self._file = file
        self._limit = min(file_size, MAX_HEADER_BYTES)
        self._is_cut_short = file_size <= MAX_HEADER_BYTES
        self._chunk = b""
        self._chunk_start = 0
        self._at = 0

    @property
    def position(self) -> int:
        """Bytes from the start of the file."""
        return self._chunk_start + self._at

    @property
    def remaining(self) -> int:
        """Bytes that the header can still have."""
        return self._limit - self.position

    def uint32(self) -> int:
        """Return the next 4 bytes as a number."""
        return int(_UINT32.unpack(self.take(4))[0])

    def uint64(self) -> int:
        """Return the next 8 bytes as a number."""
        return int(_UINT64.unpack(self.take(8))[0])

    def take(self, count: int) -> bytes:
        """Return the next bytes; the caller has bounded `count`."""
        end = self._at + count
        if end > len(self._chunk):
            self._fill(count)
            end = count
        piece = self._chunk[self._at : end]
        self._at = end
        return piece

    def skip(self, count: int) -> None:
        """Go on behind the next bytes without reading them."""
        self._require(count)
        end = self._at + count
        if end <= len(self._chunk):
            self._at = end
        else:
            self._chunk_start += end
            self._chunk, self._at = b"", 0

    def skip_texts(self, count: int) -> None:
        """Go on behind that many texts, each 8 bytes of length and its bytes. About 0.1 µs each."""
        while count:
            if len(self._chunk) - self._at < 8:
                self._fill(8)
            chunk, at, last = self._chunk, self._at, len(self._chunk) - 8
            while count and at <= last:
                at += 8 + _UINT64.unpack_from(chunk, at)[0]
                count -= 1
            self.skip(at - self._at)

    def _fill(self, count: int) -> None:
        """Read on, so that at least `count` bytes are at hand."""
        self._require(count)
        start = self.position
        self._file.seek(start)
        self._chunk = self._file.read(max(count, min(CHUNK_BYTES, self._limit - start)))
        self._chunk_start, self._at = start, 0
        if len(self._chunk) < count:
            raise UnusableFileError("became shorter while it was read")

    def _require(self, count: int) -> None:
        if count <= self.remaining:
            return
        if self._is_cut_short:
            at = f"{self._limit:,} bytes"
            raise UnusableFileError(f"is cut short: it ends inside its header, at {at}; download it again")
        raise UnusableFileError(f"is damaged: its header claims more than {MAX_HEADER_BYTES:,} bytes")
