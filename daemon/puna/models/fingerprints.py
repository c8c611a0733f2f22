"""What files contain, as SHA-256; each is read once, as long as it does not change."""

import asyncio
import hashlib
import os
import threading
from pathlib import Path

from puna.errors import ModelLoadError
from puna.models.shared_runs import SharedRuns

_CHUNK_BYTES = 4 * 1024 * 1024
_Identity = tuple[int, int, int, int]
"""Device, inode, size in bytes, and time of the last change in nanoseconds."""


class Fingerprints:
    """Belongs to one event loop; files are read in threads, and callers who want the same share one reading."""

    def __init__(self) -> None:
        self._runs = SharedRuns()
        self._known: dict[_Identity, str] = {}
        self._is_closed = threading.Event()

    def close(self) -> None:
        """Let what is read now end at once, by `ModelLoadError`: a large file takes minutes. Idempotent."""
        self._is_closed.set()

    async def sha256_of(self, path: Path) -> str:
        """Return the hash in hexadecimal digits. Raises `OSError`, and `ModelLoadError` when Puna stops meanwhile."""
        identity = await asyncio.to_thread(_identify, path)
        known = self._known.get(identity)
        if known is None:
            known = await self._runs.share(f"hash {identity}", lambda: self._hash(path))
            self._known[identity] = known
        return known

    async def known_sha256_of(self, path: Path) -> str | None:
        """Return the hash where the file was read already and is as it was then. Raises `OSError`."""
        return self._known.get(await asyncio.to_thread(_identify, path))

    def _hash(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if self._is_closed.is_set():
                    raise ModelLoadError(f"{path.name} was not read to its end: Puna is stopping.")
                digest.update(chunk)
        return digest.hexdigest()


def _identify(path: Path) -> _Identity:
    facts = os.stat(path)  # noqa: PTH116 - of what a link points to
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
