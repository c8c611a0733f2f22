"""ModelStudio's values to and from the jobs'. Pure.

The document has one word for the end of a job, `completed`, and its clients wait for nothing else: a job whose
tasks have all ended is completed, failed tasks among them. `failed` is a job that was given up as a whole. The
same API under the name of IONOS says FINISHED, FAILED and CANCELED, and its clients wait for these.
"""

from collections.abc import Mapping

from msgspec import Struct

from puna.api.modelstudio.schema import ContentPart, GenerateBody, JobReply, TaskReply, TurnBody
from puna.domain.chat import Message
from puna.domain.generation import Sampling
from puna.errors import InvalidRequestError
from puna.jobs.job import JobOrder, JobReport, JobState, TaskState

DEFAULT_TEMPERATURE = 0.7
DEFAULT_MAX_TOKENS = 512

_IMAGE_TYPES = frozenset({"image_url", "image", "input_image"})


class Words(Struct, frozen=True):
    """What an edition of the API calls the states."""

    jobs: Mapping[JobState, str]
    tasks: Mapping[TaskState, str]


DOCUMENTED = Words(
    jobs={
        JobState.OPEN: "processing",
        JobState.COMPLETED: "completed",
        JobState.FAILED: "failed",
        JobState.CANCELED: "canceled",
    },
    tasks={
        TaskState.PENDING: "processing",
        TaskState.COMPLETED: "completed",
        TaskState.FAILED: "failed",
        TaskState.CANCELED: "canceled",
    },
)
IONOS = Words(
    jobs={
        JobState.OPEN: "PROCESSING",
        JobState.COMPLETED: "FINISHED",
        JobState.FAILED: "FAILED",
        JobState.CANCELED: "CANCELED",
    },
    tasks={
        TaskState.PENDING: "PROCESSING",
        TaskState.COMPLETED: "FINISHED",
        TaskState.FAILED: "FAILED",
        TaskState.CANCELED: "CANCELED",
    },
)


def to_order(body: GenerateBody, organisation_id: str) -> JobOrder:
    """Return the job that a body asks for. Raises `InvalidRequestError` for content that is not text."""
    temperature = DEFAULT_TEMPERATURE if body.temperature is None else body.temperature
    return JobOrder(
        organisation_id=organisation_id,
        model=body.model_id,
        conversations=tuple(
            tuple(_to_message(turn, f"messages[{i}][{j}].content") for j, turn in enumerate(conversation))
            for i, conversation in enumerate(body.messages)
        ),
        sampling=Sampling(temperature=temperature),
        max_tokens=int(DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens),
    )


def _to_message(turn: TurnBody, field: str) -> Message:
    if isinstance(turn.content, str):
        return Message(turn.role, turn.content)
    texts = [_text_of(part, f"{field}[{i}]") for i, part in enumerate(turn.content)]
    return Message(turn.role, "".join(texts))


def _text_of(part: ContentPart, field: str) -> str:
    if part.type in _IMAGE_TYPES:
        raise InvalidRequestError(
            f"`{field}` is an image; this version of Puna understands text only.", field=field
        )
    if part.type != "text":
        raise InvalidRequestError(f"`{field}.type` must be text; {part.type[:50]} is not known.", field=field)
    if part.text is None:
        raise InvalidRequestError(f"`{field}.text` is required.", field=field)
    return part.text


def from_report(report: JobReport, words: Words) -> JobReply:
    """Return the answer for a job as it is on disk."""
    return JobReply(
        job_id=report.id,
        job_status=words.jobs[report.state],
        total_tasks=len(report.tasks),
        completed_tasks=report.ended_tasks,
        results=tuple(
            TaskReply(task.index, words.tasks[task.state], task.result, task.error) for task in report.tasks
        ),
    )
