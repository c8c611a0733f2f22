"""Where trainings take place: files, hashes and trainers, for one job at a time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from puna.domain.datasets import Dataset
from puna.domain.finetune import AdapterRecord, FinetuneJob, FinetuneOrder
from puna.domain.models import ModelEntry
from puna.domain.training import TrainingPlan, TrainingResult
from puna.engine.trainer_protocol import Checkpointed, Configure, FromTrainer, ToTrainer
from puna.errors import ModelLoadError
from puna.files import make_private_folder
from puna.finetune.adapters import AdapterShelf
from puna.finetune.checks import base_file, check_base, check_settings
from puna.finetune.course import Course, CourseCancelledError, LaunchTrainer, TrainerDiedError
from puna.finetune.datasets.store import DatasetStore
from puna.finetune.material import open_renderer, send_material
from puna.finetune.ports import Bases
from puna.models.fingerprints import Fingerprints

_CHECKPOINT = ".checkpoint"
_ESTIMATE = "estimate"
"""In the place of a job's id."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Called from the event loop only."""

    bases: Bases
    datasets: DatasetStore
    adapters: AdapterShelf
    launch: LaunchTrainer
    folder: Path
    """For checkpoints."""
    log_folder: Path
    threads: int | None = None
    """Of trainers, where an order does not say; None uses the physical cores."""
    now: Callable[[], float] = time.time
    """Seconds since 1970."""
    fingerprints: Fingerprints = field(default_factory=Fingerprints)

    async def check(self, order: FinetuneOrder) -> FinetuneOrder:
        """Return an order that can be carried out, its model by id. Errors as `FinetuneService.order`."""
        check_settings(order.settings)
        entry = await self.bases.find(order.model)
        base_file(entry)
        await asyncio.to_thread(self.datasets.get, order.dataset)
        await asyncio.to_thread(check_base, entry, order.settings)
        return replace(order, model=entry.id)

    async def estimate(self, order: FinetuneOrder) -> TrainingPlan:
        """Let a trainer prepare an order and return its plan. Nothing stays of it; one at a time."""
        bench = await self.open_bench(order, _ESTIMATE, self.folder / f"{_ESTIMATE}.gguf")
        course = await self.open_course(bench.name, lambda _: None)
        try:
            return await course.prepare(self.supply(bench))
        finally:
            await course.close()

    async def open_bench(self, order: FinetuneOrder, name: str, adapter: Path) -> "Bench":
        """Gather what a training needs. Raises what `check` raises, and `StoreError` for a damaged dataset."""
        entry = await self.bases.find(order.model)
        await asyncio.to_thread(check_base, entry, order.settings)
        dataset = await asyncio.to_thread(self.datasets.get, order.dataset)
        await asyncio.to_thread(self.datasets.check, dataset)
        await asyncio.to_thread(make_private_folder, self.folder)
        sha256 = await self._fingerprint(base_file(entry))
        return Bench(name=name, order=order, entry=entry, sha256=sha256, dataset=dataset, adapter=adapter)

    async def _fingerprint(self, path: Path) -> str:
        try:
            return await self.fingerprints.sha256_of(path)
        except OSError as error:
            raise ModelLoadError(f"{path.name} cannot be read: {error.strerror}.") from error

    async def open_course(self, name: str, tell: Callable[[FromTrainer], None]) -> Course:
        """Start a trainer. Raises `ModelLoadError`."""
        try:
            return Course(await self.launch(self._log(name)), tell)
        except OSError as error:
            raise ModelLoadError(f"The trainer cannot be started ({error.strerror}).") from error

    async def supply(self, bench: "Bench") -> AsyncIterator[Sequence[ToTrainer]]:
        """Yield all messages of a training up to `Prepare`. Raises what reading and rendering raise."""
        path = base_file(bench.entry)
        yield [bench.configure(path, self.checkpoint(bench.name), self.threads)]
        renderer = await asyncio.to_thread(open_renderer, path, bench.entry.chat_template)
        samples = partial(self.datasets.samples, bench.dataset)
        seed = bench.order.settings.seed
        async for messages in send_material(samples, bench.dataset, renderer, seed=seed):
            yield messages

    async def has_checkpoint(self, job_id: str) -> bool:
        """Return whether a job can be gone on with."""
        return await asyncio.to_thread(self.checkpoint(job_id).is_file)

    async def list_checkpoints(self) -> Collection[str]:
        """Return the jobs that can be gone on with."""
        return await asyncio.to_thread(lambda: {path.stem for path in self.folder.glob(f"*{_CHECKPOINT}")})

    async def drop_checkpoint(self, job_id: str) -> None:
        """Forget what a job has learnt so far."""
        await asyncio.to_thread(_remove, [self.checkpoint(job_id)])

    async def forget(self, jobs: Collection[str]) -> None:
        """Remove checkpoints and logs of jobs that are no longer listed."""
        paths = [path for job_id in jobs for path in (self.checkpoint(job_id), self._log(job_id))]
        await asyncio.to_thread(_remove, paths)

    def checkpoint(self, job_id: str) -> Path:
        """Return where the checkpoint of a job lies, or would lie."""
        return self.folder / f"{job_id}{_CHECKPOINT}"

    def _log(self, name: str) -> Path:
        return self.log_folder / f"trainer-{name}.log"

    async def sweep(self, adapters: Collection[str], jobs: Collection[str]) -> None:
        """Remove what a crash left, but for what these adapters and jobs need."""
        await self.adapters.sweep(adapters)
        await asyncio.to_thread(_sweep, self.folder, {self.checkpoint(job_id).name for job_id in jobs})


