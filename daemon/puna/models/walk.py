"""Finds GGUF files below a folder."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

MAX_DEPTH = 8
MAX_FOLDERS = 10_000
MAX_FILES = 5_000
SUFFIX = ".gguf"

log = logging.getLogger(__name__)


def find_files(folder: Path) -> Iterator[Path]:
    """Yield the GGUF files below the folder, by name, not those in hidden folders. Blocks on the disk.

    Links are followed, each folder once, so that loops of links end. What cannot be read is left out.
    """
    visited: set[tuple[int, int]] = set()
    found = 0
    waiting = [(folder, 0)]
    while waiting:
        current, depth = waiting.pop()
        if not _enter(current, visited):
            continue
        if len(visited) > MAX_FOLDERS or found >= MAX_FILES:
            log.warning("the model folder %s is too large; only its first %d files are listed", folder, found)
            return
        files, folders = _list(current)
        found += len(files)
        yield from files
        if depth < MAX_DEPTH:
            waiting.extend((child, depth + 1) for child in reversed(folders))


def _enter(folder: Path, visited: set[tuple[int, int]]) -> bool:
    """Return whether the folder can be read and was not yet visited, under whatever name."""
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return False
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return False
    visited.add(identity)
    return True


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the GGUF files and the folders in a folder, by name."""
    files: list[Path] = []
    folders: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    folders.append(Path(entry.path))
                elif entry.name.lower().endswith(SUFFIX):
                    files.append(Path(entry.path))
    except OSError as error:
        log.debug("the folder %s cannot be read: %s", folder, error.strerror)
    return sorted(files), sorted(folders)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
