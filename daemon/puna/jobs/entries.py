"""How a task can end, and what goes to disk then."""

from msgspec import Struct

from puna.jobs.job import JobState, TaskRef, TaskState


class Answered(Struct, frozen=True):
    """The model gave this text."""

    text: str


class Refused(Struct, frozen=True):
    """The task failed and would fail again."""

    message: str


class Interrupted(Struct, frozen=True):
    """Not the task's fault: the model was unloaded, its queue is full, the daemon stops. It runs again."""

    retry_after_s: float


class Lost(Struct, frozen=True):
    """The worker died or fell silent while it held the task, which may be why."""

    message: str


class ModelUnusable(Struct, frozen=True):
    """The model cannot be loaded, or is gone: no task of the job can run."""

    message: str


Outcome = Answered | Refused | Interrupted | Lost | ModelUnusable


class TaskEnd(Struct, frozen=True, kw_only=True):
    """A task has ended; its result or error stays."""

    ref: TaskRef
    state: TaskState
    result: str | None = None
    error: str | None = None


class TaskAttempt(Struct, frozen=True):
    """So many workers have died with the task."""

    ref: TaskRef
    attempts: int


class JobEnd(Struct, frozen=True, kw_only=True):
    """A job has ended; its tasks that have not end with it, in the same way."""

    job_id: str
    state: JobState
    error: str | None = None


Entry = TaskEnd | TaskAttempt | JobEnd
