"""Lamini's trainings from and to Puna's. Pure.

A row's `input` is the user's turn and its `output` the model's answer, with the template of the model around both:
what /v1/completions makes of a prompt without markers, so that what was learnt is found again. Lamini's job ids are
numbers: they are the digits of Puna's, read as one.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from puna.api.lamini.convert import has_template_markers
from puna.api.lamini.train_schema import FinetuneArgsBody, JobReply, PairBody, TrainBody, Value
from puna.domain.finetune import FinetuneJob, FinetuneOrder, FinetuneState
from puna.domain.training import TrainingSettings
from puna.errors import InvalidRequestError, NotFoundError

_JOB_ID = re.compile(r"ft_(?P<digits>[0-9a-f]{12})")
_DIGITS = 12
_STATUS = {
    FinetuneState.QUEUED: "QUEUED",
    FinetuneState.PREPARING: "LOADING DATA",
    FinetuneState.TRAINING: "TRAINING MODEL",
    FinetuneState.DONE: "COMPLETED",
    FinetuneState.FAILED: "FAILED",
    FinetuneState.CANCELLED: "CANCELLED",
}
_TRAIN_TYPE = "memory_tuning"


class _Sample(Struct, frozen=True):
    prompt: str
    completion: str


def to_jsonl(rows: Iterable[PairBody]) -> Iterator[bytes]:
    """Yield a dataset, a line for each row. Raises `InvalidRequestError` for an input with a chat template in it."""
    encoder = msgspec.json.Encoder()
    for number, row in enumerate(rows):
        asked = _to_text(row.input)
        if has_template_markers(asked):
            field = f"data[{number}].input"
            raise InvalidRequestError(
                f"`{field}` has the markers of a chat template; leave them out, the model's own is put around it.",
                field=field,
            )
        yield encoder.encode(_Sample(asked, _to_text(row.output))) + b"\n"


def to_order(
    body: TrainBody, *, model: str, dataset: str, organisation_id: str | None = None
) -> FinetuneOrder:
    """Return what is asked for; `model` and `dataset` are ids. Raises `InvalidRequestError`."""
    if body.train_type not in {None, "", _TRAIN_TYPE}:
        raise InvalidRequestError(f"`train_type` must be {_TRAIN_TYPE} or absent.", field="train_type")
    return FinetuneOrder(
        model=model,
        dataset=dataset,
        name=body.custom_model_name or "",
        organisation_id=organisation_id,
        settings=to_settings(body.finetune_args or FinetuneArgsBody()),
    )


def to_settings(arguments: FinetuneArgsBody) -> TrainingSettings:
    """Return the settings of a training. Raises `InvalidRequestError`."""
    if arguments.max_steps is not None:
        field = "finetune_args.max_steps"
        raise InvalidRequestError(f"`{field}` cannot be chosen; `finetune_args.epochs` can.", field=field)
    rank = arguments.peft_args.r_value if arguments.peft_args else None
    usual = TrainingSettings()
    return TrainingSettings(
        epochs=arguments.epochs or arguments.num_train_epochs or usual.epochs,
        learning_rate=arguments.learning_rate or usual.learning_rate,
        rank=rank or usual.rank,
        seed=usual.seed if arguments.seed is None else arguments.seed,
    )


def to_job_id(number: str) -> str:
    """Return the id that a number in a path means. Raises `NotFoundError`."""
    if not re.fullmatch(r"[0-9]{1,15}", number):
        raise NotFoundError(f"There is no job {number[:60]}.")
    return f"ft_{int(number):0{_DIGITS}x}"


def to_number(job_id: str) -> int:
    """Return the number of an id."""
    found = _JOB_ID.fullmatch(job_id)
    if found is None:
        raise NotFoundError(f"The job {job_id} has no number.")
    return int(found["digits"], 16)


def to_job(job: FinetuneJob) -> JobReply:
    """Return a training as it is told."""
    return JobReply(
        job_id=to_number(job.id),
        status=_STATUS[job.state],
        start_time=_to_time(job.started_at),
        model_name=job.adapter_id if job.state is FinetuneState.DONE else None,
        custom_model_name=job.order.name or None,
        error=job.error,
    )


def _to_time(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def _to_text(value: Value) -> str:
    return value if isinstance(value, str) else str(value)
