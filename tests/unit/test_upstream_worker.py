"""A remote model as a worker, over real connections to an engine that behaves or does not."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import web
from msgspec.structs import replace

from fakes.fake_engine import (
    HELLO,
    Answer,
    FakeEngine,
    chunk,
    cut,
    event,
    replies,
    run_engine,
    says,
    stall,
    usage,
)
from fakes.running_daemon import until
from puna.domain.chat import Message, Role
from puna.domain.embedding import EmbeddingRequest, RankingRequest
from puna.domain.generation import (
    ChatPrompt,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationRequest,
    Started,
    TextDelta,
    TextPrompt,
    TokenPrompt,
    Usage,
)
from puna.domain.models import ModelKind
from puna.domain.remote import RemoteModel
from puna.engine.upstream import clock
from puna.engine.upstream.key import KeySource
from puna.engine.upstream.launcher import UpstreamLauncher
from puna.engine.upstream.passage import note_passed
from puna.engine.upstream.worker import UpstreamWorker
from puna.errors import (
    ContextOverflowError,
    GenerationTimeoutError,
    InvalidRequestError,
    ModelLoadError,
    OverloadedError,
    PunaError,
    RemoteEngineError,
    WorkerDiedError,
)

SECRET = "sk-key-of-this-engine-12345678"
CHAT = "/v1/chat/completions"
REQUEST = GenerationRequest(prompt=ChatPrompt((Message(Role.USER, "Hi"),)))
TEXT = GenerationRequest(prompt=TextPrompt("Once"), max_tokens=8)

Connect = Callable[..., Awaitable[UpstreamWorker]]


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    async with run_engine() as engine:
        engine.answers[CHAT] = says(*HELLO)
        yield engine


@pytest.fixture
async def connect(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Connect]:
    workers: list[UpstreamWorker] = []

    async def connect(**settings: object) -> UpstreamWorker:
        remote = replace(RemoteModel(name="big", url=engine.url, key_variable="BOX_KEY"), **settings)
        keys = KeySource(tmp_path / "secrets.json", {"BOX_KEY": SECRET})
        launcher = UpstreamLauncher(keys, instance="here")
        worker = await launcher.launch(remote, lambda _: None)
        workers.append(worker)
        return worker

    yield connect
    for worker in workers:
        await worker.close()


@pytest.fixture
def leap(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass at once, for the event loop too."""
    monotonic, passed_s = time.monotonic, 0.0

    def leap(seconds: float) -> None:
        nonlocal passed_s
        passed_s += seconds

    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + passed_s)
    return leap


async def collect(worker: UpstreamWorker, request: GenerationRequest = REQUEST) -> list[GenerationEvent]:
    return [event async for event in worker.generate(request)]


