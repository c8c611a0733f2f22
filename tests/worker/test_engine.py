"""The whole worker with the demo model: batching, the prefix cache, cancelling, and running out of cells."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from puna.domain.constraint import RegexConstraint
from puna.domain.generation import (
    Finished,
    FinishReason,
    GenerationRequest,
    Sampling,
    Started,
    TextDelta,
    TextPrompt,
)
from puna.domain.models import ModelEntry
from puna.engine.remote import RemoteWorker
from puna.errors import ModelLoadError, WorkerDiedError

StartWorker = Callable[..., Awaitable[RemoteWorker]]

LONG = "The llama walked over the high plain and looked for water. " * 60
ENDLESS = Sampling(temperature=1.9, top_k=4000, seed=5)


def request(text: str, *, max_tokens: int | None = 8) -> GenerationRequest:
    return GenerationRequest(prompt=TextPrompt(text), sampling=ENDLESS, max_tokens=max_tokens)


def long_request(text: str, *, characters: int) -> GenerationRequest:
    """A text that cannot end before it has so many characters, of which most are a token of their own."""
    return GenerationRequest(
        prompt=TextPrompt(text),
        sampling=ENDLESS,
        constraint=RegexConstraint(f"([0-9] ){{{characters // 2},{characters}}}"),
    )


async def finish(worker: RemoteWorker, wanted: GenerationRequest) -> Finished:
    last = [event async for event in worker.generate(wanted)][-1]
    assert isinstance(last, Finished)
    return last


async def wait_until_idle(worker: RemoteWorker) -> None:
    async with asyncio.timeout(60):
        while worker.status.busy_slots or worker.status.waiting_requests:
            await asyncio.sleep(0.005)


async def test_a_prompt_seen_before_is_not_computed_again(worker: RemoteWorker) -> None:
    first = await finish(worker, request(LONG))
    second = await finish(worker, request(LONG))
    longer = await finish(worker, request(LONG + "It was a long way."))
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens == second.usage.prompt_tokens - 1
    assert longer.usage.cached_tokens >= first.usage.prompt_tokens - 2


async def test_requests_that_arrive_together_compute_a_shared_prefix_once(worker: RemoteWorker) -> None:
    answers = await asyncio.gather(*(finish(worker, request(f"{LONG} {i}")) for i in range(8)))
    await finish(worker, request("x", max_tokens=1))
    await wait_until_idle(worker)
    prompt_tokens = answers[0].usage.prompt_tokens
    assert prompt_tokens > 500
    assert worker.status.prompt_tokens < prompt_tokens + 100
    assert worker.status.cached_prompt_tokens > 7 * (prompt_tokens - 10)


async def test_leaving_in_the_prompt_frees_the_slot(worker: RemoteWorker) -> None:
    task = asyncio.create_task(finish(worker, long_request(LONG * 2, characters=900)))
    async with asyncio.timeout(60):
        while not worker.status.busy_slots:
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until_idle(worker)
    assert worker.status.completion_tokens < 450
    assert (await finish(worker, request("Once"))).usage.completion_tokens > 0


async def test_leaving_in_the_text_frees_the_slot_and_keeps_the_others(worker: RemoteWorker) -> None:
    staying = asyncio.create_task(finish(worker, request("Once upon", max_tokens=300)))
    async with aclosing(worker.generate(request("There was", max_tokens=None))) as events:
        assert isinstance(await anext(events), Started)
        assert isinstance(await anext(events), TextDelta)
    await asyncio.sleep(0)
    assert (await staying).reason in (FinishReason.LENGTH, FinishReason.STOP)
    await wait_until_idle(worker)


async def test_a_request_that_is_cancelled_while_it_waits_leaves_nothing(worker: RemoteWorker) -> None:
    wanted = [request(f"{i} day", max_tokens=200) for i in range(5)]
    unwanted = [long_request(f"{i} day", characters=1800) for i in range(15)]
    tasks = [asyncio.create_task(finish(worker, each)) for each in (*wanted, *unwanted)]
    async with asyncio.timeout(60):
        while worker.status.waiting_requests < 7:
            await asyncio.sleep(0)
    for task in tasks[5:]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await wait_until_idle(worker)
    assert all(task.cancelled() for task in tasks[5:])
    assert all(task.result().usage.completion_tokens for task in tasks[:5])


async def test_when_cells_run_out_requests_take_turns_and_all_end(start_worker: StartWorker) -> None:
    worker = await start_worker(context_length=256)
    assert worker.loaded.total_cells == 1024
    requests = [long_request(f"{i} " * 20, characters=180) for i in range(8)]
    answers = await asyncio.gather(*(finish(worker, wanted) for wanted in requests))
    assert all(answer.usage.completion_tokens >= 85 for answer in answers)
    assert sum(answer.usage.total_tokens for answer in answers) > 1024
    assert worker.is_alive


async def test_a_long_prompt_does_not_stall_a_text(worker: RemoteWorker) -> None:
    """Tokens keep coming between the chunks of another request's prompt."""
    async with aclosing(worker.generate(request("Once", max_tokens=400))) as events:
        await anext(events)
        prompt = asyncio.create_task(finish(worker, request(LONG * 2, max_tokens=1)))
        during = 0
        async for event in events:
            if prompt.done() or isinstance(event, Finished):
                break
            during += 1
        await prompt
    assert during >= 2


async def test_killing_the_worker_ends_all_eight_streams(worker: RemoteWorker) -> None:
    streams = [worker.generate(long_request(f"{i} time", characters=1800)) for i in range(8)]
    for stream in streams:
        assert isinstance(await anext(stream), Started)
    psutil.Process(worker.pid).kill()
    for stream in streams:
        with pytest.raises(WorkerDiedError, match="loaded again"):
            async for event in stream:
                assert isinstance(event, TextDelta)


@pytest.mark.parametrize(
    "junk", [b"\xff\xff\xff\xff", b"\x04\x00\x00\x00junk", b"\x01\x00\x00\x00\x90" * 3 + b"\x01\0\0\0\xc1"]
)
async def test_a_worker_that_hears_no_message_but_junk_ends(worker: RemoteWorker, junk: bytes) -> None:
    stdin = worker._process._process.stdin
    assert stdin is not None
    stdin.write(junk)
    async with asyncio.timeout(60):
        assert "exit code 4" in await worker.wait_end()
    with pytest.raises(WorkerDiedError):
        await finish(worker, request("Once"))


async def test_the_worker_tells_what_it_runs(worker: RemoteWorker) -> None:
    loaded = worker.loaded
    assert loaded.architecture == "llama"
    assert loaded.threads == 1
    assert loaded.has_chat_template
    assert loaded.context_length <= loaded.trained_context_length
    assert loaded.total_cells >= loaded.context_length
    assert loaded.backend_reason
    assert any(device.kind == "cpu" for device in loaded.devices)


async def test_a_file_that_llama_cpp_refuses_is_a_clear_error(
    start_worker: StartWorker, demo_file: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(demo_file.read_bytes()[:100_000])  # noqa: ASYNC240 - nothing else runs
    with pytest.raises(ModelLoadError, match=r"broken\.gguf") as caught:
        await start_worker(ModelEntry(id="broken", name="broken", path=broken, size_bytes=100_000))
    assert str(tmp_path) not in caught.value.message