class Bench(Struct, frozen=True, kw_only=True):
    """All that one training needs, gathered and checked."""

    name: str
    """Of its files: the job's id."""
    order: FinetuneOrder
    entry: ModelEntry
    sha256: str
    """Of the base's first file."""
    dataset: Dataset
    adapter: Path
    """Where the adapter goes."""

    def configure(self, base: Path, checkpoint: Path, threads: int | None) -> Configure:
        """Return the first message."""
        settings = self.order.settings
        metadata = {"puna.base.sha256": self.sha256, "puna.dataset.sha256": self.dataset.sha256}
        if self.order.name:
            metadata["general.name"] = self.order.name
        return Configure(
            base=str(base),
            adapter=str(self.adapter),
            checkpoint=str(checkpoint),
            settings=replace(settings, threads=settings.threads or threads),
            metadata=metadata,
        )

    def record(
        self, job: FinetuneJob, plan: TrainingPlan, result: TrainingResult, *, size_bytes: int, now: int
    ) -> AdapterRecord:
        """Return what is written beside the adapter, with the settings that were chosen for it."""
        report = self.dataset.report
        assert report.kind is not None  # a dataset without samples is never stored
        return AdapterRecord(
            id=job.adapter_id,
            name=self.order.name or job.adapter_id,
            base_id=self.entry.id,
            base_sha256=self.sha256,
            base_size_bytes=self.entry.size_bytes,
            base_architecture=self.entry.architecture,
            dataset_id=self.dataset.id,
            dataset_sha256=self.dataset.sha256,
            kind=report.kind,
            labels=tuple(each.label for each in report.labels),
            is_multi_label=report.is_multi_label,
            settings=replace(self.order.settings, epochs=plan.epochs, learning_rate=plan.learning_rate),
            steps=result.steps,
            loss=result.loss,
            before=result.before,
            after=result.after,
            seconds=result.seconds,
            size_bytes=size_bytes,
            created_at=now,
            organisation_id=self.order.organisation_id,
            job_id=job.id,
        )


class Attempt:
    """One try to carry out a job, from the first look at its base to the record of the adapter."""

    def __init__(self, workshop: Workshop, job: FinetuneJob, hear: Callable[[FromTrainer], None]) -> None:
        """`hear` gets what the trainer says."""
        self.job = job
        self.has_advanced = False
        """Whether a checkpoint was written."""
        self._workshop = workshop
        self._hear = hear
        self._course: Course | None = None
        self._gathering: asyncio.Task[Bench] | None = None
        self._keeps: bool | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody wants it no more."""
        return self._keeps is not None

    async def cancel(self, *, keeps_checkpoint: bool) -> None:
        """Let `run` end soon, by `CourseCancelledError` unless the training was at its end. The first word counts."""
        if self._keeps is not None:
            return
        self._keeps = keeps_checkpoint
        if self._gathering is not None:
            self._gathering.cancel()
        if self._course is not None:
            await self._course.cancel(keeps_checkpoint=keeps_checkpoint)

    async def run(self) -> AdapterRecord:
        """Train and return the record of the adapter. Raises as `Course.train`, and what the preparations raise."""
        workshop, job = self._workshop, self.job
        if (record := workshop.adapters.find(job.adapter_id)) is not None:
            return record  # the daemon was killed before it wrote down that the job is done
        adapter = await workshop.adapters.prepare(job.adapter_id)
        try:
            bench = await self._gather(adapter)
            plan, result = await self._train(bench)
        except CourseCancelledError as cancelled:
            raise await self._to_end(has_checkpoint=cancelled.has_checkpoint) from None
        except TrainerDiedError:
            if not self.is_cancelled:
                raise
            raise await self._to_end(has_checkpoint=False) from None  # it did not stop in time
        size_bytes = (await asyncio.to_thread(adapter.stat)).st_size
        record = bench.record(job, plan, result, size_bytes=size_bytes, now=int(workshop.now()))
        await workshop.adapters.add(record)
        return record

    async def _gather(self, adapter: Path) -> Bench:
        """Look at base and dataset; the hash of a large base takes minutes, which nobody waits for who cancels."""
        self._check()
        opening = self._workshop.open_bench(self.job.order, self.job.id, adapter)
        self._gathering = asyncio.create_task(opening, name=f"bench of {self.job.id}")
        try:
            bench = await self._gathering
        except asyncio.CancelledError:
            self._check()
            raise
        finally:
            self._gathering.cancel()
            self._gathering = None
        self._check()
        return bench

    async def _train(self, bench: Bench) -> tuple[TrainingPlan, TrainingResult]:
        course = self._course = await self._workshop.open_course(bench.name, self._take)
        try:
            plan = await course.prepare(self._supply(bench))
            self._check()
            return plan, await course.train()
        finally:
            self._course = None
            await course.close()

    async def _supply(self, bench: Bench) -> AsyncIterator[Sequence[ToTrainer]]:
        async for messages in self._workshop.supply(bench):
            self._check()
            yield messages

    def _check(self) -> None:
        if self._keeps is not None:
            raise CourseCancelledError(has_checkpoint=False)

    async def _to_end(self, *, has_checkpoint: bool) -> CourseCancelledError:
        """Return the cancellation with what is left of the checkpoint, which goes where nobody wants it."""
        if not self._keeps:
            await self._workshop.drop_checkpoint(self.job.id)
            return CourseCancelledError(has_checkpoint=False)
        kept = has_checkpoint or await self._workshop.has_checkpoint(self.job.id)
        return CourseCancelledError(has_checkpoint=kept)

    def _take(self, said: FromTrainer) -> None:
        self.has_advanced = self.has_advanced or isinstance(said, Checkpointed)
        self._hear(said)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s cannot be removed (%s)", path.name, error.strerror)


def _sweep(folder: Path, wanted: Collection[str]) -> None:
    if folder.is_dir():
        _remove(path for path in folder.iterdir() if path.is_file() and path.name not in wanted)
