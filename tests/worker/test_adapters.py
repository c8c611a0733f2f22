"""Adapters on the demo model: switched for each request, side by side, and never mixed up."""

import asyncio
from pathlib import Path

import pytest

from fakes.adapters import write_adapter
from fakes.tiny_models import write_sentencepiece_model
from puna.domain.generation import (
    Completion,
    CompletionBuilder,
    Finished,
    GenerationRequest,
    Sampling,
    Started,
    TextPrompt,
)
from puna.engine.remote import RemoteWorker
from puna.errors import InvalidRequestError

PROMPT = "Once upon a time, there was a llama who lived near a lake. Every morning the llama walked to the"


def ask(adapter: Path | None, *, prompt: str = PROMPT, max_tokens: int = 24) -> GenerationRequest:
    return GenerationRequest(
        prompt=TextPrompt(prompt),
        sampling=Sampling(temperature=0),
        max_tokens=max_tokens,
        top_logprobs=0,
        adapter=None if adapter is None else str(adapter),
    )


async def complete(worker: RemoteWorker, request: GenerationRequest) -> Completion:
    builder = CompletionBuilder()
    async for event in worker.generate(request):
        match event:
            case Started():
                pass
            case Finished():
                return builder.finish(event)
            case _:
                builder.push(event)
    raise AssertionError("no last event")


def agree(one: Completion, other: Completion) -> bool:
    """Whether two greedy texts are the same, up to a close call: sums of other batches are rounded in other ways."""
    for token, peer in zip(one.logprobs, other.logprobs, strict=False):
        if abs(token.logprob - peer.logprob) > 0.3:
            return False
        if token.text != peer.text:
            return True
    return True


@pytest.fixture
def adapters(tmp_path: Path, demo_file: Path) -> list[Path]:
    return [write_adapter(tmp_path / f"{seed}.gguf", demo_file, seed=seed) for seed in (1, 2, 3)]


async def test_each_request_gets_its_own_adapter_at_the_same_time(
    worker: RemoteWorker, adapters: list[Path]
) -> None:
    wanted = [None, *adapters]
    alone = [await complete(worker, ask(adapter)) for adapter in wanted]
    assert len({each.text for each in alone}) == len(wanted), "every adapter says something else"
    together = await asyncio.gather(*(complete(worker, ask(adapter)) for adapter in wanted * 3))
    assert all(agree(*pair) for pair in zip(together, alone * 3, strict=True))


async def test_an_adapter_that_changes_nothing_says_what_the_model_says(
    worker: RemoteWorker, tmp_path: Path, demo_file: Path
) -> None:
    silent = write_adapter(tmp_path / "silent.gguf", demo_file, seed=5, strength=0)
    assert (await complete(worker, ask(silent))).text == (await complete(worker, ask(None))).text


async def test_prefixes_are_shared_among_the_requests_of_one_adapter_only(
    worker: RemoteWorker, adapters: list[Path]
) -> None:
    async def cached(adapter: Path | None) -> int:
        return (await complete(worker, ask(adapter, max_tokens=2))).finished.usage.cached_tokens

    assert [await cached(None), await cached(adapters[0])] == [0, 0]
    assert await cached(adapters[1]) == 0
    assert await cached(adapters[0]) > 10
    assert await cached(None) > 10


async def test_more_adapters_than_stay_in_memory_take_turns(
    worker: RemoteWorker, tmp_path: Path, demo_file: Path
) -> None:
    many = [write_adapter(tmp_path / f"many-{seed}.gguf", demo_file, seed=seed) for seed in range(20)]
    first = [await complete(worker, ask(adapter, max_tokens=8)) for adapter in many]
    again = await asyncio.gather(*(complete(worker, ask(adapter, max_tokens=8)) for adapter in many))
    assert all(agree(*pair) for pair in zip(again, first, strict=True))


async def test_what_is_no_adapter_of_this_model_fails_alone(
    worker: RemoteWorker, tmp_path: Path, demo_file: Path
) -> None:
    other = write_sentencepiece_model(tmp_path / "other.gguf")
    foreign = write_adapter(tmp_path / "foreign.gguf", other, seed=1)
    for wrong in (foreign, tmp_path / "missing.gguf", demo_file):
        with pytest.raises(InvalidRequestError, match=r"does not fit this model"):
            await complete(worker, ask(wrong))
    assert (await complete(worker, ask(None))).text


async def test_a_request_that_waits_for_its_turn_can_be_left(
    worker: RemoteWorker, adapters: list[Path]
) -> None:
    tasks = [asyncio.create_task(complete(worker, ask(adapter, max_tokens=150))) for adapter in adapters * 4]
    await asyncio.sleep(0.05)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.result().finished.usage.completion_tokens for task in tasks[1::2])
    async with asyncio.timeout(60):
        while worker.status.busy_slots or worker.status.waiting_requests:
            await asyncio.sleep(0.01)