def finished_in(events: list[GenerationEvent]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


async def test_a_chat_over_the_wire(engine: FakeEngine, connect: Connect) -> None:
    worker = await connect()
    events = await collect(worker)
    assert events[:-1] == [Started(0), TextDelta("Hello"), TextDelta(" world")]
    assert finished_in(events).usage == Usage(5, 2)
    asked = engine.asked[-1]
    assert asked.path == CHAT
    assert asked.headers["Authorization"] == f"Bearer {SECRET}"
    assert asked.body["model"] == "org/big"
    assert worker.status.completion_tokens == 2


async def test_every_request_says_through_which_punas_it_came(engine: FakeEngine, connect: Connect) -> None:
    note_passed(("first", "second"))
    worker = await connect()
    note_passed(("first", "second"))
    await collect(worker)
    note_passed(())
    await collect(worker)
    passages = [(asked.path, asked.headers["Puna-Via"]) for asked in engine.asked]
    assert passages == [("/v1/models", "here"), (CHAT, "first, second, here"), (CHAT, "here")]


async def test_the_engine_says_what_it_has(engine: FakeEngine, connect: Connect) -> None:
    loaded = (await connect(slots=3)).loaded
    assert (loaded.backend, loaded.slots, loaded.context_length) == ("remote", 3, 4096)
    assert loaded.description == f"org/big on vLLM at http://127.0.0.1:{engine.port}"
    engine.models = [
        {"id": "m.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 32768, "n_ctx": 8192, "n_params": 7}}
    ]
    loaded = (await connect()).loaded
    assert (loaded.context_length, loaded.trained_context_length, loaded.n_parameters) == (8192, 32768, 7)
    assert (await connect(context_length=512)).loaded.context_length == 512


async def test_a_model_that_is_not_listed_is_asked_for_by_its_name(
    engine: FakeEngine, connect: Connect
) -> None:
    engine.answers["/v1/models/alias"] = replies({"id": "org/big", "owned_by": "puna", "max_model_len": 99})
    worker = await connect(model="alias")
    await collect(worker)
    assert engine.body["model"] == "alias"
    with pytest.raises(ModelLoadError, match=r"has no model other; it has org/big\. Correct model"):
        await connect(model="other")
    engine.models = [{"id": "a"}, {"id": "b"}]
    with pytest.raises(ModelLoadError, match="has a, b; say which one as model"):
        await connect()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (replies({"error": {"message": f"bad key {SECRET}"}}, status=401), "does not take Puna's key"),
        (replies({}, status=404), "no such model or route"),
        (replies("<html>", status=200), "something that is no list of models"),
        (replies({"data": 3}), "something that is no list of models"),
        (replies({}, status=301, Location="http://elsewhere.example/"), "does not follow"),
        (replies({}, status=503), "is busy"),
        (says(then=cut), "ended the connection"),
    ],
)
async def test_an_engine_that_cannot_be_used_is_said_at_the_load(
    engine: FakeEngine, connect: Connect, answer: Answer, said: str
) -> None:
    engine.answers["/v1/models"] = answer
    with pytest.raises(ModelLoadError, match=said) as caught:
        await connect()
    assert SECRET not in caught.value.message
    assert len(engine.asked) == 1


async def test_an_engine_that_is_not_there_is_said_with_its_address(connect: Connect) -> None:
    with pytest.raises(ModelLoadError, match=r"at http://127.0.0.1:1 cannot be reached \(.*refuse"):
        await connect(url="http://127.0.0.1:1/v1")
    with pytest.raises(ModelLoadError, match="its name is not known"):
        await connect(url="http://no-such-host.invalid/v1")


async def test_no_tls_where_tls_is_asked_for(engine: FakeEngine, connect: Connect) -> None:
    with pytest.raises(ModelLoadError, match="not trusted, or it speaks no TLS"):
        await connect(url=f"https://127.0.0.1:{engine.port}/v1")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (replies({"error": {"message": f"no {SECRET}"}}, status=401), RemoteEngineError),
        (replies({"error": {"message": "no"}}, status=400), InvalidRequestError),
        (replies({"error": {"code": "context_length_exceeded"}}, status=400), ContextOverflowError),
        (replies({}, status=503, Retry_After="9"), OverloadedError),
        (replies({}, status=307, Location="http://127.0.0.1:1/"), RemoteEngineError),
        (replies("<html>"), RemoteEngineError),
        (replies({"choices": []}), RemoteEngineError),
        (replies({"error": {"message": "slow down", "code": 429}}), OverloadedError),
        (says(b"data: <html>\n\n"), RemoteEngineError),
        (says(b"x" * 5_000_000), RemoteEngineError),
        (says(*HELLO[:3]), WorkerDiedError),
        (says(*HELLO[:3], then=cut), WorkerDiedError),
        (says(then=cut), WorkerDiedError),
        (says(*HELLO[:3], event({"error": {"message": f"key {SECRET}", "code": 500}})), RemoteEngineError),
    ],
)
async def test_an_answer_that_fails_says_how(
    engine: FakeEngine, connect: Connect, answer: Answer, error: type[PunaError]
) -> None:
    worker = await connect()
    engine.answers[CHAT] = answer
    with pytest.raises(error) as caught:
        await collect(worker)
    assert type(caught.value) is error
    assert SECRET not in caught.value.message
    assert (worker.status.busy_slots, worker.status.waiting_requests) == (0, 0)


