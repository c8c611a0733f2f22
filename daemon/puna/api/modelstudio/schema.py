"""ModelStudio's bodies. Field names are those on the wire; null is the same as absent."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.bounds import MAX_MESSAGES
from puna.api.validation import BodySchema
from puna.domain.chat import Role

# Python clients send whole numbers as 100.0 too.
TokenLimit = Annotated[int, Meta(ge=1, le=131_072)] | Annotated[float, Meta(ge=1, le=131_072, multiple_of=1)]
Temperature = Annotated[float, Meta(ge=0, le=1)]


class ContentPart(Struct, frozen=True):
    """One part of a message; only those of type `text` are understood."""

    type: str
    text: str | None = None


class TurnBody(Struct, frozen=True):
    """One message of a conversation."""

    role: Role
    content: str | list[ContentPart]


class GenerateBody(Struct, frozen=True, kw_only=True):
    """POST .../generate."""

    model_id: Annotated[str, Meta(min_length=1)]
    messages: Annotated[
        list[Annotated[list[TurnBody], Meta(min_length=1, max_length=MAX_MESSAGES)]], Meta(min_length=1)
    ]
    """Conversations; each is a task."""
    temperature: Temperature | None = None
    """How freely tokens are chosen; 0 takes the most likely one each time. Absent: 0.7."""
    max_tokens: TokenLimit | None = None
    """New tokens of each task, at most. Absent: 512."""


GENERATE = BodySchema(GenerateBody, foreign_names={"model": "model_id", "prompt": "messages"})


class CreatedReply(Struct, frozen=True):
    """Answer of POST .../generate."""

    job_id: str
    status: str = "CREATED"
    message: str = "Generation job created successfully"


class TaskReply(Struct, frozen=True):
    """One conversation's result; `result` and `error` are null where there is none."""

    task_index: int
    status: str
    result: str | None
    error: str | None


class JobReply(Struct, frozen=True):
    """Answer of GET and DELETE .../generate/{job}."""

    job_id: str
    job_status: str
    total_tasks: int
    completed_tasks: int
    """Tasks that have ended, failed ones too: it reaches the total."""
    results: tuple[TaskReply, ...]
    """All tasks in the order of the conversations, those that have not ended too."""
