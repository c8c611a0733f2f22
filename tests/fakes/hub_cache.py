"""Lays down files as the Hub's own tools do: a blob under its etag, a link to it in a snapshot, a commit in a ref."""

import hashlib
import os
from pathlib import Path

COMMIT = "1" * 40
OLD_COMMIT = "2" * 40


def cache_file(cache: Path, repo: str, name: str, content: bytes, *, commit: str = COMMIT) -> Path:
    """Put a file of a repository into a cache, and return its path in the snapshot."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    path = folder / "snapshots" / commit / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(os.path.relpath(blob, path.parent))
    except OSError:  # as the Hub's tools do on a Windows that allows no links
        blob.replace(path)
    return path


def set_ref(cache: Path, repo: str, revision: str = "main", commit: str = COMMIT) -> None:
    """Let a branch or a tag of a repository mean a commit."""
    ref = cache / f"models--{repo.replace('/', '--')}" / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit)
