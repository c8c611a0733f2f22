"""Downloads: what they bring, where they stand, and what is told of them."""

from enum import StrEnum

from msgspec import Struct


class DownloadState(StrEnum):
    """Where a download stands."""

    QUEUED = "queued"
    """Waits for its turn."""
    RUNNING = "running"
    PAUSED = "paused"
    """Somebody stopped it; what has arrived is kept, and it goes on when told."""
    FAILED = "failed"
    """Something stopped it; what has arrived is kept unless it was damaged, and it goes on when told."""
    CANCELLED = "cancelled"
    """Given up: what had arrived of unfinished files is removed; files that were complete stay in the cache."""
    DONE = "done"


IS_OPEN = frozenset({DownloadState.QUEUED, DownloadState.RUNNING})
"""It goes on by itself, after a restart too."""
IS_STOPPED = frozenset({DownloadState.PAUSED, DownloadState.FAILED})
"""It goes on when told."""


class DownloadOrder(Struct, frozen=True, kw_only=True):
    """All files of one choice; a download brings all of them or fails."""

    name: str
    """The name under which requests will know the model: `org/repo:Q4_K_M`."""
    repo: str
    revision: str
    """What was asked for, such as `main`."""
    commit: str
    """What that meant when the download began; it keeps to that."""
    label: str
    """The quantisation; empty where it is not known."""
    files: tuple["OrderedFile", ...]
    asked: str = ""
    """The name that led here, where it is that of another repository: the one of the original weights."""

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """Equal for downloads that would bring the same."""
        return self.repo, self.commit, tuple(sorted(file.name for file in self.files))

    @property
    def size_bytes(self) -> int:
        """Of all files, as far as the Hub says."""
        return sum(file.size_bytes or 0 for file in self.files)


class OrderedFile(Struct, frozen=True, kw_only=True):
    """A file to bring."""

    name: str
    size_bytes: int | None = None
    etag: str | None = None
    """The name of its content: sha256 of a large file, git's sha1 of a small one; None where not known."""


class FileProgress(Struct, frozen=True, kw_only=True):
    """How far a file is."""

    name: str
    size_bytes: int
    done_bytes: int
    digest: str = ""
    """Such as `sha256:...`; empty where the Hub's listing has none."""
    is_done: bool = False
    note: str = ""
    """What happens beside receiving, such as `checking`."""


class Download(Struct, frozen=True, kw_only=True):
    """A snapshot of a download."""

    id: str
    name: str
    """The name under which requests know the model once it is done."""
    repo: str
    revision: str
    commit: str
    label: str
    state: DownloadState
    size_bytes: int
    done_bytes: int
    rate_bytes_s: float | None
    """Of the last seconds; None where nothing runs, or it is too early to tell."""
    time_left_s: float | None
    files: tuple[FileProgress, ...]
    error: str | None
    """Why it failed."""
    created_at: int
    """Seconds since 1970."""
    ended_at: int | None
    path: str | None = None
    """Where the model's first file is, once the download is done."""

    @property
    def is_open(self) -> bool:
        """Whether it goes on by itself."""
        return self.state in IS_OPEN
