"""What receivers read: the bodies of messages, as Standard Webhooks 1.0.0 has them. Pure."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import assert_never

import msgspec
from msgspec import Struct

from puna.domain.finetune_events import FinetuneCompleted, FinetuneEvent, FinetuneFailed


class EventType(StrEnum):
    """What a webhook can be told of."""

    COMPLETED = "finetune.completed"
    FAILED = "finetune.failed"


class CompletedData(Struct, frozen=True, kw_only=True):
    """The answer that AITextGen documents for `/finetune`."""

    status: str = "success"
    model_id: str
    training_time: float
    """Seconds."""


class FailedData(Struct, frozen=True, kw_only=True):
    """The same of a fine-tune that failed."""

    status: str = "failed"
    model_id: str
    error: str


class Payload(Struct, frozen=True, kw_only=True):
    """A whole body."""

    type: EventType
    timestamp: str
    """When it happened, in UTC with microseconds; not when it is sent."""
    data: CompletedData | FailedData


def type_of(event: FinetuneEvent) -> EventType:
    """Return how receivers call it."""
    match event:
        case FinetuneCompleted():
            return EventType.COMPLETED
        case FinetuneFailed():
            return EventType.FAILED
        case _:
            assert_never(event)


def to_payload(event: FinetuneEvent) -> Payload:
    """Return what receivers are told."""
    ended = datetime.fromtimestamp(event.ended_at, UTC)
    return Payload(
        type=type_of(event), timestamp=ended.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), data=_to_data(event)
    )


def to_body(event: FinetuneEvent) -> bytes:
    """Return the bytes that are signed and sent: compact JSON in ASCII."""
    fields = msgspec.to_builtins(to_payload(event))
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _to_data(event: FinetuneEvent) -> CompletedData | FailedData:
    match event:
        case FinetuneCompleted():
            return CompletedData(model_id=event.model_id, training_time=round(event.training_time_s, 3))
        case FinetuneFailed():
            return FailedData(model_id=event.model_id, error=event.error)
        case _:
            assert_never(event)
