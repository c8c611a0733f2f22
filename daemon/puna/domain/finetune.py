"""Fine-tunings as jobs of the daemon, and the adapters that come of them.

How samples become conversations, for training and for serving alike: a labelled text is a user's turn with nothing
but the text, and the labels in alphabetical order, joined by `, `, are the assistant's answer; a prompt is a user's
turn, its completion the assistant's; a conversation is itself; a plain text is bare text without any template.
"""

from enum import StrEnum

from msgspec import Struct

from puna.domain.datasets import SampleKind
from puna.domain.training import Evaluation, TrainingPlan, TrainingProgress, TrainingSettings

ADAPTER_PREFIX = "ft_model_"
"""How the names of adapters begin; each is a model name in every dialect."""


class FinetuneState(StrEnum):
    """Where a fine-tuning stands."""

    QUEUED = "queued"
    PREPARING = "preparing"
    TRAINING = "training"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


IS_OPEN = frozenset({FinetuneState.QUEUED, FinetuneState.PREPARING, FinetuneState.TRAINING})


class FinetuneOrder(Struct, frozen=True, kw_only=True):
    """What somebody asks for."""

    model: str
    """Id of the base model in the catalogue."""
    dataset: str
    """Id of a stored dataset."""
    settings: TrainingSettings = TrainingSettings()
    name: str = ""
    """For people."""
    organisation_id: str | None = None
    """Whose it is; None is the default organisation's."""


class FinetuneJob(Struct, frozen=True, kw_only=True):
    """A fine-tuning as it is now."""

    id: str
    adapter_id: str
    """The model's name when it is done; chosen at the beginning, so that clients can know it."""
    order: FinetuneOrder
    state: FinetuneState
    created_at: int
    """Seconds since 1970, as the others."""
    started_at: int | None = None
    ended_at: int | None = None
    plan: TrainingPlan | None = None
    progress: TrainingProgress | None = None
    before: Evaluation | None = None
    after: Evaluation | None = None
    error: str | None = None
    has_checkpoint: bool = False
    """Whether it can be gone on from, after a failure or a cancellation too."""

    @property
    def is_open(self) -> bool:
        """Whether it goes on by itself."""
        return self.state in IS_OPEN


class AdapterRecord(Struct, frozen=True, kw_only=True):
    """An adapter that was trained here: what it is and how it came to be. The file lies beside the record."""

    id: str
    """`ft_model_...`; a model name in every dialect."""
    name: str
    base_id: str
    """The base model's id in the catalogue when it was trained."""
    base_sha256: str
    """Of the base model's first file: an adapter fits no other model."""
    base_size_bytes: int = 0
    """Of all files of the base, as the catalogue says; 0 where it was not written down."""
    base_architecture: str
    dataset_id: str
    dataset_sha256: str
    kind: SampleKind
    labels: tuple[str, ...] = ()
    """Of a dataset with labels, the most frequent first."""
    is_multi_label: bool = False
    settings: TrainingSettings
    steps: int
    loss: float
    before: Evaluation | None
    after: Evaluation | None
    seconds: float
    size_bytes: int
    created_at: int
    organisation_id: str | None = None
    job_id: str = ""
