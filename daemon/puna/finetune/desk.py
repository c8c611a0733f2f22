"""Fine-tuning as the daemon opens and closes it: datasets, adapters, the service, and what it needs."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from puna import launch
from puna.config import Settings
from puna.domain.datasets import DatasetLimits
from puna.engine.trainer_process import TrainerProcess
from puna.finetune.adapters import AdapterShelf
from puna.finetune.datasets.store import DatasetStore
from puna.finetune.journal import StoredJournal
from puna.finetune.ports import Bases, Publisher
from puna.finetune.service import FinetuneService
from puna.finetune.workshop import Workshop
from puna.models.fingerprints import Fingerprints
from puna.paths import Paths
from puna.store.database import Database


@dataclass(frozen=True, kw_only=True)
class FinetuneDesk:
    """The long-lived objects of fine-tuning."""

    datasets: DatasetStore
    adapters: AdapterShelf
    service: FinetuneService

    @classmethod
    async def open(
        cls,
        settings: Settings,
        paths: Paths,
        database: Database,
        *,
        bases: Bases,
        adapters: AdapterShelf,
        publisher: Publisher,
        default_organisation: str,
        hidden: Collection[str] = (),
        fingerprints: Fingerprints | None = None,
    ) -> "FinetuneDesk":
        """Open the stores; `hidden` are variables that trainers do not get. Raises `DaemonError`."""
        limits = DatasetLimits(max_bytes=settings.dataset_bytes, max_rows=settings.dataset_rows)
        datasets = DatasetStore(paths.dataset_dir, limits)
        await asyncio.to_thread(datasets.open)
        workshop = Workshop(
            bases=bases,
            datasets=datasets,
            adapters=adapters,
            launch=partial(_launch, hidden=frozenset(hidden)),
            folder=paths.finetune_dir,
            log_folder=paths.worker_log_dir,
            threads=settings.threads,
            fingerprints=fingerprints or Fingerprints(),
        )
        service = FinetuneService(
            workshop, StoredJournal(database), publisher, default_organisation=default_organisation
        )
        return cls(datasets=datasets, adapters=adapters, service=service)


async def _launch(log_file: Path, *, hidden: Collection[str]) -> TrainerProcess:
    return await TrainerProcess.launch(log_file, environment=launch.child_environment(hidden=hidden))
