"""Fine-tunings as surfaces use them: order, look, cancel, resume, listen. One trains at a time, the others wait."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from msgspec.structs import replace

from puna.domain.finetune import (
    ADAPTER_PREFIX,
    AdapterRecord,
    FinetuneJob,
    FinetuneOrder,
    FinetuneState,
)
from puna.domain.finetune_events import FinetuneCompleted, FinetuneEvent, FinetuneFailed
from puna.domain.training import TrainingPlan
from puna.engine.trainer_protocol import Checkpointed, Evaluated, FromTrainer, Prepared, Stepped
from puna.errors import InvalidRequestError, NotFoundError, OverloadedError, PunaError
from puna.finetune.course import CourseCancelledError, TrainerDiedError
from puna.finetune.journal import Journal
from puna.finetune.listeners import Listener
from puna.finetune.ports import Publisher
from puna.finetune.workshop import Attempt, Workshop

_log = logging.getLogger(__name__)

MAX_OPEN = 50
"""Fine-tunings that may wait or run; more are told to come again."""
MAX_ENDED = 200
"""Ended ones that are still listed."""
MAX_LISTENERS = 200
MAX_DEATHS = 3
"""Times that a trainer may be killed in a row, without a checkpoint between, before its job has failed."""
_RETRY_AFTER_S = 60.0
_CLOSE_S = 15.0
"""How long a stopping daemon waits for the last checkpoint."""


class FinetuneService:
    """Called from the event loop only. One task trains; nobody else changes a job that runs."""

    def __init__(
        self,
        workshop: Workshop,
        journal: Journal,
        publisher: Publisher,
        *,
        default_organisation: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`default_organisation` is told of the jobs that belong to none; `now` gives seconds since 1970."""
        self._workshop = workshop
        self._journal = journal
        self._publisher = publisher
        self._default_organisation = default_organisation
        self._now = now
        self._jobs: dict[str, FinetuneJob] = {}
        self._attempt: Attempt | None = None
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._listeners: set[Listener] = set()
        self._estimating = asyncio.Lock()
        self._is_closing = False

    async def start(self) -> None:
        """Take up what an earlier run left. Raises `PunaError` when the disk does not tell it."""
        for job in await self._journal.read():
            self._jobs[job.id] = replace(job, has_checkpoint=await self._workshop.has_checkpoint(job.id))
        opened = [job for job in self._jobs.values() if job.is_open]
        resumable = {job.adapter_id for job in self._jobs.values() if job.state is not FinetuneState.DONE}
        await self._workshop.sweep(resumable, {job.id for job in self._jobs.values() if job.has_checkpoint})
        if opened:
            _log.info("taking up %d fine-tunings", len(opened))
        self._worker = asyncio.create_task(self._work(), name="finetunes")
        self._wake.set()

    async def order(self, order: FinetuneOrder) -> FinetuneJob:
        """Queue a fine-tuning.

        Raises `InvalidRequestError`, `ModelNotFoundError`, `NotFoundError` for the dataset, `ModelLoadError` where
        the base cannot be trained here, `OverloadedError` when too many wait, and what the journal raises.
        """
        self._check_taking()
        if sum(job.is_open for job in self._jobs.values()) >= MAX_OPEN:
            raise OverloadedError(
                "Too many fine-tunings wait; try again later.", retry_after_s=_RETRY_AFTER_S
            )
        checked = await self._workshop.check(order)
        job = FinetuneJob(
            id=f"ft_{secrets.token_hex(6)}",
            adapter_id=f"{ADAPTER_PREFIX}{secrets.token_hex(6)}",
            order=checked,
            state=FinetuneState.QUEUED,
            created_at=int(self._now()),
        )
        # Shielded: a job that is on disk is a job, also when its client leaves now.
        await asyncio.shield(self._queue(job))
        await self._forget_old()
        return job

    async def estimate(self, order: FinetuneOrder) -> TrainingPlan:
        """Return what an order would do, with its time and memory; takes as long as loading the model.

        Errors as `order`, and those of the trainer.
        """
        self._check_taking()
        checked = await self._workshop.check(order)
        async with self._estimating:
            self._check_taking()
            return await self._workshop.estimate(checked)

    def get(self, job_id: str) -> FinetuneJob:
        """Return a job as it is now. Raises `NotFoundError`."""
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"There is no fine-tuning {job_id[:60]}.")
        return job

    def list(self) -> Sequence[FinetuneJob]:
        """Return all jobs, the oldest first."""
        return list(self._jobs.values())

    def uses(self, dataset_id: str) -> bool:
        """Return whether a job that has not ended needs this dataset."""
        return any(job.is_open and job.order.dataset == dataset_id for job in self._jobs.values())

    async def cancel(self, job_id: str, *, keeps_checkpoint: bool = False) -> FinetuneJob:
        """End a job; what it has learnt is kept if asked, so that `resume` goes on from there.

        Returns once it has stopped: after the running step, a minute at most. Raises `NotFoundError`, or
        `InvalidRequestError` for one that has ended.
        """
        job = self.get(job_id)
        if not job.is_open:
            raise InvalidRequestError(f"The fine-tuning {job.id} is {job.state.value} already.")
        if job.state is not FinetuneState.QUEUED:
            if self._attempt is not None and self._attempt.job.id == job_id:
                await self._attempt.cancel(keeps_checkpoint=keeps_checkpoint)
            return await self.wait(job_id)
        # At once, so that nobody begins it meanwhile.
        self._change(
            job_id,
            state=FinetuneState.CANCELLED,
            ended_at=int(self._now()),
            has_checkpoint=job.has_checkpoint and keeps_checkpoint,
        )
        await asyncio.shield(self._end(job_id, FinetuneState.CANCELLED, error=_CANCELLED))
        return self.get(job_id)

    async def resume(self, job_id: str) -> FinetuneJob:
        """Let a job that failed or was cancelled go on from its checkpoint, or anew where there is none.

        Raises `NotFoundError`, and `InvalidRequestError` for one that is done.
        """
        self._check_taking()
        job = self.get(job_id)
        if job.state is FinetuneState.DONE:
            raise InvalidRequestError(f"The fine-tuning {job.id} is done; order another one.")
        if not job.is_open:
            job = replace(job, state=FinetuneState.QUEUED, error=None, ended_at=None, progress=None)
            await asyncio.shield(self._queue(job))
        return job

    async def wait(self, job_id: str, timeout_s: float | None = None) -> FinetuneJob:
        """Return a job once it has ended, or after the time as it is then.

        Raises `NotFoundError`, and `OverloadedError` when the daemon stops meanwhile.
        """
        self.get(job_id)
        with self.listen() as news:
            try:
                async with asyncio.timeout(timeout_s):
                    async for job in news:
                        if job.id == job_id and not job.is_open:
                            return job
            except TimeoutError:
                return self.get(job_id)
        self._check_taking()
        return self.get(job_id)

    @contextmanager
    def listen(self) -> Iterator[AsyncGenerator[FinetuneJob]]:
        """Give all jobs as they are, and then each that has news. Raises `OverloadedError`."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise OverloadedError("Too many programs watch fine-tunings.", retry_after_s=_RETRY_AFTER_S)
        listener = Listener(self._jobs.get)
        for job_id in self._jobs:
            listener.tell(job_id)
        self._listeners.add(listener)
        if self._is_closing:
            listener.close()
        try:
            yield listener.read()
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """Stop training with a checkpoint, which the next start goes on from, and let listeners end. Idempotent."""
        self._is_closing = True
        self._workshop.fingerprints.close()
        self._wake.set()
        for listener in self._listeners:
            listener.close()
        if self._attempt is not None:
            await self._attempt.cancel(keeps_checkpoint=True)
        if self._worker is not None:
            _, pending = await asyncio.wait([self._worker], timeout=_CLOSE_S)
            if pending:
                self._worker.cancel()
                await asyncio.wait([self._worker])

    # The task

    async def _work(self) -> None:
        while not self._is_closing:
            await self._wake.wait()
            self._wake.clear()
            while (job := self._next()) is not None:
                await self._carry_out(job)

    def _next(self) -> FinetuneJob | None:
        if self._is_closing:
            return None
        return next((job for job in self._jobs.values() if job.state is FinetuneState.QUEUED), None)

    async def _carry_out(self, job: FinetuneJob) -> None:
        self._change(job.id, state=FinetuneState.PREPARING, started_at=job.started_at or int(self._now()))
        try:
            record = await self._train(job.id)
        except CourseCancelledError as cancelled:
            await self._stopped(job.id, has_checkpoint=cancelled.has_checkpoint)
        except PunaError as error:
            await self._fail(job.id, error.message)
        except Exception:  # noqa: BLE001 - nobody awaits the task: the job has to say so
            _log.exception("fine-tuning %s failed", job.id)
            await self._fail(job.id, "Something unexpected happened; `puna logs` tells more.")
        else:
            self._change(job.id, before=record.before, after=record.after, has_checkpoint=False)
            await self._end(job.id, FinetuneState.DONE, seconds=record.seconds)

    async def _train(self, job_id: str) -> AdapterRecord:
        """Train, again from the checkpoint where the trainer is killed."""
        deaths = 0
        while True:
            attempt = Attempt(self._workshop, self.get(job_id), partial(self._hear, job_id))
            self._attempt = attempt
            try:
                await self._keep(job_id)
                return await attempt.run()
            except TrainerDiedError as error:
                if not error.is_killed or attempt.is_cancelled:
                    raise
                deaths = 1 if attempt.has_advanced else deaths + 1
                if deaths >= MAX_DEATHS:
                    raise
                _log.warning("fine-tuning %s goes on from its checkpoint: %s", job_id, error.message)
                self._change(job_id, state=FinetuneState.PREPARING)
            finally:
                self._attempt = None

    def _hear(self, job_id: str, said: FromTrainer) -> None:
        match said:
            case Prepared(plan):
                self._change(job_id, state=FinetuneState.TRAINING, plan=plan)
            case Stepped(progress):
                self._change(job_id, progress=progress)
            case Evaluated(is_after, evaluation):
                self._change(job_id, **{"after" if is_after else "before": evaluation})
            case Checkpointed():
                self._change(job_id, has_checkpoint=True)
            case _:
                return

    async def _stopped(self, job_id: str, *, has_checkpoint: bool) -> None:
        self._change(job_id, has_checkpoint=has_checkpoint)
        if self._is_closing:
            self._change(job_id, state=FinetuneState.QUEUED)
            await self._keep(job_id)
        else:
            await self._end(job_id, FinetuneState.CANCELLED, error=_CANCELLED)

    async def _fail(self, job_id: str, message: str) -> None:
        if self._is_closing:  # whatever came of it: the next start tries again
            await self._stopped(job_id, has_checkpoint=False)
            return
        _log.warning("fine-tuning %s failed: %s", job_id, message)
        self._change(job_id, has_checkpoint=await self._workshop.has_checkpoint(job_id))
        await self._end(job_id, FinetuneState.FAILED, error=message)

    async def _end(
        self, job_id: str, state: FinetuneState, *, error: str | None = None, seconds: float = 0.0
    ) -> None:
        """Tell those who asked to be told, then keep the end: after a crash between, they are not told twice."""
        job = replace(self.get(job_id), state=state, error=error, ended_at=int(self._now()))
        if not job.has_checkpoint or state is FinetuneState.DONE:
            await self._workshop.drop_checkpoint(job_id)
        await self._publish(job, seconds)
        self._put(job)
        await self._keep(job_id)
        _log.info("fine-tuning %s is %s", job_id, state.value)

    async def _publish(self, job: FinetuneJob, seconds: float) -> None:
        try:
            await self._publisher.publish(self._event_of(job, seconds))
        except PunaError as error:
            _log.warning("webhooks are not told of fine-tuning %s: %s", job.id, error.message)

    def _event_of(self, job: FinetuneJob, seconds: float) -> FinetuneEvent:
        whose = job.order.organisation_id or self._default_organisation
        ended_at = float(job.ended_at or self._now())
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
            error=job.error or _CANCELLED,
            ended_at=ended_at,
        )

    # What is known of jobs

    async def _queue(self, job: FinetuneJob) -> None:
        await self._journal.write(job)
        self._put(job)
        self._wake.set()

    def _change(self, job_id: str, **changes: object) -> None:
        self._put(replace(self.get(job_id), **changes))

    def _put(self, job: FinetuneJob) -> None:
        self._jobs[job.id] = job
        for listener in self._listeners:
            listener.tell(job.id)

    async def _keep(self, job_id: str) -> None:
        """Write a state; a disk that fails must not stop what works."""
        try:
            await self._journal.write(self.get(job_id))
        except PunaError as error:
            _log.warning("the state of fine-tuning %s is not kept: %s", job_id, error.message)

    async def _forget_old(self) -> None:
        ended = [job.id for job in self._jobs.values() if not job.is_open]
        surplus = ended[: max(0, len(ended) - MAX_ENDED)]
        for job_id in surplus:
            del self._jobs[job_id]
            await self._workshop.drop_checkpoint(job_id)
        if surplus:
            await self._journal.remove(surplus)

    def _check_taking(self) -> None:
        if self._is_closing:
            raise OverloadedError("Puna is stopping.", retry_after_s=_RETRY_AFTER_S)


_CANCELLED = "It was cancelled."
