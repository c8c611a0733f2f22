"""Putting content into the Hub's cache, so that other tools find it. All functions block on the disk."""

import os
import shutil
from pathlib import Path

from puna.files import write_private
from puna.hub.cache import RepoFolder


def is_there(path: Path, size_bytes: int | None) -> bool:
    """Return whether a file is there with all its bytes; any size will do where None is given."""
    try:
        found = path.stat().st_size
    except OSError:
        return False
    return size_bytes is None or found == size_bytes


def link(folder: RepoFolder, *, etag: str, commit: str, name: str) -> Path:
    """Show a blob under its name in the snapshot of a commit, and return that path. Raises `OSError`.

    The link is relative, as other tools make it; where the system allows none, the file is moved there.
    """
    shown, blob = folder.file(commit, name), folder.blob(etag)
    shown.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(shown):
        if shown.resolve() == blob.resolve():
            return shown
        shown.unlink()
    try:
        shown.symlink_to(os.path.relpath(blob, shown.parent))
    except (OSError, NotImplementedError):
        blob.replace(shown)
    return shown


def write_ref(folder: RepoFolder, *, revision: str, commit: str) -> None:
    """Remember which commit a branch or tag means, for tools that look without asking the Hub. Raises `OSError`.

    Who may read the folder may read the file: several users can share a cache.
    """
    if revision == commit:
        return
    path = folder.ref(revision)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, commit.encode("ascii"))
    path.chmod(path.parent.stat().st_mode & 0o666)


def free_bytes(path: Path) -> int:
    """Return what is free on the disk that a path is or would be on."""
    for existing in (path, *path.parents):
        if existing.exists():
            return shutil.disk_usage(existing).free
    return 0
