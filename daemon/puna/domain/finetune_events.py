"""How fine-tunes end, as those are told who asked to be told."""

from msgspec import Struct


class FinetuneCompleted(Struct, frozen=True, kw_only=True):
    """An adapter is there."""

    job_id: str
    """Each job has one end, so publishing it again changes nothing."""
    organisation_id: str
    """Whose fine-tune it is: only its webhooks are told."""
    model_id: str
    """`ft_model_...`, as requests name it."""
    training_time_s: float
    ended_at: float
    """Seconds since 1970."""


class FinetuneFailed(Struct, frozen=True, kw_only=True):
    """There will be no adapter; a cancelled fine-tune counts as this too. Fields are those of `FinetuneCompleted`."""

    job_id: str
    organisation_id: str
    model_id: str
    error: str
    """A sentence for people elsewhere: without a path of this machine, without a traceback."""
    ended_at: float


FinetuneEvent = FinetuneCompleted | FinetuneFailed
"""The closed set."""
