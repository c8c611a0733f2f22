"""Fine-tunings as jobs: their ends, deaths of trainers, cancelling, restarts, and who is told."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from fakes.finetuning import (
    ABORTED,
    AFTER,
    BEFORE,
    DEMO,
    KILLED,
    PLAN,
    WHOLE,
    Finetuning,
    ScriptedTrainer,
    run_finetuning,
    step,
)
from fakes.running_daemon import until
from puna.domain.finetune import FinetuneJob, FinetuneState
from puna.domain.finetune_events import FinetuneCompleted, FinetuneEvent, FinetuneFailed
from puna.domain.models import ModelEntry, ModelKind
from puna.domain.remote import RemoteModel
from puna.domain.training import TrainingSettings
from puna.engine.trainer_protocol import (
    AddChoices,
    AddHeldOut,
    AddSamples,
    Begin,
    Cancel,
    Checkpointed,
    ToTrainer,
    TrainingFailed,
)
from puna.errors import (
    ErrorKind,
    InvalidRequestError,
    ModelNotFoundError,
    ModelTooLargeError,
    NotFoundError,
    OverloadedError,
    StoreError,
)
from puna.finetune import adapters, course, service

WAITING = 60.0


def stuck() -> ScriptedTrainer:
    """Return a trainer that goes on for ever."""
    return ScriptedTrainer(said=(step(1), Checkpointed(1)))


async def train(daemon: Finetuning) -> str:
    return (await daemon.service.order(daemon.order_of())).id


async def until_training(daemon: Finetuning, job: str) -> None:
    await until(lambda: daemon.service.get(job).progress is not None)


async def test_a_job_that_is_done_has_an_adapter_with_a_record(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        ordered = await daemon.service.order(daemon.order_of())
        job = await daemon.service.wait(ordered.id, WAITING)

        assert (job.state, job.error, job.plan) == (FinetuneState.DONE, None, PLAN)
        assert (job.before, job.after, job.has_checkpoint) == (BEFORE, AFTER, False)
        record = daemon.adapters.get(job.adapter_id)
        assert (record.name, record.base_id, record.job_id) == ("colours", "demo", job.id)
        assert record.labels == ("blue", "red")
        assert (record.settings.epochs, record.settings.learning_rate) == (PLAN.epochs, PLAN.learning_rate)
        assert record.size_bytes == len(b"GGUF adapter")
        assert record.base_size_bytes == DEMO.stat().st_size
        assert daemon.adapters.path(job.adapter_id).read_bytes() == b"GGUF adapter"
        assert not daemon.workshop.checkpoint(job.id).exists()
        assert daemon.published.events == [
            FinetuneCompleted(
                job_id=job.id,
                organisation_id="org_default",
                model_id=job.adapter_id,
                training_time_s=4.5,
                ended_at=1000.0,
            )
        ]


async def test_the_trainer_gets_samples_held_out_ones_and_questions_about_labels(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        await daemon.service.wait(await train(daemon), WAITING)
        (trainer,) = daemon.trainers
        assert trainer.configure.base == str(DEMO)
        assert set(trainer.configure.metadata) == {"puna.base.sha256", "puna.dataset.sha256", "general.name"}
        trained = [each for given in trainer.given if isinstance(given, AddSamples) for each in given.samples]
        held = [each for given in trainer.given if isinstance(given, AddHeldOut) for each in given.samples]
        asked = [each for given in trainer.given if isinstance(given, AddChoices) for each in given.choices]
        assert len(trained) + len(held) == 30
        assert len(held) == len(asked) > 0
        assert all(len(choice.options) == 2 for choice in asked)
        assert [choice.options[choice.right] for choice in asked] == held
        assert trainer.is_ended


async def test_a_killed_trainer_is_started_again_and_an_aborted_one_is_not(tmp_path: Path) -> None:
    killed = ScriptedTrainer(said=WHOLE[:3], ending=KILLED)
    aborted = ScriptedTrainer(said=WHOLE[:2], ending=ABORTED)
    async with run_finetuning(tmp_path, killed, aborted) as daemon:
        job = await daemon.service.wait(await train(daemon), WAITING)
        assert job.state is FinetuneState.FAILED
        assert job.error == f"The trainer ended with {ABORTED}."
        assert len(daemon.trainers) == 2
        assert job.has_checkpoint, "what the first one wrote is still there"
        (event,) = daemon.published.events
        assert isinstance(event, FinetuneFailed)
        assert event.error == job.error


async def test_a_trainer_that_is_killed_again_and_again_ends_its_job(tmp_path: Path) -> None:
    dying = (ScriptedTrainer(said=(), ending=KILLED) for _ in range(3))
    async with run_finetuning(tmp_path, *dying) as daemon:
        job = await daemon.service.wait(await train(daemon), WAITING)
        assert job.state is FinetuneState.FAILED
        assert job.error is not None
        assert "may have run out of memory" in job.error
        assert len(daemon.trainers) == 3


async def test_deaths_are_counted_anew_after_each_checkpoint(tmp_path: Path) -> None:
    dying = (ScriptedTrainer(said=WHOLE[:3], ending=KILLED) for _ in range(5))
    async with run_finetuning(tmp_path, *dying) as daemon:
        job = await daemon.service.wait(await train(daemon), WAITING)
        assert job.state is FinetuneState.DONE
        assert len(daemon.trainers) == 6


async def test_what_the_trainer_says_it_cannot_do_is_the_error(tmp_path: Path) -> None:
    message = "A model of the architecture gemma cannot be fine-tuned: no gate."
    said = (TrainingFailed(ErrorKind.MODEL_LOAD_FAILED, message),)
    async with run_finetuning(tmp_path, ScriptedTrainer(said=said)) as daemon:
        job = await daemon.service.wait(await train(daemon), WAITING)
        assert (job.state, job.error) == (FinetuneState.FAILED, message)
        later = await daemon.service.resume(job.id)
        assert (later.state, later.error, later.adapter_id) == (FinetuneState.QUEUED, None, job.adapter_id)
        assert (await daemon.service.wait(job.id, WAITING)).state is FinetuneState.DONE
        with pytest.raises(InvalidRequestError, match="is done"):
            await daemon.service.resume(job.id)


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_cancelled_job_keeps_its_checkpoint_if_asked(tmp_path: Path, keeps: bool) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        job_id = await train(daemon)
        await until_training(daemon, job_id)
        job = await daemon.service.cancel(job_id, keeps_checkpoint=keeps)
        assert (job.state, job.has_checkpoint) == (FinetuneState.CANCELLED, keeps)
        assert daemon.workshop.checkpoint(job_id).exists() is keeps
        assert not daemon.adapters.path(job.adapter_id).parent.exists()
        (event,) = daemon.published.events
        assert isinstance(event, FinetuneFailed)
        with pytest.raises(InvalidRequestError, match="cancelled already"):
            await daemon.service.cancel(job_id)
        again = await daemon.service.resume(job_id)
        assert (again.plan, again.progress) == (None, None), "the next trainer tells its own"
        assert (await daemon.service.wait(job_id, WAITING)).state is FinetuneState.DONE


async def test_one_trains_at_a_time_and_a_waiting_one_can_be_cancelled(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        first, second, third = [
            (await daemon.service.order(daemon.order_of(seed=seed))).id for seed in range(3)
        ]
        await until_training(daemon, first)
        assert daemon.service.uses(daemon.service.get(first).order.dataset)
        assert (await daemon.service.cancel(second)).state is FinetuneState.CANCELLED
        assert daemon.service.get(third).state is FinetuneState.QUEUED
        assert len(daemon.trainers) == 1
        await daemon.service.cancel(first)
        assert (await daemon.service.wait(third, WAITING)).state is FinetuneState.DONE
        assert daemon.service.get(second).state is FinetuneState.CANCELLED
        assert [job.id for job in daemon.service.list()] == [first, second, third]
        assert not daemon.service.uses(daemon.service.get(first).order.dataset)


async def test_what_ran_when_the_daemon_stopped_goes_on_after_the_next_start(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        running = await train(daemon)
        waiting = await train(daemon)
        await until_training(daemon, running)
    assert not daemon.published.events, "it has not ended"
    async with run_finetuning(tmp_path) as daemon:
        for job_id in (running, waiting):
            assert (await daemon.service.wait(job_id, WAITING)).state is FinetuneState.DONE
        assert daemon.workshop.checkpoint(running).name in daemon.trainers[0].configure.checkpoint
    async with run_finetuning(tmp_path) as daemon:
        assert [job.state for job in daemon.service.list()] == [FinetuneState.DONE] * 2
        assert len(daemon.adapters.records()) == 2
        assert not daemon.trainers


async def test_a_start_removes_what_a_crash_left_and_keeps_what_is_needed(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        cancelled = await train(daemon)
        await until_training(daemon, cancelled)
        await daemon.service.cancel(cancelled, keeps_checkpoint=True)
        folder = daemon.workshop.folder
        (folder / "ft_000000000000.checkpoint").write_bytes(b"old")
        stray = await daemon.adapters.prepare("ft_model_000000000000")
        stray.write_bytes(b"half")
    async with run_finetuning(tmp_path) as daemon:
        assert [path.name for path in folder.iterdir()] == [f"{cancelled}.checkpoint"]
        assert not stray.exists()
        assert daemon.service.get(cancelled).has_checkpoint


async def test_listeners_are_told_of_every_job_and_end_with_the_daemon(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        job_id = await train(daemon)
        states = []
        with daemon.service.listen() as news:
            async for job in news:
                states.append(job.state)
                if job.state is FinetuneState.DONE:
                    await daemon.service.close()
        assert states[-1] is FinetuneState.DONE
        with pytest.raises(OverloadedError):
            await daemon.service.order(daemon.order_of())
        assert daemon.service.get(job_id).state is FinetuneState.DONE


async def test_an_estimate_trains_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        assert await daemon.service.estimate(daemon.order_of()) == PLAN
        (trainer,) = daemon.trainers
        assert trainer.is_ended
        assert not trainer.given_of(Begin)
        assert daemon.service.list() == []
        assert not list(daemon.workshop.folder.iterdir())


async def test_what_cannot_be_trained_is_refused_before_anything_starts(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        entries = daemon.bases.entries
        demo = entries["demo"]
        entries["gemma"] = replace(demo, id="gemma", architecture="gemma")
        entries["vectors"] = replace(demo, id="vectors", kind=ModelKind.EMBEDDING)
        entries["adapter"] = replace(demo, id="adapter", adapter=DEMO, base="demo")
        entries["huge"] = replace(demo, id="huge", size_bytes=1 << 50)
        entries["away"] = ModelEntry(
            id="away", name="away", size_bytes=0, remote=RemoteModel(name="away", url="http://localhost:1")
        )
        for name, reason in {
            "gemma": "no backward pass",
            "vectors": "it is for embedding",
            "adapter": "fine-tune its base demo",
            "away": "it runs elsewhere",
        }.items():
            with pytest.raises(InvalidRequestError, match=reason):
                await daemon.service.order(daemon.order_of(model=name))
        with pytest.raises(
            ModelTooLargeError, match=r"at least 1048576\.\d GiB of memory, and .* GiB are free"
        ):
            await daemon.service.order(daemon.order_of(model="huge"))
        with pytest.raises(ModelNotFoundError):
            await daemon.service.order(daemon.order_of(model="nothing"))
        with pytest.raises(NotFoundError, match="There is no dataset ds_1"):
            await daemon.service.order(replace(daemon.order_of(), dataset="ds_1"))
        with pytest.raises(InvalidRequestError, match="`epochs` must be above 0"):
            wrong = TrainingSettings(epochs=0)
            await daemon.service.order(replace(daemon.order_of(), settings=wrong))
        assert not daemon.trainers


async def test_a_damaged_dataset_fails_the_job(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        order = daemon.order_of()
        (content,) = (tmp_path / "state" / "datasets").glob("*.data")
        content.write_bytes(content.read_bytes()[:-10])
        job = await daemon.service.wait((await daemon.service.order(order)).id, WAITING)
        assert job.state is FinetuneState.FAILED
        assert job.error is not None
        assert "is damaged or gone" in job.error
        assert not daemon.trainers


async def test_a_full_disk_at_the_end_fails_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with run_finetuning(tmp_path) as daemon:
        with monkeypatch.context() as patch:
            patch.setattr("puna.finetune.adapters.write_private", refuse)
            job = await daemon.service.wait(await train(daemon), WAITING)
        assert job.state is FinetuneState.FAILED
        assert job.error is not None
        assert "No space left on device" in job.error
        assert job.has_checkpoint
        assert not daemon.adapters.records()
        await daemon.service.resume(job.id)
        assert (await daemon.service.wait(job.id, WAITING)).state is FinetuneState.DONE


async def test_a_job_that_this_puna_cannot_read_does_not_stop_the_others(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        job_id = await train(daemon)
        await daemon.service.wait(job_id, WAITING)
    with sqlite3.connect(tmp_path / "state" / "puna.db") as connection:
        connection.execute("INSERT INTO finetunes (id, job, created_at) VALUES ('ft_x', '{}', 1)")
    connection.close()
    async with run_finetuning(tmp_path) as daemon:
        assert [job.id for job in daemon.service.list()] == [job_id]


async def test_an_event_is_for_the_organisation_of_the_order(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        job = await daemon.service.order(daemon.order_of(organisation="org_other"))
        await daemon.service.wait(job.id, WAITING)
        assert [event.organisation_id for event in daemon.published.events] == ["org_other"]
        assert daemon.adapters.get(job.adapter_id).organisation_id == "org_other"


class DeafTrainer(ScriptedTrainer):
    """Goes on for ever and does not hear that it shall stop."""

    async def tell(self, messages: Sequence[ToTrainer]) -> None:
        await super().tell([each for each in messages if not isinstance(each, Cancel)])


async def test_a_trainer_that_does_not_stop_is_killed_and_its_job_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "_CANCEL_S", 0.01)
    async with run_finetuning(tmp_path, DeafTrainer(said=(step(1), Checkpointed(1)))) as daemon:
        job_id = await train(daemon)
        await until_training(daemon, job_id)
        job = await daemon.service.cancel(job_id, keeps_checkpoint=True)
        assert (job.state, job.error) == (FinetuneState.CANCELLED, "It was cancelled.")
        assert job.has_checkpoint, "what it wrote before is still there"
        assert len(daemon.trainers) == 1


class FullTrainer(ScriptedTrainer):
    """Reads nothing any more: whoever tells it something waits until it is killed."""

    async def tell(self, messages: Sequence[ToTrainer]) -> None:
        if not any(isinstance(each, Cancel) for each in messages):
            await super().tell(messages)
        else:
            await until(lambda: self.is_ended)
            raise ConnectionResetError


async def test_a_trainer_that_reads_nothing_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_CLOSE_S", 0.01)
    monkeypatch.setattr(course, "_GRACE_S", 0.01)
    async with run_finetuning(tmp_path, FullTrainer(said=(step(1),))) as daemon:
        job_id = await train(daemon)
        await until_training(daemon, job_id)
        async with asyncio.timeout(WAITING / 2):
            await daemon.service.close()
        assert daemon.trainers[0].is_ended
    async with run_finetuning(tmp_path) as daemon:
        assert (await daemon.service.wait(job_id, WAITING)).state is FinetuneState.DONE


async def test_a_job_whose_base_is_still_read_is_cancelled_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_finetuning(tmp_path) as daemon:
        is_read = asyncio.Event()

        async def read_for_ever(_path: Path) -> str:
            is_read.set()
            await asyncio.Event().wait()
            raise AssertionError

        with monkeypatch.context() as patch:
            patch.setattr(daemon.workshop.fingerprints, "sha256_of", read_for_ever)
            job_id = await train(daemon)
            await is_read.wait()
            assert (await daemon.service.cancel(job_id)).state is FinetuneState.CANCELLED
        assert not daemon.trainers
        await daemon.service.resume(job_id)
        assert (await daemon.service.wait(job_id, WAITING)).state is FinetuneState.DONE


async def test_an_end_that_nobody_can_be_told_of_does_not_stop_the_next_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_finetuning(tmp_path) as daemon:

        async def refuse(event: FinetuneEvent) -> None:
            if event.job_id == first:
                raise RuntimeError("a mistake")

        monkeypatch.setattr(daemon.published, "publish", refuse)
        first = await train(daemon)
        second = await train(daemon)
        job = await daemon.service.wait(first, WAITING)
        assert (job.state, job.error) == (
            FinetuneState.FAILED,
            "Something unexpected happened; `puna logs` tells more.",
        )
        assert (await daemon.service.wait(second, WAITING)).state is FinetuneState.DONE


async def test_a_job_that_is_resumed_while_it_is_cancelled_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        is_told, may_go_on = asyncio.Event(), asyncio.Event()
        publish = daemon.published.publish

        async def hold(event: FinetuneEvent) -> None:
            is_told.set()
            await may_go_on.wait()
            await publish(event)

        running, waiting = await train(daemon), await train(daemon)
        await until_training(daemon, running)
        with monkeypatch.context() as patch:
            patch.setattr(daemon.published, "publish", hold)
            cancelling = asyncio.create_task(daemon.service.cancel(waiting))
            await is_told.wait()
            resuming = [asyncio.create_task(daemon.service.resume(waiting)) for _ in range(2)]
            await asyncio.sleep(0.05)
            may_go_on.set()
            assert (await cancelling).id == waiting
            assert {job.state for job in await asyncio.gather(*resuming)} == {FinetuneState.QUEUED}
        await daemon.service.cancel(running)
        assert (await daemon.service.wait(waiting, WAITING)).state is FinetuneState.DONE
        assert len(daemon.trainers) == 2


async def test_a_job_that_is_cancelled_after_a_resume_that_waits_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        is_told, may_go_on, may_write = asyncio.Event(), asyncio.Event(), asyncio.Event()
        publish, write = daemon.published.publish, daemon.service._journal.write

        async def hold(event: FinetuneEvent) -> None:
            if event.job_id == waiting:
                is_told.set()
                await may_go_on.wait()
            await publish(event)

        async def write_late(job: FinetuneJob) -> None:
            if job.id not in (running, waiting):
                await may_write.wait()
            await write(job)

        running, waiting = await train(daemon), await train(daemon)
        await until_training(daemon, running)
        monkeypatch.setattr(daemon.published, "publish", hold)
        monkeypatch.setattr(daemon.service._journal, "write", write_late)
        ordering = asyncio.create_task(train(daemon))
        await until(daemon.service._queueing.locked)
        resuming = asyncio.create_task(daemon.service.resume(waiting))
        await asyncio.sleep(0)
        cancelling = asyncio.create_task(daemon.service.cancel(waiting))
        await until(lambda: daemon.service.get(waiting).state is FinetuneState.CANCELLED)
        may_write.set()
        await is_told.wait()
        await daemon.service.cancel(running)
        third = daemon.service.list()[-1].id
        assert (await daemon.service.wait(third, WAITING)).state is FinetuneState.DONE
        may_go_on.set()
        await asyncio.gather(ordering, resuming)
        assert (await cancelling).state is FinetuneState.CANCELLED
        assert len(daemon.trainers) == 2


async def test_an_adapter_that_was_finished_before_a_crash_is_not_trained_again(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        done = await daemon.service.wait(await train(daemon), WAITING)
        record = daemon.adapters.get(done.adapter_id)
    with sqlite3.connect(tmp_path / "state" / "puna.db") as connection:
        connection.execute("""UPDATE finetunes SET job = replace(job, '"done"', '"training"')""")
    connection.close()
    async with run_finetuning(tmp_path) as daemon:
        job = await daemon.service.wait(done.id, WAITING)
        assert (job.state, job.after) == (FinetuneState.DONE, AFTER)
        assert not daemon.trainers
        assert daemon.adapters.get(done.adapter_id) == record
        (event,) = daemon.published.events
        assert isinstance(event, FinetuneCompleted)
        assert event.training_time_s == 4.5


async def test_who_waits_is_told_at_once_when_the_daemon_begins_to_stop(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        job_id = await train(daemon)
        await until_training(daemon, job_id)
        waiting = asyncio.create_task(daemon.service.wait(job_id))
        await asyncio.sleep(0)
        daemon.service.stop_taking()
        daemon.service.stop_taking()
        with pytest.raises(OverloadedError, match="is stopping"):
            await waiting
        assert daemon.service.get(job_id).state is FinetuneState.TRAINING
        assert not daemon.trainers[0].given_of(Cancel)


async def test_a_job_that_is_cancelled_while_the_daemon_stops_does_not_come_back(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path, stuck()) as daemon:
        job_id = await train(daemon)
        await until_training(daemon, job_id)
        daemon.service.stop_taking()
        with pytest.raises(OverloadedError):
            await daemon.service.cancel(job_id)
    async with run_finetuning(tmp_path) as daemon:
        assert daemon.service.get(job_id).state is FinetuneState.CANCELLED
        assert not daemon.workshop.checkpoint(job_id).exists()
        assert not daemon.trainers


async def test_a_cancelled_job_does_not_come_back_where_its_trainer_outlasts_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_CLOSE_S", 0.01)
    async with run_finetuning(tmp_path, DeafTrainer(said=(step(1),))) as daemon:
        job_id = await train(daemon)
        await until_training(daemon, job_id)
        cancelling = asyncio.create_task(daemon.service.cancel(job_id))
        await until(lambda: job_id in daemon.service._unwanted)
    with pytest.raises(OverloadedError):
        await cancelling
    async with run_finetuning(tmp_path) as daemon:
        assert daemon.service.get(job_id).state is FinetuneState.CANCELLED
        assert not daemon.trainers


async def test_a_folder_that_cannot_be_used_fails_the_job_without_its_path(tmp_path: Path) -> None:
    async with run_finetuning(tmp_path) as daemon:
        order = daemon.order_of()
        daemon.workshop.folder.parent.mkdir(parents=True, exist_ok=True)
        daemon.workshop.folder.write_text("in the way")
        job = await daemon.service.wait((await daemon.service.order(order)).id, WAITING)
        assert (job.state, job.error) == (
            FinetuneState.FAILED,
            "A folder of Puna cannot be used; `puna logs` tells which.",
        )


async def test_the_queue_has_a_bound_for_resumed_jobs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_OPEN", 2)
    async with run_finetuning(tmp_path, stuck()) as daemon:
        first, second = await train(daemon), await train(daemon)
        await until_training(daemon, first)
        await daemon.service.cancel(second)
        third = await train(daemon)
        with pytest.raises(OverloadedError, match="Too many"):
            await daemon.service.resume(second)
        with pytest.raises(OverloadedError, match="Too many"):
            await train(daemon)
        await daemon.service.cancel(first)
        assert (await daemon.service.wait(third, WAITING)).state is FinetuneState.DONE


async def test_estimates_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_ESTIMATES", 2)
    async with run_finetuning(tmp_path) as daemon:
        order = daemon.order_of()
        asked = [asyncio.create_task(daemon.service.estimate(order)) for _ in range(3)]
        plans = await asyncio.gather(*asked, return_exceptions=True)
        assert [plan for plan in plans if not isinstance(plan, OverloadedError)] == [PLAN] * 2
        assert await daemon.service.estimate(order) == PLAN


async def test_jobs_that_are_no_longer_listed_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_ENDED", 1)
    async with run_finetuning(tmp_path, stuck()) as daemon:
        first = await train(daemon)
        await until_training(daemon, first)
        await daemon.service.cancel(first, keeps_checkpoint=True)
        log = daemon.workshop.log_folder / f"trainer-{first}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("some words")
        second = await train(daemon)
        await daemon.service.wait(second, WAITING)
        await daemon.service.wait(await train(daemon), WAITING)
        with pytest.raises(NotFoundError):
            daemon.service.get(first)
        assert not log.exists()
        assert not daemon.workshop.checkpoint(first).exists()


async def test_a_job_that_is_resumed_while_old_ones_are_forgotten_keeps_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_ENDED", 1)
    async with run_finetuning(tmp_path, stuck()) as daemon:
        first = await train(daemon)
        await until_training(daemon, first)
        await daemon.service.cancel(first, keeps_checkpoint=True)
        await daemon.service.wait(await train(daemon), WAITING)
        daemon.coming.append(stuck())
        may_write, write = asyncio.Event(), daemon.service._journal.write

        async def write_late(job: FinetuneJob) -> None:
            await may_write.wait()
            await write(job)

        monkeypatch.setattr(daemon.service._journal, "write", write_late)
        ordering = asyncio.create_task(train(daemon))
        await until(daemon.service._queueing.locked)
        resuming = asyncio.create_task(daemon.service.resume(first))
        await asyncio.sleep(0)
        may_write.set()
        await ordering
        assert (await resuming).is_open
        assert daemon.workshop.checkpoint(first).exists()
        assert first in {job.id for job in await daemon.service._journal.read()}


async def test_an_order_is_taken_also_where_old_jobs_cannot_be_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_ENDED", 1)

    async def fail(_: object) -> None:
        raise StoreError("The disk is full.")

    async with run_finetuning(tmp_path) as daemon:
        for _ in range(2):
            await daemon.service.wait(await train(daemon), WAITING)
        monkeypatch.setattr(daemon.service._journal, "remove", fail)
        assert (await daemon.service.wait(await train(daemon), WAITING)).state is FinetuneState.DONE


async def test_an_adapter_goes_as_a_whole_also_when_who_removes_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_finetuning(tmp_path) as daemon:
        adapter = (await daemon.service.wait(await train(daemon), WAITING)).adapter_id
        has_begun, may_go_on, remove = threading.Event(), threading.Event(), adapters._remove

        def remove_late(place: Path) -> None:
            has_begun.set()
            may_go_on.wait(WAITING)
            remove(place)

        monkeypatch.setattr(adapters, "_remove", remove_late)
        removing = asyncio.create_task(daemon.adapters.remove(adapter))
        await until(has_begun.is_set)
        removing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await removing
        may_go_on.set()
        await until(lambda: not daemon.adapters.path(adapter).exists())
        await until(lambda: daemon.adapters.find(adapter) is None)
