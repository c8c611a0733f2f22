"""Writing small files so that a reader, or a crash, never sees half of one."""

import os
import sys
import tempfile
import time
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

    def _narrow(folder: Path) -> None:
        status = folder.stat()
        if status.st_uid != os.geteuid():
            raise DaemonError(f"The folder {folder} belongs to another user: remove it, or set PUNA_HOME.")
        if status.st_mode & 0o077:
            folder.chmod(0o700)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step; the new one has mode 0600. Its folder must exist. Raises `OSError`."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
