"""How fine-tunings end, in words and as others are told. Pure."""

from puna.domain.finetune import FinetuneJob, FinetuneState
from puna.domain.finetune_events import FinetuneCompleted, FinetuneEvent, FinetuneFailed

CANCELLED = "It was cancelled."
UNEXPECTED = "Something unexpected happened; `puna logs` tells more."


def to_event(job: FinetuneJob, default_organisation: str, *, seconds: float) -> FinetuneEvent:
    """Return what webhooks are told of a job that has ended; `seconds` is the time of a training that is done."""
    whose = job.order.organisation_id or default_organisation
    ended_at = float(job.ended_at or 0)
    if job.state is FinetuneState.DONE:
        return FinetuneCompleted(
            job_id=job.id,
            organisation_id=whose,
            model_id=job.adapter_id,
            training_time_s=seconds,
            ended_at=ended_at,
        )
    return FinetuneFailed(
        job_id=job.id,
        organisation_id=whose,
        model_id=job.adapter_id,
        error=job.error or CANCELLED,
        ended_at=ended_at,
    )
