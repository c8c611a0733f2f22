"""AITextGen's bodies and answers about fine-tuning. Field names are those on the wire; null is the same as absent."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from puna.api.validation import BodySchema


class FinetuneBody(Struct, kw_only=True, frozen=True):
    """POST /v1/aitextgen/finetune."""

    training_data: Annotated[list[str], Meta(min_length=1)]
    """The texts that the model shall learn to write; empty ones are left out."""
    epochs: Annotated[float, Meta(ge=0.001, le=1000)] | None = None
    """Passes over the texts. Absent: 3."""
    learning_rate: Annotated[float, Meta(ge=1e-9, le=0.1)] | None = None
    """At its peak. Absent: 0.00005."""
    model: str | None = None
    """Not in the document: which model is trained; None and the empty name are the current one."""


class FinetuneReply(Struct, frozen=True, kw_only=True):
    """Answer of /v1/aitextgen/finetune when the training is done."""

    status: Literal["success"] = "success"
    model_id: str
    """What requests to /v1/aitextgen/generate, and to every other API, name as `model`."""
    training_time: float
    """Seconds."""


class AcceptedReply(Struct, frozen=True, kw_only=True):
    """Answer of /v1/aitextgen/finetune to `Prefer: respond-async`: the training has yet to be done."""

    status: Literal["pending"] = "pending"
    model_id: str
    job_id: str


class FinetuneStatusReply(Struct, frozen=True, kw_only=True):
    """Answer of GET /v1/aitextgen/finetune/{job_id}."""

    status: Literal["pending", "success", "failed"]
    """A cancelled training has failed."""
    model_id: str
    job_id: str
    training_time: float | UnsetType = UNSET
    """Seconds; of a training that is done."""
    error: str | UnsetType = UNSET
    """Why it failed."""


FINETUNE = BodySchema(FinetuneBody)
