"""The file of content that arrives: it grows, is hashed, and takes its final name when it is what was promised."""

import errno
import hashlib
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from puna.errors import PunaError, StoreError
from puna.hub import failures
from puna.hub.records import FileMetadata

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_BYTES = 4 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


class PartFile:
    """Every method blocks: call them in threads. They take turns, so a call that nobody awaits any more is safe."""

    def __init__(self, path: Path, metadata: FileMetadata, name: str) -> None:
        """`name` is for people; what is in the file already counts once `open` has read it."""
        self.path = path
        self.size_bytes = 0
        """How much has arrived."""
        self._metadata = metadata
        self._name = name
        self._turn = threading.Lock()
        self._stream: BinaryIO | None = None
        self._hash = self._new_hash()

    def open(self, on_read: Callable[[int], bool] = lambda _: True) -> None:
        """Make the file, or take up what an earlier run left: that is hashed again.

        `on_read` gets the bytes read so far and says whether to go on; when it says no, `size_bytes` is too low
        and only `close` may follow. Raises `StoreError`.
        """
        with self._turn, self._translated():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._open_stream()
            if os.fstat(self._stream.fileno()).st_size > self._metadata.size_bytes:
                self._stream.truncate(0)
            self._take_up(self._stream, on_read)

    def _open_stream(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(self.path, flags, 0o666), "r+b", buffering=0)

    def _take_up(self, stream: BinaryIO, on_read: Callable[[int], bool]) -> None:
        stream.seek(0)
        while chunk := stream.read(_READ_BYTES):
            self._hash.update(chunk)
            self.size_bytes += len(chunk)
            if not on_read(self.size_bytes):
                return

    def write(self, data: bytes) -> None:
        """Append bytes. Raises `DiskFullError` or `StoreError`; `size_bytes` tells what is on disk then."""
        with self._turn, self._translated():
            if self._stream is None:
                return
            left = memoryview(data)
            while left:
                count = self._write_some(self._stream, left)
                self._hash.update(left[:count])
                self.size_bytes += count
                left = left[count:]

    def _write_some(self, stream: BinaryIO, data: memoryview) -> int:
        return stream.write(data)

    def restart(self) -> None:
        """Forget what has arrived."""
        with self._turn, self._translated():
            if self._stream is not None:
                self._stream.seek(0)
                self._stream.truncate(0)
            self.size_bytes = 0
            self._hash = self._new_hash()

    def finish(self, target: Path) -> None:
        """Give the file its final name, once its bytes are safely on disk.

        Raises `DamagedDownloadError`, and removes it, when it is not what was promised.
        """
        with self._turn, self._translated():
            assert self._stream is not None
            damage = self._find_damage()
            if damage is None:
                os.fsync(self._stream.fileno())
            self._close()
            if damage is not None:
                self.path.unlink(missing_ok=True)
                raise failures.damaged(self._name, damage)
            self.path.replace(target)
            _sync_folder(target.parent)

    def discard(self) -> None:
        """Close and remove the file."""
        with self._turn:
            self._close()
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file and keep it. Idempotent."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _find_damage(self) -> str | None:
        if self.size_bytes != self._metadata.size_bytes:
            return f"{self.size_bytes} bytes came instead of {self._metadata.size_bytes}"
        etag = self._metadata.etag
        is_checkable = _SHA256.fullmatch(etag) or _SHA1.fullmatch(etag)
        return "its hash is another one" if is_checkable and self._hash.hexdigest() != etag else None

    def _new_hash(self) -> "hashlib._Hash":
        """Return what makes the etag of the content: sha256, or git's sha1 of small files."""
        if _SHA1.fullmatch(self._metadata.etag):
            return hashlib.sha1(b"blob %d\0" % self._metadata.size_bytes, usedforsecurity=False)
        return hashlib.sha256()

    def _translated(self) -> "_DiskErrors":
        return _DiskErrors(self)

    def to_error(self, error: OSError) -> PunaError:
        """Return the error for a disk that does not do what it should."""
        if error.errno in _FULL:
            return failures.disk_full_midway(
                self._name, have_bytes=self.size_bytes, size_bytes=self._metadata.size_bytes
            )
        return StoreError(f"{self._name} cannot be written into the Hub's cache: {error.strerror}.")


class _DiskErrors:
    """Within it, what the operating system raises becomes ours."""

    def __init__(self, part: PartFile) -> None:
        self._part = part

    def __enter__(self) -> None:
        return

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            raise self._part.to_error(error) from error


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut; Windows does that by itself."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
