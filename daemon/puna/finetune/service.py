"""Fine-tunings as surfaces use them: order, look, cancel, resume, listen. One trains at a time, the others wait."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial

from msgspec.structs import replace

from puna.domain.finetune import (
    ADAPTER_PREFIX,
    AdapterRecord,
    FinetuneJob,
    FinetuneOrder,
    FinetuneState,
)
from puna.domain.training import TrainingPlan
from puna.engine.trainer_protocol import Checkpointed, Evaluated, FromTrainer, Prepared, Stepped
from puna.errors import DaemonError, InvalidRequestError, OverloadedError, PunaError, StoreError
from puna.finetune.course import CourseCancelledError, TrainerDiedError
from puna.finetune.endings import CANCELLED, UNEXPECTED, to_event
from puna.finetune.journal import Journal
from puna.finetune.ports import Publisher
from puna.finetune.roster import Roster
from puna.finetune.workshop import Attempt, Workshop

_log = logging.getLogger(__name__)

MAX_OPEN = 50
"""Fine-tunings that may wait or run; more are told to come again."""
MAX_ENDED = 200
"""Ended ones that are still listed."""
MAX_ESTIMATES = 10
"""Estimates that may wait or be made."""
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
        self._roster = Roster()
        self._attempt: Attempt | None = None
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._estimating = asyncio.Lock()
        self._estimates = 0
        self._unwanted: set[str] = set()
        """Jobs that run and that somebody has cancelled."""
        self._queueing = asyncio.Lock()
        """Held while a job gets into the queue, or out of it without having run."""
        self._is_closing = False

    async def start(self) -> None:
        """Take up what an earlier run left. Raises `PunaError` when the disk does not tell it."""
        kept = await self._workshop.list_checkpoints()
        for job in await self._journal.read():
            self._put(replace(job, has_checkpoint=job.id in kept))
        jobs = self.list()
        opened = [job for job in jobs if job.is_open]
        await self._workshop.sweep(
            {job.adapter_id for job in opened}, {job.id for job in jobs if job.has_checkpoint}
        )
        if opened:
            _log.info("taking up %d fine-tunings", len(opened))
        self._worker = asyncio.create_task(self._work(), name="finetunes")
        self._wake.set()

    async def order(self, order: FinetuneOrder) -> FinetuneJob:
        """Queue a fine-tuning.

        Raises `InvalidRequestError`, `ModelNotFoundError`, `NotFoundError` for the dataset, `ModelLoadError` where
        the base cannot be trained here, `OverloadedError` when too many wait, and what the journal raises.
        """
        self._check_room()
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
        if self._estimates >= MAX_ESTIMATES:
            raise OverloadedError(
                "Too many estimates are made; try again later.", retry_after_s=_RETRY_AFTER_S
            )
        self._estimates += 1
        try:
            checked = await self._workshop.check(order)
            async with self._estimating:
                self._check_taking()
                return await self._workshop.estimate(checked)
        finally:
            self._estimates -= 1

    def get(self, job_id: str) -> FinetuneJob:
        """Return a job as it is now. Raises `NotFoundError`."""
        return self._roster.get(job_id)

    def list(self) -> Sequence[FinetuneJob]:
        """Return all jobs, the oldest first."""
        return self._roster.jobs()

    def uses(self, dataset_id: str) -> bool:
        """Return whether a job that has not ended needs this dataset."""
        return any(job.is_open and job.order.dataset == dataset_id for job in self.list())

    async def cancel(self, job_id: str, *, keeps_checkpoint: bool = False) -> FinetuneJob:
        """End a job; what it has learnt is kept if asked, so that `resume` goes on from there.

        Returns once it has stopped: after the running step, a minute at most. Raises `NotFoundError`, or
        `InvalidRequestError` for one that has ended.
        """
        job = self.get(job_id)
        if not job.is_open:
            raise InvalidRequestError(f"The fine-tuning {job.id} is {job.state.value} already.")
        if job.state is not FinetuneState.QUEUED:
            self._unwanted.add(job_id)
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
        await asyncio.shield(self._withdraw(job_id))
        return self.get(job_id)

    async def resume(self, job_id: str) -> FinetuneJob:
        """Let a job that failed or was cancelled go on from its checkpoint, or anew where there is none.

        Raises `NotFoundError`, `InvalidRequestError` for one that is done, and `OverloadedError`.
        """
        self._check_taking()
        self.get(job_id)
        return await asyncio.shield(self._requeue(job_id))

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

    def listen(self) -> AbstractContextManager[AsyncGenerator[FinetuneJob]]:
        """Give all jobs as they are, and then each that has news. Raises `OverloadedError`."""
        return self._roster.listen()

    def stop_taking(self) -> None:
        """Refuse what is new, and let all who wait or listen end; what trains goes on. Idempotent."""
        self._is_closing = True
        self._wake.set()
        self._roster.close()

    async def close(self) -> None:
        """Stop training with a checkpoint, which the next start goes on from. Idempotent."""
        self.stop_taking()
        self._workshop.fingerprints.close()
        if self._attempt is not None:
            await self._attempt.cancel(keeps_checkpoint=True)
        if self._worker is not None:
            _, pending = await asyncio.wait([self._worker], timeout=_CLOSE_S)
            if pending:
                self._worker.cancel()
                await asyncio.wait([self._worker])
                for job in self.list():
                    if job.is_open and job.id in self._unwanted:  # its trainer outlasted the stop
                        await self._end(job.id, FinetuneState.CANCELLED, error=CANCELLED)

    # The task

    async def _work(self) -> None:
        while not self._is_closing:
            await self._wake.wait()
            self._wake.clear()
            while (job := self._next()) is not None:
                try:
                    await self._carry_out(job)
                except Exception:  # noqa: BLE001 - the others wait for their turn
                    _log.exception("the end of fine-tuning %s is not kept", job.id)
                    self._change(
                        job.id, state=FinetuneState.FAILED, error=UNEXPECTED, ended_at=int(self._now())
                    )

    def _next(self) -> FinetuneJob | None:
        if self._is_closing:
            return None
        return next((job for job in self.list() if job.state is FinetuneState.QUEUED), None)

    async def _carry_out(self, job: FinetuneJob) -> None:
        self._unwanted.discard(job.id)
        self._change(job.id, state=FinetuneState.PREPARING, started_at=job.started_at or int(self._now()))
        try:
            record = await self._train(job.id)
        except CourseCancelledError as cancelled:
            await self._stopped(job.id, has_checkpoint=cancelled.has_checkpoint)
        except DaemonError as error:  # with a path of this machine, which webhooks must not tell
            _log.warning("fine-tuning %s cannot be done: %s", job.id, error.message)
            await self._fail(job.id, "A folder of Puna cannot be used; `puna logs` tells which.")
        except PunaError as error:
            await self._fail(job.id, error.message)
        except Exception:  # noqa: BLE001 - nobody awaits the task: the job has to say so
            _log.exception("fine-tuning %s failed", job.id)
            await self._fail(job.id, UNEXPECTED)
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
                if not error.is_killed:
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
        if self._is_closing and job_id not in self._unwanted:
            self._change(job_id, state=FinetuneState.QUEUED)
            await self._keep(job_id)
        else:
            await self._end(job_id, FinetuneState.CANCELLED, error=CANCELLED)

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
        self._unwanted.discard(job_id)
        job = replace(self.get(job_id), state=state, error=error, ended_at=int(self._now()))
        if not job.has_checkpoint or state is FinetuneState.DONE:
            await self._workshop.drop_checkpoint(job_id)
        if state is not FinetuneState.DONE:
            await self._workshop.adapters.drop(job.adapter_id)
        await self._publish(job, seconds)
        self._put(job)
        await self._keep(job_id)
        _log.info("fine-tuning %s is %s", job_id, state.value)

    async def _publish(self, job: FinetuneJob, seconds: float) -> None:
        try:
            await self._publisher.publish(to_event(job, self._default_organisation, seconds=seconds))
        except PunaError as error:
            _log.warning("webhooks are not told of fine-tuning %s: %s", job.id, error.message)

    # What is known of jobs

    async def _queue(self, job: FinetuneJob) -> None:
        async with self._queueing:
            self._check_room()
            await self._journal.write(job)
            self._put(job)
            self._wake.set()

    async def _requeue(self, job_id: str) -> FinetuneJob:
        async with self._queueing:
            job = self.get(job_id)
            if job.state is FinetuneState.DONE:
                raise InvalidRequestError(f"The fine-tuning {job.id} is done; order another one.")
            if not job.is_open:
                self._check_room()
                job = _begin_again(job)
                await self._journal.write(job)
                self._put(job)
                self._wake.set()
            return job

    async def _withdraw(self, job_id: str) -> None:
        async with self._queueing:
            if self.get(job_id).state in (FinetuneState.QUEUED, FinetuneState.CANCELLED):
                self._change(job_id, state=FinetuneState.CANCELLED)  # again: a resume may have come between
                await self._end(job_id, FinetuneState.CANCELLED, error=CANCELLED)

    def _change(self, job_id: str, **changes: object) -> None:
        self._roster.change(job_id, **changes)

    def _put(self, job: FinetuneJob) -> None:
        self._roster.put(job)

    async def _keep(self, job_id: str) -> None:
        """Write a state; a disk that fails must not stop what works."""
        try:
            await self._journal.write(self.get(job_id))
        except PunaError as error:
            _log.warning("the state of fine-tuning %s is not kept: %s", job_id, error.message)

    async def _forget_old(self) -> None:
        async with self._queueing:  # so that none of them is resumed meanwhile
            ended = [job.id for job in self.list() if not job.is_open]
            surplus = ended[: max(0, len(ended) - MAX_ENDED)]
            self._roster.remove(surplus)
            if surplus:
                await self._workshop.forget(surplus)
                with suppress(StoreError):  # the order that made them surplus is taken all the same
                    await self._journal.remove(surplus)

    def _check_room(self) -> None:
        self._check_taking()
        if sum(job.is_open for job in self.list()) >= MAX_OPEN:
            raise OverloadedError(
                "Too many fine-tunings wait; try again later.", retry_after_s=_RETRY_AFTER_S
            )

    def _check_taking(self) -> None:
        if self._is_closing:
            raise OverloadedError("Puna is stopping.", retry_after_s=_RETRY_AFTER_S)


def _begin_again(job: FinetuneJob) -> FinetuneJob:
    """Return a job without what its next trainer tells anew; what was measured belongs to the checkpoint."""
    before = job.before if job.has_checkpoint else None
    return replace(
        job,
        state=FinetuneState.QUEUED,
        error=None,
        ended_at=None,
        plan=None,
        progress=None,
        before=before,
        after=None,
    )
