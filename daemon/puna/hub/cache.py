"""The Hub's cache on disk, which other tools share: where what lies, and what is in it.

Layout of `huggingface_hub`: `models--ORG--NAME/` with `blobs/ETAG`, `snapshots/COMMIT/FILE` (a relative link to a
blob, or the file itself where links are not allowed) and `refs/REVISION` (a text file with a commit). An unfinished
download of Puna's is `blobs/ETAG.part`; other tools leave it alone. Reading is done in place; nothing is copied.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from puna.hub.names import HubReference, is_commit, is_etag, is_file_name, is_repo_id, is_revision
from puna.hub.records import RepoFile
from puna.hub.resolve import first_of_labels, projection_of, variants_of

FOLDER_PREFIX = "models--"
SEPARATOR = "--"
_PART = ".part"
_MAX_DEPTH = 6
_MAX_FILES = 5_000
_MAX_REF_BYTES = 200


class RepoFolder:
    """The paths of one repository in a cache. Makes none of them."""

    def __init__(self, cache: Path, repo: str) -> None:
        """`repo` must be a checked id, see `puna.hub.names`."""
        assert is_repo_id(repo), repo
        self.repo = repo
        self.path = cache / (FOLDER_PREFIX + repo.replace("/", SEPARATOR))
        self._locks = cache / ".locks" / self.path.name

    def blob(self, etag: str) -> Path:
        """Where content is under its own name."""
        assert is_etag(etag), etag
        return self.path / "blobs" / etag

    def part(self, etag: str) -> Path:
        """Where content is while it arrives."""
        return self.blob(etag).with_name(etag + _PART)

    def lock(self, etag: str) -> Path:
        """The file that whoever writes this content locks; `huggingface_hub` uses the same."""
        assert is_etag(etag), etag
        return self._locks / f"{etag}.lock"

    def snapshot(self, commit: str) -> Path:
        """The folder with the files of one commit under their names."""
        assert is_commit(commit), commit
        return self.path / "snapshots" / commit

    def file(self, commit: str, name: str) -> Path:
        """Where a file of a commit is, under its name."""
        assert is_file_name(name), name
        return self.snapshot(commit) / name

    def ref(self, revision: str) -> Path:
        """The file that tells the commit of a branch or tag."""
        assert is_revision(revision), revision
        return self.path / "refs" / revision


class CachedModel(Struct, frozen=True, kw_only=True):
    """A GGUF model in the cache, complete as far as the names of its files tell."""

    reference: HubReference
    """How requests name it; the tag is its quantisation, or its file where that is not unique."""
    commit: str
    label: str
    files: tuple[Path, ...]
    """In order, one or all parts."""
    projection: Path | None
    is_current: bool
    """Whether it is of the commit that the default revision means now."""

    @property
    def name(self) -> str:
        """The name under which requests know it."""
        return str(self.reference)


def list_models(cache: Path) -> list[CachedModel]:
    """Return the GGUF models in a cache, by name, each under a name of its own. Blocks on the disk.

    Of the same quantisation at several commits, the one that `main` means stands under the plain name, older
    ones with their commit behind it.
    """
    found: dict[str, CachedModel] = {}
    for repo in list_repos(cache):
        for model in models_of(cache, repo):
            own = _at_commit(model) if model.name in found else model
            found[own.name] = own
    return [found[name] for name in sorted(found)]


def _at_commit(model: CachedModel) -> CachedModel:
    return replace(model, reference=replace(model.reference, revision=model.commit))


def list_repos(cache: Path) -> list[str]:
    """Return the ids of the model repositories in a cache. Blocks on the disk."""
    try:
        names = [entry.name for entry in os.scandir(cache) if entry.is_dir()]
    except OSError:
        return []
    repos = [
        name.removeprefix(FOLDER_PREFIX).replace(SEPARATOR, "/", 1)
        for name in names
        if name.startswith(FOLDER_PREFIX)
    ]
    return sorted(repo for repo in repos if is_repo_id(repo))


def models_of(cache: Path, repo: str) -> list[CachedModel]:
    """Return the GGUF models of one repository, those of the current commit first. Blocks on the disk."""
    folder = RepoFolder(cache, repo)
    current = commit_of(folder, "main")
    return [
        model
        for commit in sorted(commits_of(folder), key=lambda commit: (commit != current, commit))
        for model in _models_at(folder, commit, is_current=commit == current)
    ]


def _models_at(folder: RepoFolder, commit: str, *, is_current: bool) -> Iterator[CachedModel]:
    snapshot = folder.snapshot(commit)
    files = list(files_in(snapshot))
    variants = [each for each in variants_of(files) if each.is_complete]
    firsts = first_of_labels(variants)
    for variant in variants:
        is_plain = firsts.get(variant.label) is variant
        projection = projection_of(files, variant)
        yield CachedModel(
            reference=HubReference(folder.repo, variant.label if is_plain else variant.name),
            commit=commit,
            label=variant.label,
            files=tuple(snapshot / file.name for file in variant.files),
            projection=snapshot / projection.name if projection else None,
            is_current=is_current,
        )


def commits_of(folder: RepoFolder) -> list[str]:
    """Return the commits of which something is in the cache. Blocks on the disk."""
    try:
        names = [entry.name for entry in os.scandir(folder.path / "snapshots") if entry.is_dir()]
    except OSError:
        return []
    return sorted(filter(is_commit, names))


def commit_of(folder: RepoFolder, revision: str) -> str | None:
    """Return the commit that a branch or tag meant when it was last asked; None where that is not known."""
    if is_commit(revision):
        return revision
    try:
        with folder.ref(revision).open(encoding="ascii") as stream:
            commit = stream.read(_MAX_REF_BYTES).strip()
    except (OSError, ValueError):
        return None
    return commit if is_commit(commit) else None


def files_in(snapshot: Path) -> Iterator[RepoFile]:
    """Yield the GGUF files of a snapshot that are there with all their bytes. Blocks on the disk."""
    for name in names_below(snapshot):
        try:
            size_bytes = (snapshot / name).stat().st_size
        except OSError:
            continue  # a link to a blob that was deleted
        if name.lower().endswith(".gguf") and is_file_name(name):
            yield RepoFile(name=name, size_bytes=size_bytes)


def names_below(folder: Path) -> Iterator[str]:
    """Yield the files below a folder, by their paths in it; folders that are links are not entered. Blocks."""
    count = 0
    waiting = [(folder, "")]
    while waiting and count < _MAX_FILES:
        current, prefix = waiting.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            count += 1
            name = prefix + entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield name
            elif name.count("/") < _MAX_DEPTH:
                waiting.append((Path(entry.path), f"{name}/"))


def find_cached(cache: Path, wanted: HubReference) -> CachedModel | None:
    """Return the model that a name means among what is in the cache; None where it is not there. Blocks.

    Without a tag that is the first in the order of recommendation, whatever fits.
    """
    folder = RepoFolder(cache, wanted.repo)
    commit = commit_of(folder, wanted.revision)
    candidates = [
        model for model in models_of(cache, wanted.repo) if commit is None or model.commit == commit
    ]
    if wanted.tag is None:
        return candidates[0] if candidates else None
    tag = wanted.tag.lower()
    for model in candidates:
        names = {model.files[0].name.lower(), (model.reference.tag or "").lower(), model.label.lower()}
        if tag in names or f"{tag}.gguf" in names:
            return model
    return None
