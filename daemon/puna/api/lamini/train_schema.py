"""Lamini's bodies and answers about training. Field names are those on the wire; null is the same as absent."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema

Value = str | bool | int | float
_Count = Annotated[int, Meta(ge=1)]
_Id = Annotated[str, Meta(min_length=1)]


class PairBody(Struct, frozen=True):
    """One row of training data."""

    input: Value
    """What the model is asked, without a chat template: Puna writes the model's own around it."""
    output: Value
    """What it shall answer."""


class LocalDataBody(Struct, kw_only=True, frozen=True):
    """POST /v1/local-data."""

    data: Annotated[list[PairBody], Meta(min_length=1)]


class ExistingDataBody(Struct, kw_only=True, frozen=True):
    """POST /v1/existing-data."""

    dataset_id: _Id


class PeftBody(Struct, kw_only=True, frozen=True):
    """`finetune_args.peft_args`."""

    r_value: Annotated[int, Meta(ge=1, le=256)] | None = None
    """Size of the adapter."""


class FinetuneArgsBody(Struct, kw_only=True, frozen=True):
    """`finetune_args`: what can be chosen of a training."""

    learning_rate: Annotated[float, Meta(ge=1e-9, le=0.1)] | None = None
    """At its peak. Absent: chosen by the model's width, 0.001 to 0.0001."""
    epochs: Annotated[float, Meta(ge=0.001, le=1000)] | None = None
    """Passes over the data. Absent: 3, and up to 20 where the data are few."""
    num_train_epochs: Annotated[float, Meta(ge=0.001, le=1000)] | None = None
    """Another name of `epochs`."""
    max_steps: _Count | None = None
    """Refused, because a step is another thing here: `epochs` says how long to train."""
    seed: Annotated[int, Meta(ge=0, le=4_294_967_295)] | None = None
    peft_args: PeftBody | None = None


class TrainBody(Struct, kw_only=True, frozen=True):
    """POST /v1/train. What it says of GPUs and of being public means nothing here."""

    dataset_id: _Id
    model_name: str | None = None
    """The model that is trained; None and the empty name are the current one."""
    finetune_args: FinetuneArgsBody | None = None
    custom_model_name: Annotated[str, Meta(max_length=200)] | None = None
    """For people."""
    train_type: str | None = None
    """`memory_tuning` or absent; others are refused."""


class UploadBasePathReply(Struct, frozen=True):
    """Answer of /v1/get-upload-base-path; anything but `azure` makes clients send their data here."""

    upload_base_path: str = "local"


class DatasetReply(Struct, frozen=True):
    """Answer of /v1/local-data."""

    dataset_id: str
    dataset_location: str


class DatasetLocationReply(Struct, frozen=True):
    """Answer of /v1/existing-data."""

    dataset_location: str


class TrainReply(Struct, frozen=True):
    """Answer of /v1/train."""

    job_id: int
    status: str


class JobReply(Struct, frozen=True, kw_only=True):
    """A training."""

    job_id: int
    status: str
    start_time: str | None
    """UTC without saying so, as Lamini's other moments."""
    model_name: str | None
    """What requests name as `model_name`; null until it is done."""
    custom_model_name: str | None
    error: str | None


class MessageReply(Struct, frozen=True):
    """Answer where something was done."""

    message: str


LOCAL_DATA = BodySchema(LocalDataBody)
EXISTING_DATA = BodySchema(ExistingDataBody)
TRAIN = BodySchema(TrainBody)
