"""A second Puna as the engine: what its model says arrives here as it was said there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fakes.running_daemon import RunningDaemon, run_daemon, until
from fakes.scripted_model import Script
from fakes.trap_text import TRAP_TEXT
from puna.config import Settings
from puna.domain.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolChoiceMode
from puna.domain.constraint import JsonSchemaConstraint
from puna.domain.embedding import EmbeddingRequest, RankingRequest
from puna.domain.generation import (
    ChatPrompt,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    OutputEvent,
    ReasoningDelta,
    Sampling,
    Started,
    TextDelta,
    TextPrompt,
    TokenLogprob,
    TokenPrompt,
    ToolCallArguments,
    ToolCallBegin,
    Usage,
)
from puna.domain.models import ModelKind
from puna.domain.remote import RemoteModel
from puna.engine.upstream.key import KeySource
from puna.engine.upstream.launcher import UpstreamLauncher
from puna.engine.upstream.worker import UpstreamWorker
from puna.errors import (
    ContextOverflowError,
    GenerationError,
    GenerationTimeoutError,
    InvalidRequestError,
    ModelLoadError,
    OverloadedError,
    PunaError,
    RemoteEngineError,
    WorkerDiedError,
)

CHAT = ChatPrompt((Message(Role.USER, "Hi"),))
REQUEST = GenerationRequest(prompt=CHAT)


@pytest.fixture
async def second(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with run_daemon(tmp_path / "second") as daemon:
        yield daemon


async def connect(second: RunningDaemon, key: str = "", **settings: object) -> UpstreamWorker:
    remote = replace(RemoteModel(name="big", url=second.url, model="demo"), **settings)
    environ = {"KEY": key}
    return await UpstreamLauncher(KeySource(Path("none"), environ), instance="here").launch(
        remote, lambda _: None
    )


@pytest.fixture
async def worker(second: RunningDaemon) -> AsyncIterator[UpstreamWorker]:
    worker = await connect(second)
    yield worker
    await worker.close()


async def collect(worker: UpstreamWorker, request: GenerationRequest = REQUEST) -> list[GenerationEvent]:
    return [event async for event in worker.generate(request)]


TOKENS = (TokenLogprob(b"\xe2\x82", -0.5, (TokenLogprob(b"\xe2\x82", -0.5), TokenLogprob(b"a", -2.5))),)


@pytest.mark.parametrize(
    "said",
    [
        (TextDelta("Hello"), TextDelta(" world")),
        (TextDelta(TRAP_TEXT),),
        (ReasoningDelta("Hm."), ReasoningDelta(" So."), TextDelta("Yes")),
        (
            TextDelta("Let me see."),
            ToolCallBegin(0, "c0", "weather"),
            ToolCallArguments(0, '{"town":'),
            ToolCallArguments(0, '"Ulm"}'),
            ToolCallBegin(1, "c1", "weather"),
            ToolCallArguments(1, "{}"),
        ),
    ],
)
async def test_what_the_model_says_arrives_event_by_event(
    second: RunningDaemon, worker: UpstreamWorker, said: tuple[OutputEvent, ...]
) -> None:
    has_calls = isinstance(said[-1], ToolCallArguments)
    reason = FinishReason.TOOL_CALLS if has_calls else FinishReason.LENGTH
    second.launcher.script = Script(deltas=said, reason=reason)
    started, *events, finished = await collect(worker)
    assert started == Started(0)
    assert tuple(events) == said
    assert isinstance(finished, Finished)
    thought = sum(isinstance(event, ReasoningDelta) for event in said)
    assert (finished.reason, finished.usage) == (reason, Usage(5, len(said), reasoning_tokens=thought))


@pytest.mark.parametrize("prompt", [CHAT, TextPrompt("Once")])
async def test_log_probabilities_keep_their_bytes(
    second: RunningDaemon, worker: UpstreamWorker, prompt: ChatPrompt | TextPrompt
) -> None:
    second.launcher.script = Script(deltas=(TextDelta("", TOKENS), TextDelta("\u20ac")))
    events = await collect(worker, GenerationRequest(prompt=prompt, top_logprobs=2, max_tokens=5))
    assert events[1:-1] == [TextDelta("", TOKENS), TextDelta("\u20ac")]


async def test_the_second_puna_gets_the_same_request(second: RunningDaemon, worker: UpstreamWorker) -> None:
    request = GenerationRequest(
        prompt=ChatPrompt(
            (
                Message(Role.DEVELOPER, "Be brief."),
                Message(Role.USER, TRAP_TEXT),
                Message(Role.ASSISTANT, "", "I must look.", (ToolCall("c1", "weather", '{"town": "Ulm"}'),)),
                Message(Role.TOOL, "rain", tool_call_id="c1", name="weather"),
                Message(Role.ASSISTANT, "It"),
            ),
            (Tool("weather", "of a town", '{"type":"object","properties":{"b":{},"a":{}}}'),),
            ToolChoice(ToolChoiceMode.NAMED, "weather", is_parallel=False),
            is_thinking=True,
            effort="high",
        ),
        sampling=Sampling(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            repetition_penalty=1.1,
            frequency_penalty=0.25,
            presence_penalty=-0.5,
            penalty_window=128,
            logit_bias=((7, -100.0),),
            seed=11,
        ),
        max_tokens=9,
        stop=("###",),
        top_logprobs=3,
        constraint=JsonSchemaConstraint('{"type":"object","properties":{"b":{},"a":{}}}'),
    )
    await collect(worker, request)
    (got,) = second.worker.requests
    assert isinstance(got.prompt, ChatPrompt)
    variables = '{"enable_thinking":true,"thinking":true}'
    assert got == replace(request, prompt=replace(request.prompt, template_variables=variables))


@pytest.mark.parametrize("prompt", [TextPrompt("Once"), TextPrompt(TRAP_TEXT), TokenPrompt((1, 2, 3))])
async def test_texts_and_tokens_too_with_their_limit_or_without(
    second: RunningDaemon, worker: UpstreamWorker, prompt: TextPrompt | TokenPrompt
) -> None:
    second.launcher.script = Script(deltas=(" upon", " a time"))
    for limit in (7, None):
        request = GenerationRequest(prompt=prompt, max_tokens=limit)
        _, *events, finished = await collect(worker, request)
        assert events == [TextDelta(" upon"), TextDelta(" a time")]
        assert isinstance(finished, Finished)
        assert finished.reason is FinishReason.STOP
        got = second.worker.requests[-1]
        assert (got.prompt, got.max_tokens, got.sampling) == (prompt, limit, request.sampling)


async def test_plain_sampling_stays_plain(second: RunningDaemon, worker: UpstreamWorker) -> None:
    await collect(worker)
    assert second.worker.requests[-1].sampling == Sampling()


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ContextOverflowError("The prompt has 5000 tokens and the context 2048."), ContextOverflowError),
        (OverloadedError("256 requests wait already."), OverloadedError),
        (GenerationTimeoutError("Nothing came."), GenerationTimeoutError),
        (GenerationError("The template failed."), GenerationError),
        (WorkerDiedError("The worker died (signal 9)."), RemoteEngineError),
        (ModelLoadError("It cannot be run."), RemoteEngineError),
        (InvalidRequestError("The template refuses this."), InvalidRequestError),
    ],
)
@pytest.mark.parametrize("deltas", [(), ("some", " text")])
async def test_errors_keep_their_kind_before_and_within_an_answer(
    second: RunningDaemon,
    worker: UpstreamWorker,
    failure: PunaError,
    error: type[PunaError],
    deltas: tuple[str, ...],
) -> None:
    second.launcher.script = Script(deltas=deltas, failure=failure)
    texts: list[GenerationEvent] = []
    with pytest.raises(PunaError) as caught:
        async for event in worker.generate(REQUEST):
            texts.append(event)  # noqa: PERF401 - what came before the failure counts
    assert type(caught.value) is error
    assert failure.message.removesuffix(".") in caught.value.message
    assert [event.text for event in texts if isinstance(event, TextDelta)] == list(deltas)


async def test_a_puna_that_wants_a_key_gets_it_and_another_key_is_no_ones_fault_but_the_settings(
    tmp_path: Path,
) -> None:
    settings = Settings(rate_limits="off", open_dialects=())
    async with run_daemon(tmp_path, settings=settings) as second:
        key = await second.make_key()
        worker = await connect(second, key, key_variable="KEY")
        assert len(await collect(worker)) == 4
        await worker.close()
        for wrong in ("puna_wrong_key_wrong_key_wrong_key", ""):
            with pytest.raises(ModelLoadError) as caught:
                await connect(second, wrong, key_variable="KEY" if wrong else "")
            assert "does not take Puna's key (status 401)" in caught.value.message
            assert "wrong_key" not in caught.value.message


async def test_leaving_here_frees_the_slot_there(second: RunningDaemon, worker: UpstreamWorker) -> None:
    second.launcher.script = Script(is_stalled=True)
    events = worker.generate(REQUEST)
    assert await anext(events) == Started(0)
    assert second.worker.running == 1
    await events.aclose()
    await until(lambda: second.worker.aborted == 1)
    assert second.worker.running == 0


async def test_vectors_and_rankings(second: RunningDaemon) -> None:
    embedder = await connect(second, model="embedder", kind=ModelKind.EMBEDDING)
    assert embedder.loaded.embedding_length == 4
    request = EmbeddingRequest(inputs=("ab", "c"), is_normalised=False)
    here, there = await embedder.embed(request), await second.worker.embed(request)
    assert here == there
    await embedder.close()
    reranker = await connect(second, model="reranker", kind=ModelKind.RERANKER)
    ranking = await reranker.rank(RankingRequest(query="red cat", documents=("a red cat", "a dog", "red")))
    assert (ranking.scores, ranking.prompt_tokens) == ((1.0, 0.0, 0.5), 15)
    await reranker.close()


async def test_a_text_model_does_not_embed(second: RunningDaemon) -> None:
    with pytest.raises(ModelLoadError, match="demo is a text model"):
        await connect(second, kind=ModelKind.EMBEDDING)


async def test_the_second_puna_tells_its_context(second: RunningDaemon, worker: UpstreamWorker) -> None:
    assert worker.loaded.context_length == 2048
    assert worker.loaded.description == f"demo on Puna at {second.url}"
    assert await worker.count_tokens(CHAT) == 5


async def test_constraints_that_puna_does_not_take_over_http_are_refused_here(
    second: RunningDaemon, worker: UpstreamWorker
) -> None:
    request = GenerationRequest(prompt=TextPrompt("x"), constraint=JsonSchemaConstraint("{}"))
    with pytest.raises(InvalidRequestError, match="in chats only"):
        await collect(worker, request)
    assert second.worker.requests == []
