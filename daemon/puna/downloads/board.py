"""All downloads, and what may happen to them next: pure; the runner acts on what it decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from puna.domain.downloads import (
    IS_OPEN,
    IS_STOPPED,
    Download,
    DownloadOrder,
    DownloadState,
    FileProgress,
    OrderedFile,
)
from puna.downloads.estimator import RateEstimator


@dataclass
class FileWork:
    """A file of a download, and how far it is."""

    order: OrderedFile
    size_bytes: int
    done_bytes: int = 0
    is_done: bool = False
    is_running: bool = False
    note: str = ""

    @classmethod
    def of(cls, order: OrderedFile) -> "FileWork":
        """Return the work before it has begun."""
        return cls(order, order.size_bytes or 0)

    def snapshot(self) -> FileProgress:
        """Return how far it is."""
        return FileProgress(
            name=self.order.name,
            size_bytes=self.size_bytes,
            done_bytes=self.done_bytes,
            digest=_digest(self.order.etag or ""),
            is_done=self.is_done,
            note=self.note,
        )


def _digest(etag: str) -> str:
    return f"sha256:{etag}" if len(etag) == 64 else ""


@dataclass
class Job:
    """A download, as its owner knows it."""

    id: str
    order: DownloadOrder
    created_at: int
    state: DownloadState = DownloadState.QUEUED
    error: str | None = None
    ended_at: int | None = None
    path: str | None = None
    files: list[FileWork] = field(default_factory=list)
    received_bytes: int = 0
    """From the Hub, in this run of the daemon; the rate is that of these."""
    rate: RateEstimator = field(default_factory=RateEstimator)

    def __post_init__(self) -> None:
        """Begin with no file done, where the files are not given."""
        self.files = self.files or [FileWork.of(file) for file in self.order.files]

    @property
    def done_bytes(self) -> int:
        """On disk, of all files."""
        return sum(file.done_bytes for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """Still to come, of all files, as far as their sizes are known."""
        return max(0, self.size_bytes - self.done_bytes)

    @property
    def is_running(self) -> bool:
        """Whether any of its files is being fetched, also while that is being stopped."""
        return any(file.is_running for file in self.files)

    def snapshot(self, now_s: float) -> Download:
        """Return what is told of it."""
        is_moving = self.state is DownloadState.RUNNING
        done_bytes, size_bytes = self.done_bytes, self.size_bytes
        return Download(
            id=self.id,
            name=self.order.name,
            repo=self.order.repo,
            revision=self.order.revision,
            commit=self.order.commit,
            label=self.order.label,
            state=self.state,
            size_bytes=size_bytes,
            done_bytes=done_bytes,
            rate_bytes_s=self.rate.rate(now_s) if is_moving else None,
            time_left_s=self.rate.time_left(now_s, size_bytes - done_bytes) if is_moving else None,
            files=tuple(file.snapshot() for file in self.files),
            error=self.error,
            created_at=self.created_at,
            ended_at=self.ended_at,
            path=self.path,
        )


class Board:
    """The downloads in the order in which they were asked for."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Take in a download, new or left by an earlier run."""
        self._jobs[job.id] = job

    def remove(self, job_id: str) -> None:
        """Forget a download."""
        self._jobs.pop(job_id, None)

    def get(self, job_id: str) -> Job | None:
        """Return a download; None where there is none."""
        return self._jobs.get(job_id)

    def jobs(self) -> Sequence[Job]:
        """Return all, the oldest first."""
        return tuple(self._jobs.values())

    def find_same(self, order: DownloadOrder) -> Job | None:
        """Return the download that would bring the same and has not come to its end."""
        return next(
            (
                job
                for job in self._jobs.values()
                if job.state in IS_OPEN | IS_STOPPED and job.order.key == order.key
            ),
            None,
        )

    def open_count(self) -> int:
        """Return how many go on by themselves."""
        return sum(job.state in IS_OPEN for job in self._jobs.values())

    def promised_bytes(self) -> int:
        """Return how many bytes are still to come of the downloads that go on by themselves."""
        return sum(job.missing_bytes for job in self._jobs.values() if job.state in IS_OPEN)

    def is_wanted_elsewhere(self, job: Job, file: FileWork) -> bool:
        """Return whether another download that has not ended brings this content too."""
        return any(
            other.etag == file.order.etag
            for each in self._jobs.values()
            if each is not job and each.state in IS_OPEN | IS_STOPPED and each.order.repo == job.order.repo
            for other in each.order.files
        )

    def next_files(self, limit: int) -> list[tuple[Job, int]]:
        """Return the files to begin now, so that at most `limit` are fetched: the oldest downloads first.

        A file of which another download fetches the same name at the same commit waits for it.
        """
        running = [(job, file) for job in self._jobs.values() for file in job.files if file.is_running]
        taken = {_identity(job, file) for job, file in running}
        chosen: list[tuple[Job, int]] = []
        for job, index, file in _waiting(self._jobs.values()):
            if len(running) + len(chosen) >= limit:
                break
            if _identity(job, file) not in taken:
                taken.add(_identity(job, file))
                chosen.append((job, index))
        return chosen

    def surplus(self, keep: int) -> list[Job]:
        """Return ended downloads beyond the last `keep`, the oldest first: nobody looks for them any more."""
        ended = [job for job in self._jobs.values() if job.state not in IS_OPEN | IS_STOPPED]
        return ended[: max(0, len(ended) - keep)]


def _identity(job: Job, file: FileWork) -> tuple[str, str, str]:
    return job.order.repo, job.order.commit, file.order.name


def _waiting(jobs: Iterable[Job]) -> Iterable[tuple[Job, int, FileWork]]:
    return (
        (job, index, file)
        for job in jobs
        if job.state in IS_OPEN
        for index, file in enumerate(job.files)
        if not file.is_done and not file.is_running
    )
