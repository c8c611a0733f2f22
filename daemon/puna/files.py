"""Writing files so that a reader, or a crash, never sees half of one."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from puna.errors import DaemonError

# On Windows a virus scanner or a reader may hold the old file for an instant.
_REPLACE_ATTEMPTS = 20 if sys.platform == "win32" else 1
_REPLACE_PAUSE_S = 0.05


def make_private_folder(folder: Path) -> None:
    """Make a folder that only this user can enter (0700), or narrow an existing one to that.

    Raises `DaemonError` when it belongs to someone else or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            _narrow(folder)
    except OSError as error:
        raise DaemonError(
            f"The folder {folder} cannot be used ({error.strerror}): "
            "make it yours, or set PUNA_HOME to another folder."
        ) from error


if sys.platform != "win32":

    def _sync_folder(folder: Path) -> None:
        """Put the new name on the disk. Not every file system can; the file is in its place in any case."""
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _narrow(folder: Path) -> None:
        status = folder.stat()
        if status.st_uid != os.geteuid():
            raise DaemonError(f"The folder {folder} belongs to another user: remove it, or set PUNA_HOME.")
        if status.st_mode & 0o077:
            folder.chmod(0o700)


def write_private(path: Path, content: bytes, *, is_lasting: bool = True) -> None:
    """Replace a file in one step; the new one has mode 0600. Its folder must exist. Raises `OSError`.

    It outlives a power cut once this returns, unless it need not be `is_lasting`, which saves the wait for the disk.
    """
    write_private_pieces(path, [content], is_lasting=is_lasting)


def write_private_pieces(
    path: Path, pieces: Iterable[bytes | memoryview], *, is_lasting: bool = True
) -> None:
    """Do the same with a content that is never in memory as a whole."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.writelines(pieces)
            stream.flush()
            if is_lasting:
                os.fsync(stream.fileno())
        _replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if is_lasting and sys.platform != "win32":
        _sync_folder(path.parent)


def _replace(temporary: str, path: Path) -> None:
    for left in reversed(range(_REPLACE_ATTEMPTS)):
        try:
            Path(temporary).replace(path)
        except PermissionError:
            if not left:
                raise
            time.sleep(_REPLACE_PAUSE_S)
        else:
            return
