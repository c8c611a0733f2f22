"""What is read of a GPU while models come and go: a look takes its time, and may be of a moment that is over."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path

import pytest

from fakes.fake_worker import LOADED
from fakes.running_daemon import until
from fakes.text_only import TextOnly
from puna.domain.generation import Finished, FinishReason, GenerationEvent, GenerationRequest, Usage
from puna.domain.hardware import LlamaBuild
from puna.domain.memory import DeviceNeed, LoadPlan, Shortfall
from puna.domain.models import Device, LoadedModel, ModelEntry, WorkerStatus
from puna.engine.probe import LlamaProbe
from puna.errors import ModelTooLargeError
from puna.residency.coordinator import Coordinator
from puna.residency.estimate import Wish
from puna.residency.ledger import Rooms
from puna.residency.machine import MachineMemory
from puna.residency.policy import Fit

GIB = 1024**3
CARD = "CUDA0"
CARD_BYTES = 24 * GIB
NEED = DeviceNeed(device=CARD, weights_bytes=14 * GIB)
"""Of each model but the large one: one at a time fits."""
LARGE = DeviceNeed(device=CARD, weights_bytes=20 * GIB)


class Card:
    """A machine with one GPU, whose free memory is seen only as often as a child looks at it."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.others_bytes = 0
        """What other programs hold of it."""
        self.may_end = asyncio.Event()
        """Whether a worker ends as soon as it has given its memory back."""
        self.may_end.set()
        self.now_s = 100.0
        self.llama = LlamaProbe(self._look, lambda: self.now_s)

    async def _look(self) -> LlamaBuild:
        free_bytes = CARD_BYTES - self.others_bytes - len(self.running) * NEED.total_bytes
        return LlamaBuild(binding="0", devices=(Device(CARD, "a card", "gpu", CARD_BYTES, free_bytes),))

    async def entries(self) -> tuple[ModelEntry, ...]:
        return ()

    async def find(self, name: str) -> ModelEntry:
        return ModelEntry(id=name, name=name, path=Path(name), size_bytes=1)

    async def launch(
        self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan
    ) -> "CardWorker":
        assert not self.running, "the card is full"
        return CardWorker(self, entry.id)


class CardWorker(TextOnly):
    """Takes its memory of the card until it is closed."""

    def __init__(self, card: Card, model: str) -> None:
        self._card = card
        self._model = model
        self.loaded: LoadedModel = LOADED
        self.status = WorkerStatus()
        self.is_alive = True
        card.running.append(model)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        yield Finished(FinishReason.STOP, Usage(1, 1))

    async def close(self) -> None:
        self.is_alive = False
        self._card.running.remove(self._model)
        await self._card.may_end.wait()


class CardMemory(MachineMemory):
    """Reads the card as it really is done; every model needs most of it."""

    async def appraise(self, entry: ModelEntry) -> Fit:
        await self._look_at_gpus()
        return partial(fit, LARGE if entry.id == "large" else NEED)


def fit(need: DeviceNeed, rooms: Rooms) -> LoadPlan | Shortfall:
    room = rooms.get(CARD, 0)
    if room >= need.total_bytes:
        return LoadPlan(gpu_layers=10, needs=(need,))
    return Shortfall(need=need, room_bytes=room, context_length=1)


def build(card: Card) -> Coordinator:
    memory = CardMemory(card.llama, Wish(), list)
    coordinator = Coordinator(card, card, memory, default_model=None, max_loaded_models=8, queue_limit=8)
    coordinator.ledger._clock = lambda: card.now_s
    return coordinator


async def test_a_look_from_before_a_model_left_hides_no_room() -> None:
    card = Card()
    coordinator = build(card)
    for name in "abcab":
        async with asyncio.timeout(60), coordinator.acquire(name):
            assert card.running == [name]
        card.now_s += 60.0
    await coordinator.close()


@pytest.mark.parametrize("passes_s", [0.0, 60.0])
async def test_a_model_that_is_about_to_leave_hides_nothing_of_what_others_hold(passes_s: float) -> None:
    card = Card()
    card.others_bytes = 8 * GIB
    coordinator = build(card)
    async with asyncio.timeout(60):
        async with coordinator.acquire("a"):
            pass
        card.now_s += 60.0
        card.may_end.clear()
        unloading = asyncio.create_task(coordinator.unload("a"))
        await until(lambda: not card.running)
        loading = asyncio.create_task(coordinator.load("large"))
        await until(lambda: card.llama.since_s == card.now_s and not card.llama._looking)
        card.now_s += passes_s
        card.may_end.set()
        await unloading
        with pytest.raises(ModelTooLargeError):
            await loading
    await coordinator.close()
