"""AITextGen's fine-tuning from and to Puna's. Pure."""

from puna.api.aitextgen.finetune_schema import (
    AcceptedReply,
    FinetuneBody,
    FinetuneReply,
    FinetuneStatusReply,
)
from puna.domain.finetune import AdapterRecord, FinetuneJob, FinetuneOrder, FinetuneState
from puna.domain.training import TrainingSettings

DEFAULT_EPOCHS = 3.0
DEFAULT_LEARNING_RATE = 5e-5
_RESPOND_ASYNC = "respond-async"


def to_order(
    body: FinetuneBody, *, model: str, dataset: str, organisation_id: str | None = None
) -> FinetuneOrder:
    """Return what is asked for; `model` and `dataset` are ids."""
    return FinetuneOrder(
        model=model,
        dataset=dataset,
        organisation_id=organisation_id,
        settings=TrainingSettings(
            epochs=DEFAULT_EPOCHS if body.epochs is None else body.epochs,
            learning_rate=DEFAULT_LEARNING_RATE if body.learning_rate is None else body.learning_rate,
        ),
    )


def prefers_not_to_wait(prefer: list[str]) -> bool:
    """Whether the lines of the header `Prefer` (RFC 7240) ask for an answer before the work is done."""
    wishes = (wish.partition(";")[0].strip().lower() for line in prefer for wish in line.split(","))
    return _RESPOND_ASYNC in wishes


def to_reply(job: FinetuneJob, record: AdapterRecord | None) -> FinetuneReply:
    """Return the answer for a training that is done; `record` is None where its adapter is removed already."""
    return FinetuneReply(model_id=job.adapter_id, training_time=training_time_s(job, record))


def to_accepted(job: FinetuneJob) -> AcceptedReply:
    """Return the answer for a training that was only begun."""
    return AcceptedReply(model_id=job.adapter_id, job_id=job.id)


def to_status(job: FinetuneJob, record: AdapterRecord | None) -> FinetuneStatusReply:
    """Return where a training stands; `record` as for `to_reply`."""
    if job.is_open:
        return FinetuneStatusReply(status="pending", model_id=job.adapter_id, job_id=job.id)
    if job.state is FinetuneState.DONE:
        return FinetuneStatusReply(
            status="success",
            model_id=job.adapter_id,
            job_id=job.id,
            training_time=training_time_s(job, record),
        )
    return FinetuneStatusReply(
        status="failed", model_id=job.adapter_id, job_id=job.id, error=why_it_ended(job)
    )


def why_it_ended(job: FinetuneJob) -> str:
    """Return why there is no adapter, in a sentence."""
    if job.state is FinetuneState.CANCELLED:
        return "The training was cancelled."
    return job.error or "The training failed."


def training_time_s(job: FinetuneJob, record: AdapterRecord | None) -> float:
    """Return how long a training took, as webhooks are told it; without a record, by the clock."""
    if record is not None:
        return round(record.seconds, 3)
    return float(max(0, (job.ended_at or 0) - (job.started_at or job.created_at)))
