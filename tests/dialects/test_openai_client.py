"""Text completions, models and failures by the real `openai` client from PyPI, against the running daemon."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from fakes.openai_clients import Client, open_client
from fakes.running_daemon import RunningDaemon, run_daemon, until
from fakes.scripted_model import Script, text_of
from fakes.trap_text import TRAP, TRAP_TEXT
from puna.config import Settings
from puna.domain.generation import (
    FinishReason,
    GenerationRequest,
    InfillPrompt,
    TextDelta,
    TextPrompt,
    TokenLogprob,
    TokenPrompt,
)
from puna.errors import ContextOverflowError, GenerationError, OverloadedError, WorkerDiedError

ASK: Any = [{"role": "user", "content": "How warm is Oslo?"}]


@pytest.fixture(params=["sync", "async"])
async def real(request: pytest.FixtureRequest, daemon: RunningDaemon) -> AsyncIterator[Client]:
    async with open_client(request.param, f"{daemon.url}/v1") as client:
        yield client


def only(daemon: RunningDaemon) -> GenerationRequest:
    (request,) = daemon.worker.requests
    return request


async def test_a_completion(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = Script(deltas=TRAP, reason=FinishReason.LENGTH)
    answer = await real.complete(model="demo", prompt="Once upon")
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == (
        "text_completion",
        TRAP_TEXT,
        "length",
    )
    assert (only(daemon).prompt, only(daemon).max_tokens) == (TextPrompt("Once upon"), 16)
    chunks = await real.complete(
        model="demo", prompt="Once upon", stream=True, stream_options={"include_usage": True}
    )
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == TRAP_TEXT
    assert (chunks[-2].choices[0].finish_reason, chunks[-1].choices) == ("length", [])
    assert chunks[-1].usage.completion_tokens == len(TRAP)


async def test_a_list_of_prompts(daemon: RunningDaemon, real: Client) -> None:
    daemon.launcher.script = lambda request: Script(deltas=("re: ", text_of(request)))
    prompts = [f"prompt {number}" for number in range(12)]
    answer = await real.complete(model="demo", prompt=prompts, n=2)
    expected = [f"re: {prompt}" for prompt in prompts for _ in range(2)]
    assert [choice.text for choice in answer.choices] == expected
    assert [choice.index for choice in answer.choices] == list(range(24))
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12 * 5, 24 * 2)
    texts = [""] * 24
    for chunk in await real.complete(model="demo", prompt=prompts, n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == expected


async def test_an_echo(real: Client) -> None:
    answer = await real.complete(model="demo", prompt=["One", "Two"], echo=True)
    assert [choice.text for choice in answer.choices] == ["OneHello world", "TwoHello world"]
    chunks = await real.complete(model="demo", prompt="One", echo=True, stream=True)
    assert [chunk.choices[0].text for chunk in chunks] == ["One", "Hello", " world", ""]


@pytest.mark.parametrize("echo", [False, True])
async def test_no_tokens_at_all(daemon: RunningDaemon, real: Client, echo: bool) -> None:
    answer = await real.complete(model="demo", prompt="One", max_tokens=0, echo=echo)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("One" if echo else "", "length")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 0)
    chunks = await real.complete(model="demo", prompt="One", max_tokens=0, echo=echo, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == ("One" if echo else "")
    assert daemon.worker.requests == []


async def test_tokens_as_a_prompt(daemon: RunningDaemon, real: Client) -> None:
    await real.complete(model="demo", prompt=[1, 2, 3])
    await real.complete(model="demo", prompt=[[4, 5], [6]])
    prompts = [request.prompt for request in daemon.worker.requests]
    assert prompts == [TokenPrompt((1, 2, 3)), TokenPrompt((4, 5)), TokenPrompt((6,))]


async def test_a_gap_is_filled_where_the_model_can(daemon: RunningDaemon, real: Client) -> None:
    with pytest.raises(openai.BadRequestError, match="not trained to fill gaps") as refused:
        await real.complete(model="demo", prompt="def f():", suffix="return x")
    assert refused.value.param == "suffix"
    daemon.launcher.loaded = msgspec.structs.replace(daemon.launcher.loaded, can_infill=True)
    await real.complete(model="other", prompt="def f():", suffix="return x")
    assert only(daemon).prompt == InfillPrompt("def f():", "return x")


async def test_log_probabilities_of_a_completion(daemon: RunningDaemon, real: Client) -> None:
    tokens = TokenLogprob(b"He", -0.5, (TokenLogprob(b"She", -0.25),)), TokenLogprob(b"llo", -0.125)
    daemon.launcher.script = Script(deltas=tuple(TextDelta(t.text.decode(), (t,)) for t in tokens))
    answer = await real.complete(model="demo", prompt="x", logprobs=1)
    logprobs = answer.choices[0].logprobs
    assert (logprobs.tokens, logprobs.token_logprobs) == (["He", "llo"], [-0.5, -0.125])
    assert logprobs.top_logprobs == [{"He": -0.5, "She": -0.25}, {"llo": -0.125}]
    assert logprobs.text_offset == [0, 2]
    chunks = await real.complete(model="demo", prompt="x", logprobs=1, stream=True)
    assert [chunk.choices[0].logprobs.text_offset for chunk in chunks[:2]] == [[0], [2]]


async def test_models(real: Client) -> None:
    listed = await real.models()
    assert [model.id for model in listed][:3] == ["demo", "other", "org/model"]
    assert (listed[0].object, listed[0].created, listed[0].owned_by) == ("model", 1_767_323_045, "puna")
    assert (await real.model("org/model")).id == "org/model"
    with pytest.raises(openai.NotFoundError, match="There is no model nope"):
        await real.model("nope")


async def test_errors_reach_the_caller(daemon: RunningDaemon, real: Client) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no model nope") as unknown:
        await real.chat(model="nope", messages=ASK)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="`temperature` must be a number from 0 to 2") as bad:
        await real.chat(model="demo", messages=ASK, temperature=3)
    assert (bad.value.param, bad.value.type) == ("temperature", "invalid_request_error")
    assert bad.value.request_id
    failures: dict[Exception, tuple[type[openai.APIStatusError], str]] = {
        ContextOverflowError("The prompt has 3000 tokens."): (
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        GenerationError("The template says no."): (openai.UnprocessableEntityError, "generation_failed"),
        OverloadedError("256 requests wait already."): (openai.InternalServerError, "overloaded"),
        WorkerDiedError("The worker was killed."): (openai.InternalServerError, "worker_died"),
    }
    for failure, (expected, code) in failures.items():
        daemon.launcher.script = Script(deltas=(), failure=failure)
        for stream in (False, True):
            with pytest.raises(expected, match=str(failure)) as raised:
                await real.chat(model="demo", messages=ASK, stream=stream)
            assert raised.value.code == code
            with pytest.raises(expected, match=str(failure)):
                await real.complete(model="demo", prompt="x", stream=stream)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_failure_in_mid_stream_is_raised(daemon: RunningDaemon, real: Client, count: int) -> None:
    daemon.launcher.script = Script(failure=WorkerDiedError("The worker was killed by signal 9."))
    for call, fields in ((real.chat, {"messages": ASK}), (real.complete, {"prompt": "x"})):
        with pytest.raises(openai.APIError, match="killed by signal 9") as raised:
            await call(model="demo", n=count, stream=True, **fields)
        assert raised.value.code == "worker_died"


async def test_a_failure_that_comes_again_is_not_asked_for_again(daemon: RunningDaemon) -> None:
    daemon.launcher.broken["other"] = "The file is damaged."
    async with openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="none", max_retries=2) as client:
        before = daemon.services.activity.request_count
        with pytest.raises(openai.InternalServerError, match="damaged"):
            await client.chat.completions.create(model="other", messages=ASK)
    assert daemon.services.activity.request_count == before + 1


async def test_a_closed_dialect_wants_a_key(tmp_path: Path) -> None:
    settings = Settings(open_dialects=(), rate_limits="off")
    async with run_daemon(tmp_path, settings=settings) as daemon:
        url, key = f"{daemon.url}/v1", await daemon.make_key()
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as refused:
                await client.completions.create(model="demo", prompt="x")
            assert refused.value.code == "invalid_api_key"
            with pytest.raises(openai.AuthenticationError):
                _ = [model async for model in client.models.list()]
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            completion = await client.completions.create(model="demo", prompt="x")
            assert completion.choices[0].text == "Hello world"


async def test_lamini_s_base_address(daemon: RunningDaemon) -> None:
    async with openai.AsyncOpenAI(base_url=f"{daemon.url}/inf", api_key="none") as client:
        answer = await client.chat.completions.create(model="demo", messages=ASK)
        assert answer.choices[0].message.content == "Hello world"
        assert "demo" in [model.id async for model in client.models.list()]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_client_that_stops_listening_frees_its_slots(daemon: RunningDaemon, count: int) -> None:
    daemon.launcher.script = Script(is_stalled=True)
    async with openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="none") as client:
        stream = await client.chat.completions.create(model="demo", messages=ASK, n=count, stream=True)
        begun = [(await anext(stream)).choices[0].index for _ in range(count)]
        assert begun == list(range(count))
        await stream.close()
        await until(lambda: daemon.worker.aborted == count)
