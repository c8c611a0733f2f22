"""What a job is, and what becomes of it."""

from enum import StrEnum

from msgspec import Struct

from puna.domain.chat import Message
from puna.domain.generation import Sampling


class JobState(StrEnum):
    """Where a job stands, as it is on disk."""

    OPEN = "open"
    """Accepted; some of its tasks have not ended."""
    COMPLETED = "completed"
    """Every task has ended, well or not."""
    FAILED = "failed"
    """Given up as a whole: its model cannot be run."""
    CANCELED = "canceled"
    """Given up because its organisation asked for it."""


class TaskState(StrEnum):
    """Where a task stands, as it is on disk."""

    PENDING = "pending"
    """Waits, or runs: what runs is not on disk."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class JobOrder(Struct, frozen=True, kw_only=True):
    """What an organisation asks for: each conversation is one task, answered by the same model."""

    organisation_id: str
    model: str
    """The name that the request used; the catalogue resolves it again whenever a task starts."""
    conversations: tuple[tuple[Message, ...], ...]
    sampling: Sampling
    max_tokens: int
    """New tokens of each task."""


class TaskRef(Struct, frozen=True):
    """Names one task: the conversation with this index, from 0, of a job."""

    job_id: str
    index: int


class TaskReport(Struct, frozen=True, kw_only=True):
    """What is on disk of a task."""

    index: int
    state: TaskState
    result: str | None
    """The text of a completed task."""
    error: str | None
    """Why a task failed."""


class JobReport(Struct, frozen=True, kw_only=True):
    """What is on disk of a job, its tasks in the order of the conversations."""

    id: str
    state: JobState
    error: str | None
    """Why the job failed as a whole."""
    tasks: tuple[TaskReport, ...]

    @property
    def ended_tasks(self) -> int:
        """Tasks that have ended, well or not."""
        return sum(task.state is not TaskState.PENDING for task in self.tasks)
