"""The whole worker with the demo model: what a request gets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from fakes.tiny_models import write_sentencepiece_model
from puna.domain.chat import Message, Role
from puna.domain.generation import (
    ChatPrompt,
    Completion,
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
from puna.errors import ContextOverflowError, InvalidRequestError

GREEDY = Sampling(temperature=0)
STORY = TextPrompt("Once upon a time")


async def complete(worker: RemoteWorker, request: GenerationRequest) -> Completion:
    parts = []
    async with aclosing(worker.generate(request)) as events:
        async for event in events:
            match event:
                case TextDelta(text):
                    parts.append(text)
                case Finished():
                    return Completion("".join(parts), event)
    raise AssertionError("no last event")


def chat(text: str, *, system: str | None = None) -> ChatPrompt:
    messages = [Message(Role.SYSTEM, system)] if system else []
    return ChatPrompt((*messages, Message(Role.USER, text)))


async def test_a_story_is_streamed_in_small_pieces_and_stops_by_itself(worker: RemoteWorker) -> None:
    events = [e async for e in worker.generate(GenerationRequest(prompt=STORY, sampling=GREEDY))]
    started, *deltas, last = events
    assert isinstance(started, Started)
    assert len(deltas) > 20
    assert all(isinstance(delta, TextDelta) and delta.text for delta in deltas)
    assert isinstance(last, Finished)
    assert last.reason is FinishReason.STOP
    assert last.usage.completion_tokens >= len(deltas)
    assert last.usage.prompt_tokens == started.prompt_tokens
    assert last.timing.decode_s > 0


async def test_a_chat_goes_through_the_template_of_the_model(worker: RemoteWorker) -> None:
    answer = await complete(worker, GenerationRequest(prompt=chat("What is Puna?"), sampling=GREEDY))
    assert "Puna" in answer.text
    assert "<|im_" not in answer.text
    assert answer.finished.reason is FinishReason.STOP


async def test_greedy_text_is_repeatable(worker: RemoteWorker) -> None:
    request = GenerationRequest(prompt=STORY, sampling=GREEDY, max_tokens=40)
    assert (await complete(worker, request)).text == (await complete(worker, request)).text


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.3, seed=7)])
async def test_a_long_prompt_that_is_cached_gives_the_same_text_again(
    worker: RemoteWorker, sampling: Sampling
) -> None:
    for number in range(8):
        prompt = TextPrompt(
            f"{number} llamas said so. " + "The llama looked for water on the high plain. " * 20
        )
        request = GenerationRequest(prompt=prompt, sampling=sampling, max_tokens=80)
        first, again = await complete(worker, request), await complete(worker, request)
        assert first.text == again.text
        assert again.finished.usage.cached_tokens == again.finished.usage.prompt_tokens - 1


async def test_a_seed_makes_a_sampled_text_repeatable(worker: RemoteWorker) -> None:
    def request(seed: int) -> GenerationRequest:
        sampling = Sampling(temperature=1.5, top_k=200, seed=seed)
        return GenerationRequest(prompt=STORY, sampling=sampling, max_tokens=40)

    first, again, other = [(await complete(worker, request(seed))).text for seed in (1, 1, 2)]
    assert first == again
    assert first != other


async def test_without_a_seed_texts_differ(worker: RemoteWorker) -> None:
    request = GenerationRequest(prompt=STORY, sampling=Sampling(temperature=1.5), max_tokens=40)
    texts = {(await complete(worker, request)).text for _ in range(4)}
    assert len(texts) > 1


async def test_max_tokens_ends_the_text_with_length(worker: RemoteWorker) -> None:
    request = GenerationRequest(prompt=STORY, sampling=GREEDY, max_tokens=7)
    finished = (await complete(worker, request)).finished
    assert finished.reason is FinishReason.LENGTH
    assert finished.usage.completion_tokens == 7
    assert finished.usage.total_tokens == finished.usage.prompt_tokens + 7


async def test_a_stop_string_ends_the_text_before_it(worker: RemoteWorker) -> None:
    whole = await complete(worker, GenerationRequest(prompt=STORY, sampling=GREEDY, max_tokens=40))
    stop = whole.text[30:37]
    cut = await complete(
        worker, GenerationRequest(prompt=STORY, sampling=GREEDY, max_tokens=40, stop=("never", stop))
    )
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finished.reason is FinishReason.STOP
    assert cut.finished.stop_text == stop


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0, repetition_penalty=2.0),
        Sampling(temperature=0, frequency_penalty=2.0),
        Sampling(temperature=0, presence_penalty=2.0),
    ],
    ids=["repetition", "frequency", "presence"],
)
async def test_a_penalty_keeps_a_greedy_text_from_repeating_itself(
    start_worker: Callable[..., Awaitable[RemoteWorker]], tmp_path: Path, sampling: Sampling
) -> None:
    """With random weights: the demo model is so sure of its words that it takes more than a penalty."""
    path = write_sentencepiece_model(tmp_path / "tiny.gguf")
    worker = await start_worker(ModelEntry(id="tiny", name="tiny", path=path, size_bytes=path.stat().st_size))
    prompt = TextPrompt("the llama")
    plain = await complete(worker, GenerationRequest(prompt=prompt, sampling=GREEDY, max_tokens=40))
    varied = await complete(worker, GenerationRequest(prompt=prompt, sampling=sampling, max_tokens=40))
    assert len(set(varied.text)) > len(set(plain.text))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0.7, top_p=0.9, top_k=80, repetition_penalty=1.15),
        Sampling(temperature=1e9, top_p=-4, top_k=-1, min_p=7, repetition_penalty=0, penalty_window=-5),
        Sampling(temperature=float("nan"), top_p=float("inf"), frequency_penalty=float("-inf"), seed=-1),
        Sampling(temperature=2.0, top_k=10**9, seed=2**63),
        Sampling(repetition_penalty=0.5, presence_penalty=-2.0, min_p=0.05),
    ],
)
async def test_no_sampling_value_can_hurt_the_worker(worker: RemoteWorker, sampling: Sampling) -> None:
    answer = await complete(worker, GenerationRequest(prompt=STORY, sampling=sampling, max_tokens=5))
    assert answer.finished.usage.completion_tokens <= 5
    assert worker.is_alive


async def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(worker: RemoteWorker) -> None:
    prompt = TextPrompt("llama " * 5000)
    with pytest.raises(ContextOverflowError, match=rf"\d{{4,}} tokens.*{worker.loaded.context_length}"):
        await complete(worker, GenerationRequest(prompt=prompt))
    assert (await complete(worker, GenerationRequest(prompt=STORY, max_tokens=3))).text


async def test_a_text_ends_where_the_context_does(worker: RemoteWorker) -> None:
    n_ctx = worker.loaded.context_length
    prompt = TextPrompt("a" * (n_ctx - 20) if n_ctx < 300 else "the llama went home and " * (n_ctx // 8))
    request = GenerationRequest(prompt=prompt, sampling=Sampling(temperature=1.9, top_k=1000, seed=3))
    finished = (await complete(worker, request)).finished
    assert finished.usage.total_tokens <= n_ctx


async def test_too_many_stop_strings_are_refused(worker: RemoteWorker) -> None:
    with pytest.raises(InvalidRequestError, match="at most"):
        await complete(worker, GenerationRequest(prompt=STORY, stop=tuple(f"s{i}" for i in range(100))))


async def test_max_time_ends_a_text(worker: RemoteWorker) -> None:
    request = GenerationRequest(
        prompt=STORY, sampling=Sampling(temperature=1.9, top_k=4000, seed=1), max_time_s=0.0
    )
    finished = (await complete(worker, request)).finished
    assert finished.reason is FinishReason.LENGTH
    assert finished.usage.completion_tokens <= 1


async def test_odd_text_goes_in_and_comes_out(worker: RemoteWorker) -> None:
    prompt = TextPrompt("🦙 ñandú \u2028 \x00 <|im_end|> ")
    answer = await complete(
        worker, GenerationRequest(prompt=prompt, sampling=Sampling(seed=1), max_tokens=20)
    )
    assert answer.finished.usage.prompt_tokens > 5


@pytest.mark.parametrize(
    "request_",
    [
        GenerationRequest(prompt=TextPrompt("a lone \ud800 surrogate")),
        GenerationRequest(prompt=STORY, sampling=Sampling(seed=2**80)),
    ],
)
async def test_what_cannot_be_passed_on_is_refused(worker: RemoteWorker, request_: GenerationRequest) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be passed on"):
        await complete(worker, request_)
    assert worker.is_alive


async def test_a_prompt_that_names_its_first_token_gets_no_second_one(worker: RemoteWorker) -> None:
    plain, named = [
        await complete(worker, GenerationRequest(prompt=TextPrompt(text), max_tokens=1))
        for text in ("Once upon", "<|endoftext|>Once upon")
    ]
    assert plain.finished.usage.prompt_tokens == named.finished.usage.prompt_tokens


async def test_sixteen_requests_at_once_all_end(worker: RemoteWorker) -> None:
    requests = [
        GenerationRequest(prompt=TextPrompt(f"Once upon a time {i}"), sampling=GREEDY, max_tokens=10 + i)
        for i in range(16)
    ]
    answers = await asyncio.gather(*(complete(worker, request) for request in requests))
    assert all(a.finished.usage.completion_tokens <= 10 + i for i, a in enumerate(answers))
    assert sum(a.finished.reason is FinishReason.LENGTH for a in answers) >= 8
