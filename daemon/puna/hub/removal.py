"""Taking models out of the Hub's cache: their files, and the blobs that nothing else links to. Blocks on the disk.

A blob may itself be a link: into the store that `huggingface_hub` shares between repositories (`CACHE/blobs`), whose
books it keeps, or to wherever the user put it. Nothing that another repository or another program has is removed.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from puna.hub.cache import FOLDER_PREFIX, SEPARATOR, RepoFolder, files_in, names_below
from puna.hub.names import is_repo_id
from puna.hub.resolve import has_model_files, is_projection


def repo_of(cache: Path, path: Path) -> str | None:
    """Return the repository that a file in the cache is of; None for a file elsewhere."""
    if cache not in path.parents:
        return None
    folder = path.relative_to(cache).parts[0]
    repo = folder.removeprefix(FOLDER_PREFIX).replace(SEPARATOR, "/", 1)
    return repo if folder.startswith(FOLDER_PREFIX) and is_repo_id(repo) else None


def remove_model(cache: Path, files: Sequence[Path]) -> int:
    """Remove the files of a model, and the projections beside it when it was the last model there.

    Returns the bytes that are free again. Raises `OSError`, and `ValueError` for files outside of the cache.
    """
    repo = repo_of(cache, files[0])
    if repo is None:
        raise ValueError(f"{files[0]} is not in the cache")
    freed = remove_files(cache, repo, files)
    snapshot = _snapshot_of(RepoFolder(cache, repo), files[0])
    left = [file.name for file in files_in(snapshot)]
    if left and not has_model_files(left):
        freed += remove_files(cache, repo, [snapshot / name for name in left if is_projection(name)])
    return freed


def _snapshot_of(folder: RepoFolder, path: Path) -> Path:
    snapshots = folder.path / "snapshots"
    return snapshots / path.relative_to(snapshots).parts[0]


def remove_files(cache: Path, repo: str, files: Iterable[Path]) -> int:
    """Remove files of a repository's snapshots, with the blobs that nothing else links to; returns the bytes freed.

    A repository of which no model file is left goes as a whole. Raises as `remove_model`.
    """
    folder = RepoFolder(cache, repo)
    targets: set[Path] = set()
    freed = 0
    for path in files:
        if folder.path / "snapshots" not in path.parents:
            raise ValueError(f"{path} is no file of a snapshot")
        target = _target_of(path)
        if target is None:
            freed += _unlink(path)
        else:
            path.unlink()
            targets.add(target)
    kept = {_target_of(path) for path in _links(folder)}
    own = os.path.realpath(folder.path / "blobs")
    freed += sum(_remove_blob(cache, each) for each in targets - kept if str(each.parent) == own)
    _remove_empty(folder)
    return freed


def _target_of(path: Path) -> Path | None:
    """Return where a link leads in one step; None for a file, or where there is nothing."""
    if not path.is_symlink():
        return None
    target = path.parent / path.readlink()
    return Path(os.path.realpath(target.parent)) / target.name


def _remove_blob(cache: Path, blob: Path) -> int:
    """Remove a blob, and what it leads to where nobody else uses that; returns the bytes freed."""
    shared = _target_of(blob)
    if shared is None:
        return _unlink(blob)
    blob.unlink()
    # Imported here: the library takes a fifth of a second, and few caches have a shared store.
    from puna.hub.library import sweep_shared

    return sweep_shared(cache, shared)


def _unlink(path: Path) -> int:
    """Remove a file that may be gone already; returns the bytes freed."""
    try:
        size_bytes = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size_bytes


def _links(folder: RepoFolder) -> Iterator[Path]:
    snapshots = folder.path / "snapshots"
    return (snapshots / name for name in names_below(snapshots))


def _remove_empty(folder: RepoFolder) -> None:
    """Remove folders without files, and the whole repository when no file of it is left."""
    if not any(_links(folder)) and not _has_blobs(folder):
        _remove_tree(folder.path)
        return
    for root, _, _ in os.walk(folder.path / "snapshots", topdown=False):
        if not any(Path(root).iterdir()):
            Path(root).rmdir()


def _has_blobs(folder: RepoFolder) -> bool:
    try:
        return any((folder.path / "blobs").iterdir())
    except OSError:
        return False


def _remove_tree(path: Path) -> None:
    for root, folders, files in os.walk(path, topdown=False):
        for name in files:
            Path(root, name).unlink()
        for name in folders:
            child = Path(root, name)
            child.unlink() if child.is_symlink() else child.rmdir()
    path.rmdir()
