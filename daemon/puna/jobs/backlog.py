"""The open jobs: whose task is next, and what follows from its end. Pure.

Events go in, entries for the disk come out; the caller writes them, in order. Of every open job each task is
waiting, in flight or ended, and exactly one of these.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import assert_never

from msgspec import Struct

from puna.jobs.entries import (
    Answered,
    Entry,
    Interrupted,
    JobEnd,
    Lost,
    ModelUnusable,
    Outcome,
    Refused,
    TaskAttempt,
    TaskEnd,
)
from puna.jobs.job import JobState, TaskRef, TaskState

TASK_ATTEMPTS = 3
"""How many workers may die with a task before it counts as failed."""
DEADLY_TASKS = 3
"""How many tasks in a row may fail that way before the job is given up: then it is not the task."""


class OpenJob(Struct, frozen=True, kw_only=True):
    """A job with tasks that have not ended."""

    id: str
    organisation_id: str
    model: str
    pending: tuple[int, ...]
    """Indices of those tasks, in order."""
    attempts: Mapping[int, int] = {}
    """How many workers have died with a task, where any has."""


class _Place:
    """One open job. Only the backlog touches it."""

    def __init__(self, job: OpenJob) -> None:
        self.job = job
        self.waiting = deque(job.pending)
        self.in_flight: set[int] = set()
        self.attempts = dict(job.attempts)
        self.deadly_tasks = 0

    @property
    def remaining(self) -> int:
        return len(self.waiting) + len(self.in_flight)

    def is_suspect(self, index: int) -> bool:
        return self.attempts.get(index, 0) > 0


class Backlog:
    """All open jobs of all organisations."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._rings: OrderedDict[str, OrderedDict[str, _Place]] = OrderedDict()
        """Jobs with waiting tasks by organisation; the one whose turn is next first, in both."""

    def add(self, job: OpenJob) -> None:
        """Take a job in, last in its organisation's turn."""
        place = self._places[job.id] = _Place(job)
        self._line_up(place)

    def take(self, model: str) -> TaskRef | None:
        """Put the next task of this model in flight: organisations take turns, and jobs within them.

        A task that may be what killed its worker runs alone, so that the others do not die with it: None where
        that has to wait, or holds back the rest.
        """
        place = self._next_place(model)
        if place is None or any(self._suspects_in_flight()):
            return None
        index = place.waiting[0]
        if place.is_suspect(index) and self.in_flight:
            return None
        place.waiting.popleft()
        place.in_flight.add(index)
        self._pass_turn(place)
        return TaskRef(place.job.id, index)

    def end(self, ref: TaskRef, outcome: Outcome) -> tuple[Entry, ...]:
        """Note how a task in flight ended; nothing follows where its job has ended before it."""
        place = self._places.get(ref.job_id)
        if place is None:
            return ()
        place.in_flight.remove(ref.index)
        match outcome:
            case Answered(text):
                place.deadly_tasks = 0
                return self._settle(place, TaskEnd(ref=ref, state=TaskState.COMPLETED, result=text))
            case Refused(message):
                return self._settle(place, TaskEnd(ref=ref, state=TaskState.FAILED, error=message))
            case Interrupted():
                return self._put_back(place, ref)
            case Lost(message):
                return self._suspect(place, ref, message)
            case ModelUnusable(message):
                return self._close(place, JobState.FAILED, message)
            case _:
                assert_never(outcome)

    def cancel(self, job_id: str) -> tuple[Entry, ...]:
        """Give a job up, its tasks in flight too."""
        place = self._places.get(job_id)
        return self._close(place, JobState.CANCELED, None) if place is not None else ()

    def job(self, job_id: str) -> OpenJob | None:
        """Return an open job as it was added."""
        place = self._places.get(job_id)
        return place.job if place is not None else None

    def remaining(self, job_id: str) -> int:
        """Return how many tasks of a job have not ended; 0 for a job that is not open."""
        place = self._places.get(job_id)
        return place.remaining if place is not None else 0

    def models_waiting(self) -> list[str]:
        """Return the models of waiting tasks, the one whose turn is next first."""
        models = (place.job.model for ring in self._rings.values() for place in ring.values())
        return list(dict.fromkeys(models))

    def organisations(self) -> Iterable[str]:
        """Yield the organisation of every open job."""
        return (place.job.organisation_id for place in self._places.values())

    @property
    def in_flight(self) -> int:
        """Tasks that run."""
        return sum(len(place.in_flight) for place in self._places.values())

    @property
    def waiting(self) -> int:
        """Tasks that wait."""
        return sum(len(place.waiting) for place in self._places.values())

    @property
    def running_jobs(self) -> int:
        """Jobs with a task in flight."""
        return sum(bool(place.in_flight) for place in self._places.values())

    def __len__(self) -> int:
        """How many jobs are open."""
        return len(self._places)

    def _suspects_in_flight(self) -> Iterable[bool]:
        return (place.is_suspect(index) for place in self._places.values() for index in place.in_flight)

    def _next_place(self, model: str) -> _Place | None:
        places = (place for ring in self._rings.values() for place in ring.values())
        return next((place for place in places if place.job.model == model), None)

    def _line_up(self, place: _Place) -> None:
        if place.waiting:
            ring = self._rings.setdefault(place.job.organisation_id, OrderedDict())
            ring.setdefault(place.job.id, place)

    def _leave(self, place: _Place) -> None:
        ring = self._rings.get(place.job.organisation_id, OrderedDict())
        ring.pop(place.job.id, None)
        if not ring:
            self._rings.pop(place.job.organisation_id, None)

    def _pass_turn(self, place: _Place) -> None:
        if not place.waiting:
            self._leave(place)
        else:
            self._rings[place.job.organisation_id].move_to_end(place.job.id)
        if place.job.organisation_id in self._rings:
            self._rings.move_to_end(place.job.organisation_id)

    def _settle(self, place: _Place, end: TaskEnd) -> tuple[Entry, ...]:
        if place.remaining:
            return (end,)
        return (end, *self._close(place, JobState.COMPLETED, None))

    def _put_back(self, place: _Place, ref: TaskRef) -> tuple[Entry, ...]:
        place.waiting.appendleft(ref.index)
        self._line_up(place)
        return ()

    def _suspect(self, place: _Place, ref: TaskRef, message: str) -> tuple[Entry, ...]:
        attempts = place.attempts[ref.index] = place.attempts.get(ref.index, 0) + 1
        if attempts < TASK_ATTEMPTS:
            self._put_back(place, ref)
            return (TaskAttempt(ref, attempts),)
        place.deadly_tasks += 1
        entries = self._settle(place, TaskEnd(ref=ref, state=TaskState.FAILED, error=message))
        if place.deadly_tasks < DEADLY_TASKS or not place.remaining:
            return entries
        return (*entries, *self._close(place, JobState.FAILED, message))

    def _close(self, place: _Place, state: JobState, error: str | None) -> tuple[Entry, ...]:
        self._leave(place)
        del self._places[place.job.id]
        return (JobEnd(job_id=place.job.id, state=state, error=error),)
