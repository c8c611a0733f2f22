"""Log probabilities and logit bias, with the demo model."""

import math

import pytest

from puna.domain.constraint import RegexConstraint
from puna.domain.generation import GenerationRequest, Sampling, TextDelta, TextPrompt, TokenLogprob
from puna.engine.remote import RemoteWorker

STORY = TextPrompt("Once upon a")


async def collect(worker: RemoteWorker, request: GenerationRequest) -> tuple[str, list[TokenLogprob]]:
    text = ""
    logprobs: list[TokenLogprob] = []
    async for event in worker.generate(request):
        if isinstance(event, TextDelta):
            text += event.text
            logprobs.extend(event.logprobs)
    return text, logprobs


async def test_every_token_has_its_log_probability_and_the_likely_ones_beside_it(
    worker: RemoteWorker,
) -> None:
    request = GenerationRequest(prompt=STORY, sampling=Sampling(temperature=0), max_tokens=12, top_logprobs=5)
    text, logprobs = await collect(worker, request)
    assert len(logprobs) == 12
    assert b"".join(token.text for token in logprobs).decode() == text
    for token in logprobs:
        assert len(token.top) == 5
        assert token.top[0] == TokenLogprob(token.text, token.logprob)
        values = [other.logprob for other in token.top]
        assert values == sorted(values, reverse=True)
        assert sum(math.exp(value) for value in values) <= 1 + 1e-6


async def test_zero_tells_the_chosen_token_alone_and_none_tells_nothing(worker: RemoteWorker) -> None:
    _, chosen = await collect(worker, GenerationRequest(prompt=STORY, max_tokens=3, top_logprobs=0))
    _, nothing = await collect(worker, GenerationRequest(prompt=STORY, max_tokens=3))
    assert all(token.top == () and token.logprob <= 0 for token in chosen)
    assert nothing == []


async def test_forced_tokens_have_the_chances_that_the_model_gave_them(worker: RemoteWorker) -> None:
    likely, unlikely = [
        sum(token.logprob for token in (await forced_text(worker, text))[1]) for text in (" a", " zqxj")
    ]
    assert unlikely < likely < 0


async def test_forced_tokens_are_told_one_by_one(worker: RemoteWorker) -> None:
    text, logprobs = await forced_text(worker, "certain")
    assert b"".join(token.text for token in logprobs).decode() == text == "certain"
    assert all(token.logprob < 0 and len(token.top) == 2 for token in logprobs)


async def forced_text(worker: RemoteWorker, text: str) -> tuple[str, list[TokenLogprob]]:
    request = GenerationRequest(prompt=STORY, constraint=RegexConstraint(text), top_logprobs=2)
    return await collect(worker, request)


async def test_what_was_held_back_for_a_stop_string_keeps_its_log_probabilities(worker: RemoteWorker) -> None:
    plain = GenerationRequest(prompt=STORY, sampling=Sampling(temperature=0), max_tokens=8, top_logprobs=0)
    text, _ = await collect(worker, plain)
    held = GenerationRequest(
        prompt=STORY, sampling=Sampling(temperature=0), max_tokens=8, top_logprobs=0, stop=(text + "never",)
    )
    held_text, logprobs = await collect(worker, held)
    assert held_text == text
    assert len(logprobs) == 8


FAVOURITE = 40


@pytest.mark.parametrize(
    "bias",
    [
        ((FAVOURITE, 100.0), (10**9, 100.0)),
        tuple((token, -100.0) for token in range(4096) if token != FAVOURITE),
    ],
    ids=["certain", "all others impossible"],
)
async def test_a_bias_makes_tokens_certain_or_impossible(
    worker: RemoteWorker, bias: tuple[tuple[int, float], ...]
) -> None:
    sampling = Sampling(temperature=0, logit_bias=bias)
    text, logprobs = await collect(
        worker, GenerationRequest(prompt=STORY, sampling=sampling, max_tokens=3, top_logprobs=0)
    )
    assert len(logprobs) == 3
    assert len({token.text for token in logprobs}) == 1
    assert len(set(text)) == 1
