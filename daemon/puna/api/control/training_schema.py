"""Bodies and answers about datasets, fine-tunings and adapters. Times are seconds since 1970."""

from typing import Annotated

from msgspec import Meta, Struct

from puna.api.validation import BodySchema
from puna.domain.datasets import Dataset, DatasetFormat, DatasetReport
from puna.domain.finetune import AdapterRecord, FinetuneJob
from puna.domain.training import TrainingPlan

_Name = Annotated[str, Meta(min_length=1, max_length=1000)]


class AddDatasetBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/datasets, where it is no upload: one of `path`, `content` and `texts`."""

    path: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    """The absolute path of a file on this machine, which is copied."""
    content: str | None = None
    """The dataset itself."""
    texts: tuple[str, ...] | None = None
    """Plain texts, one sample each."""
    name: Annotated[str, Meta(max_length=200)] | None = None
    """Of the file; its ending helps to tell the format."""
    format: DatasetFormat | None = None
    """Absent: the content tells."""


class DatasetsReply(Struct, frozen=True):
    """Answer of GET /puna/v1/datasets."""

    datasets: tuple[Dataset, ...]


class RefusedDatasetReply(Struct, frozen=True):
    """Answer where a dataset has errors; nothing was stored."""

    detail: str
    error: str
    """The same sentence, as in every error."""
    report: DatasetReport


class FinetuneBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/finetunes. Settings that are absent have the defaults of `TrainingSettings`."""

    model: _Name
    """The base model, as requests name it."""
    dataset: _Name
    """Id of a stored dataset."""
    name: Annotated[str, Meta(max_length=200)] | None = None
    """Of the adapter, for people."""
    dry_run: bool | None = None
    """Whether nothing is to be trained: the answer is the plan, with time and memory."""
    epochs: float | None = None
    learning_rate: float | None = None
    rank: int | None = None
    alpha: float | None = None
    targets: tuple[str, ...] | None = None
    row_length: int | None = None
    seed: int | None = None
    warm_up: float | None = None
    final_rate: float | None = None
    weight_decay: float | None = None
    threads: int | None = None
    checkpoint_every_s: float | None = None


class FinetunesReply(Struct, frozen=True):
    """Answer of GET /puna/v1/finetunes."""

    finetunes: tuple[FinetuneJob, ...]


class PlanReply(Struct, frozen=True):
    """Answer of POST /puna/v1/finetunes with `dry_run`."""

    plan: TrainingPlan


class CancelFinetuneBody(Struct, frozen=True, kw_only=True):
    """Body of POST /puna/v1/finetunes/{finetune_id}/cancel."""

    keeps_checkpoint: bool | None = None
    """Whether `resume` shall be able to go on from what was learnt; absent: no."""


class AdaptersReply(Struct, frozen=True):
    """Answer of GET /puna/v1/adapters."""

    adapters: tuple[AdapterRecord, ...]


ADD_DATASET = BodySchema(AddDatasetBody)
FINETUNE = BodySchema(FinetuneBody)
CANCEL_FINETUNE = BodySchema(CancelFinetuneBody)
