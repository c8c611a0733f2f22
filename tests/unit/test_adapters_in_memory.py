"""Adapters answer in the place of their base: one worker, one lease each."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from fakes.boundless_memory import BoundlessMemory
from fakes.fake_worker import LOADED
from fakes.text_only import TextOnly
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    TextDelta,
    TextPrompt,
    Usage,
)
from puna.domain.memory import LoadPlan
from puna.domain.models import LoadedModel, ModelEntry, ModelKind, WorkerStatus
from puna.errors import InvalidRequestError, ModelNotFoundError
from puna.residency.coordinator import Coordinator

REQUEST = GenerationRequest(prompt=TextPrompt("x"))
FIRST, SECOND = Path("/adapters/first.gguf"), Path("/adapters/second.gguf")


def entry(model_id: str, *, adapter: Path | None = None, base: str = "") -> ModelEntry:
    return ModelEntry(id=model_id, name=model_id, size_bytes=1, adapter=adapter, base=base)


ENTRIES = {
    "base": entry("base"),
    "other": entry("other"),
    "ft_model_1": entry("ft_model_1", adapter=FIRST, base="base"),
    "ft_model_2": entry("ft_model_2", adapter=SECOND, base="base"),
}


class Echo(TextOnly):
    """Says which adapter a request brings."""

    is_alive = True
    status = WorkerStatus()

    @property
    def loaded(self) -> LoadedModel:
        return LOADED

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        yield TextDelta(request.adapter or "none")
        yield Finished(FinishReason.STOP, Usage(1, 1))

    async def wait_end(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        self.is_alive = False


class Launcher:
    def __init__(self) -> None:
        self.started: list[str] = []

    async def launch(self, entry: ModelEntry, on_progress: Callable[[float], None], plan: LoadPlan) -> Echo:
        assert plan.takes_place
        on_progress(1.0)
        self.started.append(entry.id)
        return Echo()


class Entries:
    """A catalogue; what is taken out of it is gone."""

    def __init__(self) -> None:
        self.known = dict(ENTRIES)

    async def entries(self) -> Sequence[ModelEntry]:
        return list(self.known.values())

    async def find(self, name: str) -> ModelEntry:
        if name not in self.known:
            raise ModelNotFoundError(f"no {name}")
        return self.known[name]


@pytest.fixture
def launcher() -> Launcher:
    return Launcher()


@pytest.fixture
def entries() -> Entries:
    return Entries()


def build(launcher: Launcher, entries: Entries, *, model: str = "base") -> Coordinator:
    return Coordinator(
        entries, launcher, BoundlessMemory(), default_model=model, max_loaded_models=2, queue_limit=8
    )


@pytest.fixture
async def coordinator(launcher: Launcher, entries: Entries) -> AsyncIterator[Coordinator]:
    coordinator = build(launcher, entries)
    yield coordinator
    await coordinator.close()


async def ask(coordinator: Coordinator, model: str | None = None) -> str:
    async with coordinator.acquire(model) as lease:
        return (await lease.complete(REQUEST)).text


async def test_adapters_and_their_base_share_one_worker(coordinator: Coordinator, launcher: Launcher) -> None:
    answers = [await ask(coordinator, model) for model in ("ft_model_1", "base", "ft_model_2", "ft_model_1")]
    assert answers == [str(FIRST), "none", str(SECOND), str(FIRST)]
    assert launcher.started == ["base"]
    assert [resident.entry.id for resident in coordinator.residents()] == ["base"]


async def test_a_lease_knows_by_which_name_it_was_asked_for(coordinator: Coordinator) -> None:
    async with coordinator.acquire("ft_model_2") as lease, coordinator.acquire("base") as plain:
        assert lease.entry.id == "ft_model_2"
        assert plain.entry.id == "base"
        (resident,) = coordinator.residents()
        assert resident.entry.id == "base"


async def test_a_request_cannot_bring_an_adapter_to_a_plain_model_by_name(coordinator: Coordinator) -> None:
    assert await ask(coordinator, "other") == "none"


async def test_a_loaded_adapter_answers_requests_without_a_name(coordinator: Coordinator) -> None:
    outcome = await coordinator.load("ft_model_1")
    assert (outcome.entry.id, outcome.already_loaded) == ("ft_model_1", False)
    assert coordinator.current is not None
    assert coordinator.current.entry.id == "ft_model_1"
    assert await ask(coordinator) == str(FIRST)
    assert (await coordinator.load("base")).already_loaded
    assert await ask(coordinator) == "none"


async def test_asking_for_an_adapter_by_name_leaves_the_current_model_alone(coordinator: Coordinator) -> None:
    await coordinator.load("base")
    await ask(coordinator, "ft_model_1")
    assert await ask(coordinator) == "none"
    await coordinator.load("other")
    await ask(coordinator, "ft_model_1")
    assert coordinator.current is not None
    assert coordinator.current.entry.id == "other"


async def test_an_adapter_can_be_the_default_model(launcher: Launcher, entries: Entries) -> None:
    coordinator = build(launcher, entries, model="ft_model_2")
    assert [await ask(coordinator), await ask(coordinator)] == [str(SECOND)] * 2
    assert launcher.started == ["base"]
    await coordinator.close()


async def test_unloading_an_adapter_frees_its_base(coordinator: Coordinator) -> None:
    await coordinator.load("ft_model_1")
    freed = await coordinator.unload("ft_model_2")
    assert freed is not None
    assert freed.id == "base"
    assert coordinator.residents() == ()
    assert coordinator.current is None
    assert await ask(coordinator, "base") == "none"
    assert await ask(coordinator) == "none", "an adapter that was unloaded is not the current model any more"


async def test_a_removed_adapter_is_not_found_though_its_base_is_in_memory(
    coordinator: Coordinator, entries: Entries
) -> None:
    await coordinator.load("ft_model_1")
    del entries.known["ft_model_1"]
    with pytest.raises(ModelNotFoundError):
        await ask(coordinator, "ft_model_1")
    assert await ask(coordinator, "base") == "none"


async def test_an_adapter_is_a_text_model(coordinator: Coordinator, launcher: Launcher) -> None:
    with pytest.raises(InvalidRequestError, match="ft_model_1 is a text model"):
        async with coordinator.acquire("ft_model_1", kind=ModelKind.EMBEDDING):
            raise AssertionError
    assert launcher.started == []
