"""Trainings in real children with the built-in demo model, from the first message to the adapter's file."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from hashlib import sha256
from math import isfinite
from pathlib import Path

import numpy as np
import psutil
import pytest
from msgspec.structs import replace

from fakes.trainers import ABORTING, DEMO, QUICK, Trainer, pattern_samples, write_tiny_gemma
from puna.domain.training import Choice, TextPart, TextSample, TokenSample, TrainingSettings
from puna.engine.trainer_process import TrainerProcess
from puna.engine.trainer_protocol import (
    Cancelled,
    Checkpointed,
    Done,
    Evaluated,
    Prepare,
    Prepared,
    Stepped,
    TrainingFailed,
)
from puna.errors import ErrorKind
from puna.trainer.gguf_file import read_gguf

NewTrainer = Callable[..., Trainer]
SAMPLES = pattern_samples(24)
HALTING = [
    sys.executable,
    "-P",
    "-c",
    "import time; from puna.trainer import main; from puna.trainer.training import Training; "
    "_step = Training._train_step; "
    "Training._train_step = lambda self, tell: _step(self, tell) if self.step < 6 else time.sleep(0.01); "
    "raise SystemExit(main())",
]
"""A trainer that comes to no step behind the sixth, so that a test always meets it in the midst of its work."""


@pytest.fixture
async def new_trainer(tmp_path: Path) -> AsyncIterator[NewTrainer]:
    trainers: list[Trainer] = []

    def new(**options: object) -> Trainer:
        trainers.append(Trainer(tmp_path, **options))  # type: ignore[arg-type]  # passed on as they are
        return trainers[-1]

    yield new
    for trainer in trainers:
        await trainer.process.end(grace_s=2)
        assert not psutil.pid_exists(trainer.process.pid)


async def train(trainer: Trainer, samples: list[TokenSample] = SAMPLES) -> Done:
    await trainer.start(samples)
    await trainer.prepare()
    await trainer.begin()
    return await trainer.wait_for(Done)


async def test_a_training_is_planned_told_and_ends_in_an_adapter(new_trainer: NewTrainer) -> None:
    base = sha256(DEMO.read_bytes()).digest()
    trainer = new_trainer()
    held_out = pattern_samples(6, seed=2)
    wrong = [TokenSample([*sample.tokens[:-6], *[500] * 6], sample.answers) for sample in held_out]
    choices = [Choice((bad, good), right=1) for bad, good in zip(wrong, held_out, strict=True)]
    await trainer.start(SAMPLES, held_out=held_out, choices=choices)
    plan = await trainer.prepare()
    assert (plan.samples, plan.rows, plan.steps, plan.row_length) == (24, 3, 12, 256)
    assert (plan.tokens, plan.answer_tokens) == (24 * 23, 24 * 12)
    assert plan.estimate.seconds > 0
    await trainer.begin()
    done = await trainer.wait_for(Done)
    losses = [stepped.progress.loss for stepped in trainer.said(Stepped)]
    assert losses[-1] < losses[0] / 3
    before, after = (evaluated.evaluation for evaluated in trainer.said(Evaluated))
    assert after.loss < before.loss / 3
    assert (before.samples, before.choices, after.right) == (6, 6, 6)
    assert (done.result.steps, done.result.before, done.result.after) == (12, before, after)
    assert done.result.memory_bytes < plan.estimate.memory_bytes * 1.2
    assert await trainer.end() == "exit code 0" or "exit code 0;" in await trainer.end()
    assert sha256(DEMO.read_bytes()).digest() == base


async def test_what_nobody_chose_is_chosen_by_the_model_and_the_samples(new_trainer: NewTrainer) -> None:
    trainer = new_trainer(settings=TrainingSettings(threads=1, row_length=256))
    await trainer.start(SAMPLES)
    plan = await trainer.prepare()
    assert (plan.epochs, plan.steps, plan.learning_rate) == (20, 60, 1e-3)
    assert plan.notes == ("The samples are few, so 20 passes are made over them instead of 3.",)


async def test_the_adapters_file_says_what_it_belongs_to(new_trainer: NewTrainer) -> None:
    trainer = new_trainer(settings=replace(QUICK, epochs=1, targets=("attn_q", "ffn_down")))
    await train(trainer)
    metadata, tensors = read_gguf(trainer.adapter)
    assert metadata["general.type"] == "adapter"
    assert metadata["general.architecture"] == "llama"
    assert metadata["adapter.lora.alpha"] == 8.0
    assert metadata["puna.base.sha256"] == "0" * 64
    assert len(tensors) == 6 * 2 * 2
    assert tensors["blk.0.attn_q.weight.lora_a"].shape == (4, 256)
    assert all(np.max(np.abs(array)) > 0 for array in tensors.values())


async def test_texts_are_learnt_as_well(new_trainer: NewTrainer) -> None:
    trainer = new_trainer()
    texts = [
        TextSample((TextPart(f"Review: {word} food.\nSentiment:"), TextPart(" purple", is_answer=True)))
        for word in ("good", "bad", "fine", "odd", "cold", "hot")
    ]
    await trainer.start(texts, held_out=texts)
    await trainer.prepare()
    await trainer.begin()
    result = (await trainer.wait_for(Done)).result
    assert result.before is not None
    assert result.after is not None
    assert result.after.loss < result.before.loss


async def test_samples_that_fit_no_row_are_told_and_not_cut(new_trainer: NewTrainer) -> None:
    trainer = new_trainer()
    long = TokenSample([5] * 300, ((100, 300),))
    mute = TokenSample([5] * 20, ())
    await trainer.start([SAMPLES[0], long, mute])
    plan = await trainer.prepare()
    assert (plan.samples, plan.too_long, plan.too_long_rows, plan.without_answer) == (1, 1, (1,), 1)


async def test_nothing_to_train_on_is_refused(new_trainer: NewTrainer) -> None:
    trainer = new_trainer()
    await trainer.start([TokenSample([5] * 300, ((100, 300),))])
    failed = await trainer.wait_for_failure()
    assert failed.kind is ErrorKind.INVALID_REQUEST
    assert "256" in failed.message
    assert "299" in failed.message


async def test_settings_out_of_range_are_refused(new_trainer: NewTrainer) -> None:
    trainer = new_trainer(settings=TrainingSettings(row_length=300))
    await trainer.start(SAMPLES)
    failed = await trainer.wait_for_failure()
    message = "row_length must be a multiple of 256, at most 131072."
    assert failed == TrainingFailed(ErrorKind.INVALID_REQUEST, message)


async def test_an_architecture_without_a_backward_pass_is_refused_before_it_starts(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    trainer = new_trainer(base=write_tiny_gemma(tmp_path / "gemma.gguf"))
    await trainer.start([TokenSample([5, 6, 7], ((1, 3),))])
    failed = await trainer.wait_for_failure()
    assert failed.kind is ErrorKind.MODEL_LOAD_FAILED
    assert "gemma" in failed.message
    assert "GELU" in failed.message
    assert not trainer.said(Prepared)


async def test_a_trainer_that_llama_cpp_aborts_leaves_its_last_words(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    trainer = new_trainer(base=write_tiny_gemma(tmp_path / "gemma.gguf"))
    await trainer.start([TokenSample([5, 6, 7], ((1, 3),))], command=ABORTING)
    assert await trainer.hear_out() is None
    assert not trainer.said(Prepared)
    words = await trainer.process.describe_end()
    assert "SIGABRT" in words or os.name == "nt"
    assert "unsupported glu op for backward pass: GEGLU" in words


@pytest.mark.parametrize("keeps_checkpoint", [True, False])
async def test_cancel_stops_after_the_step_and_keeps_what_is_wanted(
    new_trainer: NewTrainer, *, keeps_checkpoint: bool
) -> None:
    trainer = new_trainer(settings=replace(QUICK, epochs=500, checkpoint_every_s=0.01))
    await trainer.start(SAMPLES)
    await trainer.prepare()
    await trainer.begin()
    await trainer.wait_for(Checkpointed)
    await trainer.cancel(keeps_checkpoint=keeps_checkpoint)
    cancelled = await trainer.wait_for(Cancelled)
    assert 0 < cancelled.step < 1500
    assert cancelled.has_checkpoint is keeps_checkpoint
    assert trainer.checkpoint.exists() is keeps_checkpoint
    assert not trainer.adapter.exists()
    assert "exit code 0" in await trainer.end()


async def test_cancel_while_nothing_runs_yet_ends_the_trainer(new_trainer: NewTrainer) -> None:
    trainer = new_trainer()
    await trainer.start(SAMPLES)
    await trainer.prepare()
    await trainer.cancel(keeps_checkpoint=True)
    assert await trainer.wait_for(Cancelled) == Cancelled(0, has_checkpoint=False)


async def test_a_daemon_that_is_gone_ends_the_training(new_trainer: NewTrainer) -> None:
    trainer = new_trainer(settings=replace(QUICK, epochs=500))
    await trainer.start(SAMPLES)
    await trainer.prepare()
    await trainer.begin()
    await trainer.wait_for(Stepped)
    assert "exit code 0" in await trainer.end()


async def test_a_daemon_that_is_gone_is_no_mistake_of_the_trainer(new_trainer: NewTrainer) -> None:
    trainer = new_trainer(settings=replace(QUICK, epochs=500))
    await trainer.start(SAMPLES)
    await trainer.prepare()
    await trainer.begin()
    await trainer.wait_for(Stepped)
    transport = trainer.process._process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
    transport.close()
    assert "exit code 0" in await trainer.process.describe_end()
    assert "BrokenPipe" not in trainer.log.read_text()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
async def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_happened(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    often = replace(QUICK, checkpoint_every_s=0.001)
    whole = Trainer(_folder(tmp_path / "whole"), settings=often)
    await train(whole)
    await whole.end()
    killed = new_trainer(settings=often)
    await killed.start(SAMPLES, command=HALTING)
    await killed.prepare()
    await killed.begin()
    while (await killed.wait_for(Checkpointed)).step < 5:
        pass
    os.kill(killed.process.pid, signal.SIGKILL)
    assert await killed.hear_out() is None
    assert "SIGKILL" in await killed.process.describe_end()
    resumed = new_trainer(settings=often)
    await resumed.start(SAMPLES)
    plan = await resumed.prepare()
    assert plan.first_step >= 5
    assert plan.notes == ()
    await resumed.begin()
    done = await resumed.wait_for(Done)
    assert done.result.steps == plan.steps
    assert resumed.adapter.read_bytes() == whole.adapter.read_bytes()


async def test_a_training_that_is_stopped_before_it_has_gone_on_loses_nothing(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    often = replace(QUICK, checkpoint_every_s=0.001)
    whole = Trainer(_folder(tmp_path / "whole"), settings=often)
    await train(whole)
    await whole.end()
    stopped = new_trainer(settings=often)
    await stopped.start(SAMPLES, command=HALTING)
    await stopped.prepare()
    await stopped.begin()
    while (await stopped.wait_for(Checkpointed)).step < 5:
        pass
    await stopped.cancel(keeps_checkpoint=True)
    step = (await stopped.wait_for(Cancelled)).step
    await stopped.end()
    kept = stopped.checkpoint.read_bytes()
    again = new_trainer(settings=often)
    await again.start(SAMPLES)
    await again.prepare()
    await again.cancel(keeps_checkpoint=True)
    assert await again.wait_for(Cancelled) == Cancelled(step, has_checkpoint=True)
    await again.end()
    assert again.checkpoint.read_bytes() == kept, "the optimizer's moments above all"
    await train(new_trainer(settings=often))
    assert (tmp_path / "adapter.gguf").read_bytes() == whole.adapter.read_bytes()


@pytest.mark.parametrize("checkpoint_every_s", [0.001, 60.0])
async def test_numbers_that_overflow_are_a_failure_and_no_adapter(
    new_trainer: NewTrainer, checkpoint_every_s: float
) -> None:
    wild = replace(QUICK, learning_rate=0.1, alpha=1024, checkpoint_every_s=checkpoint_every_s)
    trainer = new_trainer(settings=wild)
    await trainer.start(SAMPLES)
    await trainer.prepare()
    await trainer.begin()
    failed = await trainer.wait_for_failure()
    assert failed.kind is ErrorKind.INVALID_REQUEST
    assert "became too large after step" in failed.message
    assert "lower learning rate than 0.1" in failed.message
    assert all(isfinite(stepped.progress.loss) for stepped in trainer.said(Stepped))
    assert not trainer.adapter.exists()
    if trainer.checkpoint.exists():
        _, tensors = read_gguf(trainer.checkpoint)
        assert all(np.isfinite(t).all() for name, t in tensors.items() if "moment" not in name)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals between processes")
async def test_the_end_of_the_session_leaves_the_last_word_to_the_daemon(new_trainer: NewTrainer) -> None:
    trainer = new_trainer(settings=replace(QUICK, epochs=500))
    await trainer.start(SAMPLES)
    await trainer.prepare()
    await trainer.begin()
    await trainer.wait_for(Stepped)
    for word in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(trainer.process.pid, word)
    await trainer.wait_for(Stepped)
    await trainer.cancel(keeps_checkpoint=True)
    assert (await trainer.wait_for(Cancelled)).has_checkpoint


@pytest.mark.skipif(os.name == "nt", reason="uvloop is not for Windows")
def test_a_child_that_is_gone_is_a_connection_error(tmp_path: Path) -> None:
    import uvloop

    async def tell_the_dead() -> None:
        process = await TrainerProcess.launch(tmp_path / "trainer.log", command=[sys.executable, "-c", ""])
        await process.describe_end()
        for _ in range(3):
            with suppress(ConnectionError):
                await process.tell([Prepare()])
        await process.end(1)
        with pytest.raises(ConnectionError):
            await process.tell([Prepare()])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(tell_the_dead())


async def test_a_checkpoint_of_other_data_or_a_damaged_one_is_left_aside_and_told(
    new_trainer: NewTrainer,
) -> None:
    first = new_trainer(settings=replace(QUICK, checkpoint_every_s=0.001))
    await train(first)
    other = new_trainer()
    await other.start(pattern_samples(24, seed=9))
    plan = await other.prepare()
    assert plan.first_step == 0
    assert "other data" in plan.notes[0]
    await other.process.end(grace_s=2)
    other.checkpoint.write_bytes(other.checkpoint.read_bytes()[:5000])
    again = new_trainer()
    await again.start(SAMPLES)
    assert "damaged" in (await again.prepare()).notes[0]


async def test_a_folder_that_takes_no_adapter_is_a_clean_failure(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    trainer = new_trainer()
    trainer.place_in(tmp_path / "missing")
    await trainer.start(SAMPLES)
    await trainer.prepare()
    await trainer.begin()
    failed = await trainer.wait_for_failure()
    assert "cannot be written" in failed.message
    assert str(tmp_path) not in failed.message


async def test_a_base_that_is_no_model_is_a_clean_failure(new_trainer: NewTrainer, tmp_path: Path) -> None:
    base = tmp_path / "base.gguf"
    base.write_bytes(b"GGUF, but no more")
    trainer = new_trainer(base=base)
    await trainer.start(SAMPLES)
    assert (await trainer.wait_for_failure()).kind is ErrorKind.MODEL_LOAD_FAILED


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
