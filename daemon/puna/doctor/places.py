"""Folders that Puna writes to, the disks behind them, and files that only this user may read."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from puna.doctor.finding import Finding, Section, ok, problem, warning
from puna.hardware.sizes import GIB, MIB, show_size

_TOO_LITTLE_BYTES = 100 * MIB
_TIGHT_BYTES = GIB
_TIGHT_FOR_MODELS_BYTES = 10 * GIB


class Place(Struct, frozen=True, kw_only=True):
    """A folder as it is found."""

    subject: str
    """What it is for, in a word or two."""
    path: Path
    exists: bool
    error: str | None = None
    """Why nothing can be written there; None where it can."""


class Disk(Struct, frozen=True, kw_only=True):
    """What is left on the disk behind some folders."""

    path: Path
    free_bytes: int
    total_bytes: int
    takes_models: bool


def look_at_place(subject: str, path: Path) -> Place:
    """Write a file that has no name into the folder, or where it would be made; nothing stays. Blocks on the disk."""
    try:
        there = _nearest(path)
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"x")
    except OSError as error:
        return Place(subject=subject, path=path, exists=True, error=error.strerror or str(error))
    return Place(subject=subject, path=path, exists=there == path)


def look_at_disks(folders: Iterable[Path], model_folder: Path) -> list[Disk]:
    """Return each disk behind these folders once. Blocks on the disk."""
    disks: dict[int, Disk] = {}
    for folder in (model_folder, *folders):
        try:
            there = _nearest(folder)
            usage, number = shutil.disk_usage(there), there.stat().st_dev
        except OSError:
            continue  # the line about the folder says it
        disks.setdefault(
            number,
            Disk(
                path=folder,
                free_bytes=usage.free,
                total_bytes=usage.total,
                takes_models=folder is model_folder,
            ),
        )
    return list(disks.values())


def find_open_files(files: Iterable[Path]) -> list[Path]:
    """Return those that other users may read or write; none on Windows, where modes say nothing."""
    if os.name == "nt":
        return []
    return [file for file in files if _is_open(file)]


def judge_places(places: Sequence[Place]) -> list[Finding]:
    """Return a line for each folder. Pure."""
    return [_judge_place(place) for place in places]


def judge_disks(disks: Sequence[Disk]) -> list[Finding]:
    """Return a line for each disk. Pure."""
    return [_judge_disk(disk) for disk in disks]


def judge_open_files(files: Sequence[Path], looked_at: Sequence[Path]) -> Finding:
    """Return the line about files with secrets in them. Pure."""
    if files:
        names = ", ".join(str(file) for file in files)
        return warning(
            Section.FILES,
            "secret files",
            f"other users may read {names}",
            "Keep them to yourself: chmod 600 " + " ".join(f'"{file}"' for file in files),
        )
    text = "only you can read " + ", ".join(file.name for file in looked_at) if looked_at else "none yet"
    return ok(Section.FILES, "secret files", text)


def _judge_place(place: Place) -> Finding:
    if place.error is not None:
        return problem(
            Section.FILES,
            place.subject,
            f"{place.path} cannot be written to ({place.error})",
            f"Make {place.path} a folder of yours, or set PUNA_HOME to another one.",
        )
    return ok(
        Section.FILES, place.subject, str(place.path) + ("" if place.exists else ", made when it is needed")
    )


def _judge_disk(disk: Disk) -> Finding:
    text = f"{show_size(disk.free_bytes)} of {show_size(disk.total_bytes)} free for {disk.path}"
    if disk.free_bytes < _TOO_LITTLE_BYTES:
        return problem(Section.FILES, "disk", text, f"Free some space on the disk of {disk.path}.")
    wanted = _TIGHT_FOR_MODELS_BYTES if disk.takes_models else _TIGHT_BYTES
    if disk.free_bytes < wanted:
        what = (
            "a model of 7 billion parameters takes about 5 GiB" if disk.takes_models else "it is nearly full"
        )
        return warning(Section.FILES, "disk", text, f"Free some space on the disk of {disk.path}: {what}.")
    return ok(Section.FILES, "disk", text)


def _nearest(path: Path) -> Path:
    """Return the path, or the first above it that exists, which need not be a folder. Raises `OSError`."""
    for each in (path, *path.parents):
        if each.exists():
            return each
    raise FileNotFoundError(errno.ENOENT, "there is no such drive")


def _is_open(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & 0o077)
    except OSError:
        return False
