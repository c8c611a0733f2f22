"""Fine-tunings as jobs: their ends, deaths of trainers, cancelling, restarts, and who is told."""

import sqlite3
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
from puna.domain.finetune import FinetuneState
from puna.domain.finetune_events import FinetuneCompleted, FinetuneFailed
from puna.domain.models import ModelEntry, ModelKind
from puna.domain.remote import RemoteModel
from puna.domain.training import TrainingSettings
from puna.engine.trainer_protocol import (
    AddChoices,
    AddHeldOut,
    AddSamples,
    Begin,
    Checkpointed,
    TrainingFailed,
)
from puna.errors import (
    ErrorKind,
    InvalidRequestError,
    ModelNotFoundError,
    ModelTooLargeError,
    NotFoundError,
    OverloadedError,
)

WAITING = 5.0


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
        (event,) = daemon.published.events
        assert isinstance(event, FinetuneFailed)
        with pytest.raises(InvalidRequestError, match="cancelled already"):
            await daemon.service.cancel(job_id)
        await daemon.service.resume(job_id)
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
