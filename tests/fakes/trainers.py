"""Trainings in real children, with the built-in demo model."""

import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from msgspec.structs import replace

from fakes import tiny_models
from fakes.gguf_files import GgufFile, text
from fakes.tiny_models import write_sentencepiece_model
from puna import launch
from puna.domain.training import Choice, Sample, TokenSample, TrainingPlan, TrainingSettings
from puna.engine.trainer_process import TrainerProcess
from puna.engine.trainer_protocol import (
    AddChoices,
    AddHeldOut,
    AddSamples,
    Begin,
    Cancel,
    Configure,
    FromTrainer,
    Prepare,
    Prepared,
    TrainingFailed,
)
from puna.paths import Paths
from random_model.gguf_file import count_tokens

_T = TypeVar("_T")
DEMO = Paths.for_user().demo_model
QUICK = TrainingSettings(rank=4, epochs=4, learning_rate=5e-3, threads=1, row_length=256, warm_up=0.0)
_RUN = "from puna.trainer import main; raise SystemExit(main())"
_COMMAND = [sys.executable, "-P", "-c", _RUN]
_BLIND = (
    "from puna.domain import training; training._OBSTACLES.clear(); "
    "from puna.llama.training import survey; survey._find_obstacle = lambda node, name: None; "
)
ABORTING = [sys.executable, "-P", "-c", _BLIND + _RUN]
"""A trainer that trusts every architecture, so that llama.cpp aborts at one without a backward pass."""


class Trainer:
    """A child and what it said, until it ended."""

    def __init__(self, folder: Path, base: Path = DEMO, settings: TrainingSettings = QUICK) -> None:
        self.adapter = folder / "adapter.gguf"
        self.checkpoint = folder / "training.checkpoint"
        self.log = folder / "trainer.log"
        self.heard: list[FromTrainer] = []
        self._configure = Configure(
            base=str(base),
            adapter=str(self.adapter),
            checkpoint=str(self.checkpoint),
            settings=settings,
            metadata={"puna.base.sha256": "0" * 64},
        )

    async def start(
        self,
        samples: Sequence[Sample],
        *,
        held_out: Sequence[Sample] = (),
        choices: Sequence[Choice] = (),
        command: Sequence[str] = _COMMAND,
    ) -> None:
        """Start the child and send it everything up to `Prepare`."""
        self.process = await TrainerProcess.launch(
            self.log, command=command, environment=launch.child_environment()
        )
        await self.process.tell([self._configure, AddSamples(tuple(samples))])
        await self.process.tell([AddHeldOut(tuple(held_out)), AddChoices(tuple(choices)), Prepare()])

    async def prepare(self) -> TrainingPlan:
        """Return the plan."""
        return (await self.wait_for(Prepared)).plan

    async def begin(self) -> None:
        """Let it train."""
        await self.process.tell([Begin()])

    async def cancel(self, *, keeps_checkpoint: bool) -> None:
        """Stop it."""
        await self.process.tell([Cancel(keeps_checkpoint)])

    async def wait_for(self, kind: type[_T]) -> _T:
        """Hear the child out until it says this."""
        while True:
            messages = await self.process.hear()
            assert messages is not None, await self.process.describe_end()
            self.heard += messages
            for message in messages:
                if isinstance(message, kind):
                    return message
                assert not isinstance(message, TrainingFailed), message

    async def wait_for_failure(self) -> TrainingFailed:
        """Hear the child out until it fails."""
        failed = await self.hear_out()
        assert failed is not None, await self.process.describe_end()
        return failed

    async def hear_out(self) -> TrainingFailed | None:
        """Hear the child out to its end; return its failure if it told one."""
        while (messages := await self.process.hear()) is not None:
            self.heard += messages
        return next(iter(self.said(TrainingFailed)), None)

    def place_in(self, folder: Path) -> None:
        """Let it write to this folder. Before the start."""
        paths = {"adapter": str(folder / "adapter.gguf"), "checkpoint": str(folder / "training.checkpoint")}
        self._configure = replace(self._configure, **paths)

    def said(self, kind: type[_T]) -> list[_T]:
        """Return all messages of a kind so far."""
        return [message for message in self.heard if isinstance(message, kind)]

    async def end(self) -> str:
        """Close the pipe and return how the child ended."""
        await self.process.end(grace_s=60)
        return await self.process.describe_end()


def pattern_samples(count: int, *, seed: int = 1, length: int = 24) -> list[TokenSample]:
    """Return samples of which the second half always follows the same pattern: easy to learn."""
    rng = np.random.default_rng(seed)
    half = length // 2
    answer = [300 + 7 * i for i in range(half)]
    return [
        TokenSample([*map(int, rng.integers(100, 4000, half)), *answer], ((half, length),))
        for _ in range(count)
    ]


def write_tiny_gemma(path: Path) -> Path:
    """Write a gemma of one layer, whose feed-forward has no backward pass in llama.cpp.

    It is the tiny llama under another name: both have five letters. A gemma has no output matrix of its own.
    """
    content = write_sentencepiece_model(path).read_bytes()
    _, _, pair_count = struct.unpack_from("<IQQ", content, 4)
    pairs = content[24 : content.index(text("token_embd.weight"))]
    named = pairs.replace(b"llama", b"gemma", 1).replace(b"llama.", b"gemma.")
    n_vocab = count_tokens(path)
    tensors = [tensor for tensor in tiny_models._tensors(n_vocab) if tensor.name != "output.weight"]
    data = tiny_models._weights(tensors, seed=1)
    return GgufFile([named], tensors, pair_count=pair_count, data=data).write(path)