async def test_no_key_is_logged(
    engine: FakeEngine, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    worker = await connect()
    await collect(worker)
    engine.answers[CHAT] = replies({"error": {"message": SECRET}}, status=500)
    with pytest.raises(RemoteEngineError):
        await collect(worker)
    assert SECRET not in caplog.text
    assert SECRET not in repr(worker.loaded) + repr(vars(worker))


async def test_text_before_a_failure_is_not_lost(engine: FakeEngine, connect: Connect) -> None:
    worker = await connect()
    engine.answers[CHAT] = says(*HELLO[:3], then=cut)
    events = worker.generate(REQUEST)
    assert [await anext(events) for _ in range(3)] == [Started(0), TextDelta("Hello"), TextDelta(" world")]
    with pytest.raises(WorkerDiedError):
        await anext(events)


async def test_an_engine_that_does_not_end_is_left(engine: FakeEngine, connect: Connect) -> None:
    is_left = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                await response.write(chunk({"content": "x" * 1000}))
        finally:
            is_left.set()

    worker = await connect()
    engine.answers[CHAT] = endless
    async with asyncio.timeout(60):
        events = await collect(worker, replace(REQUEST, max_tokens=50))
        await is_left.wait()
    assert finished_in(events).reason is FinishReason.LENGTH
    assert len(events) < 100
    assert worker.status.busy_slots == 0


async def test_an_engine_that_does_not_begin_is_given_up(
    leap: Callable[[float], None], engine: FakeEngine, connect: Connect
) -> None:
    is_silent = asyncio.Event()

    async def fall_silent(request: web.Request) -> None:
        is_silent.set()
        await stall(request)

    worker = await connect(first_event_timeout_s=30, stall_timeout_s=60)
    for answer in (says(then=fall_silent), says(b": ping\n\n", then=fall_silent)):
        engine.answers[CHAT] = answer
        is_silent.clear()
        waiting = asyncio.create_task(collect(worker))
        await until(is_silent.is_set)
        leap(30)
        with pytest.raises(GenerationTimeoutError, match="big for 30 s"):
            await waiting
    await until(lambda: engine.left == 2)


async def test_an_engine_that_stalls_is_given_up(engine: FakeEngine, connect: Connect) -> None:
    worker = await connect(first_event_timeout_s=60, stall_timeout_s=0.1)
    engine.answers[CHAT] = says(*HELLO[:2], b": ping\n\n", then=stall)
    with pytest.raises(GenerationTimeoutError, match=r"big for 0\.1 s"):
        await collect(worker)
    await until(lambda: engine.left == 1)


async def test_leaving_an_answer_closes_the_engines_request(engine: FakeEngine, connect: Connect) -> None:
    worker = await connect()
    engine.answers[CHAT] = says(*HELLO[:2], then=stall)
    async with aclosing(worker.generate(REQUEST)) as events:
        assert await anext(events) == Started(0)
        assert worker.status.busy_slots == 1
    assert worker.status.busy_slots == 0
    await until(lambda: engine.left == 1)


async def test_a_caller_who_is_cancelled_before_the_answer_closes_the_request(
    engine: FakeEngine, connect: Connect
) -> None:
    async def wait(request: web.Request) -> web.StreamResponse:
        await stall(request)
        raise AssertionError

    worker = await connect()
    engine.answers[CHAT] = wait
    task = asyncio.create_task(collect(worker))
    await until(lambda: len(engine.asked) == 2)
    task.cancel()
    await until(lambda: engine.left == 1)
    assert worker.status.busy_slots == 0


async def test_a_text_ends_when_its_time_is_up(
    leap: Callable[[float], None], engine: FakeEngine, connect: Connect
) -> None:
    events: list[GenerationEvent] = []

    async def read() -> None:
        async for each in worker.generate(replace(REQUEST, max_time_s=30)):
            events.append(each)  # noqa: PERF401 - what came so far counts

    worker = await connect()
    engine.answers[CHAT] = says(*HELLO[:2], then=stall)
    reading = asyncio.create_task(read())
    await until(lambda: len(events) == 2)
    leap(30)
    await reading
    assert events[:-1] == [Started(0), TextDelta("Hello")]
    assert finished_in(events).reason is FinishReason.LENGTH
    await until(lambda: engine.left == 1)
    engine.answers[CHAT] = says(then=stall)
    silent = await collect(worker, replace(REQUEST, max_time_s=0.05))
    assert silent[0] == Started(0)
    assert finished_in(silent).reason is FinishReason.LENGTH


async def test_a_text_ends_in_time_where_timers_go_off_a_little_early(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, monotonic, tick_s = await connect(), time.monotonic, 1 / 64
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() // tick_s * tick_s)
    monkeypatch.setattr(asyncio.get_running_loop(), "_clock_resolution", tick_s)
    monkeypatch.setattr(clock, "_RESOLUTION_S", tick_s, raising=False)
    engine.answers[CHAT] = says(then=stall)
    events = await collect(worker, replace(REQUEST, max_time_s=3.2 * tick_s))
    assert finished_in(events).reason is FinishReason.LENGTH


async def test_no_more_requests_than_slots_reach_the_engine(engine: FakeEngine, connect: Connect) -> None:
    running = most = 0

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return await says(*HELLO)(request)

    worker = await connect(slots=2)
    engine.answers[CHAT] = count
    answers = await asyncio.gather(*(collect(worker) for _ in range(7)))
    assert all(finished_in(events).usage.completion_tokens == 2 for events in answers)
    assert most == 2
    assert worker.status.completion_tokens == 14


async def test_connections_are_used_again(engine: FakeEngine, connect: Connect) -> None:
    ports = set()

    async def note(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return await says(*HELLO)(request)

    worker = await connect()
    engine.answers[CHAT] = note
    for _ in range(5):
        await collect(worker)
    assert len(ports) == 1


async def test_closing_ends_open_requests_as_an_unloaded_model_does(
    engine: FakeEngine, connect: Connect
) -> None:
    worker = await connect(slots=2)
    engine.answers[CHAT] = says(*HELLO[:2], then=stall)
    engine.answers["/v1/completions"] = says(then=stall)
    open_requests = [asyncio.create_task(collect(worker, each)) for each in (REQUEST, TEXT, REQUEST)]
    await until(lambda: len(engine.asked) == 3)
    await worker.close()
    await worker.close()
    for each in await asyncio.gather(*open_requests, return_exceptions=True):
        assert isinstance(each, OverloadedError), repr(each)
        assert "was unloaded" in each.message
    assert not worker.is_alive
    with pytest.raises(OverloadedError):
        await collect(worker)


async def test_closing_ends_those_who_wait_for_a_slot_of_a_client_that_does_not_read(
    engine: FakeEngine, connect: Connect
) -> None:
    worker = await connect(slots=1)
    engine.answers[CHAT] = says(*HELLO[:2], then=stall)
    async with aclosing(worker.generate(REQUEST)) as unread:
        await anext(unread)
        waiting = asyncio.create_task(collect(worker))
        await until(lambda: worker.status.waiting_requests == 1)
        await worker.close()
        async with asyncio.timeout(60):
            with pytest.raises(OverloadedError, match="was unloaded"):
                await waiting
        assert (worker.status.busy_slots, worker.status.waiting_requests) == (1, 0)
    assert worker.status.busy_slots == 0


async def test_an_engine_that_is_gone_is_looked_at_anew_by_the_next_request(
    engine: FakeEngine, connect: Connect
) -> None:
    worker = await connect()
    engine.answers[CHAT] = says(*HELLO[:2], then=cut)
    assert worker.is_alive
    with pytest.raises(WorkerDiedError):
        await collect(worker)
    assert not worker.is_alive


async def test_one_lost_connection_does_not_end_the_answers_of_others(
    engine: FakeEngine, connect: Connect
) -> None:
    go = asyncio.Event()

    async def wait(_: web.Request) -> None:
        await go.wait()

    worker = await connect()
    engine.answers["/v1/completions"] = says(event({"choices": [{"text": "a"}]}), then=wait)
    engine.answers[CHAT] = says(*HELLO[:2], then=cut)
    other = asyncio.create_task(collect(worker, TEXT))
    await until(lambda: worker.status.busy_slots == 1)
    with pytest.raises(WorkerDiedError):
        await collect(worker)
    assert worker.is_alive
    engine.answers[CHAT] = says(*HELLO)
    await collect(worker)
    go.set()
    with pytest.raises(WorkerDiedError):
        await other
    assert not worker.is_alive


async def test_texts_and_tokens_are_completions(engine: FakeEngine, connect: Connect) -> None:
    engine.answers["/v1/completions"] = says(
        event({"choices": [{"text": " upon", "finish_reason": "length"}]}), usage(1, 1), event("[DONE]")
    )
    worker = await connect()
    events = await collect(worker, TEXT)
    assert events[1] == TextDelta(" upon")
    assert finished_in(events).reason is FinishReason.LENGTH
    await collect(worker, replace(TEXT, prompt=TokenPrompt((1, 2))))
    assert engine.body["prompt"] == [1, 2]


async def test_vllm_counts_when_it_is_asked(engine: FakeEngine, connect: Connect) -> None:
    engine.answers["/tokenize"] = replies({"count": 11, "max_model_len": 4096, "tokens": [1]})
    worker = await connect()
    assert await worker.count_tokens(REQUEST.prompt) == 11
    assert engine.body["messages"] == [{"role": "user", "content": "Hi"}]
    assert await worker.count_tokens(TextPrompt("Once")) == 11
    assert engine.body["prompt"] == "Once"
    assert await worker.count_tokens(TokenPrompt((1, 2, 3))) == 3


async def test_other_engines_count_by_answering_with_one_token(engine: FakeEngine, connect: Connect) -> None:
    engine.models = [{"id": "m"}]
    worker = await connect()
    assert await worker.count_tokens(REQUEST.prompt) == 5
    assert engine.body["max_tokens"] == 1
    engine.answers[CHAT] = says(*HELLO[:4], HELLO[5])
    with pytest.raises(RemoteEngineError, match="does not tell how many tokens"):
        await worker.count_tokens(REQUEST.prompt)


async def test_a_text_to_the_end_of_the_context_gets_the_limit_that_it_needs(
    engine: FakeEngine, connect: Connect
) -> None:
    engine.answers["/v1/completions"] = says(chunk({}, finish_reason="length"), usage(10, 1))
    engine.models = [{"id": "m", "owned_by": "sglang", "max_model_len": 100}]
    endless = replace(TEXT, max_tokens=None)
    await collect(await connect(), endless)
    assert engine.body["max_tokens"] == 90
    engine.models = [{"id": "m"}]
    with pytest.raises(InvalidRequestError, match="needs a limit of tokens"):
        await collect(await connect(), endless)


async def test_vectors(engine: FakeEngine, connect: Connect) -> None:
    engine.answers["/v1/embeddings"] = replies(
        {"data": [{"index": 0, "embedding": [3.0, 4.0]}], "usage": {"prompt_tokens": 2}}
    )
    worker = await connect(kind=ModelKind.EMBEDDING)
    assert (worker.loaded.kind, worker.loaded.embedding_length) == (ModelKind.EMBEDDING, 2)
    embedding = await worker.embed(EmbeddingRequest(inputs=("a",), dimensions=1))
    assert (len(embedding.vectors[0]), embedding.prompt_tokens) == (4, 2)
    with pytest.raises(RemoteEngineError, match="vectors that do not fit"):
        await worker.embed(EmbeddingRequest(inputs=("a", "b")))
    engine.answers["/v1/embeddings"] = replies({"data": 1})
    with pytest.raises(RemoteEngineError, match="no answer to this"):
        await worker.embed(EmbeddingRequest(inputs=("a",)))


async def test_a_ranking(engine: FakeEngine, connect: Connect) -> None:
    engine.answers["/v1/rerank"] = replies(
        {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}
    )
    worker = await connect(kind=ModelKind.RERANKER)
    request = RankingRequest(query="q", documents=("a", "b"))
    assert (await worker.rank(request)).scores == (0.1, 0.9)
    engine.answers["/v1/rerank"] = says(then=stall)
    slow = await connect(kind=ModelKind.RERANKER, first_event_timeout_s=0.1)
    with pytest.raises(GenerationTimeoutError):
        await slow.rank(request)


async def test_what_json_cannot_carry_is_the_callers_mistake(engine: FakeEngine, connect: Connect) -> None:
    worker = await connect()
    with pytest.raises(InvalidRequestError, match="cannot be passed on"):
        await collect(worker, replace(REQUEST, prompt=ChatPrompt((Message(Role.USER, "\ud800"),))))
    assert worker.status.busy_slots == 0
